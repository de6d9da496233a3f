using Mamba.Pictures;
using ScottPlot;
using ScottPlot.Plottables;
using Palette = Mamba.Pictures.Palette;

namespace Mamba.Bench;

/// <summary>Pictures of tables, on logarithmic axes.</summary>
internal static class Figures
{
    /// <summary>Lines through points; nothing without a path.</summary>
    /// <param name="path">The file.</param>
    /// <param name="title">What is seen.</param>
    /// <param name="x">What is across: a count, whose values are all named.</param>
    /// <param name="y">What is up, with its unit.</param>
    /// <param name="series">The lines; one without points is not drawn.</param>
    public static void LogLog(string? path, string title, string x, string y, IReadOnlyList<Series> series)
    {
        if (path is null)
            return;
        Plot plot = Picture.New(title, x, y);
        foreach ((Series s, int i) in series.Where(s => s.Points.Count > 0).Select((s, i) => (s, i)))
        {
            double[] across = [.. s.Points.Select(p => Math.Log10(p.X))], up = [.. s.Points.Select(p => Math.Log10(p.Y))];
            Scatter line = plot.Add.Scatter(across, up, Palette.ColorOf(i));
            line.LineWidth = 2.5f;
            line.MarkerSize = 9;
            line.MarkerShape = Palette.MarkerOf(i);
            line.LegendText = s.Name;
        }
        double[] xs = [.. series.SelectMany(s => s.Points).Select(p => p.X).Distinct().Order()];
        plot.Axes.Bottom.SetTicks([.. xs.Select(Math.Log10)], [.. xs.Select(value => Picture.Short((long)value))]);
        plot.Axes.Left.TickGenerator = new LogTicks();
        Picture.Legend(plot);
        Picture.Save(plot, path);
    }

    /// <summary>Every row that has arithmetic and bytes, under the roofs of memory and of the multiply-add units.</summary>
    public static void Roofline(string? path, string title, Ceilings ceilings, IReadOnlyList<Table> tables)
    {
        if (path is null)
            return;
        const double Left = -2.5, Right = 3.5;
        Plot plot = Picture.New(title, "flops a byte (an exponential is one)", "GFLOP/s");
        double peak = Math.Log10(ceilings.GFlops), cache = ceilings.Copies.Max(c => c.GBs);
        Roof(ceilings.CopyGBs, $"memory, {Sample.Number(ceilings.CopyGBs)} GB/s", LinePattern.Solid);
        Roof(cache, $"cache, {Sample.Number(cache)} GB/s", LinePattern.Dashed);
        Picture.Note(plot, $"{ceilings.GFlops:N0} GFLOP/s", Left, peak, Alignment.LowerLeft);
        foreach (((string name, Row[] rows), int i) in Marked(tables).Select((table, i) => (table, i)))
        {
            double[] intensities = [.. rows.Select(r => Math.Clamp(Math.Log10(r.Work!.Intensity), Left, Right))];
            double[] rates = [.. rows.Select(r => Math.Log10((r.Work!.Flops + r.Work.Exps) / r.Sample!.Median / 1e6))];
            Markers points = plot.Add.Markers(intensities, rates, Palette.MarkerOf(i), 9, Palette.ColorOf(i));
            points.LegendText = name;
        }
        plot.Axes.Bottom.TickGenerator = new LogTicks();
        plot.Axes.Left.TickGenerator = new LogTicks();
        Picture.Legend(plot);
        Picture.Save(plot, path);

        void Roof(double gbs, string name, LinePattern pattern)
        {
            double bandwidth = Math.Log10(gbs), ridge = peak - bandwidth;
            Scatter roof = plot.Add.Scatter((double[])[Left, ridge, Right], (double[])[bandwidth + Left, peak, peak], Palette.Ink);
            roof.MarkerSize = 0;
            roof.LineWidth = 2;
            roof.LinePattern = pattern;
            roof.LegendText = name;
        }
    }

    /// <summary>The tables that a roofline marks, and of each the rows that have arithmetic, bytes and a time.</summary>
    static IEnumerable<(string Name, Row[] Rows)> Marked(IReadOnlyList<Table> tables) =>
        tables.Select(table => (table.Name, Rows: table.Rows.Where(r => r is { Work: { Flops: > 0, Bytes: > 0 }, Sample.Unit: "ms" }).ToArray()))
            .Where(table => table.Rows.Length > 0);
}
