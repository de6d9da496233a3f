using ScottPlot;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;

namespace Mamba.Pictures;

/// <summary>How something is distributed in each layer: bands between quantiles, and the median.</summary>
internal static class LayerBands
{
    static readonly (double From, double To, float Width, double Alpha)[] Parts =
        [(0, 0.1, 0.12f, 0.3), (0.9, 1, 0.12f, 0.3), (0.1, 0.9, 0.5f, 0.3), (0.25, 0.75, 0.5f, 0.6)];

    /// <summary>What the bands are, for the note under the title.</summary>
    public const string Words = "line: median; bands: 25 to 75 % and 10 to 90 %; stem: smallest to largest";

    /// <summary>A plot of them.</summary>
    /// <param name="layers">Which layers.</param>
    /// <param name="values">Of each layer; those that are not finite are left out.</param>
    /// <param name="y">What is up, with its unit.</param>
    /// <param name="logarithmic">Logarithmic whatever the values span.</param>
    public static Plot Of(IReadOnlyList<int> layers, IReadOnlyList<double[]> values, string y, bool logarithmic)
    {
        Plot plot = Sheet.New("", "layer", y);
        var scale = Scale.Of(values.SelectMany(some => some), logarithmic);
        scale.Left(plot);
        plot.Axes.SetLimitsX(-0.6, layers.Count - 0.4);
        int every = (layers.Count + 31) / 32;
        int[] named = [.. Enumerable.Range(0, layers.Count).Where(i => i % every == 0)];
        plot.Axes.Bottom.TickGenerator = new NumericManual([.. named.Select(i => (double)i)], [.. named.Select(i => TraceLayer.Words(layers[i]))]);
        plot.Grid.XAxisStyle.IsVisible = false;
        double widest = Math.Min(1, layers.Count / 6.0);
        for (int i = 0; i < layers.Count; i++)
        {
            double[] sorted = [.. values[i].Where(value => double.IsFinite(value) && (value > 0 || !scale.IsLogarithmic)).Order()];
            if (sorted.Length == 0)
                continue;
            foreach ((double from, double to, float width, double alpha) in Parts)
            {
                double half = width * widest / 2, low = scale.Position(Quantile(sorted, from)), high = scale.Position(Quantile(sorted, to));
                Rectangle band = plot.Add.Rectangle(i - half, i + half, low, high);
                (band.FillColor, band.LineWidth) = (Palette.Blue.WithAlpha(alpha), 0);
            }
            double median = scale.Position(Quantile(sorted, 0.5)), reach = 0.3 * widest;
            LinePlot line = plot.Add.Line(i - reach, median, i + reach, median);
            (line.LineWidth, line.Color, line.MarkerSize) = (3, Palette.Ink, 0);
        }
        Sheet.SayIfEmpty(plot);
        return plot;
    }

    /// <summary>The value below which a share of sorted values is, between two of them by a straight line.</summary>
    public static double Quantile(ReadOnlySpan<double> sorted, double share)
    {
        double at = share * (sorted.Length - 1);
        int below = (int)at;
        return below + 1 >= sorted.Length ? sorted[^1] : sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]);
    }
}
