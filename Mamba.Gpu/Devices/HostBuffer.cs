using System.Runtime.InteropServices;

namespace Mamba.Gpu;

/// <summary>
/// Host memory on a cache line, with 64 spare bytes behind it that loads may read. Large buffers are asked for in huge pages, so
/// that a walk over rows far apart does not wait for page tables, and start at different places of a page: tensors of the same
/// size would otherwise compete for the same cache sets wherever they are walked side by side.
/// </summary>
internal sealed unsafe partial class HostBuffer : DeviceBuffer
{
    const int Spare = 64, Line = 64, Colours = 16, ColourStep = 5 * Line;
    const nuint HugePage = 2 << 20;
    const int AdviseHugePages = 14;     // MADV_HUGEPAGE

    static int made;
    readonly void* start;

    public HostBuffer(long bytes) : base(bytes)
    {
        bool large = bytes >= 2 * (long)HugePage;
        nuint size = (nuint)(bytes + Spare + (large ? Colours * ColourStep : 0));
        start = NativeMemory.AlignedAlloc(size, large ? HugePage : Line);
        Pointer = (byte*)start;
        if (!large)
            return;
        Pointer += Interlocked.Increment(ref made) % Colours * ColourStep;
        if (OperatingSystem.IsLinux())
            _ = Advise(start, size, AdviseHugePages);       // a wish: nothing depends on it
    }

    public byte* Pointer { get; private set; }

    protected override void Dispose(bool disposing)
    {
        if (Pointer != null)
            NativeMemory.AlignedFree(start);
        Pointer = null;
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* address, nuint length, int advice);
}
