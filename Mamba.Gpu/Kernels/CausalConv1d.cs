using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

// pre[b,t,c] = bias[c] + Σ_j weight[c,j] · x[b, t−(k−1)+j, c],  y = silu(pre) or pre. Inputs before t = 0 come from the
// state, the k inputs before this piece, or are 0. The weight comes transposed, (k, d), so that lanes are channels.
// Where a sequence starts, at a reset, all inputs before it count as 0 from there on, those of the state too: a walk ends
// before the next reset, and one that starts at a reset has nothing in its registers.
//
// The work is cut into segments of time and strips of channels. A worker takes the channels of a strip a lane at a time, and walks
// a few steps of time with the last k inputs in registers: each input is loaded once, and memory is read row by row. On a
// device a strip is one channel, and the walk the whole segment.

/// <summary>How the work of a convolution over (b, l, d) is cut. It changes no bit of a y or dx.</summary>
internal struct ConvGrid
{
    public long Batch, L, D;
    public long SegmentLength, StripChannels;    // one item of a worker
    public long Walk;                       // steps in which a lane is walked before the next lane's turn

    public readonly long Segments => (L + SegmentLength - 1) / SegmentLength;
    public readonly long Strips => (D + StripChannels - 1) / StripChannels;
    public readonly long Items => Batch * Segments * Strips;

    /// <summary>The last token of <paramref name="from"/> … <paramref name="t"/> that starts a sequence, <paramref name="from"/> if none does.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly long LastReset<I>(I reset, long b, long from, long t) where I : struct, IMemory<int>
    {
        for (long at = t; at >= 0 && at > from; at--)
            if (reset[b * L + at] != 0)
                return at;
        return from;
    }

    /// <summary>The first token after <paramref name="t"/> that starts a sequence, <paramref name="end"/> if none before that does.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly long NextReset<I>(I reset, long b, long t, long end) where I : struct, IMemory<int>
    {
        for (long at = t + 1; at < end; at++)
            if (reset[b * L + at] != 0)
                return at;
        return end;
    }

    /// <summary>The cut for a device (<paramref name="width"/> 1) or the host.</summary>
    public static ConvGrid For(Shape x, long segmentLength, int width) => new()
    {
        Batch = x[0],
        L = x[1],
        D = x[2],
        SegmentLength = segmentLength,
        StripChannels = width == 1 ? 1 : 512,
        // Longer walks look back less often, but more rows than the host's prefetcher can follow: the next walk's rows are asked for.
        Walk = width == 1 ? segmentLength : Math.Min(16, segmentLength),
    };
}

/// <summary>y from x. x, y (b, l, d); weight (k, d); bias (d); state (b, k, d); reset (b, l).</summary>
internal struct CausalConv1dForward<W, V, M, T, I> : IKernel
    where W : struct, ITaps<W, V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public M X, Weight, Bias, State, Y;
    public I Reset;
    public int HasBias, HasState, HasReset, Silu;
    public ConvGrid Grid;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M x = X, y = Y;
        long d = Grid.D, l = Grid.L, walk = Grid.Walk, ahead = walk * Grid.D, segments = Grid.Segments, strips = Grid.Strips;
        int silu = Silu;
        Share share = worker.Share(Grid.Items);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long segment = item / strips, b = segment / segments;
            long firstChannel = item % strips * Grid.StripChannels, endChannel = firstChannel + Grid.StripChannels;
            long start = segment % segments * Grid.SegmentLength, end = start + Grid.SegmentLength;
            endChannel = endChannel < d ? endChannel : d;
            end = end < l ? end : l;
            for (long t0 = start, t1; t0 < end; t0 = t1)
            {
                long seen = t0 - W.Count + 1;                   // the first input that step t0 looks at
                t1 = t0 + walk < end ? t0 + walk : end;
                if (HasReset != 0)
                {
                    seen = Grid.LastReset(Reset, b, seen, t0);
                    t1 = Grid.NextReset(Reset, b, t0, t1);
                }
                for (long c = firstChannel; c < endChannel; c += V.Width)
                {
                    int lanes = Lanes.In(d - c);
                    W weight = W.Load(Weight, c, d), inputs = default;
                    V bias = HasBias != 0 ? V.Load(Bias, c) : V.Of(0);
                    for (long t = seen; t < t0; t++)
                        if (t >= 0)
                            W.Append(ref inputs, V.Load(x, (b * l + t) * d + c));
                        else if (HasState != 0)
                            W.Append(ref inputs, V.Load(State, (b * W.Count + W.Count + t) * d + c));
                    long o = (b * l + t0) * d + c;
                    for (long t = t0; t < t1; t++, o += d)
                    {
                        V.Prefetch(x, o + ahead);
                        W.Append(ref inputs, V.Load(x, o));
                        V pre = W.Dot(weight, inputs, bias);
                        V.Store(y, o, silu != 0 ? pre * Lanes.Sigmoid<V, M, T>(pre) : pre, lanes);
                    }
                }
            }
        }
    }
}

