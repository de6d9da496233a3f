using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace Mamba;

/// <summary>The bytes of a file as tokens, mapped into memory.</summary>
internal sealed unsafe class FileTokens : TokenSource
{
    readonly SafeFileHandle file;
    readonly MemoryMappedFile? map;         // an empty file cannot be mapped
    readonly MemoryMappedViewAccessor? view;
    readonly byte* bytes;

    public FileTokens(string path) : this(path, InputFile.Open(path, _ => { }))
    {
    }

    /// <param name="path">What a message calls it.</param>
    /// <param name="file">Closed with this.</param>
    public FileTokens(string path, SafeFileHandle file)
    {
        this.file = file;
        (long length, map, view) = InputFile.Reading(path, () => Map(file));
        Count = length;
        view?.SafeMemoryMappedViewHandle.AcquirePointer(ref bytes);
    }

    public override long Count { get; }

    public override long? Bytes => Count;

    /// <summary>The length of a file, and the whole of it mapped.</summary>
    static (long Length, MemoryMappedFile? Map, MemoryMappedViewAccessor? View) Map(SafeFileHandle file)
    {
        long length = RandomAccess.GetLength(file);
        if (length == 0)
            return (0, null, null);
        var mapped = MemoryMappedFile.CreateFromFile(file, mapName: null, capacity: 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        return (length, mapped, mapped.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read));
    }

    protected override void Fill(long position, Span<int> tokens)
    {
        ReadOnlySpan<byte> from = new(bytes + position, tokens.Length);
        for (int i = 0; i < tokens.Length; i++)
            tokens[i] = from[i];
    }

    protected override void Dispose(bool disposing)
    {
        view?.SafeMemoryMappedViewHandle.ReleasePointer();
        view?.Dispose();
        map?.Dispose();
        file.Dispose();
    }
}
