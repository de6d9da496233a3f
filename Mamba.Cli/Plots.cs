using Mamba.Pictures;
using ScottPlot;
using ScottPlot.TickGenerators;
using Palette = Mamba.Pictures.Palette;

namespace Mamba.Cli;

/// <summary>The pictures of a run. They are a courtesy: when they cannot be drawn, that is said and nothing else is lost.</summary>
internal static class Plots
{
    /// <summary>A curve whose largest value is more than so many times its smallest gets a logarithmic axis.</summary>
    const double Decades = 30;

    /// <summary>What is left free above the curves, for the names of the stages, as a share of the curves' height.</summary>
    const double Headroom = 0.13;

    public static void Try(Display display, Action draw)
    {
        try
        {
            draw();
        }
        catch (Exception e)
        {
            display.Say($"a picture could not be drawn: {e.Message.ReplaceLineEndings(" ")}");
        }
    }

    /// <summary>Loss and accuracy against the step; the loss on what is held out instead of the accuracy, where that was measured.</summary>
    public static void Loss(string path, TrainOptions options, IReadOnlyList<StepReport> log, IReadOnlyList<ValidationReport> validations,
        string unit = "nats a token")
    {
        if (log.Count >= 2)
            Picture.Save(validations.Count > 0 ? HeldOutOf(options, log, validations, unit) : LossOf(options, log), path);
    }

    /// <summary>The loss in training and on what is held out, from where they have come down.</summary>
    internal static Plot HeldOutOf(TrainOptions options, IReadOnlyList<StepReport> log, IReadOnlyList<ValidationReport> validations,
        string unit = "nats a token")
    {
        ValidationReport best = validations.MinBy(validation => validation.Loss);
        Plot plot = Picture.New($"{options.Task}, seed {options.Seed}: {best.Loss:0.0000} {unit} held out, after {best.Step:N0} steps", "step");
        double[] loss = [.. log.Select(step => step.Loss)], smooth = Smooth(loss);
        plot.Axes.Bottom.TickGenerator = new NumericAutomatic { LabelFormatter = step => $"{step:N0}", IntegerTicksOnly = true };
        plot.Axes.Left.TickGenerator = new NumericAutomatic { TickDensity = 0.5 };
        Curve(plot, loss, Palette.Blue.WithAlpha(0.22), 1);
        Curve(plot, smooth, Palette.Blue, 2.5f).LegendText = "training";
        double[] steps = [.. validations.Select(validation => (double)validation.Step)], losses = [.. validations.Select(validation => validation.Loss)];
        var held = plot.Add.Scatter(steps, losses, Palette.ColorOf(1));
        (held.LineWidth, held.MarkerSize, held.LegendText) = (2.5f, 7, "held out");
        double low = Math.Min(smooth.Min(), best.Loss), high = Math.Max(validations.Max(validation => validation.Loss), smooth[smooth.Length / 10]);
        plot.Axes.SetLimits(1, log.Count, low - 0.15 * (high - low) - 0.01, high + 0.25 * (high - low) + 0.01);
        Label(plot.Axes.Left, $"loss, {unit}", Palette.Blue);
        Picture.Legend(plot);
        return plot;
    }

    internal static Plot LossOf(TrainOptions options, IReadOnlyList<StepReport> log)
    {
        double[] loss = [.. log.Select(step => step.Loss)], smooth = Smooth(loss);
        bool logarithmic = IsLogarithmic(smooth);
        Plot plot = Picture.New($"{options.Task}, seed {options.Seed}", "step");
        double low = 0, high = Math.Max(loss.Max(), 1e-9);
        if (logarithmic)
        {
            loss = Logarithms(loss);
            smooth = Smooth(loss);
            (low, high) = (smooth.Min() - 0.3, loss.Max());         // single steps jump: below the smooth curve they get a third of a decade
        }
        high += Headroom * (high - low);
        plot.Axes.Left.TickGenerator = logarithmic ? new LogTicks() : new NumericAutomatic { TickDensity = 0.5 };
        plot.Axes.Right.TickGenerator = Percents();
        plot.Axes.Bottom.TickGenerator = new NumericAutomatic { LabelFormatter = step => $"{step:N0}", IntegerTicksOnly = true };
        Curve(plot, loss, Palette.Blue.WithAlpha(0.22), 1);
        Curve(plot, smooth, Palette.Blue, 2.5f);
        Curve(plot, Smooth([.. log.Select(step => 100 * step.Accuracy)]), Palette.Green, 2.5f).Axes.YAxis = plot.Axes.Right;

        plot.Axes.SetLimits(1, log.Count, low, high);
        plot.Axes.Right.Min = 0;
        plot.Axes.Right.Max = 100 * (1 + Headroom);
        Label(plot.Axes.Left, "loss, nats", Palette.Blue);
        Label(plot.Axes.Right, "accuracy, %", Palette.Green);
        for (int i = 0; i < log.Count; i++)
            if (options.Stages.Count > 1 && (i == 0 || log[i].Stage != log[i - 1].Stage))
            {
                if (i > 0)
                    plot.Add.VerticalLine(i + 1, 1.5f, Palette.Faint, LinePattern.Dashed);
                double height = high - 0.045 * (log[i].Stage % 2) * (high - low);      // stages may be short: every other name is a line lower
                Picture.Note(plot, $"length {log[i].Length:N0}", i + 1, height, i < 0.85 * log.Count ? Alignment.UpperLeft : Alignment.UpperRight);
            }
        return plot;
    }

