using System.Globalization;

namespace Mamba;

/// <summary>How far one array of numbers is from another.</summary>
/// <param name="Name">What the numbers are: <c>output 0</c>, <c>gradient of weight</c>.</param>
/// <param name="Shape">Their shape.</param>
/// <param name="Index">Where they differ most; null if they are the same or there are none.</param>
/// <param name="Actual">What is there.</param>
/// <param name="Expected">What should be.</param>
/// <param name="Relative">The largest difference over the largest expected value: 0 if all are the same, infinite if a number is missing.</param>
/// <param name="Ulps">The largest difference in units in the last place of the number expected.</param>
/// <param name="Tolerance">What <paramref name="Relative"/> may be.</param>
public sealed record Difference(string Name, Shape Shape, IReadOnlyList<long>? Index, double Actual, double Expected, double Relative, double Ulps,
    double Tolerance)
{
    /// <summary>Whether the numbers are the same within the tolerance.</summary>
    public bool Passed => Relative <= Tolerance;

    /// <summary>Compares; NaN agrees with nothing.</summary>
    /// <param name="name">What the numbers are.</param>
    /// <param name="shape">Their shape.</param>
    /// <param name="actual">What is there.</param>
    /// <param name="expected">What should be.</param>
    /// <param name="tolerance">Largest difference over the largest expected value.</param>
    /// <param name="dtype">Type whose last place ulps count.</param>
    public static Difference Between(string name, Shape shape, ReadOnlySpan<double> actual, ReadOnlySpan<double> expected, double tolerance,
        DType dtype = DType.Float64)
    {
        if (actual.Length != expected.Length)
            throw new MambaException($"Compare: {name} has {actual.Length} elements and {expected.Length}; expected the same number.");
        double largest = 0, worst = 0, ulps = 0;
        long at = -1;
        for (int i = 0; i < actual.Length; i++)
        {
            largest = Math.Max(largest, double.IsFinite(expected[i]) ? Math.Abs(expected[i]) : 0);
            double difference = actual[i] == expected[i] ? 0 : Math.Abs(actual[i] - expected[i]);
            if (double.IsNaN(difference))
                difference = double.PositiveInfinity;
            ulps = Math.Max(ulps, difference == 0 ? 0 : difference / Ulp(expected[i], dtype));
            if (difference > worst)
                (worst, at) = (difference, i);
        }
        return new Difference(name, shape, at < 0 ? null : IndexOf(at, shape), at < 0 ? 0 : actual[(int)at], at < 0 ? 0 : expected[(int)at],
            worst == 0 ? 0 : worst / Math.Max(largest, double.Epsilon), double.IsNaN(ulps) ? double.PositiveInfinity : ulps, tolerance);
    }

    static double Ulp(double x, DType dtype) => !double.IsFinite(x) ? double.NaN
        : dtype == DType.Float32 ? Math.Max(MathF.BitIncrement(MathF.Abs((float)x)) - MathF.Abs((float)x), float.Epsilon)
        : Math.BitIncrement(Math.Abs(x)) - Math.Abs(x);

    /// <summary>Element <paramref name="i"/>, counted row by row, as an index into <paramref name="shape"/>.</summary>
    internal static long[] IndexOf(long i, Shape shape)
    {
        long[] index = new long[shape.Rank];
        for (int axis = index.Length - 1; axis >= 0; i /= shape[axis--])
            index[axis] = i % shape[axis];
        return index;
    }

    /// <summary>One line.</summary>
    public override string ToString() => Index is null
        ? $"{Name} {Shape} is the same."
        : string.Create(CultureInfo.InvariantCulture, $"{Name} {Shape} at ({string.Join(", ", Index)}) is {Actual:g10}; expected {Expected:g10}. "
            + $"The difference is {Relative:0.0e+0} of the largest element; allowed is {Tolerance:0.0e+0}.");
}
