using Mamba.Pictures;
using ScottPlot;
using ScottPlot.TickGenerators;
using SkiaSharp;
using Palette = Mamba.Pictures.Palette;

namespace Mamba.Learn;

/// <summary>Where the names of a chart's series stand.</summary>
public enum Corner
{
    /// <summary>Above, on the left.</summary>
    UpperLeft,

    /// <summary>Above, on the right.</summary>
    UpperRight,

    /// <summary>Below, on the left.</summary>
    LowerLeft,

    /// <summary>Below, on the right.</summary>
    LowerRight,

    /// <summary>Under the chart, where they cover no data.</summary>
    Outside,
}

/// <summary>A chart of a chapter: lines, dots, bars or a heat map, in the house's style. Series have the palette's colours, in the order they are added.
/// </summary>
public sealed class Chart
{
    const int HalfWidth = Picture.Width / 2, RowHeight = 560;
    readonly Plot plot;
    readonly List<(string Text, double At)> limits = [], borders = [];
    int series;

    /// <summary>An empty chart.</summary>
    /// <param name="title">What is seen.</param>
    /// <param name="x">What is across, with its unit.</param>
    /// <param name="y">What is up, with its unit.</param>
    public Chart(string title, string x, string y)
    {
        plot = Picture.New(title, x, y);
        plot.Axes.Title.Label.FontSize = 22;
        plot.Axes.Left.TickGenerator = new NumericAutomatic { TickDensity = 0.5 };
        plot.Axes.Bottom.TickGenerator = new NumericAutomatic { TickDensity = 0.5 };
        plot.Axes.Right.MinimumSize = 15;
    }

    /// <summary>Whether positions across are logarithms; values that are not positive are left out.</summary>
    public bool LogX
    {
        get;
        init
        {
            field = value;
            if (value)
                plot.Axes.Bottom.TickGenerator = new LogTicks();
        }
    }

    /// <summary>Whether positions up are logarithms; values that are not positive are left out.</summary>
    public bool LogY
    {
        get;
        init
        {
            field = value;
            if (value)
                plot.Axes.Left.TickGenerator = new LogTicks();
        }
    }

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
    public Chart Line(string name, IReadOnlyList<double> xs, IReadOnlyList<double> ys, bool dots = false, bool dashed = false)
    {
        ScottPlot.Plottables.Scatter line = Add(name, xs, ys);
        (line.LineWidth, line.LinePattern) = (2.5f, dashed ? LinePattern.Dashed : LinePattern.Solid);
        if (!dots)
            line.MarkerSize = 0;
        return this;
    }

    /// <summary>Points.</summary>
    /// <param name="name">What they are; empty: they have no name in the legend.</param>
    /// <param name="xs">Where they are.</param>
    /// <param name="ys">Their heights.</param>
    public Chart Dots(string name, IReadOnlyList<double> xs, IReadOnlyList<double> ys)
    {
        Add(name, xs, ys).LineWidth = 0;
        return this;
    }

    /// <summary>Straight lines of one colour that need not touch each other, each with a dot at its end: the wires of a diagram.</summary>
    /// <param name="name">What they are; empty: they have no name in the legend.</param>
    /// <param name="lines">Where each begins and ends.</param>
    /// <param name="faint">Whether they are thin and grey, without dots; they take no colour from the series after them.</param>
    public Chart Wires(string name, IEnumerable<(double X1, double Y1, double X2, double Y2)> lines, bool faint = false)
    {
        Color color = faint ? Palette.Grey.WithAlpha(0.5) : Palette.ColorOf(series);
        foreach ((double x1, double y1, double x2, double y2) in lines)
        {
            var line = plot.Add.Line(At(x1, LogX), At(y1, LogY), At(x2, LogX), At(y2, LogY));
            (line.Color, line.LineWidth, line.MarkerSize, line.LegendText) = (color, faint ? 1.5f : 2, 0, name);
            if (!faint)
                plot.Add.Marker(At(x2, LogX), At(y2, LogY), MarkerShape.FilledCircle, 9, color);
            name = "";
        }
        series += faint ? 0 : 1;
        return this;
    }

