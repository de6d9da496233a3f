using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

// A long row of few channels is cut into segments of time, in three passes: each segment's own end state, from zero; the
// states at their starts, one after another; and the scan of each segment from its true start. Backward the same, from the end.

/// <summary>
/// First pass: what a segment adds by itself, and what remains of what came before it, its total decay. Forward that is the
/// state at its end, starting from zero; in reverse Ā g at its start. If a sequence starts in the segment nothing remains, and that is said by
/// a flag: a decay of 0 would let a NaN or an infinity through.
/// </summary>
internal struct SelectiveScanSegments<S, PB, PC, V, M, T, I> : IKernel
    where S : struct, IStates<S, V, M, T>
    where PB : struct, IProjection<V, M>
    where PC : struct, IProjection<V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public ScanArguments<M, I> In;
    public M DOut;              // (b, l, d), in reverse
    public M Own, Decay;        // (b, segments, n, d)
    public I Cut;               // (b, segments): 1 where a sequence starts in the segment, else 0; written if there are resets
    public int FirstState, Reverse;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        Share share = worker.Share(In.Items);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            ScanItem item = In.Item(i);
            for (int d = item.FirstChannel; d < item.EndChannel; d += V.Width)
            {
                if (Reverse != 0)
                    Retreat(item, d, Lanes.In(item.EndChannel - d));
                else
                    Advance(item, d, Lanes.In(item.EndChannel - d));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    void Advance(in ScanItem item, int d, int lanes)
    {
        long channels = In.Channels;
        var column = new Column((long)FirstState * channels + d, channels);
        S a = S.Load(In.A, column, 0, lanes), h = S.Zero(), decay = S.Identity();
        S previousInput = Scan.PreviousInput<S, PB, V, M, T, I>(In, item, item.Start, d, lanes, FirstState);
        V bias = In.HasDeltaBias != 0 ? V.Load(In.DeltaBias, d) : V.Of(0);
        int cut = 0;
        for (long t = item.Start; t < item.End; t++)
        {
            if (In.StartsAt(item.B, t))
            {
                h = S.Zero();
                previousInput = S.Zero();
                cut = 1;
            }
            long row = item.B * In.Length + t;
            V delta = Scan.StepSize<V, M, T>(V.Load(In.Delta, row * channels + d) + bias, In.Softplus), u = V.Load(In.U, row * channels + d);
            S.Advance<PB>(ref h, ref previousInput, ref decay, ref a, delta, u, delta * u, 0, In.B,
                PB.Varies ? new Column((row * In.Groups + item.G) * In.States + FirstState, 1) : column);
        }
        Store(item, h, decay, cut, column, lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    void Retreat(in ScanItem item, int d, int lanes)
    {
        long channels = In.Channels;
        var column = new Column((long)FirstState * channels + d, channels);
        S a = S.Load(In.A, column, 0, lanes), g = S.Zero(), decay = S.Identity();
        V bias = In.HasDeltaBias != 0 ? V.Load(In.DeltaBias, d) : V.Of(0);
        int cut = 0;
        for (long t = item.End - 1; t >= item.Start; t--)
        {
            long row = item.B * In.Length + t, at = row * channels + d;
            V delta = Scan.StepSize<V, M, T>(V.Load(In.Delta, at) + bias, In.Softplus), dy = V.Load(DOut, at);
            if (In.HasZ != 0)
            {
                V z = V.Load(In.Z, at);
                dy *= z * Lanes.Sigmoid<V, M, T>(z);
            }
            S.Retreat<PC>(ref g, ref decay, ref a, delta, dy, 0, In.C, PC.Varies ? new Column((row * In.Groups + item.G) * In.States + FirstState, 1) : column);
            if (In.StartsAt(item.B, t))
            {
                g = S.Zero();
                cut = 1;
            }
        }
        Store(item, g, decay, cut, column, lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    void Store(in ScanItem item, S own, S decay, int cut, Column column, int lanes)
    {
        var at = new Column(item.Row * In.States * In.Channels + column.Start, In.Channels);
        S.Store(ref own, Own, at, 0, lanes);
        S.Store(ref decay, Decay, at, 0, lanes);
        I cuts = Cut;
        if (In.HasReset != 0 && column.Start == 0)      // one worker of the segment says so for all
            cuts[item.Row] = cut;
    }
}

/// <summary>
/// Second pass: the state before each segment from <see cref="First"/> (b, n, d), zero if absent, one segment after another; in
/// reverse from the last. What is left after all of them is written to <see cref="Rest"/> (b, n, d). Of a segment that is cut its own part alone goes on.
/// </summary>
internal struct SelectiveScanCarry<S, V, M, T, I> : IKernel
    where S : struct, IStates<S, V, M, T>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public M First, Own, Decay, Start, Rest;
    public I Cut;
    public int HasFirst, HasCut, Reverse, Segments, States;
    public long Batch, Channels;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        long groups = (Channels + V.Width - 1) / V.Width, columns = States / S.Count;
        Share share = worker.Share(Batch * columns * groups);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            long d = i % groups * V.Width, n = i / groups % columns * S.Count, b = i / (groups * columns);
            int lanes = Lanes.In(Channels - d);
            var whole = new Column((b * States + n) * Channels + d, Channels);
            S s = HasFirst != 0 ? S.Load(First, whole, 0, lanes) : S.Zero();
            for (int k = 0; k < Segments; k++)
            {
                long segment = b * Segments + (Reverse != 0 ? Segments - 1 - k : k);
                var at = new Column((segment * States + n) * Channels + d, Channels);
                S.Store(ref s, Start, at, 0, lanes);
                S decay = S.Load(Decay, at, 0, lanes), own = S.Load(Own, at, 0, lanes);
                s = HasCut != 0 && Cut[segment] != 0 ? own : S.After(ref decay, ref s, ref own);
            }
            S.Store(ref s, Rest, whole, 0, lanes);
        }
    }
}

/// <summary>The sum over strips of partials (strips, b, window, width), in a fixed order, into a window of sum (b, l, width).</summary>
internal struct SumScanPartials<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M Partials, Sum;
    public long Strips, Batch, WindowElements, RowElements, Offset;     // of one row: of the window, of everything, before the window

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M partials = Partials, sum = Sum;
        long groups = (WindowElements + V.Width - 1) / V.Width;
        Share share = worker.Share(Batch * groups);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            long b = i / groups, at = i % groups * V.Width;
            V.Store(sum, b * RowElements + Offset + at, Cascade<V, M, T>.Of(partials, b * WindowElements + at, Batch * WindowElements, Strips),
                Lanes.In(WindowElements - at));
        }
    }
}
