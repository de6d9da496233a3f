using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>How a kernel reads B and C, of which there is one vector of n values a token, or one a channel.</summary>
public interface IProjection<V, M>
{
    /// <summary>The value(s) of one n at element i, for the lanes of a channel group.</summary>
    static abstract V Get(M p, long i);

    /// <summary>Whether it changes from token to token. A constant to both compilers, so that strides fold.</summary>
    static abstract bool Varies { get; }
}

/// <summary>B or C (b, l, g, n), selected by the input: one value for all channels of a group.</summary>
public struct PerToken<V, M, T> : IProjection<V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static V Get(M p, long i) => V.Broadcast(p, i);
    public static bool Varies { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => true; }
}

/// <summary>B or C constant over time, transposed to (n, d): a value for each channel.</summary>
public struct PerChannel<V, M, T> : IProjection<V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static V Get(M p, long i) => V.Load(p, i);
    public static bool Varies { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => false; }
}

/// <summary>Where a value of each n stands: at element Start + n·Stride.</summary>
public struct Column(long start, long stride)
{
    public long Start = start, Stride = stride;
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public readonly Column Skip(int n) => new(Start + n * Stride, Stride);
}

/// <summary>What the reverse walk gathers over n at one step, beside the gradients of B and C.</summary>
public struct StepSums<V>
{
    public V Decay;     // Σ g A Āh, A times log2(e)
    public V Input;     // Σ g B
    public V Y;         // Σ C h
}

/// <summary>
/// Some of the n states of a channel group, held in registers: a tree of structs, so that both compilers unroll it. A local
/// array indexed in a loop would lie in local memory on a GPU; this never does.
/// </summary>
public interface IStates<S, V, M, T>
    where S : struct, IStates<S, V, M, T>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    static abstract int Count { get; }
    static abstract S Zero();
    static abstract S Load(M p, Column at, int lanes);
    static abstract void Store(in S s, M p, Column at, int lanes);

    /// <summary>h ← Āh + Δu B; returns y + C·h. A arrives times log2(e).</summary>
    static abstract V Step<PB, PC>(ref S h, in S a, V y, V delta, V deltaU, M B, Column b, M C, Column c)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>;

    /// <summary>h ← Āh + Δu B, keeping Ā and Āh in scratch for the reverse walk.</summary>
    static abstract void Recompute<PB>(ref S h, in S a, V delta, V deltaU, M B, Column b, M scratch, Column kept)
        where PB : struct, IProjection<V, M>;

    /// <summary>
    /// One step back. On entry g is Ā g of the step after, on exit Ā g of this one; dA and the sums gain this step's part, and so
    /// do the gradients of B and C at <paramref name="dB"/> and <paramref name="dC"/>.
    /// </summary>
    static abstract void Reverse<PB, PC>(ref S g, ref S dA, in S a, ref StepSums<V> sums, V delta, V deltaU, V dy,
        M B, Column b, M C, Column c, M scratch, Column kept, Column dB, Column dC)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>;
}

