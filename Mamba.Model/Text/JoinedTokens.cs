namespace Mamba;

/// <summary>Several sources as one, end to end.</summary>
internal sealed class JoinedTokens : TokenSource
{
    readonly TokenSource[] parts;
    readonly long[] starts;         // of each part, and the end of the last

    public JoinedTokens(IEnumerable<TokenSource> parts)
    {
        this.parts = [.. parts];
        starts = new long[this.parts.Length + 1];
        for (int i = 0; i < this.parts.Length; i++)
            starts[i + 1] = starts[i] + this.parts[i].Count;
    }

    public override long Count => starts[^1];

    public override long? Bytes => parts.Aggregate((long?)0, (sum, part) => sum + part.Bytes);

    protected override void Fill(long position, Span<int> tokens)
    {
        int i = Array.BinarySearch(starts, position);
        for (i = i < 0 ? ~i - 1 : i; tokens.Length > 0; i++)
        {
            int here = (int)Math.Min(tokens.Length, starts[i + 1] - position);
            if (here <= 0)
                continue;           // an empty part
            parts[i].Read(position - starts[i], tokens[..here]);
            tokens = tokens[here..];
            position += here;
        }
    }

    protected override void Dispose(bool disposing)
    {
        foreach (TokenSource part in parts)
            part.Dispose();
    }
}
