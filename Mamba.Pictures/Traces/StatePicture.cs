using ScottPlot;
using ScottPlot.TickGenerators;

namespace Mamba.Pictures;

/// <summary>The states of a few channels over a sequence.</summary>
internal static class StatePicture
{
    const int MostRows = 64, MostChannels = 6, MostColumns = 1000;

    /// <summary>A heat map: a row for each state, in groups of channels, those that move the output most.</summary>
    public static Sheet Of(TraceLayer layer)
    {
        layer.Need("h");
        int l = layer.Length, n = layer.States, per = (l + MostColumns - 1) / MostColumns, columns = (l + per - 1) / per;
        int[] channels = layer.Moving(Math.Clamp(MostRows / n, 1, MostChannels));
        double[,] values = new double[channels.Length * n, columns];
        double[] largest = new double[channels.Length];
        for (int i = 0; i < channels.Length; i++)
        {
            double[] h = layer.ReadStates(channels[i]);
            double most = largest[i] = h.Where(double.IsFinite).Select(Math.Abs).DefaultIfEmpty(double.NaN).Max();
            for (int k = 0; k < n; k++)
                for (int column = 0; column < columns; column++)
                {
                    double value = h[column * per * n + k];
                    for (int t = column * per; t < Math.Min(l, (column + 1) * per); t++)
                        if (double.IsNaN(h[t * n + k]) || Math.Abs(h[t * n + k]) > Math.Abs(value))       // a NaN is not lost among others
                            value = h[t * n + k];
                    values[i * n + k, column] = most > 0 ? value / most : value;
                }
        }
        string across = per == 1 ? "token" : $"token; of each {TraceLayer.Words(per)}, the state farthest from 0";
        Plot plot = Sheet.New("", across, n == 1 ? "channels" : $"channels, the {TraceLayer.Words(n)} states of each");
        double height = channels.Length * n;
        HeatMaps.Add(plot, values, new CoordinateRect(-0.5, columns * per - 0.5, -height, 0), HeatMaps.Signed, -1, 1);
        HeatMaps.Bar(plot, HeatMaps.Signed, -1, 1, "state h / largest |h| of the channel",
            new NumericManual([-1, -0.5, 0, 0.5, 1], ["−1", "−0.5", "0", "0.5", "1"]));
        layer.Tokens().Beneath(plot, Sheet.Body.Width - 270);
        for (int i = 1; i < channels.Length && n > 1; i++)
            plot.Add.HorizontalLine(-i * n, 2, Palette.Ink);
        plot.Axes.SetLimitsY(-height, 0);
        plot.Axes.Left.TickGenerator = new NumericManual([.. channels.Select((_, i) => -(i + 0.5) * n)],
            [.. channels.Select((c, i) => $"channel {TraceLayer.Words(c)}\n{(double.IsNaN(largest[i]) ? "no number" : $"|h| ≤ {Rounded(largest[i])}")}")]);
        plot.Axes.Left.TickLabelStyle.FontSize = 14;
        plot.Axes.Left.MajorTickStyle.Length = 0;
        return new Sheet($"Layer {layer.Layer}: states h of {TraceLayer.Words(channels.Length, "channel")} over {TraceLayer.Words(l, "token")}",
            $"of {TraceLayer.Words(layer.Channels, "channel")} {(layer.Has("y") ? "those that move the output y most" : "some")}; "
            + "colours in units of each channel's largest |h|", plot);
    }

    // Two digits, upwards: the largest is not larger than what is printed.
    static string Rounded(double value)
    {
        if (value == 0)
            return "0";
        double unit = Math.Pow(10, Math.Floor(Math.Log10(value)) - 1);
        return LogTicks.Number(Math.Ceiling(Math.Round(value / unit, 6)) * unit);
    }
}
