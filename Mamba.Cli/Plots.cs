using ScottPlot;
using SkiaSharp;

namespace Mamba.Cli;

/// <summary>The pictures of a run. They are a courtesy: when they cannot be drawn, that is said and nothing else is lost.</summary>
internal static class Plots
{
    const int Width = 1200, Height = 675;
    static readonly Color Blue = Color.FromHex("#1f6feb"), Green = Color.FromHex("#2da44e"), Grey = Color.FromHex("#6e7781"), Faint = Color.FromHex("#d0d7de");

    static readonly string[] Sans = ["Open Sans", "Noto Sans", "Segoe UI", "Helvetica Neue", "Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"];

    public static void Try(Display display, Action draw)
    {
        try
        {
            if (SKFontManager.Default.FontFamilyCount == 0)
                display.Say("no fonts are installed here, so the pictures have no text (on Debian: apt-get install fonts-dejavu-core)");
            Fonts.Default = Sans.FirstOrDefault(SKFontManager.Default.FontFamilies.Contains) ?? Fonts.Default;
            draw();
        }
        catch (Exception e)
        {
            display.Say($"a picture could not be drawn: {e.Message.ReplaceLineEndings(" ")}");
        }
    }

    /// <summary>Loss and accuracy against the step.</summary>
    public static void Loss(string path, TrainOptions options, IReadOnlyList<StepReport> log)
    {
        if (log.Count < 2)
            return;
        double[] loss = [.. log.Select(step => step.Loss)];
        Plot plot = NewPlot($"{options.Task}, seed {options.Seed}", "step");

        var raw = plot.Add.Signal(loss);
        raw.Data.XOffset = 1;
        raw.Color = Blue.WithAlpha(0.22);
        raw.LineWidth = 1;
        raw.MaximumMarkerSize = 0;
        var smooth = plot.Add.Signal(Smooth(loss));
        smooth.Data.XOffset = 1;
        smooth.Color = Blue;
        smooth.LineWidth = 2.5f;
        smooth.MaximumMarkerSize = 0;

        var accuracy = plot.Add.Signal(Smooth([.. log.Select(step => 100 * step.Accuracy)]));
        accuracy.Data.XOffset = 1;
        accuracy.Axes.YAxis = plot.Axes.Right;
        accuracy.Color = Green;
        accuracy.LineWidth = 2.5f;
        accuracy.MaximumMarkerSize = 0;

        double top = 1.08 * Math.Max(loss.Max(), 1e-9);
        plot.Axes.SetLimits(1, log.Count, 0, top);
        plot.Axes.Right.Min = 0;
        plot.Axes.Right.Max = 108;
        Label(plot.Axes.Left, "loss", Blue);
        Label(plot.Axes.Right, "accuracy, %", Green);
        for (int i = 0; i < log.Count; i++)
            if (options.Stages.Count > 1 && (i == 0 || log[i].Stage != log[i - 1].Stage))
            {
                if (i > 0)
                    plot.Add.VerticalLine(i + 1, 1.5f, Faint, LinePattern.Dashed);
                double height = top * (1 - 0.04 * log[i].Stage);        // stages may be short: each name a line lower
                Note(plot, $"length {log[i].Length}", i + 1, height, i < 0.85 * log.Count ? Alignment.UpperLeft : Alignment.UpperRight);
            }
        Save(plot, path);
    }

    /// <summary>Accuracy against length.</summary>
    public static void Accuracy(string path, TrainOptions options, SequenceTask task, IReadOnlyList<EvalRow> rows)
    {
        Plot plot = NewPlot($"{options.Task}: accuracy against length", "length");
        double[] x = [.. rows.Select(row => Math.Log2(row.Length))];
        plot.Add.HorizontalLine(100 * task.Chance, 1.5f, Grey, LinePattern.Dotted);
        Note(plot, "guessing", x[^1], 100 * task.Chance, Alignment.LowerRight);
        int trained = options.Stages.Max(stage => stage.Length);
        plot.Add.VerticalLine(Math.Log2(trained), 1.5f, Grey, LinePattern.Dashed);
        Note(plot, $"trained up to {trained:N0}", Math.Log2(trained), 50, Alignment.MiddleLeft);
        var line = plot.Add.Scatter(x, [.. rows.Select(row => 100 * row.Accuracy)], Blue);
        line.LineWidth = 3;
        line.MarkerSize = 11;
        int step = rows.Count > 9 ? 2 : 1;
        plot.Axes.Bottom.SetTicks([.. x.Where((_, i) => i % step == 0)], [.. rows.Where((_, i) => i % step == 0).Select(row => Short(row.Length))]);
        plot.Axes.SetLimits(x[0] - 0.4, x[^1] + 0.4, 0, 106);
        Label(plot.Axes.Left, "accuracy, %", Blue);
        Save(plot, path);
    }

    static Plot NewPlot(string title, string x)
    {
        var plot = new Plot();
        plot.Title(title, 24);
        plot.XLabel(x, 18);
        plot.Axes.Bottom.TickLabelStyle.FontSize = plot.Axes.Left.TickLabelStyle.FontSize = plot.Axes.Right.TickLabelStyle.FontSize = 16;
        plot.Grid.MajorLineColor = Faint.WithAlpha(0.6);
        plot.Axes.Bottom.Label.Bold = false;
        plot.Axes.Top.FrameLineStyle.IsVisible = false;
        plot.Axes.Left.MinimumSize = plot.Axes.Right.MinimumSize = 75;
        plot.Axes.Left.TickGenerator = new ScottPlot.TickGenerators.NumericAutomatic { TickDensity = 0.5 };
        plot.Axes.Right.TickGenerator = new ScottPlot.TickGenerators.NumericAutomatic { TickDensity = 0.5 };
        return plot;
    }

    static void Label(IYAxis axis, string text, Color color)
    {
        axis.Label.Text = text;
        axis.Label.FontSize = 18;
        axis.Label.ForeColor = color;
        axis.Label.Bold = false;
    }

    static void Note(Plot plot, string text, double x, double y, Alignment alignment)
    {
        ScottPlot.Plottables.Text note = plot.Add.Text(text, x, y);
        note.LabelFontColor = Grey;
        note.LabelFontSize = 16;
        note.LabelAlignment = alignment;
        note.OffsetX = alignment is Alignment.LowerRight or Alignment.UpperRight ? -8 : 8;
        note.OffsetY = alignment is Alignment.UpperLeft or Alignment.UpperRight ? 6 : alignment == Alignment.LowerRight ? -4 : 0;
    }

    static void Save(Plot plot, string path) => AtomicFile.Write(path, stream => stream.Write(plot.GetImageBytes(Width, Height, ImageFormat.Png)));

    static string Short(int length) => length >= 1 << 20 ? $"{length >> 20}M" : length >= 1 << 10 ? $"{length >> 10}K" : $"{length}";

    // running mean over a fiftieth of the curve, both sides
    static double[] Smooth(double[] values)
    {
        int reach = Math.Max(1, values.Length / 100);
        double[] sums = new double[values.Length + 1];
        for (int i = 0; i < values.Length; i++)
            sums[i + 1] = sums[i] + values[i];
        return [.. values.Select((_, i) =>
        {
            int low = Math.Max(0, i - reach), high = Math.Min(values.Length, i + reach + 1);
            return (sums[high] - sums[low]) / (high - low);
        })];
    }
}
