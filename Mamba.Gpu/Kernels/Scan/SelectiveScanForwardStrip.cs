using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// The same scan shaped for a core with few registers and a fast L1: a worker takes a strip of channels through a chunk of
/// time, softplus first, then the states a few at a time with the sums of y in scratch, then the gate. Rows are read in whole
/// cache lines, softplus and gate are paid once for all n, and what is touched between stays in L1.
/// </summary>
// L: one state. docs/glossary.md has the other letters.
internal struct SelectiveScanForwardStrip<L, PB, PC, V, M, T, I> : IKernel
    where L : struct, IStates<L, V, M, T>
    where PB : struct, IProjection<V, M>
    where PC : struct, IProjection<V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public ScanArguments<M, I> In;
    public M Y;                 // (b, l, d)
    public M LastState;         // (b, segments, n, d); holds the states between chunks as well
    public M LastInput;        // (b, n, d)
    public M Scratch;           // (workers, channel groups of a strip, 3, ChunkLength, lanes): delta, delta·u, y

    /// <summary>Elements of scratch a worker needs, for lanes of <paramref name="width"/>.</summary>
    public static long ScratchPerWorker(int stripChannels, int width) => 3L * Scan.ChunkLength * (stripChannels + width - 1) / width * width;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        long scratch = worker.Slot * ScratchPerWorker(In.StripChannels, V.Width);
        Share share = worker.Share(In.Items);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            ScanItem item = In.Item(i);
            Start(item);
            for (long t = item.Start; t < item.End; t += Scan.ChunkLength)
            {
                int steps = (int)Math.Min(Scan.ChunkLength, item.End - t);
                Prepare(item, t, steps, scratch);
                long here = scratch;
                for (int d = item.FirstChannel; d < item.EndChannel; d += V.Width, here += Group)
                {
                    States(item, t, steps, d, Lanes.In(item.EndChannel - d), here);
                }
                Gate(item, t, steps, scratch);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Start(in ScanItem item)
    {
        for (int n = 0; n < In.States; n++)
        {
            for (int d = item.FirstChannel; d < item.EndChannel; d += V.Width)
            {
                long at = (item.Row * In.States + n) * In.Channels + d;
                V.Store(LastState, at, In.HasInitial != 0 ? V.Load(In.Initial, at) : V.Of(0), Lanes.In(item.EndChannel - d));
            }
        }
    }

    // For each channel group
    static long DeltaU { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => Scan.ChunkLength * V.Width; }
    static long Sum { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => 2 * Scan.ChunkLength * V.Width; }
    static long Group { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => 3 * Scan.ChunkLength * V.Width; }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Prepare(in ScanItem item, long t, int steps, long scratch)
    {
        M u = In.U, raw = In.Delta, s = Scratch, skips = In.D, biases = In.DeltaBias;
        int softplus = In.Softplus, hasSkip = In.HasD, hasBias = In.HasDeltaBias;
        for (int i = 0; i < steps; i++)
        {
            long row = (item.B * In.Length + t + i) * In.Channels, slot = scratch + i * V.Width;
            for (int d = item.FirstChannel; d < item.EndChannel; d += V.Width, slot += Group)
            {
                V x = V.Load(raw, row + d), ut = V.Load(u, row + d);
                V delta = Scan.StepSize<V, M, T>(hasBias != 0 ? x + V.Load(biases, d) : x, softplus);
                V.Store(s, slot, delta);
                V.Store(s, slot + DeltaU, delta * ut);
                V.Store(s, slot + Sum, hasSkip != 0 ? V.Load(skips, d) * ut : V.Of(0));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Gate(in ScanItem item, long t, int steps, long scratch)
    {
        M s = Scratch, z = In.Z, y = Y;
        int gated = In.HasZ;
        for (int i = 0; i < steps; i++)
        {
            long row = (item.B * In.Length + t + i) * In.Channels, slot = scratch + i * V.Width + Sum;
            for (int d = item.FirstChannel; d < item.EndChannel; d += V.Width, slot += Group)
            {
                V sum = V.Load(s, slot);
                if (gated != 0)
                {
                    V zt = V.Load(z, row + d);
                    sum *= zt * Lanes.Sigmoid<V, M, T>(zt);
                }
                V.Store(y, row + d, sum, Lanes.In(item.EndChannel - d));
            }
        }
    }

    // The next chunk of a channel group arrives while this one is worked on: rows are too far apart for the hardware to foresee.
    // Each few states ask for their share of it, since a core keeps track of few requests at a time.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Prefetch(in ScanItem item, long t, int d, int n, int count)
    {
        M u = In.U, raw = In.Delta, z = In.Z, y = Y;
        int gated = In.HasZ;
        long row = item.B * In.Length + t, rows = Math.Min(Scan.ChunkLength, item.End - t);
        long at = (row + n * rows / In.States) * In.Channels + d, end = (row + (n + count) * rows / In.States) * In.Channels;
        for (; at < end; at += In.Channels)
        {
            V.Prefetch(raw, at);
            V.Prefetch(u, at);
            V.Prefetch(y, at);
            if (gated != 0)
                V.Prefetch(z, at);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void States(in ScanItem item, long t, int steps, int d, int lanes, long scratch)
    {
        int n = 0;
        if (L.Count == 1)
        {
            for (; n + 4 <= In.States; n += 4)
                Tile<Pair<Pair<L, V, M, T>, V, M, T>>(item, t, steps, d, lanes, scratch, n);
        }
        for (; n + 2 * L.Count <= In.States; n += 2 * L.Count)
            Tile<Pair<L, V, M, T>>(item, t, steps, d, lanes, scratch, n);
        for (; n < In.States; n += L.Count)
            Tile<L>(item, t, steps, d, lanes, scratch, n);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Tile<S>(in ScanItem item, long t, int steps, int d, int lanes, long scratch, int n) where S : struct, IStates<S, V, M, T>
    {
        Prefetch(item, t + Scan.ChunkLength, d, n, S.Count);
        long channels = In.Channels, states = In.States, start = n * channels + d;
        var state = new Column(item.Row * states * channels + start, channels);
        S a = S.Load(In.A, new Column(start, channels), 0, lanes), h = S.Load(LastState, state, 0, lanes);
        S previousInput = Scan.PreviousInput<S, PB, V, M, T, I>(In, item, t, d, lanes, n);
        if (In.HasBoundaries != 0)
            S.Store(ref h, In.Boundaries, new Column((item.B * In.Chunks + t / Scan.ChunkLength) * states * channels + start, channels), 0, lanes);
        if (In.HasReset != 0)
            Walk<S, Yes>(item, t, steps, d, scratch, n, ref h, ref previousInput, ref a);
        else
            Walk<S, No>(item, t, steps, d, scratch, n, ref h, ref previousInput, ref a);
        S.Store(ref h, LastState, state, 0, lanes);
        if (S.LooksBack && t + steps == In.Length)
            S.Store(ref previousInput, LastInput, new Column(item.B * states * channels + start, channels), 0, lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Walk<S, R>(in ScanItem item, long t, int steps, int d, long scratch, int n, ref S hRef, ref S previousInputRef, ref S aRef)
        where S : struct, IStates<S, V, M, T>
        where R : struct, IFlag
    {
        M s = Scratch, u = In.U, B = In.B, C = In.C;
        long channels = In.Channels, states = In.States, rowStride = In.Groups * states, start = n * channels + d;
        long token = item.B * In.Length + t, row = (token * In.Groups + item.G) * states + n, uAt = token * channels + d;
        long bAt = PB.Varies ? row : start, bStride = PB.Varies ? 1 : channels, bRow = PB.Varies ? rowStride : 0;
        long cAt = PC.Varies ? row : start, cStride = PC.Varies ? 1 : channels, cRow = PC.Varies ? rowStride : 0;
        S h = hRef, previousInput = previousInputRef, a = aRef;
        for (int i = 0; i < steps; i++)
        {
            if (R.On && In.StartsAt(item.B, t + i))
            {
                h = S.Zero();
                previousInput = S.Zero();
            }
            long at = scratch + i * V.Width;
            V sum = S.Step<PB, PC>(ref h, ref previousInput, ref a, V.Load(s, at + Sum), V.Load(s, at), S.LooksBack ? V.Load(u, uAt + i * channels) : default,
                V.Load(s, at + DeltaU),
                0, B, new Column(bAt + i * bRow, bStride), C, new Column(cAt + i * cRow, cStride));
            V.Store(s, at + Sum, sum);
        }
        hRef = h;
        previousInputRef = previousInput;
    }
}
