namespace Mamba.Pictures;

/// <summary>Which channels of a layer a page shows: those that move y most.</summary>
internal static class ChannelChoice
{
    /// <summary>By what channels are chosen, the first that the trace has.</summary>
    static readonly string[] By = ["y", "u", "delta"];

    /// <summary>By what the channels of a layer are chosen; null: by nothing, they are the first.</summary>
    public static string? Measure(LayerSizes layer) => By.FirstOrDefault(layer.Has);

    /// <summary>The channels, the one with the largest root mean square first.</summary>
    public static int[] Of(TraceFile trace, int layer, int row, PageWindow window)
    {
        var sizes = LayerSizes.Of(trace, layer);
        double[] size = Sizes(sizes, row, window);
        return [.. Enumerable.Range(0, (int)sizes.D).OrderByDescending(c => size[c]).Take(window.Channels)];       // stable
    }

    /// <summary>The root mean square of each channel over the tokens shown; infinite where it is not a number, which is worth a look.</summary>
    public static double[] Sizes(LayerSizes layer, int row, PageWindow window)
    {
        double[] squares = new double[layer.D];
        if (Measure(layer) is not { } name)
            return squares;
        for (int t = 0; t < window.Count; t++)
        {
            double[] values = layer.Trace.Read(layer.Layer, name, (row * layer.Trace.Length + window.First + t) * layer.D, (int)layer.D);
            for (int c = 0; c < values.Length; c++)
                squares[c] += values[c] * values[c] / window.Count;
        }
        return Array.ConvertAll(squares, square => double.IsNaN(square) ? double.PositiveInfinity : Math.Sqrt(square));
    }
}
