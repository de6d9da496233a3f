using System.Numerics;
using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// k values of one lane held in registers, oldest first: a list of structs, k deep, which both compilers unroll. The
/// window of a convolution, its weights, and the sums of its weights' gradients.
/// </summary>
/// <typeparam name="W">The list itself.</typeparam>
/// <typeparam name="V">Lane.</typeparam>
/// <typeparam name="M">Memory.</typeparam>
internal interface ITaps<W, V, M> where W : struct, ITaps<W, V, M>
{
    /// <summary>k</summary>
    static abstract int Count { get; }

    /// <summary>The lanes at elements i, i + stride, … of p.</summary>
    static abstract W Load(M p, long i, long stride);

    /// <summary>The reverse of Load, for the first <paramref name="lanes"/> lanes.</summary>
    static abstract void Store(M p, long i, long stride, in W w, int lanes);

    /// <summary>sum + Σ a_j·b_j</summary>
    static abstract V Dot(in W a, in W b, V sum);

    /// <summary>sums_j += x_j·y</summary>
    static abstract void MulAdd(ref W sums, in W x, V y);

    /// <summary>Drops the oldest, which is returned, and appends the newest.</summary>
    static abstract V Append(ref W w, V newest);

    /// <summary>Drops the last and puts v before the first.</summary>
    static abstract void Prepend(ref W w, V v);
}

/// <summary>The last value of a list.</summary>
internal struct LastTap<V, M, T> : ITaps<LastTap<V, M, T>, V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    V x;

    public static int Count => 1;
    [MethodImpl(Inline)] public static LastTap<V, M, T> Load(M p, long i, long stride) => new() { x = V.Load(p, i) };
    [MethodImpl(Inline)] public static void Store(M p, long i, long stride, in LastTap<V, M, T> w, int lanes) => V.Store(p, i, w.x, lanes);
    [MethodImpl(Inline)] public static V Dot(in LastTap<V, M, T> a, in LastTap<V, M, T> b, V sum) => V.Fma(a.x, b.x, sum);
    [MethodImpl(Inline)] public static void MulAdd(ref LastTap<V, M, T> sums, in LastTap<V, M, T> x, V y) => sums.x = V.Fma(x.x, y, sums.x);
    [MethodImpl(Inline)] public static void Prepend(ref LastTap<V, M, T> w, V v) => w.x = v;

    [MethodImpl(Inline)]
    public static V Append(ref LastTap<V, M, T> w, V newest)
    {
        V oldest = w.x;
        w.x = newest;
        return oldest;
    }
}

/// <summary>A value before the rest of a list.</summary>
internal struct Tap<W, V, M, T> : ITaps<Tap<W, V, M, T>, V, M>
    where W : struct, ITaps<W, V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    V x;
    W rest;

    public static int Count { [MethodImpl(Inline)] get => 1 + W.Count; }
    [MethodImpl(Inline)] public static Tap<W, V, M, T> Load(M p, long i, long stride) => new() { x = V.Load(p, i), rest = W.Load(p, i + stride, stride) };
    [MethodImpl(Inline)] public static V Dot(in Tap<W, V, M, T> a, in Tap<W, V, M, T> b, V sum) => W.Dot(a.rest, b.rest, V.Fma(a.x, b.x, sum));

    [MethodImpl(Inline)]
    public static void Store(M p, long i, long stride, in Tap<W, V, M, T> w, int lanes)
    {
        V.Store(p, i, w.x, lanes);
        W.Store(p, i + stride, stride, w.rest, lanes);
    }

    [MethodImpl(Inline)]
    public static void MulAdd(ref Tap<W, V, M, T> sums, in Tap<W, V, M, T> x, V y)
    {
        sums.x = V.Fma(x.x, y, sums.x);
        W.MulAdd(ref sums.rest, x.rest, y);
    }

    [MethodImpl(Inline)]
    public static V Append(ref Tap<W, V, M, T> w, V newest)
    {
        V oldest = w.x;
        w.x = W.Append(ref w.rest, newest);
        return oldest;
    }

    [MethodImpl(Inline)]
    public static void Prepend(ref Tap<W, V, M, T> w, V v)
    {
        W.Prepend(ref w.rest, w.x);
        w.x = v;
    }
}

/// <summary>A launch that is compiled for each number of taps.</summary>
internal interface ITapsLaunch
{
    void With<W, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        where W : struct, ITaps<W, V, M>
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged, INumberBase<T>
        where I : struct, IMemory<int>
        where G : struct, ITeam<V>;
}

/// <summary>From a number of taps to the list of that many.</summary>
internal static class Taps
{
    public static void Choose<L, V, M, T, I, G>(long count, L launch, ILauncher<V, M, T, I, G> on)
        where L : struct, ITapsLaunch
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged, INumberBase<T>
        where I : struct, IMemory<int>
        where G : struct, ITeam<V> =>
        Grow<LastTap<V, M, T>, L, V, M, T, I, G>(count - 1, launch, on);

    // Makes the list one longer until none is missing.
    static void Grow<W, L, V, M, T, I, G>(long missing, L launch, ILauncher<V, M, T, I, G> on)
        where W : struct, ITaps<W, V, M>
        where L : struct, ITapsLaunch
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged, INumberBase<T>
        where I : struct, IMemory<int>
        where G : struct, ITeam<V>
    {
        if (missing == 0)
            launch.With<W, V, M, T, I, G>(on);
        else
            Grow<Tap<W, V, M, T>, L, V, M, T, I, G>(missing - 1, launch, on);
    }
}