/// <summary>
/// dx, and each segment's sums of dweight and dbias. x, dy, dx (b, l, d); weight (k, d); bias (d); state, dState (b, k, d);
/// reset (b, l); partial (b · segments, k + 1, d), dbias last. With dpre = dy·silu′(pre):
/// dx[s] = Σ_j weight[j]·dpre[s + (k−1) − j], so a walk goes k − 1 steps past its end, into dpre its neighbour sums up; those
/// from the next reset on are 0 to it.
/// </summary>
internal struct CausalConv1dBackward<W, V, M, T, I> : IKernel
    where W : struct, ITaps<W, V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public M X, Weight, Bias, State, DY, DX, DState, Partial;
    public I Reset;
    public int HasBias, HasState, HasReset, Silu;
    public ConvGrid Grid;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M x = X, dy = DY, dx = DX, partial = Partial;
        long d = Grid.D, l = Grid.L, walk = Grid.Walk, ahead = walk * Grid.D, segments = Grid.Segments, strips = Grid.Strips;
        int silu = Silu;
        Share share = worker.Share(Grid.Items);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long segment = item / strips, b = segment / segments;
            long firstChannel = item % strips * Grid.StripChannels, endChannel = firstChannel + Grid.StripChannels;
            long start = segment % segments * Grid.SegmentLength, end = start + Grid.SegmentLength;
            endChannel = endChannel < d ? endChannel : d;
            end = end < l ? end : l;
            for (long t0 = start, t1; t0 < end; t0 = t1)
            {
                long seen = t0 - W.Count + 1, stop = l;         // the first input that step t0 looks at, and the first step that has no part
                t1 = t0 + walk < end ? t0 + walk : end;
                if (HasReset != 0)
                {
                    seen = Grid.LastReset(Reset, b, seen, t0);
                    stop = Grid.NextReset(Reset, b, t0, Math.Min(l, t1 + W.Count - 1));
                    t1 = t1 < stop ? t1 : stop;
                }
                bool toState = t0 == 0 && seen < 0 && HasState != 0;
                for (long c = firstChannel; c < endChannel; c += V.Width)
                {
                    int lanes = Lanes.In(d - c);
                    long sums = segment * (W.Count + 1) * d + c;
                    W weight = W.Load(Weight, c, d), inputs = default, dPre = default, dWeight = default;
                    V bias = HasBias != 0 ? V.Load(Bias, c) : V.Of(0), dBias = V.Of(0);
                    if (t0 > start)
                    {
                        dWeight = W.Load(partial, sums, d);
                        dBias = V.Load(partial, sums + W.Count * d);
                    }
                    for (long t = seen; t < t0; t++)
                        if (t >= 0)
                            W.Append(ref inputs, V.Load(x, (b * l + t) * d + c));
                        else if (HasState != 0)
                            W.Append(ref inputs, V.Load(State, (b * W.Count + W.Count + t) * d + c));
                    long past = t1 + W.Count - 1, o = (b * l + t0) * d + c;
                    for (long t = t0; t < past; t++, o += d)
                    {
                        V g = V.Of(0);
                        if (t < stop)
                        {
                            V.Prefetch(x, o + ahead);
                            V.Prefetch(dy, o + ahead);
                            W.Append(ref inputs, V.Load(x, o));
                            g = V.Load(dy, o);
                            if (silu != 0)
                            {
                                V pre = W.Dot(weight, inputs, bias), s = Lanes.Sigmoid<V, M, T>(pre);
                                g *= s * V.Fma(pre, V.Of(1) - s, V.Of(1));
                            }
                            if (t < t1)
                            {
                                W.MulAdd(ref dWeight, inputs, g);
                                dBias += g;
                            }
                        }
                        W.Prepend(ref dPre, g);
                        long s0 = t - W.Count + 1;          // the input whose last use was step t
                        if (s0 >= t0)
                            V.Store(dx, o - (W.Count - 1) * d, W.Dot(weight, dPre, V.Of(0)), lanes);
                        else if (toState)                           // s0 < 0: an input of the state
                            V.Store(DState, (b * W.Count + W.Count + s0) * d + c, W.Dot(weight, dPre, V.Of(0)), lanes);
                    }
                    W.Store(partial, sums, d, dWeight, lanes);
                    V.Store(partial, sums + W.Count * d, dBias, lanes);
                }
            }
        }
    }
}

