using ScottPlot;
using ScottPlot.Plottables;

namespace Mamba.Pictures;

/// <summary>Step sizes over a sequence.</summary>
internal static class DeltaPictures
{
    const int MostColumns = 1000, MostLines = 6;

    const string Label = "step size Δ, steps of continuous time";

    /// <summary>What the channels of a layer do, at each column of a picture.</summary>
    /// <param name="Low">The 10th percentile of the channels.</param>
    /// <param name="Middle">Their median.</param>
    /// <param name="High">Their 90th percentile.</param>
    /// <param name="Tokens">Tokens of a column, over which the three were averaged.</param>
    /// <param name="Channels">Channels that were looked at.</param>
    internal sealed record Summary(double[] Low, double[] Middle, double[] High, int Tokens, int Channels)
    {
        /// <summary>Of one layer.</summary>
        public static Summary Of(TraceLayer layer)
        {
            layer.Need("delta");
            int l = layer.Length, per = (l + MostColumns - 1) / MostColumns, columns = (l + per - 1) / per;
            int[] channels = layer.SomeChannels(l > MostColumns ? 256 : double.PositiveInfinity);
            var summary = new Summary(new double[columns], new double[columns], new double[columns], per, channels.Length);
            double[] delta = layer.Read("delta", 0, l, channels), sorted = new double[channels.Length];
            for (int column = 0; column < columns; column++)
            {
                int tokens = 0;
                for (int t = column * per; t < Math.Min(l, (column + 1) * per); t++)
                {
                    int count = 0;
                    for (int c = 0; c < channels.Length; c++)
                        if (double.IsFinite(delta[t * channels.Length + c]))
                            sorted[count++] = delta[t * channels.Length + c];
                    if (count == 0)
                        continue;
                    Span<double> some = sorted.AsSpan(0, count);
                    some.Sort();
                    summary.Low[column] += LayerBands.Quantile(some, 0.1);
                    summary.Middle[column] += LayerBands.Quantile(some, 0.5);
                    summary.High[column] += LayerBands.Quantile(some, 0.9);
                    tokens++;
                }
                foreach (double[] values in (double[][])[summary.Low, summary.Middle, summary.High])
                    values[column] /= tokens;           // NaN where no token has a value
            }
            return summary;
        }

        /// <summary>The token in the middle of a column.</summary>
        public double X(int column) => column * Tokens + (Tokens - 1) / 2.0;

        /// <summary>What is across.</summary>
        public string Across => Tokens == 1 ? "token" : $"token, {TraceLayer.Words(Tokens)} averaged in each column";
    }

    /// <summary>One layer: the median of the channels and a band.</summary>
    public static Sheet Of(TraceLayer layer)
    {
        Summary summary = layer.Steps;
        var scale = Scale.Of([.. summary.Low, .. summary.High]);
        Plot plot = New(layer, summary, scale);
        foreach ((int first, int count) in Runs(summary.Middle))
        {
            // a lone token has a band of its own width
            double[] x = count == 1 ? [summary.X(first) - 0.3, summary.X(first) + 0.3] : [.. Enumerable.Range(first, count).Select(summary.X)];
            double[] Of(double[] values) => count == 1
                ? [scale.Position(values[first]), scale.Position(values[first])]
                : [.. Enumerable.Range(first, count).Select(i => scale.Position(values[i]))];
            FillY band = plot.Add.FillY(x, Of(summary.Low), Of(summary.High));
            (band.FillColor, band.LineWidth, band.MarkerSize) = (Palette.Blue.WithAlpha(0.22), 0, 0);
            Curve(plot, x, Of(summary.Middle), Palette.Blue, count > 1 && Marked(summary));
        }
        Sheet.SayIfEmpty(plot);
        return new Sheet($"Layer {layer.Layer}: step size Δ over {TraceLayer.Words(layer.Length, "token")}",
            $"line: median of {layer.ChannelsOf(summary.Channels)}; band: 10 to 90 % of them", plot);
    }

