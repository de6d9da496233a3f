using System.Text;

namespace Mamba;

/// <summary>
/// Walks through a FASTA file: a record is a line that starts with <c>&gt;</c> and lines of letters. Lines that start with <c>;</c> are comments, empty lines
/// and blanks between letters mean nothing, and lines end as they do on Unix, Windows or the old Macintosh.
/// </summary>
internal sealed class FastaParser(string path, Stream stream, Alphabet alphabet)
{
    const int LongestHeader = 1 << 20;

    readonly byte[] buffer = new byte[1 << 16];
    int at, end;
    int last = -1;              // the byte before
    bool afterReturn, started, atHeader, atEnd;
    long line = 1, column;      // of the last byte, from 1

    public string Name { get; private set; } = "";

    public string Description { get; private set; } = "";

    /// <summary>The line of the record's <c>&gt;</c>.</summary>
    public long Line { get; private set; }

    /// <summary>Goes to the next record.</summary>
    public bool MoveNext()
    {
        Span<byte> rest = stackalloc byte[256];
        while (!atHeader && !atEnd)
            Read(rest);
        if (!atHeader)
            return started ? false : throw new MambaException($"{path}: line {line}: there is no record in it; expected a line that starts with '>'.");
        (started, atHeader, Line) = (true, false, line);
        ReadHeader();
        return true;
    }

    /// <summary>The next tokens of the record; 0 behind its last.</summary>
    public int Read(Span<byte> tokens)
    {
        int count = 0;
        while (count < tokens.Length && !atHeader && !atEnd)
        {
            int b = Next();
            if (b < 0)
                atEnd = true;
            else if (b == '>' && column == 1)
                atHeader = true;
            else if (b == ';' && column == 1)
                SkipLine();
            else if (b == '\n')
                continue;
            else if (started && alphabet.TokenOfByte((byte)b) is not Alphabet.None and byte token)
            {
                tokens[count++] = token;
                count += ReadRun(tokens[count..]);
            }
            else if (b is not (' ' or '\t'))
                throw Wrong((byte)b);
        }
        return count;
    }

    // letters that are in the buffer, up to one that is none
    int ReadRun(Span<byte> tokens)
    {
        int most = Math.Min(tokens.Length, end - at), count = 0;
        while (count < most && alphabet.TokenOfByte(buffer[at + count]) is not Alphabet.None and byte token)
            tokens[count++] = token;
        at += count;
        column += count;
        return count;
    }

    MambaException Wrong(byte b) => started
        ? new MambaException($"{path}: line {line}, column {column}, record '{DataFile.Shown(Name)}': {alphabet.Refusal(b)}")
        : new MambaException($"{path}: line {line}, column {column}: {Alphabet.Quoted(b)} is before the first record; expected a line that starts with '>'.");

    void ReadHeader()
    {
        var header = new List<byte>();
        for (int b = Next(); b >= 0 && b != '\n'; b = Next())
        {
            if (header.Count == LongestHeader)
                throw new MambaException($"{path}: line {line}: the name and description of a record are longer than {LongestHeader} bytes.");
            header.Add((byte)b);
        }
        string text = Encoding.UTF8.GetString([.. header]).Trim();
        int blank = text.AsSpan().IndexOfAny(' ', '\t');
        (Name, Description) = blank < 0 ? (text, "") : (text[..blank], text[(blank + 1)..].Trim());
    }

    void SkipLine()
    {
        for (int b = Next(); b >= 0 && b != '\n';)
            b = Next();
    }

    // The next byte, '\n' for each end of a line, −1 at the end.
    int Next()
    {
        if (at == end && !Fill())
            return -1;
        byte b = buffer[at++];
        if (b == '\n' && afterReturn)
        {
            afterReturn = false;
            return Next();
        }
        afterReturn = b == '\r';
        (line, column) = last == '\n' ? (line + 1, 1) : (line, column + 1);
        last = afterReturn ? '\n' : b;
        return last;
    }

    bool Fill()
    {
        bool first = end == 0;
        (at, end) = (0, stream.ReadAtLeast(buffer, first ? 3 : 1, throwOnEndOfStream: false));
        if (first && buffer.AsSpan(0, end).StartsWith(Encoding.UTF8.Preamble))
            at = Encoding.UTF8.Preamble.Length;
        return at < end;
    }
}
