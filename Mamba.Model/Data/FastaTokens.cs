using Microsoft.Win32.SafeHandles;

namespace Mamba;

/// <summary>
/// The tokens of a FASTA file: a byte a letter, in a file that nobody sees and that is then mapped. A file rather than memory, because a genome may have
/// billions of letters and what is read often stays in memory all the same; not the FASTA file itself, because its letters are at no fixed places.
/// </summary>
internal static class FastaTokens
{
    public static TokenSource Encode(string path, Alphabet alphabet, CancellationToken stop)
    {
        using var file = DataFile.Open(path);
        using Stream stream = file.OpenStream();
        return InputFile.Reading(path, () =>
        {
            SafeFileHandle output = InputFile.Unseen();
            try
            {
                Write(new FastaParser(path, stream, alphabet), path, alphabet, output, stop);
                return new FileTokens(path, output);
            }
            catch
            {
                output.Dispose();
                throw;
            }
        });
    }

    static void Write(FastaParser parser, string path, Alphabet alphabet, SafeFileHandle output, CancellationToken stop)
    {
        byte[] piece = new byte[1 << 20];
        long written = 0;
        while (parser.MoveNext())
        {
            bool isFirst = true;
            for (int count; (count = parser.Read(piece)) > 0; isFirst = false)
            {
                stop.ThrowIfCancellationRequested();
                if (isFirst && written > 0)
                {
                    int between = alphabet.Unknown ?? throw new MambaException(
                        $"{path}: line {parser.Line}: record '{DataFile.Shown(parser.Name)}' is not the first; " +
                        $"expected one only, as the alphabet has no unknown letter to stand between two.");
                    Append([(byte)between]);
                }
                Append(piece.AsSpan(0, count));
            }
        }
        if (written == 0)
            throw new MambaException($"{path}: line {parser.Line}: there is no letter in any record; expected a sequence.");

        void Append(ReadOnlySpan<byte> tokens)
        {
            RandomAccess.Write(output, tokens, written);
            written += tokens.Length;
        }
    }
}