    /// <summary>All layers: a line each, or a row of a heat map each where they are many.</summary>
    public static Sheet Of(IReadOnlyList<TraceLayer> layers)
    {
        Summary[] all = [.. layers.Select(layer => layer.Steps)];
        var scale = Scale.Of(all.SelectMany(summary => summary.Middle));
        string note = $"median of {layers[0].ChannelsOf(all[0].Channels)}";
        string title = $"Step size Δ over {TraceLayer.Words(layers[0].Length, "token")}, {TraceLayer.Words(layers.Count, "layer")}";
        if (layers.Count > MostLines)
            return new Sheet(title, note, Map(layers, all, scale));
        Plot plot = New(layers[0], all[0], scale);
        for (int i = 0; i < layers.Count; i++)
        {
            bool named = false;
            foreach ((int first, int count) in Runs(all[i].Middle))
            {
                Scatter curve = Curve(plot, [.. Enumerable.Range(first, count).Select(all[i].X)],
                    [.. Enumerable.Range(first, count).Select(c => scale.Position(all[i].Middle[c]))], Palette.ColorOf(i), Marked(all[i]) || count == 1);
                curve.MarkerShape = Palette.MarkerOf(i);
                curve.LegendText = named ? "" : $"layer {layers[i].Layer}";
                named = true;
            }
        }
        Sheet.SayIfEmpty(plot);
        Picture.Legend(plot);
        return new Sheet(title, note, plot);
    }

    static Plot Map(IReadOnlyList<TraceLayer> layers, Summary[] all, Scale scale)
    {
        int columns = all[0].Middle.Length;
        (double low, double high) = scale.IsLogarithmic ? (scale.Low, scale.High) : Ends(all.SelectMany(summary => summary.Middle));
        double[,] values = new double[layers.Count, columns];
        for (int i = 0; i < layers.Count; i++)
            for (int j = 0; j < columns; j++)
                values[layers.Count - 1 - i, j] = double.IsNaN(all[i].Middle[j]) ? double.NaN : scale.Position(all[i].Middle[j]);
        Plot plot = Sheet.New("", all[0].Across, "layer");
        HeatMaps.Add(plot, values, new CoordinateRect(-0.5, columns * all[0].Tokens - 0.5, -0.5, layers.Count - 0.5), HeatMaps.Amount,
            low, high);
        HeatMaps.Bar(plot, HeatMaps.Amount, low, high, Label, scale.IsLogarithmic ? new LogTicks() : null);
        layers[0].Tokens().Beneath(plot, Sheet.Body.Width - 240);
        int every = (layers.Count + 23) / 24;
        int[] named = [.. Enumerable.Range(0, layers.Count).Where(i => i % every == 0)];
        plot.Axes.Left.SetTicks([.. named.Select(i => (double)i)], [.. named.Select(i => TraceLayer.Words(layers[i].Layer))]);
        plot.Axes.SetLimitsY(-0.5, layers.Count - 0.5);
        return plot;
    }

    // From the smallest to the largest, for colours: they need no zero.
    static (double Low, double High) Ends(IEnumerable<double> values)
    {
        double[] finite = [.. values.Where(double.IsFinite)];
        (double low, double high) = finite.Length == 0 ? (0, 1) : (finite.Min(), finite.Max());
        return low < high ? (low, high) : (low - 0.5, high + 0.5);
    }

    static Plot New(TraceLayer layer, Summary summary, Scale scale)
    {
        Plot plot = Sheet.New("", summary.Across, Label);
        scale.Left(plot);
        layer.Tokens().Beneath(plot, Sheet.Body.Width - 200);
        return plot;
    }

    static bool Marked(Summary summary) => summary.Middle.Length <= TokenAxis.MostAcross;

    static Scatter Curve(Plot plot, double[] x, double[] y, Color color, bool marked)
    {
        Scatter curve = plot.Add.Scatter(x, y, color);
        (curve.LineWidth, curve.MarkerSize) = (2.5f, marked ? 8 : 0);
        return curve;
    }

    /// <summary>Where a curve has values: the first column and the columns of each stretch without a gap.</summary>
    internal static IEnumerable<(int First, int Count)> Runs(double[] values)
    {
        for (int i = 0; i < values.Length;)
        {
            int first = i;
            while (i < values.Length && double.IsFinite(values[i]))
                i++;
            if (i > first)
                yield return (first, i - first);
            else
                i++;
        }
    }
}
