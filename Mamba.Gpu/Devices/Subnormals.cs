using System.Runtime.InteropServices;

namespace Mamba.Gpu;

/// <summary>
/// Flushes subnormal numbers to zero on the calling thread: as inputs of an operation and as its results, in float32 (below 1.2e-38) and float64
/// (below 2.2e-308). A decaying state, the gradients of a trained model and AdamW's moments sink that low, and there an operation takes an
/// Intel core some 150 cycles instead of one. docs/subnormals.md has the contract and the figures.
/// </summary>
/// <remarks>
/// The switch is one or two bits of a register that belongs to the thread: FTZ and DAZ in MXCSR of x86-64, FZ in FPCR of arm64. .NET has no
/// instruction for it, so it is reached through the C library. glibc on x86-64 has two doors: the modes alone, and the whole environment, which
/// takes seven times as long because the x87 stack goes along; the second is used where the first cannot put things back.
/// </remarks>
internal static unsafe class Subnormals
{
    const uint SseFlush = 0x8040, SseFlags = 0x3f, ArmFlush = 1 << 24;
    const uint WindowsFlush = 0x01000000, WindowsMask = 0x03000000;        // _DN_FLUSH, _MCW_DN: both of x86-64's bits, or arm64's

    static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<byte*, int> read, write;       // the environment, or a part of it
    static readonly int at;                 // where in that the control word stands
    static readonly uint flush;             // its bits that flush
    static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<byte*, int> readAll, writeAll; // where read and write leave the status flags alone
    static readonly int allAt;
    static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<uint*, uint, uint, int> control;  // Windows: reads, and changes the bits of a mask

    static Subnormals()
    {
        bool x64 = RuntimeInformation.ProcessArchitecture == Architecture.X64, arm64 = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
        if (!x64 && !arm64)
            return;
        flush = x64 ? SseFlush : ArmFlush;
        if (OperatingSystem.IsWindows())
        {
            if (NativeLibrary.TryLoad("ucrtbase.dll", out nint crt) && NativeLibrary.TryGetExport(crt, "_controlfp_s", out nint controlfp))
                control = (delegate* unmanaged[Cdecl, SuppressGCTransition]<uint*, uint, uint, int>)controlfp;
            return;
        }
        // Of fenv_t: x86-64 begins with the x87 environment, 28 bytes, of which macOS keeps 4; arm64 is FPCR and FPSR, on macOS the other way round.
        bool mac = OperatingSystem.IsMacOS();
        int environmentAt = x64 ? mac ? 4 : 28 : mac ? 8 : 0;
        if (!(mac ? NativeLibrary.TryLoad("libSystem.dylib", out nint library)
            : NativeLibrary.TryLoad("libm.so.6", out library) || NativeLibrary.TryLoad($"libc.musl-{(x64 ? "x86_64" : "aarch64")}.so.1", out library)))
            return;
        if (x64 && Find(library, "fegetmode", "fesetmode", out read, out write) && Find(library, "fegetenv", "fesetenv", out readAll, out writeAll))
            (at, allAt) = (4, environmentAt);
        else if (Find(library, "fegetenv", "fesetenv", out read, out write))
            at = environmentAt;
    }

    static bool Find(nint library, string get, string set, out delegate* unmanaged[Cdecl, SuppressGCTransition]<byte*, int> reader,
        out delegate* unmanaged[Cdecl, SuppressGCTransition]<byte*, int> writer)
    {
        bool found = NativeLibrary.TryGetExport(library, get, out nint getter) & NativeLibrary.TryGetExport(library, set, out nint setter);
        reader = found ? (delegate* unmanaged[Cdecl, SuppressGCTransition]<byte*, int>)getter : null;
        writer = found ? (delegate* unmanaged[Cdecl, SuppressGCTransition]<byte*, int>)setter : null;
        return found;
    }

    /// <summary>Whether this platform has the switch. Without it a thread keeps subnormals, at their price.</summary>
    public static bool CanFlush => read != null || control != null;

    /// <summary>A thread's floating-point environment as it was.</summary>
    public struct Environment
    {
        internal fixed byte Bytes[32];
    }

    /// <summary>Flushes subnormals on this thread from now on, or <paramref name="keep"/>s them; returns what was before.</summary>
    public static Environment Set(bool keep)
    {
        Environment before = default;
        if (read != null)
        {
            read(before.Bytes);
            Environment after = before;
            uint* word = (uint*)(after.Bytes + at);
            *word = keep ? *word & ~flush : *word | flush;
            write(after.Bytes);
        }
        else if (control != null)
        {
            uint changed;
            control((uint*)before.Bytes, 0, 0);
            control(&changed, keep ? 0 : WindowsFlush, WindowsMask);
        }
        return before;
    }

    /// <summary>Gives the thread back what it had before <see cref="Set"/>: the modes, and on all but Windows the status flags as well.</summary>
    public static void Restore(in Environment before)
    {
        fixed (byte* was = before.Bytes)
        {
            if (control != null)
            {
                uint changed;
                control(&changed, *(uint*)was, WindowsMask);
            }
            if (read == null)
                return;
            if (readAll != null)
            {
                Environment now = default;
                read(now.Bytes);
                if (((*(uint*)(now.Bytes + at) ^ *(uint*)(was + at)) & SseFlags) != 0)
                {
                    readAll(now.Bytes);
                    *(uint*)(now.Bytes + allAt) = *(uint*)(was + at);
                    writeAll(now.Bytes);
                    return;
                }
            }
            write(was);
        }
    }
}
