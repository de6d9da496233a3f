using System.Text;
using ScottPlot;
using SkiaSharp;

namespace Mamba.Pictures;

/// <summary>How all pictures look, and how they are kept.</summary>
internal static class Picture
{
    public const int Width = 1200, Height = 675;

    /// <summary>An empty plot in the house's style.</summary>
    /// <param name="title">What is seen.</param>
    /// <param name="x">What is across, with its unit.</param>
    /// <param name="y">What is up, with its unit; null: to be said by the caller.</param>
    public static Plot New(string title, string x, string? y = null)
    {
        CarriedFont.Use();
        var plot = new Plot();
        plot.Title(title, 24);
        plot.Axes.Title.Label.Bold = false;
        plot.XLabel(x, 18);
        if (y is not null)
            plot.YLabel(y, 18);
        plot.Axes.Bottom.Label.Bold = plot.Axes.Left.Label.Bold = false;
        plot.Axes.Bottom.TickLabelStyle.FontSize = plot.Axes.Left.TickLabelStyle.FontSize = plot.Axes.Right.TickLabelStyle.FontSize = 16;
        plot.Axes.Top.FrameLineStyle.IsVisible = false;
        plot.Axes.Left.MinimumSize = plot.Axes.Right.MinimumSize = 75;
        plot.Grid.MajorLineColor = Palette.Faint.WithAlpha(0.6);
        return plot;
    }

    /// <summary>Names the series beside the data, where the names cover none of it.</summary>
    public static void Legend(Plot plot)
    {
        plot.Legend.FontSize = 15;
        plot.Legend.OutlineWidth = 0;
        plot.Legend.ShadowColor = Colors.Transparent;
        plot.ShowLegend(Edge.Right);
    }

    /// <summary>A word in the data.</summary>
    public static void Note(Plot plot, string text, double x, double y, Alignment alignment)
    {
        ScottPlot.Plottables.Text note = plot.Add.Text(text, x, y);
        note.LabelFontColor = Palette.Grey;
        note.LabelFontSize = 16;
        note.LabelAlignment = alignment;
        note.OffsetX = alignment is Alignment.LowerRight or Alignment.UpperRight or Alignment.MiddleRight ? -8 : 8;
        note.OffsetY = alignment is Alignment.UpperLeft or Alignment.UpperRight ? 6 : alignment is Alignment.LowerRight or Alignment.LowerLeft ? -4 : 0;
    }

    /// <summary>Writes it, as an SVG if the name says so and else as a PNG.</summary>
    /// <param name="plot">What to write.</param>
    /// <param name="path">The file; it appears whole or not at all.</param>
    public static void Save(Plot plot, string path) => Save(path, canvas => plot.Render(canvas, new PixelRect(0, Width, Height, 0)));

    /// <summary>Draws and writes a picture, as an SVG if the name says so and else as a PNG.</summary>
    /// <param name="path">The file; it appears whole or not at all.</param>
    /// <param name="draw">Draws on a canvas of <see cref="Width"/> by <see cref="Height"/>.</param>
    public static void Save(string path, Action<SKCanvas> draw) => Save(path, Height, draw);

    /// <summary>Draws and writes a picture, as an SVG if the name says so and else as a PNG.</summary>
    /// <param name="path">The file; it appears whole or not at all.</param>
    /// <param name="height">How high it is.</param>
    /// <param name="draw">Draws on a canvas of <see cref="Width"/> by <paramref name="height"/>.</param>
    public static void Save(string path, int height, Action<SKCanvas> draw)
    {
        byte[] bytes = path.EndsWith(".svg", StringComparison.OrdinalIgnoreCase) ? Svg(height, draw) : Png(height, draw);
        AtomicFile.Write(path, stream => stream.Write(bytes));
    }

    static byte[] Png(int height, Action<SKCanvas> draw)
    {
        using var surface = SKSurface.Create(new SKImageInfo(Width, height));
        draw(surface.Canvas);
        using SKImage image = surface.Snapshot();
        using SKData data = image.Encode(SKEncodedImageFormat.Png, 100);
        return data.ToArray();
    }

    static byte[] Svg(int height, Action<SKCanvas> draw)
    {
        using var stream = new MemoryStream();
        using (SKCanvas canvas = SKSvgCanvas.Create(new SKRect(0, 0, Width, height), stream))
            draw(canvas);
        return Encoding.UTF8.GetBytes(SvgText.ForBrowsers(Encoding.UTF8.GetString(stream.ToArray()), Width, height));
    }

    /// <summary>1,024 as 1K, 2²⁰ as 1M, others as they are: lengths of sequences.</summary>
    public static string Short(long length) => length switch
    {
        >= 1 << 20 when length % (1 << 20) == 0 => $"{length >> 20}M",
        >= 1 << 10 when length % (1 << 10) == 0 => $"{length >> 10}K",
        _ => LogTicks.Number(length),
    };
}
