using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// The same scan shaped for a core with few registers and a fast L1: a worker takes a block of channels through a chunk of
/// time, softplus first, then the states four at a time with the sums of y in scratch, then the gate. Rows are read in whole
/// cache lines, softplus and gate are paid once for all n, and what is touched between stays in L1.
/// </summary>
public struct SelectiveScanForwardBlocked<PB, PC, V, M, T> : IKernel
    where PB : struct, IProjection<V, M>
    where PC : struct, IProjection<V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public ScanArguments<M> In;
    public M Y;             // (b, l, d)
    public M LastState;     // (b, n, d); holds the states between chunks as well
    public M Scratch;       // (workers, 3, ChunkLength, lanes): delta, delta·u, y

    /// <summary>Elements of scratch a worker needs, for lanes of <paramref name="width"/>.</summary>
    public static long ScratchPerWorker(int width) => 3L * Scan.ChunkLength * width;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        int perGroup = In.Channels / In.Groups, blocks = (perGroup + Scan.BlockChannels - 1) / Scan.BlockChannels;
        long scratch = worker.Index * ScratchPerWorker(V.Width);
        Share share = worker.Share((long)In.Batch * In.Groups * blocks);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            int b = (int)(item / (In.Groups * blocks)), g = (int)(item / blocks % In.Groups), block = (int)(item % blocks);
            int start = g * perGroup + block * Scan.BlockChannels, end = Math.Min(start + Scan.BlockChannels, (g + 1) * perGroup);
            Start(b, start, end);
            for (long t = 0; t < In.Length; t += Scan.ChunkLength)
                for (int d = start; d < end; d += V.Width)
                    Chunk(b, g, t, (int)Math.Min(Scan.ChunkLength, In.Length - t), d, Lanes.In(end - d), scratch);
        }
    }

    void Start(int b, int start, int end)
    {
        for (int n = 0; n < In.States; n++)
        {
            for (int d = start; d < end; d += V.Width)
            {
                long at = ((long)b * In.States + n) * In.Channels + d;
                V.Store(LastState, at, In.HasInitial != 0 ? V.Load(In.Initial, at) : V.Of(0), Lanes.In(end - d));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Chunk(int b, int g, long t, int steps, int d, int lanes, long scratch)
    {
        M u = In.U, raw = In.Delta, s = Scratch, y = Y;
        long channels = In.Channels, first = (b * In.Length + t) * channels + d;
        long deltas = scratch, deltaUs = scratch + Scan.ChunkLength * V.Width, sums = deltaUs + Scan.ChunkLength * V.Width;
        V bias = In.HasDeltaBias != 0 ? V.Load(In.DeltaBias, d) : V.Of(0);
        V skip = In.HasD != 0 ? V.Load(In.D, d) : V.Of(0);
        int softplus = In.Softplus;
        for (int i = 0; i < steps; i++)
        {
            V delta = Scan.Step<V, M, T>(V.Load(raw, first + i * channels) + bias, softplus), ut = V.Load(u, first + i * channels);
            V.Store(s, deltas + i * V.Width, delta);
            V.Store(s, deltaUs + i * V.Width, delta * ut);
            V.Store(s, sums + i * V.Width, skip * ut);
        }

        int n = 0;
        for (; n + 4 <= In.States; n += 4)
            Tile<Pair<Pair<One<V, M, T>, V, M, T>, V, M, T>>(b, g, t, steps, d, lanes, scratch, n);
        for (; n < In.States; n++)
            Tile<One<V, M, T>>(b, g, t, steps, d, lanes, scratch, n);

        if (In.HasZ != 0)
        {
            M z = In.Z;
            for (int i = 0; i < steps; i++)
            {
                V zt = V.Load(z, first + i * channels);
                V.Store(y, first + i * channels, V.Load(s, sums + i * V.Width) * zt * Lanes.Sigmoid<V, M, T>(zt), lanes);
            }
        }
        else
        {
            for (int i = 0; i < steps; i++)
                V.Store(y, first + i * channels, V.Load(s, sums + i * V.Width), lanes);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Tile<S>(int b, int g, long t, int steps, int d, int lanes, long scratch, int n) where S : struct, IStates<S, V, M, T>
    {
        M s = Scratch, B = In.B, C = In.C;
        long channels = In.Channels, states = In.States, rowStride = In.Groups * states;
        long deltas = scratch, deltaUs = scratch + Scan.ChunkLength * V.Width, sums = deltaUs + Scan.ChunkLength * V.Width;
        var channel = new Column(n * channels + d, channels);
        var state = new Column(b * states * channels + channel.Start, channels);
        S a = S.Load(In.A, channel, lanes), h = S.Load(LastState, state, lanes);
        if (In.HasBoundaries != 0)
        {
            long chunks = (In.Length + Scan.ChunkLength - 1) / Scan.ChunkLength;
            S.Store(h, In.Boundaries, new Column((b * chunks + t / Scan.ChunkLength) * states * channels + channel.Start, channels), lanes);
        }
        long row = ((b * In.Length + t) * In.Groups + g) * states + n;
        long bAt = PB.Varies ? row : channel.Start, bStride = PB.Varies ? 1 : channels, bRow = PB.Varies ? rowStride : 0;
        long cAt = PC.Varies ? row : channel.Start, cStride = PC.Varies ? 1 : channels, cRow = PC.Varies ? rowStride : 0;
        for (int i = 0; i < steps; i++)
        {
            long at = i * V.Width;
            V sum = S.Step<PB, PC>(ref h, a, V.Load(s, sums + at), V.Load(s, deltas + at), V.Load(s, deltaUs + at),
                B, new Column(bAt + i * bRow, bStride), C, new Column(cAt + i * cRow, cStride));
            V.Store(s, sums + at, sum);
        }
        S.Store(h, LastState, state, lanes);
    }
}
