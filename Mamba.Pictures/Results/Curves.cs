using ScottPlot;
using ScottPlot.TickGenerators;

namespace Mamba.Pictures;

/// <summary>Several lines, each with the spread of what was measured more than once.</summary>
internal static class Curves
{
    const int MostMarks = 12;

    /// <summary>The line goes through the means; the band is from the smallest to the largest.</summary>
    /// <param name="title">What is seen.</param>
    /// <param name="note">Over what it was taken.</param>
    /// <param name="x">What is across, with its unit.</param>
    /// <param name="y">What is up, with its unit.</param>
    /// <param name="across">How the places are spaced.</param>
    /// <param name="curves">The lines.</param>
    /// <param name="limits">Grey lines across: what others reach.</param>
    public static Sheet Of(string title, string note, string x, string y, Across across, IReadOnlyList<Curve> curves,
        params ReadOnlySpan<(string Text, double Y)> limits)
    {
        Plot plot = Sheet.New("", x, y);
        plot.Axes.Left.TickGenerator = new NumericAutomatic { TickDensity = 0.5 };
        plot.Axes.Bottom.TickGenerator = across switch
        {
            Across.Linear => new NumericAutomatic { TickDensity = 0.6 },
            Across.Logarithmic => new LogTicks(),
            _ => Marks([.. curves.SelectMany(curve => curve.Points).Select(point => point.X).Where(place => place > 0).Distinct().Order()]),
        };
        for (int i = 0; i < curves.Count; i++)
            Add(plot, curves[i], i, across);
        for (int i = 0; i < limits.Length; i++)
        {
            ScottPlot.Plottables.HorizontalLine limit = plot.Add.HorizontalLine(limits[i].Y, 2, Palette.Grey, PatternOf(i));
            limit.LegendText = limits[i].Text;
        }
        Sheet.SayIfEmpty(plot);
        plot.Axes.Margins(0.03, 0.08);
        plot.Axes.AutoScale();
        if (plot.PlottableList.SelectMany(part => part.LegendItems).Any(item => item.LabelText.Length > 0))
            Picture.Legend(plot);
        return new Sheet(title, note, plot);
    }

    static LinePattern PatternOf(int i) => (i % 3) switch { 0 => LinePattern.Dashed, 1 => LinePattern.Dotted, _ => LinePattern.DenselyDashed };

    static void Add(Plot plot, Curve curve, int number, Across across)
    {
        (double X, double[] Values)[] points = [.. curve.Points.Where(point => across == Across.Linear || point.X > 0)
            .Select(point => (across == Across.Linear ? point.X : Math.Log10(point.X), point.Values.Where(double.IsFinite).ToArray()))
            .Where(point => point.Item2.Length > 0).OrderBy(point => point.Item1)];
        if (points.Length == 0)
            return;
        Color color = Palette.ColorOf(number);
        double[] xs = [.. points.Select(point => point.X)];
        if (points.Length > 1 && points.Any(point => point.Values.Length > 1))
        {
            double[] low = [.. points.Select(point => point.Values.Min())], high = [.. points.Select(point => point.Values.Max())];
            ScottPlot.Plottables.FillY band = plot.Add.FillY(xs, low, high);
            (band.FillColor, band.LineWidth) = (color.WithAlpha(0.15), 0);
            (band.MarkerSize, band.LegendText) = (0, "");
        }
        ScottPlot.Plottables.Scatter line = plot.Add.Scatter(xs, [.. points.Select(point => point.Values.Average())], color);
        (line.LegendText, line.LineWidth, line.LinePattern) = (curve.Name, 2.5f, curve.Dashed ? LinePattern.Dashed : LinePattern.Solid);
        (line.MarkerSize, line.MarkerShape) = (points.Length > 60 ? 0 : 9, Palette.MarkerOf(number));
    }

    static NumericManual Marks(double[] places)
    {
        int every = Math.Max(1, (places.Length + MostMarks - 1) / MostMarks);
        double[] marked = [.. places.Where((_, i) => i % every == 0)];
        return new NumericManual([.. marked.Select(Math.Log10)], [.. marked.Select(place => Picture.Short((long)place))]);
    }
}
