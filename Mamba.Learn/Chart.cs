using Mamba.Pictures;
using ScottPlot;
using ScottPlot.TickGenerators;
using SkiaSharp;
using Palette = Mamba.Pictures.Palette;

namespace Mamba.Learn;

/// <summary>
/// A chart of a chapter: lines, dots, bars or wires, in the house's style. Series have the palette's colours, in the order they are added.
/// </summary>
public sealed class Chart
{
    const int HalfWidth = Picture.Width / 2, RowHeight = 560;
    readonly string title, x, y;
    readonly List<Action<Plot>> parts = [];         // nothing is drawn, and no library for drawing needed, until it is saved
    readonly List<(string Text, double At)> limits = [];
    int series;

    /// <summary>An empty chart.</summary>
    /// <param name="title">What is seen.</param>
    /// <param name="x">What is across, with its unit.</param>
    /// <param name="y">What is up, with its unit.</param>
    public Chart(string title, string x, string y) => (this.title, this.x, this.y) = (title, x, y);

    /// <summary>Whether positions across are logarithms; values that are not positive are left out.</summary>
    public bool LogX { get; init; }

    /// <summary>Whether positions up are logarithms; values that are not positive are left out.</summary>
    public bool LogY { get; init; }

    /// <summary>Where the names of the series stand.</summary>
    public Corner Legend { get; init; } = Corner.UpperRight;

    /// <summary>A line through the values at 0, 1, 2, …</summary>
    /// <param name="name">What it is; empty: it has no name in the legend.</param>
    /// <param name="ys">Its heights.</param>
    /// <param name="dots">Whether each value has a dot.</param>
    /// <param name="dashed">Whether it is dashed: what is expected rather than measured.</param>
    public Chart Line(string name, IReadOnlyList<double> ys, bool dots = false, bool dashed = false) =>
        Line(name, [.. Enumerable.Range(0, ys.Count).Select(i => (double)i)], ys, dots, dashed);

    /// <summary>A line through points.</summary>
    /// <param name="name">What it is; empty: it has no name in the legend.</param>
    /// <param name="xs">Where they are.</param>
    /// <param name="ys">Their heights.</param>
    /// <param name="dots">Whether each point has a dot.</param>
    /// <param name="dashed">Whether it is dashed: what is expected rather than measured.</param>
    public Chart Line(string name, IReadOnlyList<double> xs, IReadOnlyList<double> ys, bool dots = false, bool dashed = false) =>
        Scatter(name, xs, ys, lineWidth: 2.5f, dots ? 8 : 0, dashed ? LinePattern.Dashed : LinePattern.Solid);

    /// <summary>Points.</summary>
    /// <param name="name">What they are; empty: they have no name in the legend.</param>
    /// <param name="xs">Where they are.</param>
    /// <param name="ys">Their heights.</param>
    public Chart Dots(string name, IReadOnlyList<double> xs, IReadOnlyList<double> ys) =>
        Scatter(name, xs, ys, lineWidth: 0, markerSize: 8, LinePattern.Solid);

    Chart Scatter(string name, IReadOnlyList<double> xs, IReadOnlyList<double> ys, float lineWidth, float markerSize, LinePattern pattern)
    {
        if (xs.Count != ys.Count)
            throw new MambaException($"Chart: '{name}' has {xs.Count} places and {ys.Count} heights; expected as many of each.");
        Coordinates[] points = [.. xs.Zip(ys).Where(p => (!LogX || p.First > 0) && (!LogY || p.Second > 0) && double.IsFinite(p.Second))
            .Select(p => new Coordinates(At(p.First, LogX), At(p.Second, LogY)))];
        int number = series++;
        return Add(plot =>
        {
            ScottPlot.Plottables.Scatter scatter = plot.Add.Scatter(points, Palette.ColorOf(number));
            (scatter.LegendText, scatter.LineWidth, scatter.LinePattern) = (name, lineWidth, pattern);
            (scatter.MarkerSize, scatter.MarkerShape) = (markerSize, Palette.MarkerOf(number));
        });
    }

    /// <summary>Straight lines of one colour that need not touch each other, each with a dot at its end: the wires of a diagram.</summary>
    /// <param name="name">What they are; empty: they have no name in the legend.</param>
    /// <param name="lines">Where each begins and ends.</param>
    /// <param name="faint">Whether they are thin and grey, without dots; they take no colour from the series after them.</param>
    public Chart Wires(string name, IEnumerable<(double X1, double Y1, double X2, double Y2)> lines, bool faint = false)
    {
        int number = faint ? series : series++;
        return Add(plot =>
        {
            Color color = faint ? Palette.Grey.WithAlpha(0.5) : Palette.ColorOf(number);
            foreach ((double x1, double y1, double x2, double y2) in lines)
            {
                var line = plot.Add.Line(At(x1, LogX), At(y1, LogY), At(x2, LogX), At(y2, LogY));
                (line.Color, line.LineWidth, line.MarkerSize) = (color, faint ? 1.5f : 2, 0);
                if (!faint)
                    plot.Add.Marker(At(x2, LogX), At(y2, LogY), MarkerShape.FilledCircle, 9, color);
                (line.LegendText, name) = (name, "");
            }
        });
    }

