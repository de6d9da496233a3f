using ScottPlot;
using ScottPlot.Panels;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;

namespace Mamba.Pictures;

/// <summary>How heat maps and the bars beside them look.</summary>
internal static class HeatMaps
{
    /// <summary>What has no value: above the diagonal, and what is not finite.</summary>
    public static readonly Color Nothing = Color.FromHex("#d9dde2");

    /// <summary>From little to much.</summary>
    public static readonly IColormap Amount = new Gradient("#ffffff", "#d6e6f7", "#9cc5ec", "#5597dc", "#1f6feb", "#123f91", "#081c44");

    /// <summary>From negative over nothing to positive.</summary>
    public static readonly IColormap Signed = new Gradient("#0b2f7a", "#1f6feb", "#9cc5ec", "#ffffff", "#f5a9a0", "#d1242f", "#6e0b14");

    /// <summary>Adds one.</summary>
    /// <param name="plot">To this plot.</param>
    /// <param name="values">The first row is at the top. What is beyond the colours has that of the end; what is not finite has none.</param>
    /// <param name="where">In the units of the axes.</param>
    /// <param name="colors">What the colours are.</param>
    /// <param name="low">The value of the first colour.</param>
    /// <param name="high">The value of the last.</param>
    public static void Add(Plot plot, double[,] values, CoordinateRect where, IColormap colors, double low, double high)
    {
        plot.Grid.IsVisible = false;
        bool any = false;
        for (int i = 0; i < values.GetLength(0); i++)
            for (int j = 0; j < values.GetLength(1); j++)
                if (double.IsFinite(values[i, j]))
                    (values[i, j], any) = (Math.Clamp(values[i, j], low, high), true);
                else
                    values[i, j] = double.NaN;
        if (!any)
        {
            Rectangle rectangle = plot.Add.Rectangle(where);            // ScottPlot has no heat map without a value
            (rectangle.FillColor, rectangle.LineWidth) = (Nothing, 0);
            return;
        }
        Heatmap map = plot.Add.Heatmap(Drawable(values));
        (map.Rectangle, map.Colormap, map.ManualRange, map.NaNCellColor) = (where, colors, new ScottPlot.Range(low, high), Nothing);
    }

    // ScottPlot draws nothing of one row or one column: it is there twice, and looks like one.
    static double[,] Drawable(double[,] values)
    {
        int rows = values.GetLength(0), columns = values.GetLength(1);
        if (rows > 1 && columns > 1)
            return values;
        double[,] twice = new double[Math.Max(2, rows), Math.Max(2, columns)];
        for (int i = 0; i < twice.GetLength(0); i++)
            for (int j = 0; j < twice.GetLength(1); j++)
                twice[i, j] = values[Math.Min(i, rows - 1), Math.Min(j, columns - 1)];
        return twice;
    }

    /// <summary>Says beside a heat map what its colours are.</summary>
    /// <param name="plot">The plot it is in.</param>
    /// <param name="colors">What the colours are.</param>
    /// <param name="low">The value of the first colour.</param>
    /// <param name="high">The value of the last.</param>
    /// <param name="label">What is measured, with its unit.</param>
    /// <param name="ticks">Where it has numbers; where they are round when null.</param>
    public static void Bar(Plot plot, IColormap colors, double low, double high, string label, ITickGenerator? ticks = null)
    {
        ColorBar bar = plot.Add.ColorBar(new Colors(colors, low, high));
        bar.Label = label;
        (bar.LabelStyle.FontSize, bar.LabelStyle.Bold, bar.Axis.TickLabelStyle.FontSize) = (17, false, 15);
        bar.Axis.TickGenerator = ticks ?? new NumericAutomatic { TickDensity = 0.5 };
    }

    sealed record Colors(IColormap Colormap, double Low, double High) : IHasColorAxis
    {
        public IColormap Colormap { get; set; } = Colormap;

        public ScottPlot.Range GetRange() => new(Low, High);
    }
}
