using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Mamba;

/// <summary>Files to be read: open, or one clear line. Every reader of a file opens it here.</summary>
internal static class InputFile
{
    /// <summary>The longest text that is read: many times the index of the largest model there is.</summary>
    const int LongestText = 1 << 28;

    /// <summary>What the system or .NET throws when a file is not there, not what it should be, or not to be had.</summary>
    public static bool IsOfFiles(Exception e) =>
        e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException or System.Security.SecurityException;

    /// <summary>What an exception says, as the end of a sentence on one line.</summary>
    public static string Sentence(Exception e) => e.Message.ReplaceLineEndings(" ").TrimEnd('.', ' ') + ".";

    /// <summary>
    /// Opens a file whose parts are read in any order. A pipe, as a shell makes one of <c>&lt;(command)</c>, is first copied to a
    /// file that nobody sees.
    /// </summary>
    /// <param name="path">Where it is.</param>
    /// <param name="check">Given the first bytes of a pipe, throws if it makes no sense to read on.</param>
    public static SafeFileHandle Open(string path, Action<ReadOnlySpan<byte>> check) => Reading(path, () =>
    {
        if (KindOf(path) is not NodeKind.Pipe)
            return OpenFile(path);
        using FileStream pipe = NamedPipe.Open(path, FileAccess.Read);
        return Copy(pipe, check);
    });

    /// <summary>Throws one clear line unless a file is there that can be read again and again.</summary>
    /// <param name="path">Where it is.</param>
    public static void ExpectFile(string path) => Reading(path, () =>
    {
        if (KindOf(path) is NodeKind.Pipe)
            throw new MambaException($"{path} is a pipe; expected a file, which can be read more than once.");
        return 0;
    });

    /// <summary>The text of a file.</summary>
    public static string ReadText(string path) => Reading(path, () =>
    {
        ExpectFile(path);
        using SafeFileHandle file = OpenFile(path);
        if (RandomAccess.GetLength(file) is > LongestText and long length)
            throw new MambaException($"{path} is {length} bytes long; expected a text of at most {LongestText}.");
        using var reader = new StreamReader(new FileStream(file, FileAccess.Read, bufferSize: 0), Encoding.UTF8);
        return reader.ReadToEnd();
    });

    /// <summary>Does what reads the file; what the system then complains of is one clear line.</summary>
    public static T Reading<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new MambaException($"{path}: there is no such file.", e);
        }
        catch (Exception e) when (IsOfFiles(e))
        {
            throw new MambaException($"{path}: cannot be read: {Sentence(e)}", e);
        }
    }

    static NodeKind KindOf(string path) => FileNode.Of(path)?.Kind switch
    {
        null => throw new FileNotFoundException(),
        NodeKind.Folder => throw new MambaException($"{path} is a folder; expected a file."),
        NodeKind.Device => throw new MambaException($"{path} is a device; expected a file."),
        NodeKind.Socket => throw new MambaException($"{path} is a socket; expected a file."),
        NodeKind kind => kind,
    };

    static SafeFileHandle OpenFile(string path) => File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);

    /// <summary>An empty file for this process only, to be written and read; however that ends nothing is left of it.</summary>
    public static SafeFileHandle Unseen()
    {
        string path = Path.GetTempFileName();           // for this user only
        SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, FileOptions.DeleteOnClose);
        if (!OperatingSystem.IsWindows())
            File.Delete(path);                          // it stays for who has it open
        return file;
    }

    static SafeFileHandle Copy(Stream source, Action<ReadOnlySpan<byte>> check)
    {
        SafeFileHandle copy = Unseen();
        try
        {
            byte[] piece = new byte[1 << 20];
            for (long length = 0; source.ReadAtLeast(piece, piece.Length, throwOnEndOfStream: false) is > 0 and int read; length += read)
            {
                if (length == 0)
                    check(piece.AsSpan(0, read));
                RandomAccess.Write(copy, piece.AsSpan(0, read), length);
            }
            return copy;
        }
        catch
        {
            copy.Dispose();
            throw;
        }
    }
}
