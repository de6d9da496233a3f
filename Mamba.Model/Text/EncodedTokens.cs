using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Mamba;

/// <summary>The tokens of a text, in a file without a name: there may be more than the memory holds.</summary>
internal sealed class EncodedTokens : TokenSource
{
    const int Piece = 1 << 20;      // characters encoded at once, more where there is no place to cut

    readonly SafeFileHandle ids;

    EncodedTokens(SafeFileHandle ids, long bytes)
    {
        this.ids = ids;
        Bytes = bytes;
        Count = RandomAccess.GetLength(ids) / sizeof(int);
    }

    public override long Count { get; }

    public override long? Bytes { get; }

    public static EncodedTokens Encode(string path, Tokenizer tokenizer, CancellationToken stop) => InputFile.Reading(path, () =>
    {
        string[] added = tokenizer is BpeTokenizer bpe ? [.. bpe.Added.Where(token => token.Length > 1)] : [];
        using SafeFileHandle file = InputFile.Open(path, _ => { });
        SafeFileHandle output = InputFile.Unseen();
        try
        {
            Decoder decoder = Encoding.UTF8.GetDecoder();
            var text = new StringBuilder();
            byte[] bytes = new byte[Piece];
            char[] characters = new char[Piece + 4];
            long read = 0, written = 0;
            for (bool atEnd = false; !atEnd;)
            {
                stop.ThrowIfCancellationRequested();
                int count = RandomAccess.Read(file, bytes, read);
                atEnd = count == 0;
                read += count;
                text.Append(characters, 0, decoder.GetChars(bytes.AsSpan(0, count), characters, flush: atEnd));
                if (!atEnd && text.Length < Piece)
                    continue;
                string all = text.ToString();
                int end = atEnd ? all.Length : Border(all, added);
                if (end == 0 && !atEnd)
                    continue;
                int[] encoded = tokenizer.Encode(all[..end]);
                RandomAccess.Write(output, MemoryMarshal.AsBytes(encoded.AsSpan()), written);
                written += encoded.Length * (long)sizeof(int);
                text.Clear().Append(all, end, all.Length - end);
            }
            return new EncodedTokens(output, read);
        }
        catch
        {
            output.Dispose();
            throw;
        }
    });

    /// <summary>
    /// The last place where a text may be cut without changing its tokens, 0 if there is none: before a single space, or after a single line feed, between
    /// two ASCII letters. No pattern of a tokenizer has a word across it, nothing composes there, and no added token may lie across it.
    /// </summary>
    internal static int Border(string text, string[] added)
    {
        for (int i = text.Length - 2; i > 0; i--)
        {
            if (text[i] is not (' ' or '\n') || !char.IsAsciiLetter(text[i - 1]) || !char.IsAsciiLetter(text[i + 1]))
                continue;
            int border = text[i] == ' ' ? i : i + 1;
            if (!added.Any(token => LiesAcross(text, border, token)))
                return border;
        }
        return 0;
    }

    static bool LiesAcross(string text, int border, string token)
    {
        int start = Math.Max(0, border - token.Length + 1), end = Math.Min(text.Length, border + token.Length - 1);
        return text.AsSpan(start, end - start).Contains(token, StringComparison.Ordinal);
    }

    protected override void Fill(long position, Span<int> tokens)
    {
        Span<byte> bytes = MemoryMarshal.AsBytes(tokens);
        for (int done = 0; done < bytes.Length;)
        {
            int read = RandomAccess.Read(ids, bytes[done..], position * sizeof(int) + done);
            done += read > 0 ? read : throw new MambaException($"TokenSource: the file of tokens ends at {position}.");
        }
    }

    protected override void Dispose(bool disposing) => ids.Dispose();
}
