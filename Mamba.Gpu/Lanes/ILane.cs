namespace Mamba.Gpu;

/// <summary>
/// Numbers a kernel computes with side by side. On a GPU a lane type is one number and a thread is one lane; on the
/// host it is one SIMD vector and a core is 4, 8 or 16 lanes. Neighbouring lanes are neighbouring elements in memory.
/// </summary>
/// <remarks>
/// Lanes are real numbers: arithmetic is in <see cref="INumber{N, V, M, T}"/>. Loads may read past the end of a row, into values that belong to nobody (every
/// host buffer has 64 spare bytes at its end); stores and sums take the number of lanes that count, so nothing is ever written outside.
/// </remarks>
/// <typeparam name="V">The lane type itself.</typeparam>
/// <typeparam name="M">Memory: a pointer on the host, an ArrayView on a device.</typeparam>
/// <typeparam name="T">The element: float or double.</typeparam>
public interface ILane<V, M, T> : INumber<V, V, M, T>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    /// <summary>Lanes in one value: 1 on a device.</summary>
    static abstract int Width { get; }

    /// <summary>Elements i, i + 1, … of p.</summary>
    static abstract V Load(M p, long i);

    /// <summary>The first <paramref name="lanes"/> lanes to elements i, i + 1, … of p.</summary>
    static abstract void Store(M p, long i, V v, int lanes);

    /// <summary>All lanes to elements i, i + 1, … of p, for scratch that is a whole number of lanes wide.</summary>
    static abstract void Store(M p, long i, V v);

    /// <summary>
    /// Asks for elements i, i + 1, … of p to be brought near; they may lie outside of p. Nothing on a device, which hides latency by its threads.
    /// </summary>
    static abstract void Prefetch(M p, long i);

    /// <summary>Elements i, i + stride, … of p in the first <paramref name="lanes"/> lanes, zeros in the others.</summary>
    static abstract V Gather(M p, long i, long stride, int lanes);

    /// <summary>
    /// Four columns, a lane being a row: a is elements i, i + stride, … of p, b those one further on, then c and d. All lanes must be in p.
    /// </summary>
    static abstract void LoadColumns(M p, long i, long stride, out V a, out V b, out V c, out V d);

    /// <summary>Element i of p in every lane.</summary>
    static abstract V Broadcast(M p, long i);

    /// <summary>x in every lane.</summary>
    static abstract V Splat(T x);

    /// <summary>The nearest whole number, for |a| below 2^22.</summary>
    static abstract V Round(V a);

    /// <summary>The value of the first lane.</summary>
    static abstract T First(V v);

    /// <summary>The first lane, cut to a whole number.</summary>
    static abstract int ToInt(V v);

    /// <summary>v with zeros beyond the first <paramref name="lanes"/> lanes.</summary>
    static abstract V Keep(V v, int lanes);

    /// <summary>The sum over lanes, in a fixed order, in every lane.</summary>
    static abstract V Sum(V v);

    /// <summary>The sums over the lanes of a, b, c and d, in a fixed order, to elements i to i + 3 of p.</summary>
    static abstract void StoreSums(V a, V b, V c, V d, M p, long i);

    /// <summary>The largest lane, in every lane; NaN if there is one.</summary>
    static abstract V Largest(V v);

    /// <summary>−a</summary>
    static abstract V operator -(V a);

    /// <summary>The larger one; NaN if either is (IEEE 754-2019, maximum; which of two zeros is left open). Free of that care where a is a constant.</summary>
    static abstract V Max(V a, V b);

    /// <summary>The smaller one, likewise.</summary>
    static abstract V Min(V a, V b);

    /// <summary>|a|</summary>
    static abstract V Abs(V a);

    /// <summary>The natural logarithm of a &gt; 0.</summary>
    static abstract V Log(V a);

    /// <summary>log(1 + e) for e in [0, 1], to full relative precision down to 0.</summary>
    static abstract V Log1p(V e);

    /// <summary>
    /// a &lt; b ? yes : no, lane by lane. A NaN is not less, so no; but a constant a is no place to rely on it, for ILGPU turns such a comparison
    /// around and its PTX says yes.
    /// </summary>
    static abstract V IfLess(V a, V b, V yes, V no);

    /// <summary>a is NaN ? yes : no, lane by lane.</summary>
    static abstract V IfNaN(V a, V yes, V no);
}
