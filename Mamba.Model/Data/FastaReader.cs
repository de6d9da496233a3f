namespace Mamba;

/// <summary>
/// Sequences of letters in FASTA, plain or compressed by gzip. A record is a line that starts with <c>&gt;</c> and lines of letters; lines that start with
/// <c>;</c> are comments.
/// </summary>
public static class FastaReader
{
    /// <summary>The sequences of a file, one in memory at a time. A record without a letter is one of no tokens.</summary>
    /// <param name="path">FASTA, plain or compressed by gzip, whatever its name.</param>
    /// <param name="alphabet">From letters to tokens.</param>
    /// <exception cref="MambaException">
    /// There is no such file, no record in it, text before the first, or a letter that is none: the file, line and column.
    /// </exception>
    public static IEnumerable<FastaRecord> Read(string path, Alphabet alphabet)
    {
        using var file = DataFile.Open(path);
        using Stream stream = file.OpenStream();
        var parser = new FastaParser(path, stream, alphabet);
        byte[] tokens = new byte[1 << 16];
        while (parser.MoveNext())
        {
            int count = 0;
            for (int read; (read = parser.Read(tokens.AsSpan(count))) > 0;)
            {
                count += read;
                if (count < tokens.Length)
                    continue;
                if (count == Array.MaxLength)
                    throw new MambaException(
                        $"{path}: line {parser.Line}: record '{DataFile.Shown(parser.Name)}' is longer than {Array.MaxLength}; expected less.");
                Array.Resize(ref tokens, (int)Math.Min(Array.MaxLength, 2L * count));
            }
            yield return new FastaRecord(parser.Name, parser.Description, parser.Line, tokens[..count]);
        }
    }
}
