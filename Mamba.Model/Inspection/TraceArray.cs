namespace Mamba;

/// <summary>An array of a trace, or some tokens of it.</summary>
/// <param name="Name"><c>layer.0.delta</c></param>
/// <param name="Values">(b, tokens, …), or any shape where it has no tokens.</param>
/// <param name="Length">How many tokens the whole has; null: it has none, and these are all its values.</param>
/// <param name="IsOfStates">(b, tokens, n, d): in a file it has the official order, (b, tokens, d, n).</param>
internal readonly record struct TraceArray(string Name, Tensor Values, long? Length, bool IsOfStates = false)
{
    /// <summary>The whole's shape in a file.</summary>
    public Shape FileShape
    {
        get
        {
            if (Length is not { } length)
                return Values.Shape;
            long[] extents = [.. Values.Shape.ToArray()];
            extents[1] = length;
            if (IsOfStates)
                (extents[^2], extents[^1]) = (extents[^1], extents[^2]);
            return new(extents);
        }
    }
}

/// <summary>Where the arrays of a trace go as they are computed.</summary>
internal interface ITraceSink
{
    /// <summary>Takes an array, or some tokens of it.</summary>
    /// <param name="array">Its values are the caller's, who disposes them; those of states may be kept, for they were made for this.</param>
    /// <param name="first">The first of the tokens.</param>
    void Write(in TraceArray array, long first);
}