    /// <summary>Whether a curve spans decades; zeros, which no logarithmic axis has, do not count.</summary>
    internal static bool IsLogarithmic(IReadOnlyCollection<double> curve) =>
        curve.Where(value => value > 0).DefaultIfEmpty(1).Min() is var least && curve.Max() > Decades * least;

    // A loss of 0 counts as the smallest that is not.
    static double[] Logarithms(double[] loss)
    {
        double least = Math.Max(loss.Where(value => value > 0).Min(), 1e-15 * loss.Max());
        return [.. loss.Select(value => Math.Log10(Math.Max(value, least)))];
    }

    /// <summary>Which class was taken for which.</summary>
    public static void Confusion(string path, TrainOptions options, ClassificationReport report) =>
        ConfusionMatrix.Of(report, $"{options.Task}, seed {options.Seed}: {100 * report.Accuracy:0.0} % of the test").Save(path);

    /// <summary>True against false positives of the second of two classes.</summary>
    public static void Roc(string path, TrainOptions options, SplitReport report)
    {
        int[] labels = [.. report.Predictions.Select(prediction => prediction.Label)];
        RocCurve.Of(labels, [.. report.Predictions.Select(prediction => prediction.Values[1])], $"{options.Task}, seed {options.Seed}").Save(path);
    }

    /// <summary>The first window of the test: what was known, what came, what was foretold, of the last column.</summary>
    public static void Forecast(string path, ForecastData data, MambaModel model)
    {
        string name = data.Columns[^1];
        (double[] known, double[] came, double[] said) = data.Example(model, data.Columns.Count - 1);
        ForecastChart.Of($"{name}: the first rows of the test", $"foretold from {known.Length} rows", "rows", name, known, came, ("Mamba", said)).Save(path);
    }

    /// <summary>A sound and its spectrogram.</summary>
    public static void Sound(string path, string title, WavAudio sound) => SpectrogramPicture.Of(sound.Samples, sound.SampleRate, title).Save(path);

    /// <summary>Accuracy against length.</summary>
    public static void Accuracy(string path, TrainOptions options, SequenceTask task, IReadOnlyList<EvalRow> rows) =>
        Picture.Save(AccuracyOf(options, task, rows), path);

    internal static Plot AccuracyOf(TrainOptions options, SequenceTask task, IReadOnlyList<EvalRow> rows)
    {
        Plot plot = Picture.New($"{options.Task}: accuracy against length", "length, tokens");
        plot.Axes.Left.TickGenerator = Percents();
        double[] x = [.. rows.Select(row => Math.Log2(row.Length))];
        plot.Add.HorizontalLine(100 * task.Chance, 1.5f, Palette.Grey, LinePattern.Dotted);
        Picture.Note(plot, "guessing", x[^1], 100 * task.Chance, Alignment.LowerRight);
        int trained = options.Stages.Max(stage => stage.Length);
        plot.Add.VerticalLine(Math.Log2(trained), 1.5f, Palette.Grey, LinePattern.Dashed);
        Picture.Note(plot, $"trained up to {trained:N0}", Math.Log2(trained), 50, Alignment.MiddleLeft);
        var line = plot.Add.Scatter(x, [.. rows.Select(row => 100 * row.Accuracy)], Palette.Blue);
        line.LineWidth = 3;
        line.MarkerSize = 11;
        int step = rows.Count > 9 ? 2 : 1;
        plot.Axes.Bottom.SetTicks([.. x.Where((_, i) => i % step == 0)], [.. rows.Where((_, i) => i % step == 0).Select(row => Picture.Short(row.Length))]);
        plot.Axes.SetLimits(x[0] - 0.4, x[^1] + 0.4, 0, 106);
        Label(plot.Axes.Left, "accuracy, %", Palette.Blue);
        return plot;
    }

    // None above 100, however high the axis goes.
    static NumericManual Percents()
    {
        double[] tens = [.. Enumerable.Range(0, 11).Select(i => 10.0 * i)];
        return new NumericManual(tens, [.. tens.Select(ten => $"{ten}")]);
    }

    static ScottPlot.Plottables.Signal Curve(Plot plot, double[] values, Color color, float width)
    {
        ScottPlot.Plottables.Signal curve = plot.Add.Signal(values);
        curve.Data.XOffset = 1;
        curve.Color = color;
        curve.LineWidth = width;
        curve.MaximumMarkerSize = 0;
        return curve;
    }

    static void Label(IYAxis axis, string text, Color color)
    {
        axis.Label.Text = text;
        axis.Label.FontSize = 18;
        axis.Label.ForeColor = color;
        axis.Label.Bold = false;
    }

    // Running mean over a fiftieth of the curve, both sides. Summed from the end: a loss falls, and its last values would be lost in a sum of the first.
    static double[] Smooth(double[] values)
    {
        int reach = Math.Max(1, values.Length / 100);
        double[] sums = new double[values.Length + 1];
        for (int i = values.Length - 1; i >= 0; i--)
            sums[i] = sums[i + 1] + values[i];
        return [.. values.Select((_, i) =>
        {
            int low = Math.Max(0, i - reach), high = Math.Min(values.Length, i + reach + 1);
            return (sums[low] - sums[high]) / (high - low);
        })];
    }
}