/// <summary>One state.</summary>
public struct One<V, M, T> : IStates<One<V, M, T>, V, M, T>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    V x;

    public static int Count => 1;
    [MethodImpl(Inline)] public static One<V, M, T> Zero() => new() { x = V.Of(0) };
    [MethodImpl(Inline)] public static One<V, M, T> Load(M p, Column at, int lanes) => new() { x = V.Keep(V.Load(p, at.Start), lanes) };
    [MethodImpl(Inline)] public static void Store(in One<V, M, T> s, M p, Column at, int lanes) => V.Store(p, at.Start, s.x, lanes);

    [MethodImpl(Inline)]
    public static V Step<PB, PC>(ref One<V, M, T> h, in One<V, M, T> a, V y, V delta, V deltaU, M B, Column b, M C, Column c)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>
    {
        V aBar = V.Exp2(delta * a.x);
        h.x = V.Fma(aBar, h.x, deltaU * PB.Get(B, b.Start));
        return V.Fma(PC.Get(C, c.Start), h.x, y);
    }

    [MethodImpl(Inline)]
    public static void Recompute<PB>(ref One<V, M, T> h, in One<V, M, T> a, V delta, V deltaU, M B, Column b, M scratch, Column kept)
        where PB : struct, IProjection<V, M>
    {
        V aBar = V.Exp2(delta * a.x), aBarH = aBar * h.x;
        V.Store(scratch, kept.Start, aBar);
        V.Store(scratch, kept.Start + kept.Stride, aBarH);
        h.x = V.Fma(deltaU, PB.Get(B, b.Start), aBarH);
    }

    [MethodImpl(Inline)]
    public static void Reverse<PB, PC>(ref One<V, M, T> g, ref One<V, M, T> dA, in One<V, M, T> a, ref StepSums<V> sums, V delta, V deltaU, V dy,
        M B, Column b, M C, Column c, M scratch, Column kept, Column dB, Column dC)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>
    {
        V aBar = V.Load(scratch, kept.Start), aBarH = V.Load(scratch, kept.Start + kept.Stride);
        V bn = PB.Get(B, b.Start), cn = PC.Get(C, c.Start);
        V h = V.Fma(deltaU, bn, aBarH);
        V gt = V.Fma(cn, dy, g.x);                                                          // g_t = C_t dy_t + Ā_{t+1} g_{t+1}
        V.Store(scratch, dC.Start, V.Fma(dy, h, V.Load(scratch, dC.Start)));                // dC += dy h
        V.Store(scratch, dB.Start, V.Fma(gt, deltaU, V.Load(scratch, dB.Start)));           // dB += g Δu
        V gAh = gt * aBarH;
        sums.Y = V.Fma(cn, h, sums.Y);
        sums.Input = V.Fma(gt, bn, sums.Input);
        sums.Decay = V.Fma(gAh, a.x, sums.Decay);
        dA.x = V.Fma(delta, gAh, dA.x);                                                     // dA += g Δ Āh
        g.x = aBar * gt;
    }
}

/// <summary>Twice as many states as <typeparamref name="S"/>.</summary>
public struct Pair<S, V, M, T> : IStates<Pair<S, V, M, T>, V, M, T>
    where S : struct, IStates<S, V, M, T>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    S lo, hi;

    public static int Count => 2 * S.Count;
    [MethodImpl(Inline)] public static Pair<S, V, M, T> Zero() => new() { lo = S.Zero(), hi = S.Zero() };
    [MethodImpl(Inline)] public static Pair<S, V, M, T> Load(M p, Column at, int lanes) => new() { lo = S.Load(p, at, lanes), hi = S.Load(p, at.Skip(S.Count), lanes) };

    [MethodImpl(Inline)]
    public static void Store(in Pair<S, V, M, T> s, M p, Column at, int lanes)
    {
        S.Store(s.lo, p, at, lanes);
        S.Store(s.hi, p, at.Skip(S.Count), lanes);
    }

    [MethodImpl(Inline)]
    public static V Step<PB, PC>(ref Pair<S, V, M, T> h, in Pair<S, V, M, T> a, V y, V delta, V deltaU, M B, Column b, M C, Column c)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>
    {
        y = S.Step<PB, PC>(ref h.lo, a.lo, y, delta, deltaU, B, b, C, c);
        return S.Step<PB, PC>(ref h.hi, a.hi, y, delta, deltaU, B, b.Skip(S.Count), C, c.Skip(S.Count));
    }

    [MethodImpl(Inline)]
    public static void Recompute<PB>(ref Pair<S, V, M, T> h, in Pair<S, V, M, T> a, V delta, V deltaU, M B, Column b, M scratch, Column kept)
        where PB : struct, IProjection<V, M>
    {
        S.Recompute<PB>(ref h.lo, a.lo, delta, deltaU, B, b, scratch, kept);
        S.Recompute<PB>(ref h.hi, a.hi, delta, deltaU, B, b.Skip(S.Count), scratch, kept.Skip(2 * S.Count));
    }

    [MethodImpl(Inline)]
    public static void Reverse<PB, PC>(ref Pair<S, V, M, T> g, ref Pair<S, V, M, T> dA, in Pair<S, V, M, T> a, ref StepSums<V> sums, V delta, V deltaU, V dy,
        M B, Column b, M C, Column c, M scratch, Column kept, Column dB, Column dC)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>
    {
        S.Reverse<PB, PC>(ref g.lo, ref dA.lo, a.lo, ref sums, delta, deltaU, dy, B, b, C, c, scratch, kept, dB, dC);
        S.Reverse<PB, PC>(ref g.hi, ref dA.hi, a.hi, ref sums, delta, deltaU, dy, B, b.Skip(S.Count), C, c.Skip(S.Count),
            scratch, kept.Skip(2 * S.Count), dB.Skip(S.Count), dC.Skip(S.Count));
    }
}
