using System.Globalization;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace Mamba.Pictures;

/// <summary>How many of a class are found against how many others are taken for it, over all thresholds.</summary>
internal static class RocCurve
{
    /// <summary>The curve of a classification into two classes.</summary>
    /// <param name="labels">1 is the class, 0 the others.</param>
    /// <param name="scores">The larger, the more likely the class; NaN is as wrong as can be.</param>
    /// <param name="title">What was told apart.</param>
    /// <exception cref="MambaException">Only one class occurs.</exception>
    public static Sheet Of(IReadOnlyList<int> labels, IReadOnlyList<double> scores, string title)
    {
        (double X, double Y)[] points = Points(labels, scores);
        Plot plot = Sheet.New("", "share of the others that is taken for it", "share of the class that is found");
        ScottPlot.Plottables.LinePlot guess = plot.Add.Line(0, 0, 1, 1);
        (guess.Color, guess.LineWidth, guess.LinePattern) = (Palette.Grey, 1.5f, LinePattern.Dashed);
        Picture.Note(plot, "guessing", 0.72, 0.72, Alignment.UpperLeft);
        Coordinates[] corners = [.. points.Select(p => new Coordinates(p.X, p.Y))];
        ScottPlot.Plottables.Scatter curve = plot.Add.Scatter(corners, Palette.Blue);
        (curve.LineWidth, curve.MarkerSize) = (3, 0);
        curve.FillY = true;
        curve.FillYColor = Palette.Blue.WithAlpha(0.1);
        double[] fifths = [0, 0.2, 0.4, 0.6, 0.8, 1];
        string[] words = [.. fifths.Select(x => x.ToString("0.0", CultureInfo.InvariantCulture))];
        plot.Axes.Bottom.TickGenerator = new NumericManual(fifths, words);
        plot.Axes.Left.TickGenerator = new NumericManual(fifths, words);
        plot.Axes.SetLimits(-0.01, 1.01, -0.01, 1.01);
        double area = points.Zip(points.Skip(1), (p, q) => (q.X - p.X) * (p.Y + q.Y) / 2).Sum();
        int of = labels.Count(label => label == 1);
        PixelRect body = Sheet.Body;
        float side = body.Height + 70, left = (Picture.Width - side) / 2;
        string note = string.Create(CultureInfo.InvariantCulture, $"area under the curve {area:0.0000}; {of:N0} of the class, {labels.Count - of:N0} others");
        return new Sheet(title, note, [(plot, new PixelRect(left, left + side, body.Bottom, body.Top))]);
    }

    /// <summary>From (0, 0) to (1, 1), one point after each score; examples of one score are one step, aslant.</summary>
    internal static (double X, double Y)[] Points(IReadOnlyList<int> labels, IReadOnlyList<double> scores)
    {
        double of = labels.Count(label => label == 1), others = labels.Count - of;
        if (of == 0 || others == 0)
            throw new MambaException($"RocCurve: there are {of} examples of the class and {others} others; expected some of both.");
        var points = new List<(double, double)> { (0, 0) };
        double found = 0, wrong = 0;
        foreach (IGrouping<double, int> step in labels.Select((label, i) => (Label: label, Place: PlaceOf(i)))
            .OrderByDescending(example => example.Place).GroupBy(example => example.Place, example => example.Label))
        {
            found += step.Count(label => label == 1);
            wrong += step.Count(label => label != 1);
            points.Add((wrong / others, found / of));
        }
        return [.. points];

        double PlaceOf(int i) => !double.IsNaN(scores[i]) ? scores[i] : labels[i] == 1 ? double.NegativeInfinity : double.PositiveInfinity;
    }
}
