using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>Twice as many states as <typeparamref name="S"/>.</summary>
internal struct Pair<S, V, M, T> : IStates<Pair<S, V, M, T>, V, M, T>
    where S : struct, IStates<S, V, M, T>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    S lo, hi;

    public static int Count { [MethodImpl(Inline)] get => 2 * S.Count; }
    public static int Kept { [MethodImpl(Inline)] get => 2 * S.Kept; }
    public static bool LooksBack { [MethodImpl(Inline)] get => S.LooksBack; }
    [MethodImpl(Inline)] public static Pair<S, V, M, T> Zero() => new() { lo = S.Zero(), hi = S.Zero() };
    [MethodImpl(Inline)] public static Pair<S, V, M, T> Identity() => new() { lo = S.Identity(), hi = S.Identity() };
    [MethodImpl(Inline)]
    public static Pair<S, V, M, T> Load(M p, Column at, int n, int lanes) => new() { lo = S.Load(p, at, n, lanes), hi = S.Load(p, at, n + S.Count, lanes) };

    [MethodImpl(Inline)]
    public static Pair<S, V, M, T> LoadWhole(M p, Column at, int n) => new() { lo = S.LoadWhole(p, at, n), hi = S.LoadWhole(p, at, n + S.Count) };

    [MethodImpl(Inline)]
    public static void StoreWhole(ref Pair<S, V, M, T> s, M p, Column at, int n)
    {
        S.StoreWhole(ref s.lo, p, at, n);
        S.StoreWhole(ref s.hi, p, at, n + S.Count);
    }

    [MethodImpl(Inline)]
    public static void Store(ref Pair<S, V, M, T> s, M p, Column at, int n, int lanes)
    {
        S.Store(ref s.lo, p, at, n, lanes);
        S.Store(ref s.hi, p, at, n + S.Count, lanes);
    }

    [MethodImpl(Inline)]
    public static Pair<S, V, M, T> After(ref Pair<S, V, M, T> decay, ref Pair<S, V, M, T> s, ref Pair<S, V, M, T> next) =>
        new() { lo = S.After(ref decay.lo, ref s.lo, ref next.lo), hi = S.After(ref decay.hi, ref s.hi, ref next.hi) };

    [MethodImpl(Inline)]
    public static Pair<S, V, M, T> Input<PB>(V u, int n, M B, Column b) where PB : struct, IProjection<V, M> =>
        new() { lo = S.Input<PB>(u, n, B, b), hi = S.Input<PB>(u, n + S.Count, B, b) };

    [MethodImpl(Inline)]
    public static V Step<PB, PC>(ref Pair<S, V, M, T> h, ref Pair<S, V, M, T> previousInput, ref Pair<S, V, M, T> a, V y, V delta, V u, V deltaU, int n, M B,
        Column b, M C, Column c)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>
    {
        y = S.Step<PB, PC>(ref h.lo, ref previousInput.lo, ref a.lo, y, delta, u, deltaU, n, B, b, C, c);
        return S.Step<PB, PC>(ref h.hi, ref previousInput.hi, ref a.hi, y, delta, u, deltaU, n + S.Count, B, b, C, c);
    }

    [MethodImpl(Inline)]
    public static void Advance<PB>(ref Pair<S, V, M, T> h, ref Pair<S, V, M, T> previousInput, ref Pair<S, V, M, T> decay, ref Pair<S, V, M, T> a, V delta,
        V u, V deltaU, int n, M B, Column b)
        where PB : struct, IProjection<V, M>
    {
        S.Advance<PB>(ref h.lo, ref previousInput.lo, ref decay.lo, ref a.lo, delta, u, deltaU, n, B, b);
        S.Advance<PB>(ref h.hi, ref previousInput.hi, ref decay.hi, ref a.hi, delta, u, deltaU, n + S.Count, B, b);
    }

    [MethodImpl(Inline)]
    public static void Recompute<PB>(ref Pair<S, V, M, T> h, ref Pair<S, V, M, T> previousInput, ref Pair<S, V, M, T> a, bool starts, V delta, V u, V deltaU,
        int n, M B, Column b, M scratch, Column kept)
        where PB : struct, IProjection<V, M>
    {
        S.Recompute<PB>(ref h.lo, ref previousInput.lo, ref a.lo, starts, delta, u, deltaU, n, B, b, scratch, kept);
        S.Recompute<PB>(ref h.hi, ref previousInput.hi, ref a.hi, starts, delta, u, deltaU, n + S.Count, B, b, scratch, kept);
    }

    [MethodImpl(Inline)]
    public static void Reverse<PB, PC>(ref Pair<S, V, M, T> g, ref Pair<S, V, M, T> dPreviousInput, ref Pair<S, V, M, T> dA, ref Pair<S, V, M, T> h,
        ref Pair<S, V, M, T> a,
        ref StepSums<V> sums, bool starts, V delta, V u, V deltaU, V dy, int n, M B, Column b, M C, Column c, M scratch, Column kept, Column dB, Column dC)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>
    {
        S.Reverse<PB, PC>(ref g.lo, ref dPreviousInput.lo, ref dA.lo, ref h.lo, ref a.lo, ref sums, starts, delta, u, deltaU, dy, n, B, b, C, c, scratch, kept,
            dB, dC);
        S.Reverse<PB, PC>(ref g.hi, ref dPreviousInput.hi, ref dA.hi, ref h.hi, ref a.hi, ref sums, starts, delta, u, deltaU, dy, n + S.Count, B, b, C, c,
            scratch, kept, dB, dC);
    }

    [MethodImpl(Inline)]
    public static void Retreat<PC>(ref Pair<S, V, M, T> g, ref Pair<S, V, M, T> decay, ref Pair<S, V, M, T> a, V delta, V dy, int n, M C, Column c)
        where PC : struct, IProjection<V, M>
    {
        S.Retreat<PC>(ref g.lo, ref decay.lo, ref a.lo, delta, dy, n, C, c);
        S.Retreat<PC>(ref g.hi, ref decay.hi, ref a.hi, delta, dy, n + S.Count, C, c);
    }
}
