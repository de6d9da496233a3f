namespace Mamba.Pictures;

/// <summary>The hidden attention of a layer over the last tokens of a sequence.</summary>
/// <param name="First">The first of the tokens.</param>
/// <param name="Channels">Which channels were looked at.</param>
/// <param name="Reach">How far back they look.</param>
/// <param name="Average">(w, w), row-major: |M_ij|, the average over those channels in which it is a number.</param>
/// <param name="OfTokens">
/// (w, w): the same of tokens, carried through the convolution that made u of them, Σ_j |M_ij| |w_{j−t}|; null where the trace has no weights of it.
/// </param>
internal sealed record LayerReach(int First, int[] Channels, Reach Reach, double[] Average, double[]? OfTokens)
{
    /// <summary>Of longer sequences the last so many tokens are looked at: M is quadratic in them.</summary>
    public const int Window = 512;

    /// <summary>w: tokens looked at.</summary>
    public int Count => Reach.ReceptiveField.Count;

    /// <summary>Of one layer.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="budget">Steps of the scan that it may take; fewer channels are looked at if all of them take more.</param>
    /// <exception cref="MambaException">Arrays are missing or do not fit.</exception>
    public static LayerReach Of(TraceLayer layer, double budget)
    {
        layer.Need("delta", "B", "C");
        int w = Math.Min(layer.Length, Window), first = layer.Length - w;
        int[] channels = TraceLayer.Even(layer.Channels, budget / (w * (w + 1.0) / 2 * layer.States));
        double[]? taps = layer.Taps();          // (d, k)
        var average = new AttentionAverage(w, taps, taps is null ? 0 : taps.Length / layer.Channels, channels);
        using Device cpu = Device.Open("cpu");
        using var scope = new TensorScope();
        (Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? reset) = Inputs(layer, channels, first, cpu);
        var reach = Mamba.Reach.Of(delta, A, B, C, layer.Discretization, reset, average.Add);
        return new LayerReach(first, channels, reach, average.OfInputs, average.OfTokens);
    }

    /// <summary>|M| (w, w) of some channels.</summary>
    public double[][] Matrices(TraceLayer layer, int[] channels)
    {
        int w = Count;
        double[][] matrices = [.. channels.Select(_ => new double[w * w])];
        using Device cpu = Device.Open("cpu");
        using var scope = new TensorScope();
        (Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? reset) = Inputs(layer, channels, First, cpu);
        foreach (AttentionBlock block in AttentionBlock.Of(delta, A, B, C, layer.Discretization, reset))
            for (int j = 0; j < w; j++)
            {
                ReadOnlySpan<double> column = block.Column(j);
                for (int lag = 0; lag < w - j; lag++)
                    for (int c = 0; c < block.Count; c++)
                        matrices[block.First + c][(j + lag) * w + j] = Math.Abs(column[lag * AttentionBlock.Lanes + c]);
            }
        return matrices;
    }

    // M among the last tokens does not depend on those before: no more is read.
    static (Tensor Delta, Tensor A, Tensor B, Tensor C, Tensor? Reset) Inputs(TraceLayer layer, int[] channels, int first, Device cpu)
    {
        int w = layer.Length - first, n = layer.States;
        Tensor Of(double[] values, Shape shape) => Tensor.From(values, shape, cpu);
        double[] rates = [.. channels.SelectMany(c => layer.A[(c * n)..((c + 1) * n)])];
        return (Of(layer.Read("delta", first, w, channels), (1, w, channels.Length)), Of(rates, (channels.Length, n)),
            Of(layer.Read("B", first, w), (1, w, n)), Of(layer.Read("C", first, w), (1, w, n)),
            layer.Starts(first, w) is { } starts ? Tensor.From(starts, (1, w), cpu) : null);
    }
}