    /// <summary>Bars at 0, 1, 2, …, of one colour.</summary>
    /// <param name="name">What they are; empty: they have no name in the legend.</param>
    /// <param name="heights">How high they are.</param>
    /// <param name="offset">How far to the right of 0 the first one stands: for more than one series.</param>
    /// <param name="width">How wide they are.</param>
    public Chart Bars(string name, IReadOnlyList<double> heights, double offset = 0, double width = 0.8)
    {
        Bar[] drawn = [.. heights.Select((height, i) => new Bar
        {
            Position = i + offset, Value = height, Size = width, FillColor = Palette.ColorOf(series), LineWidth = 0,
        })];
        ScottPlot.Plottables.BarPlot bars = plot.Add.Bars(drawn);
        bars.LegendText = name;
        series++;
        return this;
    }

    /// <summary>A heat map: white is 0, and where values of both signs are, blue is negative and red positive. What is not finite is grey.</summary>
    /// <param name="values">The first row is at the top; the cell of row i and column j is centred on (j, i).</param>
    /// <param name="label">What the colours measure, with its unit.</param>
    /// <param name="low">The value of the first colour; the least there is when null.</param>
    /// <param name="high">The value of the last colour; the most there is when null.</param>
    public Chart Heat(double[,] values, string label, double? low = null, double? high = null)
    {
        double[] finite = [.. values.Cast<double>().Where(double.IsFinite)];
        double most = high ?? finite.DefaultIfEmpty(1).Max(), least = low ?? Math.Min(0, finite.DefaultIfEmpty(0).Min());
        bool signed = least < 0;
        if (signed && low is null && high is null)
            (least, most) = (-Math.Max(-least, most), Math.Max(-least, most));
        if (most <= least)
            most = least + 1;
        int rows = values.GetLength(0), columns = values.GetLength(1);
        double[,] upward = new double[rows, columns];                       // the first row of a heat map has the largest y, which is below
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                upward[i, j] = values[rows - 1 - i, j];
        IColormap colors = signed ? HeatMaps.Signed : HeatMaps.Amount;
        HeatMaps.Add(plot, upward, new CoordinateRect(-0.5, columns - 0.5, rows - 0.5, -0.5), colors, least, most);
        HeatMaps.Bar(plot, colors, least, most, label);
        plot.Axes.Left.TickGenerator = new NumericAutomatic { TickDensity = 0.5, IntegerTicksOnly = true };
        plot.Axes.Bottom.TickGenerator = new NumericAutomatic { TickDensity = 0.5, IntegerTicksOnly = true };
        plot.Axes.SetLimits(-0.5, columns - 0.5, rows - 0.5, -0.5);
        return this;
    }

    /// <summary>The series that come now have the colours from the first on again: what belongs together has one colour.</summary>
    public Chart ColorsAgain()
    {
        series = 0;
        return this;
    }

    /// <summary>A word in the data.</summary>
    /// <param name="text">What it says.</param>
    /// <param name="x">Where it begins.</param>
    /// <param name="y">How high it stands.</param>
    public Chart Note(string text, double x, double y)
    {
        Picture.Note(plot, text, At(x, LogX), At(y, LogY), Alignment.MiddleLeft);
        return this;
    }

    /// <summary>A dashed line across, with a word at its right end: a limit.</summary>
    /// <param name="text">What it says.</param>
    /// <param name="y">How high it is.</param>
    public Chart Limit(string text, double y)
    {
        plot.Add.HorizontalLine(At(y, LogY), 1.5f, Palette.Grey, LinePattern.Dashed);
        limits.Add((text, At(y, LogY)));
        return this;
    }

    /// <summary>A dashed line upright, with a word at its upper end: a limit.</summary>
    /// <param name="text">What it says.</param>
    /// <param name="x">Where it is.</param>
    public Chart Border(string text, double x)
    {
        plot.Add.VerticalLine(At(x, LogX), 1.5f, Palette.Grey, LinePattern.Dashed);
        borders.Add((text, At(x, LogX)));
        return this;
    }

