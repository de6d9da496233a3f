using System.Buffers.Binary;
using System.Text;

namespace Mamba;

/// <summary>
/// The files of a zip archive that are stored as they are, not compressed, as PyTorch writes them; zip64 included. The central directory is checked
/// against the files' own headers, and no two of them may share a byte: what is read is never more than what is there.
/// </summary>
internal static class StoredZip
{
    const int LongestDirectory = 1 << 26, EndBytes = 22, LocatorBytes = 20, End64Bytes = 56, EntryBytes = 46, LocalBytes = 30;

    /// <summary>Whether a file begins as one. A header of safetensors that did would be 67 MB long, and its next bytes 0.</summary>
    public static bool IsZip(string path) => RandomFile.Has(path, "PK\x03\x04"u8)
        && Path.GetExtension(path) != ".safetensors";

    /// <summary>Where the bytes of each file are.</summary>
    public static Dictionary<string, (long Start, long Length)> Read(RandomFile file)
    {
        (long start, long length, long count) = FindDirectory(file);
        if (start < 0 || length < 0 || start > file.Length - length || length > LongestDirectory || count < 0 || count > length / EntryBytes)
            throw Bad(file, $"its directory would be {length} bytes at {start}, of {count} files");
        byte[] directory = new byte[length];
        file.Read(start, directory);
        var entries = new Dictionary<string, (long Start, long Length)>(StringComparer.Ordinal);
        var places = new List<(long Header, long End)>();
        ReadOnlySpan<byte> rest = directory;
        for (long i = 0; i < count; i++)
        {
            if (rest.Length < EntryBytes || U32(rest) != 0x02014b50)
                throw Bad(file, $"its directory ends after {i} of {count} files");
            int nameLength = U16(rest[28..]), extraLength = U16(rest[30..]), commentLength = U16(rest[32..]);
            if (rest.Length < EntryBytes + nameLength + extraLength + commentLength)
                throw Bad(file, $"its directory ends after {i} of {count} files");
            string name = Encoding.UTF8.GetString(rest.Slice(EntryBytes, nameLength));
            if ((U16(rest[8..]) & 1) != 0 || U16(rest[10..]) != 0)
                throw Bad(file, $"{Safetensors.Quote(name)} in it is compressed or encrypted; expected it to be stored, as PyTorch does");
            ulong packed = U32(rest[20..]), size = U32(rest[24..]), header = U32(rest[42..]);
            Widen(file, name, rest.Slice(EntryBytes + nameLength, extraLength), ref size, ref packed, ref header);
            long data = CheckHeader(file, name, header, start);
            if (packed != size || size > (ulong)(start - data))
                throw Bad(file, $"{Safetensors.Quote(name)} in it would be {size} bytes long from {data} on, and {packed} in the archive");
            if (!entries.TryAdd(name, (data, (long)size)))
                throw Bad(file, $"{Safetensors.Quote(name)} is in it twice");
            places.Add(((long)header, data + (long)size));
            rest = rest[(EntryBytes + nameLength + extraLength + commentLength)..];
        }
        places.Sort();
        for (int i = 1; i < places.Count; i++)
            if (places[i].Header < places[i - 1].End)
                throw Bad(file, $"two files in it share the bytes from {places[i].Header} on");
        return entries;
    }

    static (long Start, long Length, long Count) FindDirectory(RandomFile file)
    {
        int tail = (int)Math.Min(file.Length, EndBytes + ushort.MaxValue);
        byte[] bytes = new byte[tail];
        file.Read(file.Length - tail, bytes);
        for (int at = tail - EndBytes; at >= 0; at--)
        {
            ReadOnlySpan<byte> end = bytes.AsSpan(at);
            if (U32(end) != 0x06054b50 || U16(end[20..]) != end.Length - EndBytes)
                continue;
            if (U16(end[4..]) is not (0 or 0xFFFF))
                throw Bad(file, "it is one of several parts");
            long place = file.Length - tail + at - LocatorBytes;
            Span<byte> locator = stackalloc byte[LocatorBytes], end64 = stackalloc byte[End64Bytes];
            bool isWide = U16(end[10..]) == 0xFFFF || U32(end[12..]) == uint.MaxValue || U32(end[16..]) == uint.MaxValue;
            if (!isWide || place < 0)
                return (U32(end[16..]), U32(end[12..]), U16(end[10..]));
            file.Read(place, locator);
            if (U32(locator) != 0x07064b50)
                return (U32(end[16..]), U32(end[12..]), U16(end[10..]));
            ulong where = U64(locator[8..]);
            if (where > (ulong)file.Length - End64Bytes)
                throw Bad(file, $"the end of its directory would be at {where}");
            file.Read((long)where, end64);
            return U32(end64) == 0x06064b50
                ? ((long)U64(end64[48..]), (long)U64(end64[40..]), (long)U64(end64[32..]))
                : throw Bad(file, $"the end of its directory is not at {where}, where this is said");
        }
        throw Bad(file, "it is no zip archive, or cut off: torch.save has written one since PyTorch 1.6; save it again, or as safetensors");
    }

    // The extra field that takes the numbers too large for 32 bits, in this order, those that are.
    static void Widen(RandomFile file, string name, ReadOnlySpan<byte> extra, ref ulong size, ref ulong packed, ref ulong header)
    {
        bool isDone = size != uint.MaxValue && packed != uint.MaxValue && header != uint.MaxValue;
        for (; !isDone && extra.Length >= 4; extra = extra[(4 + U16(extra[2..]))..])
        {
            if (extra.Length < 4 + U16(extra[2..]))
                break;
            if (U16(extra) != 1)
                continue;
            ReadOnlySpan<byte> wide = extra.Slice(4, U16(extra[2..]));
            isDone = Take(ref size, ref wide) && Take(ref packed, ref wide) && Take(ref header, ref wide);
            break;
        }
        if (!isDone)
            throw Bad(file, $"the directory lacks the size of {Safetensors.Quote(name)}");

        static bool Take(ref ulong value, ref ReadOnlySpan<byte> wide)
        {
            if (value != uint.MaxValue)
                return true;
            if (wide.Length < 8)
                return false;
            value = U64(wide);
            wide = wide[8..];
            return true;
        }
    }

    /// <summary>Where the bytes begin behind a file's own header, which must be of that name.</summary>
    static long CheckHeader(RandomFile file, string name, ulong header, long directory)
    {
        Span<byte> local = stackalloc byte[LocalBytes];
        if (header > (ulong)directory || directory - (long)header < LocalBytes)
            throw Bad(file, $"{Safetensors.Quote(name)} would begin at {header}");
        file.Read((long)header, local);
        int nameLength = U16(local[26..]);
        long data = (long)header + LocalBytes + nameLength + U16(local[28..]);
        if (U32(local) != 0x04034b50 || data > directory)
            throw Bad(file, $"{Safetensors.Quote(name)} does not begin at {header}, where the directory says");
        byte[] own = new byte[nameLength];
        file.Read((long)header + LocalBytes, own);
        return Encoding.UTF8.GetString(own) == name
            ? data
            : throw Bad(file, $"the file at {header} is not {Safetensors.Quote(name)}, as the directory says");
    }

    static ushort U16(ReadOnlySpan<byte> at) => BinaryPrimitives.ReadUInt16LittleEndian(at);

    static uint U32(ReadOnlySpan<byte> at) => BinaryPrimitives.ReadUInt32LittleEndian(at);

    static ulong U64(ReadOnlySpan<byte> at) => BinaryPrimitives.ReadUInt64LittleEndian(at);

    static MambaException Bad(RandomFile file, string what) => new($"{file.Path}: {what}.");
}
