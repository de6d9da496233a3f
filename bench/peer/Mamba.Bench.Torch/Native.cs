using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Mamba.Peer;

/// <summary>
/// TorchSharp's native half is linked against GCC 13's libstdc++ for one symbol that nothing in it refers to, the mark that the
/// library sets up the standard streams. On a system with an older one (Debian 12, Ubuntu 22.04) the loader refuses it for that
/// version alone. Marking the version weak, as its linker could have, lets it load.
/// </summary>
internal static class Native
{
    const string Version = "GLIBCXX_3.4.32";
    const uint VersionNeeds = 0x6ffffffe;       // SHT_GNU_verneed
    const int Section = 64, Weak = 2;           // bytes of a section header; VER_FLG_WEAK

    /// <summary>Makes PyTorch's library loadable, or says in one line why it is not.</summary>
    public static void Prepare()
    {
        string library = Path.Combine(AppContext.BaseDirectory, "libLibTorchSharp.so");
        if (OperatingSystem.IsLinux() && File.Exists(library) && !NativeLibrary.TryLoad(library, out _))
        {
            byte[] file = File.ReadAllBytes(library);
            if (MarkWeak(file))
            {
                File.WriteAllBytes(library + ".new", file);
                File.Move(library + ".new", library, overwrite: true);
            }
        }
        try
        {
            TorchSharp.torch.InitializeDeviceType(TorchSharp.DeviceType.CPU);
        }
        catch (Exception e) when (e is NotSupportedException or DllNotFoundException or TypeInitializationException)
        {
            string reason = OperatingSystem.IsLinux() && !TryLoad(library, out string why) ? why : e.Message;
            throw new MambaException($"PyTorch's library does not load here: {reason.ReplaceLineEndings(" ")}", e);
        }
    }

    static bool TryLoad(string library, out string why)
    {
        try
        {
            NativeLibrary.Load(library);
            why = "";
            return true;
        }
        catch (DllNotFoundException e)
        {
            why = e.Message;
            return false;
        }
    }

    static bool MarkWeak(Span<byte> elf)
    {
        if (!elf.StartsWith("\u007fELF\u0002\u0001"u8))       // 64 bits, little-endian
            return false;
        int headers = (int)U64(elf, 0x28), count = U16(elf, 0x3c);
        bool marked = false;
        for (int i = 0; i < count; i++)
        {
            int header = headers + i * Section;
            if (U32(elf, header + 4) != VersionNeeds)
                continue;
            int strings = (int)U64(elf, headers + (int)U32(elf, header + 40) * Section + 24);
            int need = (int)U64(elf, header + 24);
            for (uint left = U32(elf, header + 44); left > 0; left--)
            {
                int version = need + (int)U32(elf, need + 8);
                for (int versions = U16(elf, need + 2); versions > 0; versions--)
                {
                    ReadOnlySpan<byte> name = elf[(strings + (int)U32(elf, version + 8))..];
                    if (Encoding.ASCII.GetString(name[..name.IndexOf((byte)0)]) == Version)
                    {
                        BinaryPrimitives.WriteUInt16LittleEndian(elf[(version + 4)..], (ushort)(U16(elf, version + 4) | Weak));
                        marked = true;
                    }
                    version += (int)U32(elf, version + 12);
                }
                need += (int)U32(elf, need + 12);
            }
        }
        return marked;
    }

    static int U16(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);
    static uint U32(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);
    static ulong U64(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..]);
}