    /// <summary>Bars at 0, 1, 2, …, of one colour.</summary>
    /// <param name="name">What they are; empty: they have no name in the legend.</param>
    /// <param name="heights">How high they are.</param>
    /// <param name="offset">How far to the right of 0 the first one stands: for more than one series.</param>
    /// <param name="width">How wide they are.</param>
    public Chart Bars(string name, IReadOnlyList<double> heights, double offset = 0, double width = 0.8)
    {
        int number = series++;
        return Add(plot =>
        {
            Bar[] bars = [.. heights.Select((height, i) => new Bar
            {
                Position = i + offset,
                Value = height,
                Size = width,
                FillColor = Palette.ColorOf(number),
                LineWidth = 0,
            })];
            plot.Add.Bars(bars).LegendText = name;
        });
    }

    /// <summary>The series that come now have the colours from the first on again: what belongs together has one colour.</summary>
    public Chart ColorsAgain()
    {
        series = 0;
        return this;
    }

    /// <summary>A dashed line across, with a word at its right end: a limit.</summary>
    /// <param name="text">What it says.</param>
    /// <param name="y">How high it is.</param>
    public Chart Limit(string text, double y)
    {
        limits.Add((text, At(y, LogY)));
        return Add(plot => plot.Add.HorizontalLine(At(y, LogY), 1.5f, Palette.Grey, LinePattern.Dashed));
    }

    /// <summary>What the chart shows, where it is not all there is.</summary>
    /// <param name="left">The left edge.</param>
    /// <param name="right">The right edge.</param>
    /// <param name="bottom">The lower edge.</param>
    /// <param name="top">The upper edge.</param>
    public Chart Limits(double left, double right, double bottom, double top) =>
        Add(plot => plot.Axes.SetLimits(At(left, LogX), At(right, LogX), At(bottom, LogY), At(top, LogY)));

    /// <summary>Words across instead of numbers, at 0, 1, 2, …; an empty word is no tick.</summary>
    /// <param name="words">The words.</param>
    public Chart NamesX(IReadOnlyList<string> words) => Add(plot => plot.Axes.Bottom.TickGenerator = Ticks(words));

    /// <summary>Words up instead of numbers, at 0, 1, 2, …; an empty word is no tick.</summary>
    /// <param name="words">The words.</param>
    public Chart NamesY(IReadOnlyList<string> words) => Add(plot => plot.Axes.Left.TickGenerator = Ticks(words));

    static NumericManual Ticks(IReadOnlyList<string> words) =>
        new([.. words.Select((word, i) => Tick.Major(i, word)).Where(tick => tick.Label.Length > 0)]);

    Chart Add(Action<Plot> part)
    {
        parts.Add(part);
        return this;
    }

    static double At(double value, bool logarithm) => logarithm ? Math.Log10(value) : value;

    Plot Make()
    {
        Plot plot = Picture.New(title, x, y);
        plot.Axes.Title.Label.FontSize = 22;
        plot.Axes.Left.TickGenerator = LogY ? new LogTicks() : new NumericAutomatic { TickDensity = 0.5 };
        plot.Axes.Bottom.TickGenerator = LogX ? new LogTicks() : new NumericAutomatic { TickDensity = 0.5 };
        plot.Axes.Right.MinimumSize = 15;
        foreach (Action<Plot> part in parts)
            part(plot);
        plot.Legend.FontSize = 16;
        plot.Legend.OutlineWidth = 0;
        plot.Legend.ShadowColor = Colors.Transparent;
        plot.Legend.BackgroundColor = Colors.White.WithAlpha(0.8);
        if (plot.PlottableList.SelectMany(part => part.LegendItems).Any(item => item.LabelText.Length > 0))
            if (Legend != Corner.Outside)
                plot.ShowLegend(Enum.Parse<Alignment>(Legend.ToString()));
            else
            {
                plot.ShowLegend(Edge.Bottom);
                plot.Legend.Orientation = Orientation.Horizontal;
            }
        if (!plot.Axes.LimitsHaveBeenSet)
            plot.Axes.AutoScale();
        foreach ((string text, double at) in limits)
            Picture.Note(plot, text, plot.Axes.GetLimits().Right, at, Alignment.LowerRight);
        return plot;
    }

    /// <summary>Draws charts into one picture: one over the whole, or two in a row.</summary>
    internal static void Save(IReadOnlyList<Chart> charts, string path)
    {
        int rows = (charts.Count + 1) / 2, height = charts.Count == 1 ? Picture.Height : rows * RowHeight;
        Plot[] plots = [.. charts.Select(chart => chart.Make())];
        Picture.Save(path, height, canvas =>
        {
            canvas.Clear(SKColors.White);
            for (int i = 0; i < plots.Length; i++)
            {
                (int row, int column) = (i / 2, i % 2);
                bool alone = i == plots.Length - 1 && column == 0;
                PixelRect where = plots.Length == 1 ? new(0, Picture.Width, height, 0)
                    : new(column * HalfWidth, alone ? Picture.Width : (column + 1) * HalfWidth, (row + 1) * RowHeight, row * RowHeight);
                canvas.Save();
                canvas.ClipRect(new SKRect(where.Left, where.Top, where.Right, where.Bottom));      // a plot clears all it may draw on
                plots[i].Render(canvas, where);
                canvas.Restore();
            }
        });
    }
}
