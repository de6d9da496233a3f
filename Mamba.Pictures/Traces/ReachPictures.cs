using ScottPlot;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;

namespace Mamba.Pictures;

/// <summary>How long layers remember and how far back they look.</summary>
internal static class ReachPictures
{
    const int MostNamed = 9;

    /// <summary>The eigenvalues of A. It is diagonal and real: they are its elements.</summary>
    public static Sheet Eigenvalues(IReadOnlyList<TraceLayer> layers)
    {
        double[][] rates = [.. layers.Select(layer => Array.ConvertAll(layer.A, a => -a))];
        return new Sheet($"Eigenvalues of A: {Count(layers, rates)}",
            LayerBands.Words + Except(rates, rate => !(rate > 0) || !double.IsFinite(rate), "are not negative"),
            LayerBands.Of(Numbers(layers), rates, "−A, 1/step of continuous time", logarithmic: true));
    }

    /// <summary>Half-lives of the states.</summary>
    public static Sheet HalfLives(IReadOnlyList<TraceLayer> layers)
    {
        double[][] lives = [.. layers.Select(HalfLivesOf)];
        return new Sheet($"Half-lives of the states, at each channel's median Δ: {Count(layers, lives)}",
            LayerBands.Words + Except(lives, life => !(life > 0) || !double.IsFinite(life), "are infinite, 0 or no number"),
            LayerBands.Of(Numbers(layers), lives, "half-life, tokens", logarithmic: true));
    }

    static double[] HalfLivesOf(TraceLayer layer)
    {
        layer.Need("delta");
        int l = layer.Length, n = layer.States;
        int[] channels = layer.SomeChannels();
        using Device cpu = Device.Open("cpu");
        using var scope = new TensorScope();
        var delta = Tensor.From(layer.Read("delta", 0, l, channels), (1, l, channels.Length), cpu);
        var A = Tensor.From([.. channels.SelectMany(c => layer.A[(c * n)..((c + 1) * n)])], (channels.Length, n), cpu);
        return Reach.HalfLivesOf(delta, A, layer.Discretization);
    }

    /// <summary>How far back layers look on average.</summary>
    public static Sheet MeanReach(IReadOnlyList<TraceLayer> layers, double budget)
    {
        LayerReach[] all = [.. layers.Select(layer => layer.Reach(budget))];
        double[][] means = [.. all.Select(reach => reach.Reach.Mean.ToArray())];
        Plot plot = LayerBands.Of(Numbers(layers), means, "mean reach, tokens", logarithmic: false);
        var scale = Scale.Of(means.SelectMany(some => some));
        for (int i = 0; i < all.Length; i++)
            if (means[i].Where(double.IsFinite).DefaultIfEmpty(double.NaN).Average() is var mean && double.IsFinite(mean))
                plot.Add.Marker(i, scale.Position(mean), MarkerShape.FilledDiamond, 13, Palette.ColorOf(1));
        return new Sheet($"Mean reach: how far back channels look, Σⱼ |Mᵢⱼ| (i − j) / Σⱼ |Mᵢⱼ|, {Over(all[0], layers[0])}",
            $"diamond: mean of the channels; {LayerBands.Words}; {layers[0].ChannelsOf(all[0].Channels.Length)}", plot);
    }

    /// <summary>How much an input moves the output, against how long ago it came.</summary>
    public static Sheet ReceptiveField(IReadOnlyList<TraceLayer> layers, double budget)
    {
        LayerReach[] all = [.. layers.Select(layer => layer.Reach(budget))];
        Plot plot = Sheet.New("", "lag k: tokens back", "mean of |Mᵢ,ᵢ₋ₖ|, its sum over k is 1");
        double[][] fields = [.. all.Select(reach => Shares(reach.Reach.ReceptiveField))];
        var scale = Scale.Of(fields.SelectMany(field => field).Where(share => share >= 1e-9), always: true);
        scale.Left(plot);
        bool named = layers.Count <= MostNamed;
        for (int i = 0; i < fields.Length; i++)
        {
            int[] lags = [.. Enumerable.Range(0, fields[i].Length).Where(k => double.IsFinite(fields[i][k]) && fields[i][k] >= 1e-9)];
            if (lags.Length == 0)
                continue;
            Scatter curve = plot.Add.Scatter((double[])[.. lags.Select(Position)], (double[])[.. lags.Select(k => scale.Position(fields[i][k]))],
                named ? Palette.ColorOf(i) : Depth.GetColor((i + 0.5) / fields.Length));
            (curve.LineWidth, curve.MarkerSize, curve.MarkerShape) = (2.5f, lags.Length <= TokenAxis.MostAcross && named ? 7 : 0, Palette.MarkerOf(i));
            if (named)
                curve.LegendText = $"layer {layers[i].Layer}";
        }
        Sheet.SayIfEmpty(plot);
        int most = Math.Max(1, fields.Max(field => field.Length) - 1);
        double[] labels = [.. LogTicks.Majors(0, Math.Log10(Math.Max(most, 2))).Where(lag => lag % 1 == 0)];
        plot.Axes.Bottom.TickGenerator = new NumericManual([Position(0), .. labels.Select(lag => Position((int)lag))],
            ["0", .. labels.Select(LogTicks.Number)]);
        plot.Axes.SetLimitsX(Position(0) - 0.1, Position(most) + 0.1);
        if (named)
            Picture.Legend(plot);
        else
            HeatMaps.Bar(plot, Depth, layers[0].Layer, layers[^1].Layer, "layer");
        return new Sheet($"Effective receptive field: weight of an input by how long ago it came, {Over(all[0], layers[0])}",
            $"|Mᵢⱼ| = |∂yᵢ/∂uⱼ| at fixed Δ, B, C, averaged over the tokens i ≥ k; {layers[0].ChannelsOf(all[0].Channels.Length)}; "
            + "less than 10⁻⁹ is not shown", plot);
    }

    static readonly Gradient Depth = new("#f2b134", "#d1495b", "#7b2d8b", "#16245c");

    // Lag 0 has no logarithm: it is a third of a decade before 1.
    static double Position(int lag) => lag == 0 ? -1 / 3.0 : Math.Log10(lag);

    static double[] Shares(IReadOnlyList<double> field)
    {
        double sum = field.Where(double.IsFinite).Sum();
        return [.. field.Select(value => value / sum)];
    }

    static int[] Numbers(IReadOnlyList<TraceLayer> layers) => [.. layers.Select(layer => layer.Layer)];

    static string Count(IReadOnlyList<TraceLayer> layers, double[][] values)
    {
        int channels = values[0].Length / layers[0].States;
        return $"{layers[0].ChannelsOf(channels)} × {TraceLayer.Words(layers[0].States, "state")} in each layer";
    }

    static string Over(LayerReach reach, TraceLayer layer) =>
        reach.First > 0 ? $"last {TraceLayer.Words(reach.Count)} of {TraceLayer.Words(layer.Length)} tokens" : TraceLayer.Words(reach.Count, "token");

    static string Except(double[][] values, Predicate<double> isOut, string why)
    {
        int count = values.Sum(some => some.Count(value => isOut(value)));
        return count == 0 ? "" : $"; not shown: {TraceLayer.Words(count)} that {why}";
    }
}