/// <summary>
/// One step: the state moves on by x, in place, and y is the convolution's newest value. x (b, d), its rows <see cref="XRow"/> apart; weight (d, k) as
/// checkpoints have it; bias (d); y (b, d); state (b, k, d). Lanes are channels: weights are turned in registers, four columns at a time.
/// </summary>
internal struct CausalConv1dOneStep<W, V, M, T> : IKernel
    where W : struct, ITaps<W, V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M X, Weight, Bias, State, Y;
    public int HasBias, Silu;
    public long Batch, D, XRow;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        long d = D, groups = (d + V.Width - 1) / V.Width;
        Share share = worker.Share(Batch * groups);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long b = item / groups, c = item % groups * V.Width, s = b * W.Count * d + c;
            int lanes = Lanes.In(d - c);
            W inputs = W.Load(State, s, d);
            W.Append(ref inputs, V.Load(X, b * XRow + c));
            W.Store(State, s, d, inputs, lanes);
            V pre = W.Dot(Weights(c, lanes), inputs, HasBias != 0 ? V.Load(Bias, c) : V.Of(0));
            V.Store(Y, b * d + c, Silu != 0 ? pre * Lanes.Sigmoid<V, M, T>(pre) : pre, lanes);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    readonly W Weights(long c, int lanes)
    {
        W weights = default;
        long k = W.Count, j = 0;
        if (lanes >= V.Width)
            for (; j + 4 <= k; j += 4)
            {
                V.LoadColumns(Weight, c * k + j, k, out V w0, out V w1, out V w2, out V w3);
                W.Append(ref weights, w0);
                W.Append(ref weights, w1);
                W.Append(ref weights, w2);
                W.Append(ref weights, w3);
            }
        for (; j < k; j++)
            W.Append(ref weights, V.Gather(Weight, c * k + j, k, lanes));
        return weights;
    }
}

/// <summary>
/// The last k inputs of (previous ++ x), oldest first; zero where there are none, and where they come before the last reset.
/// x (b, l, d); previous, state (b, k, d); reset (b, l). Backward it is run the other way: what was a value of state is
/// handed to where it came from, in x and previous, which are zero before.
/// </summary>
internal struct ConvStateAfter<V, M, T, I> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public M X, Previous, State;
    public I Reset;
    public int HasPrevious, HasReset, Backward;
    public long Batch, L, D, K;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        long groups = (D + V.Width - 1) / V.Width;
        Share share = worker.Share(Batch * K * groups);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long c = item % groups * V.Width, row = item / groups, b = row / K, t = L - K + row % K;
            bool there = t >= 0 || HasPrevious != 0;
            if (HasReset != 0)
                for (long later = t < 0 ? 0 : t + 1; later < L; later++)
                    there &= Reset[b * L + later] == 0;
            M source = t >= 0 ? X : Previous;
            long at = (t >= 0 ? b * L + t : b * K + K + t) * D + c, to = row * D + c;
            if (Backward == 0)
                V.Store(State, to, there ? V.Load(source, at) : V.Of(0), Lanes.In(D - c));
            else if (there)
                V.Store(source, at, V.Load(State, to), Lanes.In(D - c));
        }
    }
}
