using System.Globalization;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace Mamba.Pictures;

/// <summary>Which classes were taken for which.</summary>
internal static class ConfusionMatrix
{
    /// <summary>With more classes there is no room for the counts.</summary>
    public const int MostCounts = 20;

    const int MostLetters = 16;

    /// <summary>A heat map of the shares of each row, with the counts in it.</summary>
    /// <param name="report">What was counted.</param>
    /// <param name="title">What was told apart.</param>
    public static Sheet Of(ClassificationReport report, string title)
    {
        int k = report.Classes.Count;
        double[,] shares = new double[k, k];
        for (int i = 0; i < k; i++)
            for (int j = 0; j < k; j++)
                shares[i, j] = report.Support[i] > 0 ? report.Confusion[i, j] / (double)report.Support[i] : double.NaN;
        Plot plot = Sheet.New("", "predicted class", "true class");
        HeatMaps.Add(plot, (double[,])shares.Clone(), new CoordinateRect(-0.5, k - 0.5, -(k - 0.5), 0.5), HeatMaps.Amount, 0, 1);
        HeatMaps.Bar(plot, HeatMaps.Amount, 0, 1, "share of the true class", new NumericManual([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"]));
        float size = Math.Clamp(340f / k, 13, 30);
        for (int i = 0; i < k && k <= MostCounts; i++)
            for (int j = 0; j < k; j++)
            {
                ScottPlot.Plottables.Text count = plot.Add.Text(report.Confusion[i, j].ToString("N0", CultureInfo.InvariantCulture), j, -i);
                (count.LabelFontSize, count.LabelAlignment) = (size, Alignment.MiddleCenter);
                count.LabelFontColor = shares[i, j] > 0.45 ? Colors.White : report.Confusion[i, j] > 0 ? Palette.Ink : Palette.Grey;
            }
        string[] names = [.. report.Classes.Select(Cut)];
        int every = (k + MostCounts - 1) / MostCounts;                     // of many classes not all names
        int[] named = [.. Enumerable.Range(0, k).Where(i => i % every == 0)];
        plot.Axes.Bottom.TickGenerator = new NumericManual([.. named.Select(i => (double)i)], [.. named.Select(i => names[i])]);
        plot.Axes.Left.TickGenerator = new NumericManual([.. named.Select(i => -(double)i)], [.. named.Select(i => names[i])]);
        plot.Axes.Bottom.MajorTickStyle.Length = plot.Axes.Left.MajorTickStyle.Length = 0;
        plot.Axes.Left.TickLabelStyle.FontSize = plot.Axes.Bottom.TickLabelStyle.FontSize = k > 10 ? 14 : 16;
        if (names.Max(name => name.Length) * 9 > 850 / named.Length)       // they would touch
        {
            plot.Axes.Bottom.TickLabelStyle.Rotation = -90;
            plot.Axes.Bottom.TickLabelStyle.Alignment = Alignment.MiddleRight;
            plot.Axes.Bottom.MinimumSize = 40 + 8 * names.Max(name => name.Length);
        }
        plot.Axes.SetLimits(-0.5, k - 0.5, -(k - 0.5), 0.5);
        string none = report.NotNumbers > 0 ? $"; {report.NotNumbers:N0} predictions were no numbers" : "";
        return new Sheet(title, string.Create(CultureInfo.InvariantCulture,
            $"{report.Count:N0} examples, accuracy {report.Accuracy:0.0000}, Matthews {report.Matthews:0.0000}; ")
            + $"a cell: how many, its colour: the share of its row{none}", plot);
    }

    // What tells names apart is at their ends as often as at their beginnings.
    static string Cut(string name) => name.Length <= MostLetters ? name : $"{name[..(MostLetters / 2)]}…{name[^(MostLetters / 2 - 1)..]}";
}
