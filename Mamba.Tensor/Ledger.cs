namespace Mamba;

/// <summary>
/// Every allocation of a <see cref="BufferPool"/> from the moment it is set there. <paramref name="caller"/> says who allocates.
/// </summary>
internal sealed class Ledger(Func<string> caller)
{
    readonly List<Allocation> allocations = [];
    readonly Dictionary<DeviceBuffer, int> open = new(ReferenceEqualityComparer.Instance);
    long time, live;

    /// <summary>In the order they were made.</summary>
    public IReadOnlyList<Allocation> Allocations => allocations;

    /// <summary>The most bytes that lived at once, of those made since the ledger began.</summary>
    public long PeakBytes { get; private set; }

    /// <summary>When that was.</summary>
    public long PeakTime { get; private set; }

    /// <summary>What lived then, largest first.</summary>
    public IEnumerable<Allocation> AtPeak => allocations.Where(a => a.LivesAt(PeakTime)).OrderByDescending(a => a.Bytes);

    /// <summary>The largest tensor made, in elements.</summary>
    public long LargestTensor => allocations.Where(a => a.Shape is not null).Select(a => a.Elements).DefaultIfEmpty().Max();

    internal void Rented(DeviceBuffer buffer, long asked, Shape? shape)
    {
        open[buffer] = allocations.Count;
        allocations.Add(new Allocation(caller(), shape, shape?.Count ?? asked, buffer.Bytes, time, null));
        live += buffer.Bytes;
        if (live > PeakBytes)
            (PeakBytes, PeakTime) = (live, time);
        time++;
    }

    internal void Returned(DeviceBuffer buffer)
    {
        if (!open.Remove(buffer, out int index))
            return;         // older than the ledger
        live -= buffer.Bytes;
        allocations[index] = allocations[index] with { Ended = time++ };
    }
}
