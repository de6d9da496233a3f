using System.Globalization;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace Mamba.Pictures;

/// <summary>The tokens of a picture: some neighbouring ones of a sequence, along an axis whose unit is the token.</summary>
/// <param name="First">The first of them, counted from 0.</param>
/// <param name="Texts">As they are printed.</param>
internal sealed record TokenAxis(int First, string[] Texts)
{
    /// <summary>As many have room across a picture; of more the axis has numbers.</summary>
    public const int MostAcross = 60;

    const float Size = 15;

    /// <summary>How many tokens.</summary>
    public int Count => Texts.Length;

    /// <summary>Tokens of one sequence of a trace.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="row">Which sequence.</param>
    /// <param name="first">From which token on, to the last.</param>
    public static TokenAxis Of(TraceFile trace, int row, int first)
    {
        int[] ids = trace.ReadIds();
        int start = (int)(row * trace.Length);
        return new TokenAxis(first, [.. Enumerable.Range(start + first, (int)trace.Length - first)
            .Select(i => TokenTexts.Printed(trace.Tokens.Count > 0 ? trace.Tokens[i] : null, ids[i]))]);
    }

    /// <summary>Puts them beneath a plot whose x is the number of the token.</summary>
    /// <param name="plot">The plot.</param>
    /// <param name="width">Of its data, in pixels, about.</param>
    /// <param name="most">Of more tokens the axis has numbers.</param>
    public void Beneath(Plot plot, float width, int most = MostAcross)
    {
        plot.Axes.SetLimitsX(First - 0.5, First + Count - 0.5);
        if (Count > most)
        {
            plot.Axes.Bottom.TickGenerator = Numbers(1);
            return;
        }
        plot.Axes.Bottom.TickGenerator = new NumericManual([.. Texts.Select((_, i) => (double)(First + i))], Texts);
        LabelStyle style = plot.Axes.Bottom.TickLabelStyle;
        float widest = Widest(), room = width / Count;
        style.FontSize = Size;
        if (widest + 6 > room)
        {
            style.FontSize = Math.Min(Size, 0.9f * room);
            style.Rotation = -90;
            style.Alignment = Alignment.MiddleRight;
            plot.Axes.Bottom.MinimumSize = widest + 50;
        }
    }

    /// <summary>Puts them beside a plot whose y is minus the number of the token: the first is at the top.</summary>
    public void Beside(Plot plot, int most)
    {
        plot.Axes.SetLimitsY(-(First + Count - 0.5), -(First - 0.5));
        if (Count > most)
        {
            plot.Axes.Left.TickGenerator = Numbers(-1);
            return;
        }
        plot.Axes.Left.TickGenerator = new NumericManual([.. Texts.Select((_, i) => -(double)(First + i))], Texts);
        plot.Axes.Left.TickLabelStyle.FontSize = Size;
        plot.Axes.Left.MinimumSize = Widest() + 50;
    }

    float Widest()
    {
        using var paint = Paint.NewDisposablePaint();
        LabelStyle style = Sheet.Style(Size, Palette.Ink);
        return Texts.Max(text => style.Measure(text, paint).Width);
    }

    static NumericAutomatic Numbers(int sign) =>
        new() { IntegerTicksOnly = true, TickDensity = 0.8, LabelFormatter = x => (sign * x + 0).ToString("N0", CultureInfo.InvariantCulture) };
}
