namespace Mamba.Gpu;

/// <summary>
/// How the work of a scan is cut. It depends on the problem and the kind of machine alone, never on how many threads there are,
/// so the bits do not either.
/// </summary>
/// <param name="Segments">Segments of time each row is cut into; 1 where batch and channels are work enough.</param>
/// <param name="SegmentLength">Steps of a segment, a whole number of chunks.</param>
/// <param name="ForwardStrip">Channels of an item of work, forward.</param>
/// <param name="BackwardStrip">Channels of an item of work, backward: larger strips make fewer partials of dB and dC, smaller ones more items.</param>
/// <param name="Window">Steps whose partials of dB and dC are kept at a time.</param>
internal sealed record ScanPlan(int Segments, long SegmentLength, int ForwardStrip, int BackwardStrip, long Window)
{
    const int LargestStrip = 256, SmallestStrip = 32, DeviceStrip = 128;
    const int HostItems = 8;                // enough for the shares of a few cores
    const int HostRows = 2;                 // smallest strips below which a host cuts time: it costs half as much work again
    const long HostSegment = 1024;          // steps a segment must have to be worth it
    const long DeviceThreads = 1 << 16, DeviceSegment = 256;

    /// <summary>The cut for a host (or a device) and <paramref name="segments"/> segments, or as many as it thinks best.</summary>
    public static ScanPlan For(ScanInputs x, bool host, int? segments = null)
    {
        long perGroup = x.Channels / x.Groups, rows = x.Batch * x.Groups;
        long wanted = host
            ? rows * Strips(SmallestStrip) >= HostRows ? 1 : Math.Min(HostItems / (rows * Strips(SmallestStrip)), x.Length / HostSegment)
            : Math.Min(DeviceThreads / (x.Batch * x.Channels), x.Length / DeviceSegment);
        long count = Math.Max(1, x.Discretization.LooksBack ? 1 : Math.Min(segments ?? wanted, x.Chunks));
        long length = (x.Chunks + count - 1) / count * Scan.ChunkLength;
        count = (x.Length + length - 1) / length;
        if (!host)
            return new ScanPlan((int)count, length, 1, DeviceStrip, x.Length);
        int forward = Strip(LargestStrip / 8), backward = Strip(LargestStrip);      // forward, what a chunk touches stays in L1
        long window = count > 1 || Strips(backward) == 1 || backward == LargestStrip ? x.Length
            : Math.Min(x.Length, Math.Max(8, x.Chunks * backward / LargestStrip) * Scan.ChunkLength);
        return new ScanPlan((int)count, length, forward, backward, window);

        long Strips(int strip) => (perGroup + strip - 1) / strip;

        int Strip(int strip)
        {
            while (strip > SmallestStrip && rows * count * Strips(strip) < HostItems)
                strip /= 2;
            return strip;
        }
    }
}
