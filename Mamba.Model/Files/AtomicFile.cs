using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Mamba;

/// <summary>
/// Writes a file so that a process that dies at any moment leaves the old one or the new one, whole: everything goes to a new
/// file beside it, under a name nobody else has, is forced to the disk, and takes the name in one rename.
/// </summary>
/// <remarks>
/// The file that a link leads to is replaced, in its own folder, and the link stays; a new file has the mode of the old one and,
/// where the system allows it, the owner. Another name of the same file, a hard link, keeps what the file was. A file that may
/// not be written is not replaced. Pipes, devices and descriptors by the system's names (<c>/dev/stdout</c>, <c>/dev/fd/3</c>)
/// are written to as they are: they hold nothing that could be kept.
/// </remarks>
internal static class AtomicFile
{
    const int MostLinks = 40;       // as many as Linux follows

    const string Prefix = ".mamba-", Suffix = ".tmp";

    const int RandomBytes = 8;

    /// <exception cref="MambaException">It cannot be written; what was there is still there.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        try
        {
            (string target, int? descriptor) = Follow(path);
            FileNode? there = descriptor is null ? FileNode.Of(target) : null;
            if (descriptor is { } number)
                Pour(new DescriptorStream(number), write);
            else if (there?.Kind is NodeKind.Folder)
                throw new MambaException($"{path} is a folder; expected the name of a file.");
            else if (there?.Kind is null or NodeKind.File)
                Replace(target, there, write);
            else
                Pour(there?.Kind is NodeKind.Pipe ? NamedPipe.Open(target, FileAccess.Write) : Existing(target), write);
        }
        catch (Exception e) when (InputFile.IsOfFiles(e))
        {
            throw new MambaException($"{path}: cannot be written: {InputFile.Sentence(e)}", e);
        }
    }

    public static void WriteText(string path, string text) => Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    /// <summary>Whether what is written to <paramref name="path"/> comes out where the standard output does, among what is printed there.</summary>
    public static bool IsStandardOutput(string path)
    {
        try
        {
            return FileNode.Of(path) is { Kind: not NodeKind.Device } node && FileNode.OfStandardOutput() is { } output && node.Identity == output.Identity;
        }
        catch (Exception e) when (InputFile.IsOfFiles(e))
        {
            return false;           // writing will say what is wrong with it
        }
    }

    /// <summary>Whether a file is what <see cref="Write"/> leaves when its process is killed.</summary>
    public static bool IsLeftover(string path)
    {
        string name = Path.GetFileName(path);
        return name.Length == Prefix.Length + 2 * RandomBytes + Suffix.Length
            && name.StartsWith(Prefix, StringComparison.Ordinal) && name.EndsWith(Suffix, StringComparison.Ordinal)
            && name.AsSpan(Prefix.Length, 2 * RandomBytes).IndexOfAnyExcept("0123456789abcdef") < 0;
    }

    /// <summary>Deletes what killed processes left in a folder; what another process is writing just now stays.</summary>
    public static void DeleteLeftovers(string folder)
    {
        foreach (string path in Directory.EnumerateFiles(folder, Prefix + "*" + Suffix).Where(IsLeftover))
        {
            try
            {
                new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.None).Dispose();        // not to be had while its writer lives
                TryDelete(path);
            }
            catch (Exception e) when (InputFile.IsOfFiles(e))
            {
                // somebody's who lives, or not ours
            }
        }
    }

    /// <summary>Where the links of a path end, or the descriptor of this process that it stands for.</summary>
    static (string Target, int? Descriptor) Follow(string path)
    {
        bool ofSystem = false;
        for (int links = 0; links <= MostLinks; links++)
        {
            string folder = Path.GetDirectoryName(path) is { Length: > 0 } named ? named : Path.IsPathRooted(path) ? path : ".", name = Path.GetFileName(path);
            if (name is "" or "." or "..")
                throw new IOException("expected the name of a file");
            if (FileNode.Of(folder)?.Kind is not NodeKind.Folder)
                throw new IOException($"there is no folder {folder}");
            folder = FileNode.RealPath(folder);
            if (links == 0)
                ofSystem = folder == "/dev" || folder.StartsWith("/dev/", StringComparison.Ordinal) || folder.StartsWith("/proc/", StringComparison.Ordinal);
            if (HoldsDescriptors(folder) && Numbers.Index(name) is { } descriptor)
                return ofSystem ? (path, descriptor) : throw new IOException(
                    $"it leads to /dev/fd/{descriptor}, another thing for every process; expected that name itself");
            string here = Path.Combine(folder, name);
            if (new FileInfo(here).LinkTarget is not { } next)
                return (here, null);
            path = Path.IsPathRooted(next) ? next : folder + Path.DirectorySeparatorChar + next;        // dots in it are the system's to resolve
        }
        throw new IOException($"it leads through more than {MostLinks} links, or in a circle");
    }

    static bool HoldsDescriptors(string folder) => OperatingSystem.IsLinux()
        ? folder.StartsWith($"/proc/{Environment.ProcessId.ToString(CultureInfo.InvariantCulture)}/", StringComparison.Ordinal)
            && folder.EndsWith("/fd", StringComparison.Ordinal)
        : OperatingSystem.IsMacOS() && folder == "/dev/fd";

    static void Replace(string target, FileNode? there, Action<Stream> write)
    {
        if (there is not null)
            Existing(target).Dispose();         // refused by the system where the file may not be written
        string random = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(RandomBytes));
        string temporary = Path.Combine(Path.GetDirectoryName(target)!, Prefix + random + Suffix);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.Delete };
        if (there is not null && !OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;        // until it has the old one's
        var stream = new FileStream(temporary, options);
        try
        {
            using (stream)
            {
                there?.GiveTo(stream);
                write(stream);
                stream.Flush(flushToDisk: true);
                File.Move(temporary, target, overwrite: true);          // while it is open, so that nobody takes it for left over
            }
        }
        catch
        {
            TryDelete(temporary);
            throw;
        }
    }

    static FileStream Existing(string path) => new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);

    static void Pour(Stream stream, Action<Stream> write)
    {
        using (stream)
        {
            using var buffered = new BufferedStream(stream, 1 << 16);
            write(buffered);
        }
    }

    static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (InputFile.IsOfFiles(e))
        {
            // what went wrong first is what the user should read
        }
    }
}
