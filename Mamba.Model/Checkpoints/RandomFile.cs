using Microsoft.Win32.SafeHandles;

namespace Mamba;

/// <summary>A file whose bytes are read anywhere; what the system complains of is one clear line.</summary>
internal sealed class RandomFile : IDisposable
{
    readonly SafeFileHandle handle;

    /// <param name="path">Where it is.</param>
    /// <param name="check">Given the first bytes of a pipe, throws if it makes no sense to read on.</param>
    public RandomFile(string path, Action<ReadOnlySpan<byte>> check)
    {
        Path = path;
        handle = InputFile.Open(path, check);
        try
        {
            Length = InputFile.Reading(path, () => RandomAccess.GetLength(handle));
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Whether a file, no pipe, has these bytes at a place.</summary>
    public static bool Has(string path, ReadOnlySpan<byte> bytes, int at = 0)
    {
        InputFile.ExpectFile(path);
        using var file = new RandomFile(path, _ => { });
        Span<byte> start = stackalloc byte[bytes.Length];
        if (file.Length < at + start.Length)
            return false;
        file.Read(at, start);
        return start.SequenceEqual(bytes);
    }

    public string Path { get; }
    public long Length { get; }

    /// <summary>Fills the target from a place of the file.</summary>
    public void Read(long offset, Span<byte> target)
    {
        try
        {
            for (int done = 0; done < target.Length;)
            {
                int read = RandomAccess.Read(handle, target[done..], offset + done);
                if (read == 0)
                    throw new MambaException(offset + target.Length > Length
                        ? $"{Path}: it is truncated: its {Length} bytes end within what was to be read."
                        : $"{Path}: it became shorter while it was read.");
                done += read;
            }
        }
        catch (Exception e) when (InputFile.IsOfFiles(e))
        {
            throw new MambaException($"{Path}: cannot be read: {InputFile.Sentence(e)}", e);
        }
    }

    public void Dispose() => handle.Dispose();
}
