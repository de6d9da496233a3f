using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// What every scan kernel is given. b, l, d, n as in the paper; g groups of channels, each with its own B and C. Complex
/// states count as two rows of n. A row of the batch may be cut into segments of time, which are then worked on side by side.
/// </summary>
public struct ScanArguments<M, I>
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

/// <summary>One item of work: a strip of channels of one segment of one row.</summary>
public struct ScanItem
{
    public int B, G, Strip, FirstChannel, EndChannel;
    public long Row;            // b · segments + segment
    public long Start, End;     // tokens
}

/// <summary>Sizes and steps the scan kernels share.</summary>
public static class Scan
{
    /// <summary>Steps of a chunk: what backward recomputes at a time. Its scratch stays in a core's L1.</summary>
    public const int ChunkLength = 32;

    /// <summary>delta = softplus(raw + bias), Algorithm 2 line 4; the identity above 20, as PyTorch.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V StepSize<V, M, T>(V raw, int softplus)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        if (softplus == 0)
            return raw;
        V positive = V.Max(V.Of(0), raw) + V.Log1p(V.Exp(-V.Abs(raw)));
        return V.IfLess(V.Of(20), raw, raw, positive);
    }

    /// <summary>
    /// decay · s + own: what several steps make of a state s, own being what they make of 0. That is own where s is 0, even if the product of
    /// their decays has left the range of the dtype.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static N Carried<N, V, M, T>(N decay, N s, N own)
        where N : struct, INumber<N, V, M, T>
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged => N.IfZero(s, own, N.Fma(decay, s, own));

    /// <summary>B u of the token before <paramref name="t"/>, for a discretization that looks back; zero at the start of everything.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static S PreviousInput<S, PB, V, M, T, I>(in ScanArguments<M, I> x, in ScanItem item, long t, int d, int lanes, int n)
        where S : struct, IStates<S, V, M, T>
        where PB : struct, IProjection<V, M>
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
        where I : struct, IMemory<int>
    {
        if (!S.LooksBack)
            return default;
        var column = new Column((long)n * x.Channels + d, x.Channels);
        long row = item.B * x.Length + t - 1;
        if (t > 0)
            return S.Input<PB>(V.Keep(V.Load(x.U, row * x.Channels + d), lanes), 0, x.B, PB.Varies ? new Column((row * x.Groups + item.G) * x.States + n, 1) : column);
        return x.HasPreviousInput != 0 ? S.Load(x.PreviousInput, new Column((long)item.B * x.States * x.Channels + column.Start, x.Channels), 0, lanes) : S.Zero();
    }
}

/// <summary>A choice made when a kernel is compiled.</summary>
public interface IFlag
{
    static abstract bool On { get; }
}

public struct Yes : IFlag
{
    public static bool On { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => true; }
}

public struct No : IFlag
{
    public static bool On { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => false; }
}
