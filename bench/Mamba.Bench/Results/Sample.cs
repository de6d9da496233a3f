using System.Globalization;

namespace Mamba.Bench;

/// <summary>What several runs gave: the median, the quartiles around it, the best, and how many they were.</summary>
internal sealed record Sample(double Median, double Low, double High, double Best, int Count, string Unit)
{
    /// <summary>Units of which more is better; of all others (ms, MB) less is.</summary>
    static readonly string[] Rates = ["GFLOP/s", "GB/s", "G/s", "tokens/s", Percent];

    /// <summary>The unit of fractions of a limit.</summary>
    public const string Percent = "%";

    public bool MoreIsBetter => Rates.Contains(Unit);

    public static Sample Of(IEnumerable<double> values, string unit)
    {
        double[] sorted = [.. values.Order()];
        if (sorted.Length == 0)
            throw new ArgumentException("A sample needs at least one run.", nameof(values));
        bool more = Rates.Contains(unit);
        return new Sample(At(0.5), At(0.25), At(0.75), more ? sorted[^1] : sorted[0], sorted.Length, unit);

        double At(double share)
        {
            double place = share * (sorted.Length - 1);
            int below = (int)place;
            return below + 1 < sorted.Length ? sorted[below] + (place - below) * (sorted[below + 1] - sorted[below]) : sorted[below];
        }
    }

    /// <summary>One number that was counted, not timed.</summary>
    public static Sample Exactly(double value, string unit) => new(value, value, value, value, 1, unit);

    /// <summary>Milliseconds as a rate: <paramref name="amount"/> in each run, in units of 10⁶ a millisecond for GFLOP/s, GB/s and G/s.</summary>
    public Sample ToRate(double amount, string unit) => new(amount / Median, amount / High, amount / Low, amount / Best, Count, unit);

    /// <summary>The same in another unit.</summary>
    public Sample Times(double factor, string unit) => new(Median * factor, Low * factor, High * factor, Best * factor, Count, unit);

    public override string ToString() => $"{Number(Median)} {Unit}";

    /// <summary>Half the distance of the quartiles, relative to the median: ± 3 %.</summary>
    public string Spread => Count == 1 || Median == 0 ? "" : $"± {(High - Low) / 2 / Median:P0}";

    /// <summary>Three digits or more.</summary>
    public static string Number(double x) => Math.Abs(x) switch
    {
        0 => "0",
        < 0.001 => x.ToString("G2", CultureInfo.InvariantCulture),
        < 0.1 => x.ToString("F4", CultureInfo.InvariantCulture),
        < 10 => x.ToString("F2", CultureInfo.InvariantCulture),
        < 1000 => x.ToString("F1", CultureInfo.InvariantCulture),
        _ => x.ToString("N0", CultureInfo.InvariantCulture),
    };
}
