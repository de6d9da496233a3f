using ScottPlot;
using SkiaSharp;

namespace Mamba.Pictures;

/// <summary>A picture of a trace: a title, a line beneath it that says what was done to the numbers, and plots.</summary>
/// <param name="Title">What is seen.</param>
/// <param name="Note">Over what it was taken and what is not shown.</param>
/// <param name="Parts">The plots and where they are.</param>
internal sealed record Sheet(string Title, string Note, IReadOnlyList<(Plot Plot, PixelRect Where)> Parts)
{
    /// <summary>What title and note take of the height.</summary>
    public const int Header = 78;

    /// <summary>All that is under the header.</summary>
    public static readonly PixelRect Body = new(0, Picture.Width, Picture.Height, Header);

    public Sheet(string title, string note, Plot plot)
        : this(title, note, [(plot, Body)])
    {
    }

    /// <summary>Writes it, as an SVG if the name says so and else as a PNG.</summary>
    public void Save(string path) => Picture.Save(path, Draw);

    /// <summary>A plot of a sheet, which has the title.</summary>
    public static Plot New(string title, string x, string? y = null)
    {
        Plot plot = Picture.New(title, x, y);
        plot.Axes.Left.MinimumSize = 95;
        plot.Axes.Right.MinimumSize = 15;
        return plot;
    }

    /// <summary>Says that there is nothing to see where there is not.</summary>
    public static void SayIfEmpty(Plot plot)
    {
        if (plot.PlottableList.Count > 0)
            return;
        ScottPlot.Plottables.Annotation note = plot.Add.Annotation("no value to show", Alignment.MiddleCenter);
        (note.LabelFontSize, note.LabelFontColor) = (20, Palette.Grey);
        (note.LabelBackgroundColor, note.LabelShadowColor, note.LabelBorderWidth) = (Colors.Transparent, Colors.Transparent, 0);
    }

    void Draw(SKCanvas canvas)
    {
        canvas.Clear(SKColors.White);
        foreach ((Plot plot, PixelRect where) in Parts)
        {
            canvas.Save();
            canvas.ClipRect(new SKRect(where.Left, where.Top, where.Right, where.Bottom));     // a plot clears all it may draw on
            plot.Render(canvas, where);
            canvas.Restore();
        }
        using var paint = Paint.NewDisposablePaint();
        Line(Title, 24, Palette.Ink, 28);
        Line(Note, 17, Palette.Grey, 58);

        void Line(string text, float size, Color color, float y)
        {
            LabelStyle style = Style(size, color);
            float width = style.Measure(text, paint).Width, most = Picture.Width - 30;
            if (width > most)
                style.FontSize *= most / width;
            style.Text = text;
            style.Alignment = Alignment.MiddleCenter;
            style.Render(canvas, new Pixel(Picture.Width / 2f, y), paint);
        }
    }

    /// <summary>Text in the carried font.</summary>
    public static LabelStyle Style(float size, Color color) => new() { FontName = CarriedFont.Name, FontSize = size, ForeColor = color };
}
