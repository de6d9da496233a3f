namespace Mamba;

/// <summary>One sequence of a <see cref="SequenceSet"/>: tokens, or numbers.</summary>
/// <param name="Id">Its name, or the line that it came from.</param>
/// <param name="Label">Its class, from 0; −1 where it has no label.</param>
public sealed record SequenceExample(string Id, int Label)
{
    /// <summary>The line of the file that it begins in; null where it is a file itself.</summary>
    public long? Line { get; init; }

    /// <summary>(l): a token at each step; null where there are numbers.</summary>
    public byte[]? Tokens { get; init; }

    /// <summary>(l, c), row-major: numbers at each step; null where there are tokens.</summary>
    public float[]? Values { get; init; }
}
