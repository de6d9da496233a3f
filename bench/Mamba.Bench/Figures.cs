using System.Globalization;
using ScottPlot;
using SkiaSharp;

namespace Mamba.Bench;

/// <summary>Pictures of tables, on logarithmic axes. Where no font is installed they have no text.</summary>
internal static class Figures
{
    const int Width = 1100, Height = 700;
    static readonly string[] Sans = ["Open Sans", "Noto Sans", "Segoe UI", "Helvetica Neue", "Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"];
    static readonly string[] Colors = ["#1f6feb", "#d1242f", "#2da44e", "#bf8700", "#8250df", "#6e7781"];

    /// <summary>Lines through points; nothing without a path.</summary>
    public static void LogLog(string? path, string title, string x, string y, IReadOnlyList<Series> series) => Draw(path, title, x, y, plot =>
    {
        foreach ((Series s, int i) in series.Select((s, i) => (s, i)))
        {
            if (s.Points.Count == 0)
                continue;
            double[] across = [.. s.Points.Select(p => Math.Log10(p.X))], up = [.. s.Points.Select(p => Math.Log10(p.Y))];
            var line = plot.Add.Scatter(across, up, Color.FromHex(Colors[i % Colors.Length]));
            line.LineWidth = 2.5f;
            line.MarkerSize = 8;
            line.LegendText = s.Name;
        }
        double[] xs = [.. series.SelectMany(s => s.Points).Select(p => p.X).Distinct().Order()];
        plot.Axes.Bottom.SetTicks([.. xs.Select(Math.Log10)], [.. xs.Select(Short)]);
        plot.ShowLegend(Alignment.UpperLeft);
    });

    /// <summary>Every row that has arithmetic and bytes, under the roofs of memory and of the multiply-add units.</summary>
    public static void Roofline(string? path, string title, Ceilings ceilings, IReadOnlyList<Table> tables) => Draw(
        path, title, "flops a byte", "GFLOP/s", plot =>
    {
        const double Left = -2.5, Right = 3.5;
        double peak = Math.Log10(ceilings.GFlops);
        Roof(ceilings.CopyGBs, $"{ceilings.CopyGBs:F0} GB/s, memory", LinePattern.Solid);
        Roof(ceilings.Copies.Max(c => c.GBs), $"{ceilings.Copies.Max(c => c.GBs):F0} GB/s, cache", LinePattern.Dashed);
        plot.Add.Text($"{ceilings.GFlops:F0} GFLOP/s", Right, peak).LabelAlignment = Alignment.LowerRight;
        int i = 0;
        foreach (Table table in tables)
        {
            Row[] rows = [.. table.Rows.Where(r => r is { Work: { Flops: > 0, Bytes: > 0 }, Sample.Unit: "ms" })];
            if (rows.Length == 0)
                continue;
            double[] intensities = [.. rows.Select(r => Math.Clamp(Math.Log10(r.Work!.Intensity), Left, Right))];
            double[] rates = [.. rows.Select(r => Math.Log10((r.Work!.Flops + r.Work.Exps) / r.Sample!.Median / 1e6))];
            var points = plot.Add.Markers(intensities, rates, MarkerShape.FilledCircle, 9, Color.FromHex(Colors[i++ % Colors.Length]));
            points.LegendText = table.Name;
        }
        plot.Axes.Bottom.SetTicks([-2, -1, 0, 1, 2, 3], ["0.01", "0.1", "1", "10", "100", "1000"]);
        plot.ShowLegend(Alignment.LowerRight);

        void Roof(double gbs, string name, LinePattern pattern)
        {
            double bandwidth = Math.Log10(gbs), ridge = peak - bandwidth;
            var roof = plot.Add.Scatter((double[])[Left, ridge, Right], (double[])[bandwidth + Left, peak, peak], Color.FromHex("#24292f"));
            roof.MarkerSize = 0;
            roof.LineWidth = 2;
            roof.LinePattern = pattern;
            roof.LegendText = name;
        }
    });

    static void Draw(string? path, string title, string x, string y, Action<Plot> fill)
    {
        if (path is null)
            return;
        Fonts.Default = Sans.FirstOrDefault(SKFontManager.Default.FontFamilies.Contains) ?? Fonts.Default;
        var plot = new Plot();
        plot.Title(title, 20);
        plot.XLabel(x, 16);
        plot.YLabel(y, 16);
        plot.Axes.Left.TickGenerator = new ScottPlot.TickGenerators.NumericAutomatic
        {
            LabelFormatter = v => Short(Math.Pow(10, Math.Round(v))),
            IntegerTicksOnly = true,
        };
        plot.Axes.Bottom.TickLabelStyle.FontSize = plot.Axes.Left.TickLabelStyle.FontSize = 14;
        plot.Legend.FontSize = 14;
        fill(plot);
        AtomicFile.Write(path, stream => stream.Write(plot.GetImageBytes(Width, Height, ImageFormat.Png)));
    }

    static string Short(double x) => x switch
    {
        >= 1 << 20 when x % (1 << 20) == 0 => $"{x / (1 << 20):0}M",
        >= 1 << 10 when x % (1 << 10) == 0 => $"{x / (1 << 10):0}K",
        >= 1e6 => $"{x / 1e6:0.#}·10⁶",
        >= 1e4 => x.ToString("N0", CultureInfo.InvariantCulture),
        _ => $"{x:0.####}",
    };
}
