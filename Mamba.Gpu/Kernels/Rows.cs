using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>A term of a sum along a row.</summary>
internal interface IRowTerm<V>
{
    /// <summary>
    /// sum + the terms of elements i, i + 1, … of the row; those beyond the first <paramref name="lanes"/> are not the row's and may be anything.
    /// </summary>
    V Add(long i, int lanes, V sum);
}

/// <summary>
/// A sum of many terms, in a fixed order and with short chains of additions: 16 terms make one of the next level. Of count terms a chain has
/// 48 + count / 4096 links in all, and the error is at most that many half ulps of Σ|term|: where all terms are equal, which rounds the same way each
/// time, it stays below 10⁻⁶ up to 2^20 of them. One running sum has count links, and was off by 2·10⁻⁴ at 2^18.
/// </summary>
internal struct Cascade<V, M, T>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    /// <summary>Links of a chain.</summary>
    public const int Links = 16;

    V low, middle, high;
    int count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Add(V term)
    {
        low += term;
        count++;
        if (count % Links != 0)
            return;
        middle += low;
        low = V.Of(0);
        if (count % (Links * Links) != 0)
            return;
        high += middle;
        middle = V.Of(0);
    }

    public readonly V Sum
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => high + (middle + low);
    }

    /// <summary>Σ of elements at, at + stride, … of p, <paramref name="count"/> of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Of(M p, long at, long stride, long count)
    {
        Cascade<V, M, T> sum = default;
        for (long k = 0; k < count;)
        {
            long end = Math.Min(k + Links, count);
            V chain = V.Load(p, at + k * stride);
            for (k++; k < end; k++)
                chain += V.Load(p, at + k * stride);
            sum.Add(chain);
        }
        return sum.Sum;
    }
}

/// <summary>
/// Passes over one row of elements that a team shares: thread r of s takes lanes r, r + s, … Four at a time: one chain of
/// additions would wait for each to end. None is longer than <see cref="Cascade{V, M, T}.Links"/>.
/// </summary>
internal static class Row
{
    /// <summary>Σ term(i), i &lt; count. All threads of the team must call it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Sum<F, V, M, T, G>(G team, F term, long count)
        where F : struct, IRowTerm<V>
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
        where G : struct, ITeam<V>
    {
        long step = (long)team.Size * V.Width, i = (long)team.Rank * V.Width, whole = count - 3 * step - V.Width;
        Cascade<V, M, T> before = default;
        V s0, s1, s2, s3;
        while (true)
        {
            s0 = s1 = s2 = s3 = V.Of(0);
            for (long last = Math.Min(whole, i + 4 * (Cascade<V, M, T>.Links - 1) * step); i <= last; i += 4 * step)
            {
                s0 = term.Add(i, V.Width, s0);
                s1 = term.Add(i + step, V.Width, s1);
                s2 = term.Add(i + 2 * step, V.Width, s2);
                s3 = term.Add(i + 3 * step, V.Width, s3);
            }
            if (i > whole)
                break;
            before.Add(s0 + s1 + (s2 + s3));
        }
        V rest = V.Of(0);
        for (; i < count; i += step)
            rest += V.Keep(term.Add(i, Lanes.In(count - i), V.Of(0)), Lanes.In(count - i));
        return team.Sum(before.Sum + (s0 + s1 + (s2 + s3) + rest));
    }

    /// <summary>The largest of elements o … o + count − 1 of x, NaN if there is one; count at least 1. All threads of the team must call it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Largest<V, M, T, G>(G team, M x, long o, long count)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
        where G : struct, ITeam<V>
    {
        // The new one first: whether it is NaN is then found beside the chain of maxima, not in it.
        V m0 = V.Broadcast(x, o), m1 = m0, m2 = m0, m3 = m0;
        long whole = count - count % V.Width, step = (long)team.Size * V.Width, i = (long)team.Rank * V.Width;
        for (; i + 3 * step < whole; i += 4 * step)
        {
            m0 = V.Max(V.Load(x, o + i), m0);
            m1 = V.Max(V.Load(x, o + i + step), m1);
            m2 = V.Max(V.Load(x, o + i + 2 * step), m2);
            m3 = V.Max(V.Load(x, o + i + 3 * step), m3);
        }
        for (; i < whole; i += step)
            m0 = V.Max(V.Load(x, o + i), m0);
        for (i = whole; i < count; i++)        // the last few, on the host: lanes past the row must not take part
            m0 = V.Max(V.Broadcast(x, o + i), m0);
        return team.Largest(V.Max(V.Max(m0, m1), V.Max(m2, m3)));
    }
}

/// <summary>x</summary>
internal readonly struct RowValues<V, M, T>(M x, long o) : IRowTerm<V>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    readonly M x = x;
    readonly long o = o;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Add(long i, int lanes, V sum) => sum + V.Load(x, o + i);
}

/// <summary>x · y</summary>
internal readonly struct RowProducts<V, M, T>(M x, M y, long o) : IRowTerm<V>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    readonly M x = x, y = y;
    readonly long o = o;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Add(long i, int lanes, V sum) => V.Fma(V.Load(x, o + i), V.Load(y, o + i), sum);
}

/// <summary>(x − shift)²</summary>
internal readonly struct RowSquares<V, M, T>(M x, long o, V shift) : IRowTerm<V>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    readonly M x = x;
    readonly long o = o;
    readonly V shift = shift;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Add(long i, int lanes, V sum)
    {
        V v = V.Load(x, o + i) - shift;
        return V.Fma(v, v, sum);
    }
}

/// <summary>exp(x − shift)</summary>
internal readonly struct RowExponentials<V, M, T>(M x, long o, V shift) : IRowTerm<V>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    readonly M x = x;
    readonly long o = o;
    readonly V shift = shift;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Add(long i, int lanes, V sum) => sum + V.Exp(V.Load(x, o + i) - shift);
}

/// <summary>sum = Σ partial[block], in a fixed order: the second pass of every sum over rows. partial (blocks, count), sum (count).</summary>
internal struct SumPartials<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M Partial, Sum;
    public long Blocks, Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        Share share = worker.Share(Count, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
            V.Store(Sum, i, Cascade<V, M, T>.Of(Partial, i, Count, Blocks), Lanes.In(share.End - i));
    }
}

/// <summary>Launches what several ops share.</summary>
internal static class PartialKernels
{
    /// <summary>
    /// Rows that one block adds up: 8 to 64, about 256 blocks in all. It depends on the problem alone, so sums over rows
    /// have the same bits on any number of cores.
    /// </summary>
    public static long RowsPerBlock(long rows) => Math.Clamp(rows / 256, 8, 64);

    /// <summary>sum (…) ← Σ over the first axis of partial (blocks, …).</summary>
    public static void Sum(Tensor partial, Tensor sum) => sum.Launch(new SumLaunch(partial, sum));

    readonly record struct SumLaunch(Tensor Partial, Tensor Sum) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(
            new SumPartials<V, M, T> { Partial = on.Memory(Partial), Sum = on.Memory(Sum), Blocks = Partial.Shape[0], Count = Sum.Count },
            Sum.Count, Partial.Shape[0]);
    }
}
