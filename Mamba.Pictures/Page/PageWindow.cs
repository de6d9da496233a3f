namespace Mamba.Pictures;

/// <summary>How much of a trace fits on a page: which layers, which tokens, how many channels of each layer.</summary>
/// <param name="Layers">In ascending order.</param>
/// <param name="First">The first token, counted from 0.</param>
/// <param name="Count">How many tokens.</param>
/// <param name="Channels">Channels of a layer, at most.</param>
/// <param name="Averages">Whether the hidden attention averaged over all channels of each layer fits, too.</param>
internal sealed record PageWindow(int[] Layers, int First, int Count, int Channels, bool Averages)
{
    /// <summary>More tokens are no picture any more: a matrix of 512² is drawn with a pixel a value.</summary>
    public const int MostTokens = 512;

    /// <summary>Nobody looks through a longer list.</summary>
    const int MostChannels = 64;

    /// <summary>A few channels side by side say more than a longer piece of the sequence.</summary>
    const int FewChannels = 4;

    const int FewTokens = 32, FewestTokens = 8;

    /// <summary>The average attention is quadratic in the tokens, for every layer: for short sequences alone.</summary>
    const int MostTokensOfAverages = 128;

    /// <summary>What fits into so many floats.</summary>
    public static PageWindow Of(TraceFile trace, TraceFile? against, long floats)
    {
        LayerSizes[] sizes = [.. trace.Layers.Select(layer => LayerSizes.Of(trace, layer))];
        PageWindow best = new([], 0, 0, 0, false);
        foreach ((int tokens, int channels, int layers) in Candidates((int)Math.Min(trace.Length, MostTokens), sizes.Length))
        {
            int[] chosen = [.. Enumerable.Range(0, layers).Select(i => layers == 1 ? 0 : (int)((long)i * (sizes.Length - 1) / (layers - 1)))];
            long cost = chosen.Sum(i => sizes[i].Floats(tokens, channels)), averages = (long)chosen.Length * tokens * (tokens + 1) / 2;
            bool withAverages = tokens <= MostTokensOfAverages && averages <= floats / 5 && cost + averages <= floats;
            // A piece is the end of the sequence, or the end of what both runs have.
            long end = tokens == trace.Length || against is null ? trace.Length : Math.Max(tokens, Math.Min(trace.Length, against.Length));
            best = new([.. chosen.Select(i => trace.Layers[i])], (int)(end - tokens), tokens, channels, withAverages);
            if (cost <= floats)
                break;
        }
        return best;
    }

    // What is given up first, second and third: channels, tokens, layers.
    static IEnumerable<(int Tokens, int Channels, int Layers)> Candidates(int tokens, int layers)
    {
        for (int channels = MostChannels; channels >= FewChannels; channels--)
            yield return (tokens, channels, layers);
        int few = Math.Min(tokens, FewTokens), fewest = Math.Min(tokens, FewestTokens);
        for (; tokens > few; tokens = Math.Max(few, tokens * 7 / 8))
            yield return (tokens, FewChannels, layers);
        for (int channels = FewChannels; channels >= 1; channels--)
            yield return (few, channels, layers);
        for (; few > fewest; few--)
            yield return (few, 1, layers);
        for (; layers >= 1; layers = layers == 1 ? 0 : Math.Max(1, layers * 7 / 8))
            yield return (fewest, 1, layers);
    }

    /// <summary>The same places of another run; the end of it where it has none of them.</summary>
    public PageWindow For(TraceFile other)
    {
        if (First < other.Length)
            return this with { Layers = Both(), Count = (int)Math.Min(Count, other.Length - First) };
        int count = (int)Math.Min(Count, other.Length);
        return this with { Layers = Both(), First = (int)(other.Length - count), Count = count };

        int[] Both() => [.. Layers.Where(other.Layers.Contains)];
    }

    /// <summary>Says what is left out.</summary>
    public void Describe(TraceFile trace, List<string> notes)
    {
        if (Count < trace.Length)
            notes.Add($"{Words.Count(Count, "token")} of {trace.Length:N0}: those from {First} to {First + Count - 1}.");
        if (Layers.Length < trace.Layers.Count)
            notes.Add($"{Words.Count(Layers.Length, "layer")} of {trace.Layers.Count:N0}, evenly spaced: {string.Join(", ", Layers)}.");
        foreach (IGrouping<long, int> alike in Layers.GroupBy(layer => LayerSizes.Of(trace, layer).D).Where(alike => alike.Key > Channels))
        {
            string of = alike.Count() == Layers.Length ? "each layer" : $"layer {string.Join(", ", alike)}";
            notes.Add($"{Words.Count(Channels, "channel")} of the {alike.Key:N0} of {of}: those that move y most, largest root mean square first.");
        }
        if (!Averages)
            notes.Add($"The hidden attention averaged over all channels of a layer: it is kept for up to {MostTokensOfAverages} tokens and where it fits.");
    }
}
