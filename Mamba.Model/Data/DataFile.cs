using System.IO.Compression;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Mamba;

/// <summary>
/// A file of data that is read from its start to its end, once or several times. What gzip compressed is read as what it was, whatever its name.
/// </summary>
internal sealed class DataFile : IDisposable
{
    readonly SafeFileHandle handle;

    DataFile(string path, SafeFileHandle handle) => (Path, this.handle) = (path, handle);

    public string Path { get; }

    /// <exception cref="MambaException">There is no such file, or it cannot be read.</exception>
    public static DataFile Open(string path) => new(path, InputFile.Open(path, _ => { }));

    /// <summary>The bytes of the file itself.</summary>
    public Stream OpenRaw() => new FileBytes(Path, handle, []);

    /// <summary>
    /// The bytes of the file, or those that were compressed. Its stream throws a <see cref="MambaException"/> where the file is damaged or cut off.
    /// </summary>
    public Stream OpenStream()
    {
        Span<byte> magic = stackalloc byte[2];
        Stream raw = OpenRaw();
        return raw.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false) == magic.Length && IsGzip(magic)
            ? new GzipBytes(Path, new FileBytes(Path, handle, GzipBytes.Mark))
            : new FileBytes(Path, handle, []);
    }

    /// <summary>
    /// The text of the file in UTF-8. What is none throws a <see cref="DecoderFallbackException"/>: two labels must not become one of question marks.
    /// </summary>
    public StreamReader OpenText() => new(OpenStream(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true));

    /// <summary>What a file says, for a message of one line: without what would break it, and not a million letters of it.</summary>
    public static string Shown(string text)
    {
        const int Longest = 60;
        var shown = new StringBuilder(text.Length > Longest ? text[..Longest] + "…" : text);
        for (int i = 0; i < shown.Length; i++)
            if (char.IsControl(shown[i]) || shown[i] is '\u2028' or '\u2029')
                shown[i] = ' ';
        return shown.ToString();
    }

    static bool IsGzip(ReadOnlySpan<byte> start) => start.StartsWith((ReadOnlySpan<byte>)[0x1F, 0x8B]);

    public void Dispose() => handle.Dispose();

    /// <summary>A file from its start, and bytes behind its end. The handle stays open.</summary>
    sealed class FileBytes(string path, SafeFileHandle handle, byte[] tail) : ForwardStream
    {
        long position;
        int ofTail;

        /// <summary>Whether bytes were read that are not the file's.</summary>
        public bool IsBehindFile => ofTail > 0;

        public override int Read(Span<byte> buffer)
        {
            int read = Read(path, handle, buffer, position);
            position += read;
            if (read > 0 || buffer.IsEmpty)
                return read;
            int count = Math.Min(buffer.Length, tail.Length - ofTail);
            tail.AsSpan(ofTail, count).CopyTo(buffer);
            ofTail += count;
            return count;
        }

        static int Read(string path, SafeFileHandle handle, Span<byte> buffer, long position)
        {
            try
            {
                return RandomAccess.Read(handle, buffer, position);
            }
            catch (Exception e) when (InputFile.IsOfFiles(e))
            {
                throw new MambaException($"{path}: cannot be read: {InputFile.Sentence(e)}", e);
            }
        }
    }

    /// <summary>
    /// What gzip compressed, in one or several members. <see cref="GZipStream"/> takes a file that is cut off for one that ends there, so a last member is put
    /// behind the file: only if its text comes out were all those before it whole.
    /// </summary>
    sealed class GzipBytes(string path, FileBytes compressed) : ForwardStream
    {
        const int Piece = 1 << 16;

        static readonly byte[] MarkText = "\0Mamba.NET: end\n"u8.ToArray();

        readonly GZipStream plain = new(compressed, CompressionMode.Decompress);
        readonly byte[] buffer = new byte[2 * Piece];       // the second for what becomes of the mark: 1,032 times its length at most
        int start, end;
        bool atEnd;
        long given;

        public static byte[] Mark { get; } = Compress(MarkText);

        static byte[] Compress(byte[] text)
        {
            using var compressed = new MemoryStream();
            using (var gzip = new GZipStream(compressed, CompressionLevel.Optimal))
                gzip.Write(text);
            return compressed.ToArray();
        }

        public override int Read(Span<byte> into)
        {
            if (start == end && !atEnd)
                Fill();
            int count = Math.Min(into.Length, end - start);
            buffer.AsSpan(start, count).CopyTo(into);
            start += count;
            given += count;
            return count;
        }

        // What comes once the mark is read may be the mark taken for a part of the file: none of it is given before its end is seen.
        void Fill()
        {
            (start, end) = (0, Next(buffer.AsSpan(0, Piece)));
            atEnd = end == 0 || compressed.IsBehindFile;
            if (!atEnd)
                return;
            for (int read; (read = Next(buffer.AsSpan(end))) > 0;)
                end += read;
            if (!buffer.AsSpan(0, end).EndsWith(MarkText))
                throw Damaged(null);
            end -= MarkText.Length;
        }

        int Next(Span<byte> into)
        {
            try
            {
                return plain.Read(into);
            }
            catch (Exception e) when (e is InvalidDataException or IOException)
            {
                throw Damaged(e);
            }
        }

        MambaException Damaged(Exception? inner)
        {
            string message = FormattableString.Invariant(
                $"{path}: what gzip compressed is damaged, cut off, or followed by something else, after {given} bytes of text.");
            return inner is null ? new MambaException(message) : new MambaException(message, inner);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                plain.Dispose();
            base.Dispose(disposing);
        }
    }
}
