namespace Mamba;

/// <summary>
/// Buffers of one device, reused by size: a training step allocates the same sizes again and again, so after the first
/// step nothing is asked of the driver. Sizes are rounded up to one of eight steps per power of two (at most 12.5 % more).
/// Where sizes change from step to step, as with sequences of different lengths, what is kept for reuse is given back before all of it
/// together would be more than has ever been in use at once and as much again, or a gigabyte.
/// </summary>
public sealed class BufferPool
{
    const long AlwaysKept = 1L << 30;

    readonly Device device;
    readonly Dictionary<long, Stack<DeviceBuffer>> free = [];
    readonly Lock gate = new();
    long most;          // LiveBytes at its highest

    internal BufferPool(Device device) => this.device = device;

    /// <summary>Bytes in buffers that a tensor holds now.</summary>
    public long LiveBytes { get; private set; }

    /// <summary>Number of buffers that a tensor holds now.</summary>
    public int LiveBuffers { get; private set; }

    /// <summary>The most <see cref="LiveBytes"/> has been since the last <see cref="ResetPeak"/>.</summary>
    public long PeakBytes { get; private set; }

    /// <summary>Bytes asked of the device so far and not given back: live ones and those kept for reuse.</summary>
    public long ReservedBytes { get; private set; }

    /// <summary>Where every allocation is noted; null, as ever outside the benchmarks and tests, costs nothing.</summary>
    internal Ledger? Ledger { get; set; }

    /// <summary>Starts a new peak at what is live now.</summary>
    public void ResetPeak()
    {
        lock (gate)
            PeakBytes = LiveBytes;
    }

    /// <summary>Puts poison around and into every tensor made from now on; null, the usual, does not.</summary>
    internal MemoryGuard? Guard { get; set; }

    /// <summary>A buffer of at least so many bytes from <paramref name="start"/> on, which is 0 unless memory is guarded.</summary>
    internal DeviceBuffer Rent(long bytes, out long start, int elementSize = 4, string what = "scratch", Shape? shape = null)
    {
        start = 0;
        if (Guard is not { } guard)
            return Rent(bytes, shape);
        start = MemoryGuard.Band;
        DeviceBuffer buffer = Rent(MemoryGuard.Size(bytes), shape);
        guard.Take(buffer, bytes, elementSize, what);
        return buffer;
    }

    DeviceBuffer Rent(long bytes, Shape? shape)
    {
        long size = RoundUp(bytes);
        lock (gate)
        {
            DeviceBuffer buffer;
            if (free.TryGetValue(size, out Stack<DeviceBuffer>? stack) && stack.Count > 0)
            {
                buffer = stack.Pop();
            }
            else
            {
                if (ReservedBytes + size > Math.Max(most, LiveBytes + size) + Math.Max(most, AlwaysKept))
                    GiveBack();
                buffer = device.Allocate(size);
                ReservedBytes += size;
            }
            LiveBytes += size;
            LiveBuffers++;
            PeakBytes = Math.Max(PeakBytes, LiveBytes);
            most = Math.Max(most, LiveBytes);
            Ledger?.Rented(buffer, bytes, shape);
            return buffer;
        }
    }

    internal void Return(DeviceBuffer buffer)
    {
        Guard?.GiveBack(buffer);
        lock (gate)
        {
            Ledger?.Returned(buffer);
            LiveBytes -= buffer.Bytes;
            LiveBuffers--;
            if (!free.TryGetValue(buffer.Bytes, out Stack<DeviceBuffer>? stack))
                free[buffer.Bytes] = stack = new();
            stack.Push(buffer);
        }
    }

    /// <summary>Gives every unused buffer back to the device.</summary>
    public void Trim()
    {
        lock (gate)
            GiveBack();
    }

    void GiveBack()
    {
        foreach (DeviceBuffer buffer in free.Values.SelectMany(stack => stack))
        {
            ReservedBytes -= buffer.Bytes;
            buffer.Dispose();
        }
        free.Clear();
    }

    static long RoundUp(long bytes)
    {
        const long Smallest = 256;
        if (bytes <= Smallest)
            return Smallest;
        long step = Math.Max(Smallest, (long)System.Numerics.BitOperations.RoundUpToPowerOf2((ulong)bytes) / 16);
        return (bytes + step - 1) / step * step;
    }
}
