namespace Mamba;

/// <summary>Sequences of letters in FASTA, plain or compressed by gzip.</summary>
public static class FastaReader
{
    /// <summary>The sequences of a file, one at a time.</summary>
    /// <param name="path">FASTA, plain or compressed by gzip, whatever its name.</param>
    /// <param name="alphabet">From letters to tokens.</param>
    /// <exception cref="MambaException">There is no such file, it is no FASTA, or a letter is none: the file, line and column.</exception>
    public static IEnumerable<FastaRecord> Read(string path, Alphabet alphabet) => throw new NotImplementedException();
}
