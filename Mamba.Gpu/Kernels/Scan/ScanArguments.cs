using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// What every scan kernel is given. b, l, d, n as in the paper; g groups of channels, each with its own B and C. Complex
/// states count as two rows of n. A row of the batch may be cut into segments of time, which are then worked on side by side.
/// </summary>
internal struct ScanArguments<M, I>
    where M : struct
    where I : struct, IMemory<int>
{
    public M U, Delta, Z;       // (b, l, d)
    public M A;                 // (n, d), times log2(e) where the discretization wants that
    public M B, C;              // (b, l, g, n), or (n, d) when constant over time
    public M D, DeltaBias;      // (d)
    public M Initial;           // (b, segments, n, d)
    public M PreviousInput;            // (b, n, d): B u of the token before the first
    public M Boundaries;        // (b, ⌈l / ChunkLength⌉, n, d): the state at the start of each chunk
    public I Reset;             // (b, l): not 0 where a sequence starts
    public int Batch, Channels, States, Groups, Segments;
    public int StripChannels;   // channels of one item of work
    public long Length, SegmentLength;
    public int HasZ, HasD, HasDeltaBias, HasInitial, HasPreviousInput, HasBoundaries, HasReset, Softplus;

    readonly int PerGroup => Channels / Groups;
    readonly int Strips => (PerGroup + StripChannels - 1) / StripChannels;

    /// <summary>Items of work: a strip of channels of a segment of a batch row.</summary>
    public readonly long Items => (long)Batch * Segments * Groups * Strips;

    /// <summary>Chunks of a whole row.</summary>
    public readonly long Chunks => (Length + Scan.ChunkLength - 1) / Scan.ChunkLength;

    /// <summary>Where item <paramref name="item"/> of the work lies.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ScanItem Item(long item)
    {
        int perGroup = PerGroup, strips = Strips, strip = (int)(item % strips), g = (int)(item / strips % Groups);
        long row = item / ((long)strips * Groups), start = row % Segments * SegmentLength;
        int first = g * perGroup + strip * StripChannels;
        return new ScanItem
        {
            B = (int)(row / Segments),
            Row = row,
            G = g,
            Strip = strip,
            FirstChannel = first,
            EndChannel = Math.Min(first + StripChannels, (g + 1) * perGroup),
            Start = start,
            End = Math.Min(start + SegmentLength, Length),
        };
    }

    /// <summary>Whether a sequence starts at a token of row b.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool StartsAt(int b, long t) => HasReset != 0 && Reset[b * Length + t] != 0;
}
