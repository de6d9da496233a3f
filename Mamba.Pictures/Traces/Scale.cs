using ScottPlot;
using ScottPlot.TickGenerators;

namespace Mamba.Pictures;

/// <summary>An axis of what cannot be negative: logarithmic where the values span decades, or else from 0.</summary>
/// <param name="IsLogarithmic">Whether positions are logarithms to the base 10.</param>
/// <param name="Low">The lower end, as a position.</param>
/// <param name="High">The upper end, as a position.</param>
internal sealed record Scale(bool IsLogarithmic, double Low, double High)
{
    const double Decades = 30, Most = 12;

    /// <summary>For values of which those that are not finite do not count, and zeros not on a logarithmic axis.</summary>
    /// <param name="values">What is to be shown.</param>
    /// <param name="always">Logarithmic, whatever they span.</param>
    public static Scale Of(IEnumerable<double> values, bool always = false)
    {
        double least = double.PositiveInfinity, most = 0;
        foreach (double value in values)
            if (double.IsFinite(value) && value > 0)
                (least, most) = (Math.Min(least, value), Math.Max(most, value));
        if (most == 0)
            return always ? new Scale(true, -1, 1) : new Scale(false, 0, 1);
        if (!always && most <= Decades * least)
            return new Scale(false, 0, 1.06 * most);
        double high = Math.Log10(most), low = Math.Max(Math.Log10(least), high - Most), margin = Math.Max(0.06 * (high - low), 0.15);
        return new Scale(true, low - margin, high + margin);
    }

    /// <summary>Where a value is. On a logarithmic axis 0 is at its lower end.</summary>
    public double Position(double value) => !IsLogarithmic ? value : value <= 0 ? Low : Math.Clamp(Math.Log10(value), Low, High);

    /// <summary>Makes it the left axis of a plot.</summary>
    public void Left(Plot plot)
    {
        plot.Axes.SetLimitsY(Low, High);
        plot.Axes.Left.TickGenerator = IsLogarithmic ? new LogTicks() : new NumericAutomatic { TickDensity = 0.5 };
    }
}
