using System.Globalization;
using ScottPlot;

namespace Mamba.Pictures;

/// <summary>
/// Ticks of an axis whose positions are logarithms to the base 10: powers of ten where the axis spans several, the 2s and 5s between them, or round
/// steps, where it spans less. There are never fewer than two labels.
/// </summary>
internal sealed class LogTicks : ITickGenerator
{
    static readonly double[][] Multiples = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7]];

    /// <inheritdoc/>
    public Tick[] Ticks { get; set; } = [];

    /// <inheritdoc/>
    public int MaxTickCount { get; set; } = 1000;

    /// <inheritdoc/>
    public void Regenerate(CoordinateRange range, Edge edge, PixelLength size, Paint paint, LabelStyle labelStyle)
    {
        double low = Math.Min(range.Min, range.Max), high = Math.Max(range.Min, range.Max);
        double[] major = Majors(low, high);
        IEnumerable<Tick> minor = high - low > 8 ? [] : Between(low, high, [2, 3, 4, 5, 6, 7, 8, 9]).Except(major).Select(v => Tick.Minor(Math.Log10(v)));
        Ticks = [.. major.Select(v => Tick.Major(Math.Log10(v), Number(v))), .. minor];
    }

    /// <summary>The values that have labels on an axis from 10^<paramref name="low"/> to 10^<paramref name="high"/>.</summary>
    public static double[] Majors(double low, double high)
    {
        const int Most = 9, Enough = 4;
        for (int every = 1; high - low >= Enough; every++)
        {
            double[] powers = [.. Between(low, high, [1]).Where(v => (int)Math.Round(Math.Log10(v)) % every == 0)];
            if (powers.Length <= Most)
                return powers;
        }
        foreach (double[] multiples in Multiples)
            if (Between(low, high, multiples) is { Length: >= Enough } found)
                return found;
        return Even(Math.Pow(10, low), Math.Pow(10, high));
    }

    // Less than some three quarters of a decade: round steps of 1, 2 or 5.
    static double[] Even(double low, double high)
    {
        double raw = (high - low) / 4, power = Math.Pow(10, Math.Floor(Math.Log10(raw)));
        double step = raw / power < 1.5 ? power : raw / power < 3.5 ? 2 * power : 5 * power;
        long first = (long)Math.Ceiling(low / step), last = (long)Math.Floor(high / step);
        return [.. Enumerable.Range(0, (int)Math.Max(0, last - first + 1)).Select(i => (first + i) * step)];
    }

    static double[] Between(double low, double high, double[] multiples)
    {
        int first = (int)Math.Floor(low), last = (int)Math.Ceiling(high);
        return [.. Enumerable.Range(first, Math.Max(0, last - first + 1)).SelectMany(power => multiples.Select(m => m * Math.Pow(10, power)))
            .Where(v => Math.Log10(v) >= low - 1e-9 && Math.Log10(v) <= high + 1e-9)];
    }

    /// <summary>0.001, 5, 20,000; and 10⁻⁶, 2·10⁷ where that would be long.</summary>
    public static string Number(double value)
    {
        int power = (int)Math.Floor(Math.Log10(value) + 1e-9);
        if (power is >= -3 and < 6)
            return value.ToString(value >= 1000 ? "N0" : "0.######", CultureInfo.InvariantCulture);
        double m = value / Math.Pow(10, power);
        string digits = string.Concat(power.ToString(CultureInfo.InvariantCulture).Select(c => c == '-' ? '⁻' : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c - '0']));
        return Math.Abs(m - 1) < 1e-9 ? $"10{digits}" : $"{m.ToString("0.###", CultureInfo.InvariantCulture)}·10{digits}";
    }
}
