namespace Mamba.Pictures;

/// <summary>The sizes of a traced layer and which of its arrays have the shape they should have.</summary>
/// <param name="Trace">Where it is.</param>
/// <param name="Layer">Which.</param>
/// <param name="D">Channels.</param>
/// <param name="N">States of a channel.</param>
/// <param name="K">How many of the likeliest next tokens are kept.</param>
internal sealed record LayerSizes(TraceFile Trace, int Layer, long D, long N, long K)
{
    /// <summary>Sizes of a layer; 0 where nothing tells them.</summary>
    public static LayerSizes Of(TraceFile trace, int layer)
    {
        long d = 0, n = 0;
        if (Extents("A", 2) is { } a)
            (d, n) = (a[0], a[1]);
        else if (Extents("h", 4) is { } h)
            (d, n) = (h[2], h[3]);
        else if (new[] { "delta", "u", "y", "z" }.Select(name => Extents(name, 3)).FirstOrDefault(shape => shape is not null) is { } shape)
            d = shape[2];
        return new(trace, layer, d, n, Extents("top_ids", 3)?[2] ?? 0);

        long[]? Extents(string name, int rank) =>
            trace.Has(layer, name) && trace.ShapeOf(layer, name) is var shape && shape.Rank == rank ? shape.ToArray() : null;
    }

    /// <summary>The shape an array should have; null for a name that pages know nothing of.</summary>
    public Shape? Expected(string name) => name switch
    {
        "u" or "delta" or "z" or "y" or "ddelta" => (Trace.Batch, Trace.Length, D),
        "B" or "C" => (Trace.Batch, Trace.Length, N),
        "Abar" or "Bbar" or "h" or "dh" => (Trace.Batch, Trace.Length, D, N),
        "A" => (D, N),
        "D" => D,
        "top_ids" or "top_p" => (Trace.Batch, Trace.Length, K),
        "next_p" => (Trace.Batch, Trace.Length - 1),
        _ => null,
    };

    /// <summary>Whether there is an array, of the shape it should have and not empty.</summary>
    public bool Has(string name) => Trace.Has(Layer, name) && Trace.ShapeOf(Layer, name) is var shape && shape == Expected(name) && shape.Count > 0;

    /// <summary>How many floats a page keeps of it.</summary>
    public long Floats(int tokens, int channels)
    {
        long perState = (Has("h") ? 1 : 0) + (Has("dh") ? 1 : 0) + 2 + (Trace.Discretization.LooksBack ? 1 : 0);
        return tokens * (N + 2 * Math.Min(K, PageRun.MostNext) + 1 + Math.Min(channels, D) * (5 + N * perState)) + Math.Min(channels, D) * (N + 3);
    }
}