    /// <summary>What the chart shows, where it is not all there is.</summary>
    /// <param name="left">The left edge.</param>
    /// <param name="right">The right edge.</param>
    /// <param name="bottom">The lower edge.</param>
    /// <param name="top">The upper edge.</param>
    public Chart Limits(double left, double right, double bottom, double top)
    {
        plot.Axes.SetLimits(At(left, LogX), At(right, LogX), At(bottom, LogY), At(top, LogY));
        return this;
    }

    /// <summary>Words across instead of numbers, at 0, 1, 2, …; an empty word is no tick.</summary>
    /// <param name="words">The words.</param>
    public Chart NamesX(IReadOnlyList<string> words) => Names(plot.Axes.Bottom, words);

    /// <summary>Words up instead of numbers, at 0, 1, 2, …; an empty word is no tick.</summary>
    /// <param name="words">The words.</param>
    public Chart NamesY(IReadOnlyList<string> words) => Names(plot.Axes.Left, words);

    Chart Names(IAxis axis, IReadOnlyList<string> words)
    {
        axis.TickGenerator = new NumericManual([.. words.Select((word, i) => Tick.Major(i, word)).Where(tick => tick.Label.Length > 0)]);
        return this;
    }

    ScottPlot.Plottables.Scatter Add(string name, IReadOnlyList<double> xs, IReadOnlyList<double> ys)
    {
        if (xs.Count != ys.Count)
            throw new MambaException($"Chart: '{name}' has {xs.Count} places and {ys.Count} heights; expected as many of each.");
        var points = xs.Zip(ys).Where(p => (!LogX || p.First > 0) && (!LogY || p.Second > 0) && double.IsFinite(p.Second))
            .Select(p => new Coordinates(At(p.First, LogX), At(p.Second, LogY))).ToArray();
        var scatter = plot.Add.Scatter(points, Palette.ColorOf(series));
        (scatter.LegendText, scatter.MarkerSize, scatter.MarkerShape) = (name, 8, Palette.MarkerOf(series));
        series++;
        return scatter;
    }

    static double At(double value, bool logarithm) => logarithm ? Math.Log10(value) : value;

    void Finish()
    {
        plot.Legend.FontSize = 16;
        plot.Legend.OutlineWidth = 0;
        plot.Legend.ShadowColor = Colors.Transparent;
        plot.Legend.BackgroundColor = Colors.White.WithAlpha(0.8);
        if (series > 0 && plot.PlottableList.SelectMany(part => part.LegendItems).Any(item => item.LabelText.Length > 0))
        {
            if (Legend != Corner.Outside)
                plot.ShowLegend(Enum.Parse<Alignment>(Legend.ToString()));
            else
                plot.ShowLegend(Edge.Bottom);
            plot.Legend.Orientation = Legend == Corner.Outside ? Orientation.Horizontal : Orientation.Vertical;
        }
        if (!plot.Axes.LimitsHaveBeenSet)
            plot.Axes.AutoScale();
        AxisLimits seen = plot.Axes.GetLimits();
        foreach ((string text, double at) in limits)
            Picture.Note(plot, text, seen.Right, at, Alignment.LowerRight);
        foreach ((string text, double at) in borders)
            Picture.Note(plot, text, at, seen.Top, Alignment.UpperLeft);
    }

    /// <summary>Draws charts into one picture: one over the whole, or two in a row.</summary>
    internal static void Save(IReadOnlyList<Chart> charts, string path)
    {
        int rows = (charts.Count + 1) / 2;
        int height = charts.Count == 1 ? Picture.Height : rows * RowHeight;
        foreach (Chart chart in charts)
            chart.Finish();
        Picture.Save(path, height, canvas =>
        {
            canvas.Clear(SKColors.White);
            for (int i = 0; i < charts.Count; i++)
            {
                (int row, int column) = (i / 2, i % 2);
                bool alone = i == charts.Count - 1 && column == 0;
                PixelRect where = charts.Count == 1 ? new(0, Picture.Width, height, 0)
                    : new(column * HalfWidth, alone ? Picture.Width : (column + 1) * HalfWidth, (row + 1) * RowHeight, row * RowHeight);
                canvas.Save();
                canvas.ClipRect(new SKRect(where.Left, where.Top, where.Right, where.Bottom));      // a plot clears all it may draw on
                charts[i].plot.Render(canvas, where);
                canvas.Restore();
            }
        });
    }
}
