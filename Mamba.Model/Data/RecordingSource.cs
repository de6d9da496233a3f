using System.Formats.Tar;
using System.IO.Compression;

namespace Mamba;

/// <summary>Recordings of a folder, or of an archive without unpacking it.</summary>
public static class RecordingSource
{
    const string Extension = ".wav";

    /// <summary>
    /// All recordings (<c>*.wav</c>), one decoded at a time, in the ordinal order of their names: the paths within the folder or archive, with slashes. Hidden
    /// files and folders are passed over. The compressed files of an archive stay in memory meanwhile: in a tar they come in any order, and only once.
    /// </summary>
    /// <param name="path">A folder, a <c>.tar</c>, <c>.tar.gz</c> or <c>.zip</c>, told by what is in it, or one <c>.wav</c>.</param>
    /// <exception cref="MambaException">There is nothing there, no recording in it, or one that cannot be read: which.</exception>
    public static IEnumerable<(string Name, WavAudio Audio)> Read(string path)
    {
        if (Directory.Exists(path))
            return OfFolder(path);
        return OfFile(path);
    }

    static IEnumerable<(string Name, WavAudio Audio)> OfFolder(string path)
    {
        string[] names = InputFile.Reading<string[]>(path, () =>
        [
            .. Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories)
                .Select(file => Path.GetRelativePath(path, file).Replace(Path.DirectorySeparatorChar, '/')).Where(IsRecording).Order(StringComparer.Ordinal),
        ]);
        ExpectSome(path, "folder", names.Length);
        foreach (string name in names)
            yield return (name, WavAudio.Read(Path.Combine(path, name)));
    }

    static IEnumerable<(string Name, WavAudio Audio)> OfFile(string path)
    {
        var recordings = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        using (var file = DataFile.Open(path))
        {
            byte[] start = new byte[4];
            using (Stream raw = file.OpenRaw())
                if (raw.ReadAtLeast(start, start.Length, throwOnEndOfStream: false) == 0)
                    throw new MambaException($"{path}: the file is empty; expected recordings in a tar, tar.gz or zip.");
            if (start.AsSpan().SequenceEqual("RIFF"u8))
                recordings.Add(Path.GetFileName(path), []);
            else if (start.AsSpan().StartsWith("PK"u8))
                Unzip(path, file, recordings);
            else
                Untar(path, file, recordings);
        }
        ExpectSome(path, "archive", recordings.Count);
        foreach ((string name, byte[] bytes) in recordings)
        {
            using var stream = new MemoryStream(bytes);
            yield return (name, bytes.Length == 0 ? WavAudio.Read(path) : WavAudio.Read(stream, $"{path}: {DataFile.Shown(name)}"));
        }
    }

    static void Untar(string path, DataFile file, SortedDictionary<string, byte[]> recordings)
    {
        using Stream stream = file.OpenStream();
        Reading(path, "tar, tar.gz or zip", () =>
        {
            using var tar = new TarReader(stream);
            while (tar.GetNextEntry() is { } entry)
                if (entry.DataStream is { } data && entry.EntryType is TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile)
                    Add(path, recordings, entry.Name, entry.Length, data);
            stream.CopyTo(Stream.Null);         // a file cut off behind the last recording is cut off as well
        });
    }

    static void Unzip(string path, DataFile file, SortedDictionary<string, byte[]> recordings)
    {
        using Stream raw = file.OpenRaw();
        Reading(path, "zip", () =>
        {
            using var zip = new ZipArchive(raw, ZipArchiveMode.Read);
            foreach (ZipArchiveEntry entry in zip.Entries)
            {
                if (!IsRecording(entry.FullName))
                    continue;
                using Stream data = entry.Open();
                Add(path, recordings, entry.FullName, entry.Length, data);
            }
        });
    }

    static void Add(string path, SortedDictionary<string, byte[]> recordings, string name, long length, Stream data)
    {
        name = name.StartsWith("./", StringComparison.Ordinal) ? name[2..] : name;
        if (!IsRecording(name))
            return;
        using var bytes = new MemoryStream();
        data.CopyTo(bytes);
        if (bytes.Length != length)
            throw new MambaException($"{path}: '{DataFile.Shown(name)}' is cut off: {bytes.Length} bytes of {length} are there.");
        if (!recordings.TryAdd(name, bytes.ToArray()))
            throw new MambaException($"{path}: '{DataFile.Shown(name)}' is in it twice.");
    }

    static void Reading(string path, string kind, Action read)
    {
        try
        {
            read();
        }
        catch (Exception e) when (e is InvalidDataException or ArithmeticException or FormatException || InputFile.IsOfFiles(e))      // a time beyond all
        {
            throw new MambaException($"{path}: cannot be read as {kind}: {InputFile.Sentence(e)}", e);
        }
    }

    static bool IsRecording(string name) =>
        name.EndsWith(Extension, StringComparison.OrdinalIgnoreCase) && !name.Split('/').Any(part => part.StartsWith('.'));

    static void ExpectSome(string path, string what, int count)
    {
        if (count == 0)
            throw new MambaException($"{path}: there is no recording in this {what}; expected *{Extension}.");
    }
}
