using ScottPlot;
using ScottPlot.TickGenerators;

namespace Mamba.Pictures;

/// <summary>What was known of a series, what came and what was predicted.</summary>
internal static class ForecastChart
{
    /// <summary>One series; the forecast begins at 0.</summary>
    /// <param name="title">Which series.</param>
    /// <param name="note">What is predicted from what.</param>
    /// <param name="step">What is between two values: hours.</param>
    /// <param name="value">What the values are, with their unit.</param>
    /// <param name="history">What the model saw, the newest last.</param>
    /// <param name="truth">What came then; empty: not known.</param>
    /// <param name="predictions">What was said would come, each with a name.</param>
    /// <exception cref="MambaException">There is no history or no prediction.</exception>
    public static Sheet Of(string title, string note, string step, string value, IReadOnlyList<double> history, IReadOnlyList<double> truth,
        params ReadOnlySpan<(string Name, IReadOnlyList<double> Values)> predictions)
    {
        if (history.Count == 0 || predictions.Length == 0)
            throw new MambaException($"ForecastChart: there are {history.Count} values of history and {predictions.Length} predictions; "
                + "expected some of both.");
        Plot plot = Sheet.New("", $"{step} from the last value known", value);
        plot.Axes.Bottom.TickGenerator = new NumericAutomatic { TickDensity = 0.6, IntegerTicksOnly = true };
        plot.Axes.Left.TickGenerator = new NumericAutomatic { TickDensity = 0.6 };
        ScottPlot.Plottables.VerticalLine now = plot.Add.VerticalLine(0, 1.5f, Palette.Grey, LinePattern.Dashed);
        now.EnableAutoscale = false;
        Line("known", Palette.Ink, history, 1 - history.Count, LinePattern.Solid);
        // What comes goes on from what was known.
        if (truth.Count > 0)
            Line("what came", Palette.ColorOf(0), [history[^1], .. truth], 0, LinePattern.Solid);
        for (int i = 0; i < predictions.Length; i++)
            Line(predictions[i].Name, Palette.ColorOf(i + 1), [history[^1], .. predictions[i].Values], 0, i == 0 ? LinePattern.Solid : LinePattern.Dashed);
        plot.Axes.AutoScale();
        plot.Axes.Margins(0.01, 0.08);
        Picture.Legend(plot);
        return new Sheet(title, note, plot);

        void Line(string name, Color color, IReadOnlyList<double> values, int first, LinePattern pattern)
        {
            Coordinates[] points = [.. values.Select((y, i) => new Coordinates(first + i, y)).Where(p => double.IsFinite(p.Y))];
            ScottPlot.Plottables.Scatter line = plot.Add.Scatter(points, color);
            (line.LegendText, line.LineWidth, line.LinePattern, line.MarkerSize) = (name, 2.5f, pattern, points.Length > 1 ? 0 : 8);
        }
    }
}
