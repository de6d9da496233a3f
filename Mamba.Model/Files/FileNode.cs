using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Mamba;

/// <summary>
/// What is at the end of a path, links followed. .NET knows files and folders only; that a path leads to a pipe or a device has
/// to be asked of the C library, before a pipe is opened and waits, or a device is replaced by a file.
/// </summary>
/// <param name="Kind">What it is.</param>
/// <param name="Mode">Who may do what with it; on Windows none.</param>
/// <param name="Owner">Whose it is.</param>
/// <param name="Group">The group it belongs to.</param>
/// <param name="Identity">The same for two paths, or a path and a descriptor, that lead to the same thing.</param>
internal readonly unsafe partial record struct FileNode(NodeKind Kind, UnixFileMode Mode, uint Owner, uint Group, (ulong Device, ulong Number) Identity)
{
    const int NoSuchFile = 2, Bytes = 256, CurrentFolder = -100, BasicFields = 0x7FF, LongestPath = 4096;

    /// <summary>What is there; null if nothing is, as at the end of a link that leads nowhere.</summary>
    /// <exception cref="IOException">It cannot be found out: a loop of links, a folder that may not be searched.</exception>
    public static FileNode? Of(string path)
    {
        if (!OperatingSystem.IsLinux() && !OperatingSystem.IsMacOS())
        {
            NodeKind? kind = Directory.Exists(path) ? NodeKind.Folder : File.Exists(path) ? NodeKind.File : null;
            return kind is { } known ? new FileNode(known, UnixFileMode.None, 0, 0, default) : null;
        }
        byte* status = stackalloc byte[Bytes];
        int failed = OperatingSystem.IsLinux() ? StatX(CurrentFolder, path, 0, BasicFields, status)
            : RuntimeInformation.ProcessArchitecture == Architecture.X64 ? StatMacX64(path, status)
            : StatMac(path, status);
        if (failed == 0)
            return Read(new ReadOnlySpan<byte>(status, Bytes));
        int error = Marshal.GetLastPInvokeError();
        return error == NoSuchFile ? null : throw new IOException(Marshal.GetPInvokeErrorMessage(error));
    }

    /// <summary>What the standard output goes to.</summary>
    public static FileNode? OfStandardOutput() => OperatingSystem.IsLinux() ? Of("/proc/self/fd/1") : OperatingSystem.IsMacOS() ? Of("/dev/fd/1") : null;

    /// <summary>A path to the same place without links and without dots, found as the system finds it.</summary>
    /// <exception cref="IOException">There is nothing.</exception>
    public static string RealPath(string path)
    {
        if (OperatingSystem.IsWindows())
            return Path.GetFullPath(path);
        byte* resolved = stackalloc byte[LongestPath];
        return RealPath(path, resolved) != null
            ? Marshal.PtrToStringUTF8((nint)resolved)!
            : throw new IOException(Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError()));
    }

    /// <summary>Gives an open file the owner, as far as this process may, and the mode of another.</summary>
    public void GiveTo(FileStream file)
    {
        if (OperatingSystem.IsWindows())
            return;
        int descriptor = (int)file.SafeFileHandle.DangerousGetHandle();
        const uint Unchanged = uint.MaxValue;
        bool owned = ChangeOwner(descriptor, Owner, Group) == 0 || ChangeOwner(descriptor, Unchanged, Group) == 0;
        // Rights that come with an owner or a group are not handed to another.
        File.SetUnixFileMode(file.SafeFileHandle, owned ? Mode : Mode & ~(UnixFileMode.SetUser | UnixFileMode.SetGroup));
    }

    // struct statx is the same on every processor that Linux runs on; struct stat as macOS has it with 64-bit numbers of files.
    static FileNode Read(ReadOnlySpan<byte> status)
    {
        ulong U64(ReadOnlySpan<byte> at) => BinaryPrimitives.ReadUInt64LittleEndian(at);
        uint U32(ReadOnlySpan<byte> at) => BinaryPrimitives.ReadUInt32LittleEndian(at);
        ushort U16(ReadOnlySpan<byte> at) => BinaryPrimitives.ReadUInt16LittleEndian(at);
        bool linux = OperatingSystem.IsLinux();
        int mode = U16(status[(linux ? 28 : 4)..]);
        NodeKind kind = (mode & 0xF000) switch
        {
            0x8000 => NodeKind.File,
            0x4000 => NodeKind.Folder,
            0x1000 => NodeKind.Pipe,
            0xC000 => NodeKind.Socket,
            _ => NodeKind.Device,
        };
        return linux
            ? new FileNode(kind, (UnixFileMode)(mode & 0xFFF), U32(status[20..]), U32(status[24..]), (U64(status[136..]), U64(status[32..])))
            : new FileNode(kind, (UnixFileMode)(mode & 0xFFF), U32(status[16..]), U32(status[20..]), (U32(status), U64(status[8..])));
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int folder, string path, int flags, uint fields, byte* status);

    [LibraryImport("libc", EntryPoint = "stat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatMac(string path, byte* status);

    [LibraryImport("libc", EntryPoint = "stat$INODE64", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatMacX64(string path, byte* status);

    [LibraryImport("libc", EntryPoint = "realpath", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial byte* RealPath(string path, byte* resolved);

    [LibraryImport("libc", EntryPoint = "fchown", SetLastError = true)]
    private static partial int ChangeOwner(int descriptor, uint owner, uint group);
}
