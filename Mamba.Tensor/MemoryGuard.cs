using System.Runtime.InteropServices;

namespace Mamba;

/// <summary>
/// Looks for kernels that write where they must not and read what nobody wrote: while a device's pool has one, every tensor
/// lies between two bands of poison, and starts as poison itself, which is NaN in both float types. Slow: for tests and <c>mamba parity</c>.
/// </summary>
internal sealed class MemoryGuard
{
    /// <summary>Bytes of poison before a tensor, and at least as many behind it.</summary>
    public const int Band = 4096;

    /// <summary>A NaN as float32, twice a NaN as float64; as int32 no index anyone has.</summary>
    const uint Poison = 0xFFFADEAD;

    readonly Device device;
    readonly Dictionary<DeviceBuffer, Held> guarded = new(ReferenceEqualityComparer.Instance);
    readonly List<string> found = [];
    byte[] poison = [];

    public MemoryGuard(Device device) => this.device = device;

    /// <summary>What lies between two bands.</summary>
    readonly record struct Held(long Bytes, int ElementSize, string What);

    /// <summary>Bytes a buffer needs for <paramref name="bytes"/> of a tensor.</summary>
    public static long Size(long bytes) => Band + (bytes + 63) / 64 * 64 + Band;

    /// <summary>Poisons a buffer that was just rented.</summary>
    public void Take(DeviceBuffer buffer, long bytes, int elementSize, string what)
    {
        device.Upload(PoisonOf(buffer.Bytes), buffer, 0);
        guarded[buffer] = new Held(bytes, elementSize, what);
    }

    /// <summary>Looks at the bands of a buffer that goes back.</summary>
    public void GiveBack(DeviceBuffer buffer)
    {
        if (guarded.Remove(buffer, out Held held))
            Look(buffer, held);
    }

    /// <summary>Looks at the bands of every live tensor, and at what was seen when others went back.</summary>
    /// <param name="kernel">What ran since the last look.</param>
    /// <exception cref="MambaException">Something was written into a band; the message names the kernel.</exception>
    public void Check(string kernel)
    {
        device.Synchronize();
        foreach ((DeviceBuffer buffer, Held held) in guarded)
            Look(buffer, held);
        if (found.Count == 0)
            return;
        string first = found[0];
        found.Clear();
        throw new MambaException($"{kernel} wrote {first}");
    }

    /// <summary>How many elements of a tensor nobody wrote.</summary>
    public static long Unwritten(Tensor tensor)
    {
        byte[] bytes = new byte[tensor.Count * tensor.DType.Size()];
        tensor.Device.Download(tensor.Buffer, tensor.Offset * tensor.DType.Size(), bytes);
        ReadOnlySpan<uint> words = MemoryMarshal.Cast<byte, uint>(bytes);
        int each = tensor.DType.Size() / 4;
        long count = 0;
        for (int i = 0; i < words.Length; i += each)
            if (words[i] == Poison && words[i + each - 1] == Poison)
                count++;
        return count;
    }

    void Look(DeviceBuffer buffer, Held held)
    {
        byte[] before = new byte[Band], behind = new byte[Size(held.Bytes) - Band - held.Bytes];
        device.Download(buffer, 0, before);
        device.Download(buffer, Band + held.Bytes, behind);
        int last = MemoryMarshal.Cast<byte, uint>(before.AsSpan()).LastIndexOfAnyExcept(Poison);
        int first = behind.AsSpan().CommonPrefixLength(PoisonOf(behind.Length));
        if (last >= 0)
            found.Add($"element {(4 * last - Band - held.ElementSize + 4) / held.ElementSize} of {held.What}");
        if (first < behind.Length)
            found.Add($"element {(held.Bytes + first) / held.ElementSize} of {held.What}");
        if (last >= 0 || first < behind.Length)         // said once
        {
            device.Upload(PoisonOf(before.Length), buffer, 0);
            device.Upload(PoisonOf(behind.Length), buffer, Band + held.Bytes);
        }
    }

    ReadOnlySpan<byte> PoisonOf(long bytes)
    {
        if (poison.Length < bytes)
        {
            poison = new byte[(bytes + 3) / 4 * 4];
            MemoryMarshal.Cast<byte, uint>(poison.AsSpan()).Fill(Poison);
        }
        return poison.AsSpan(0, (int)bytes);
    }
}
