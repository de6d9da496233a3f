using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Mamba.Gpu;

/// <summary>
/// A few rows of A times a panel of rows of B, B stored transposed: a token or a few times a weight. Every element of B is read
/// once, and reading it is all the time there is, so B goes from memory to registers: squares of it are transposed
/// there, and lanes are columns of C as in <see cref="HostMatMul{T, V}"/>, so that the chains of multiply-adds, and the bits, are the same.
/// </summary>
/// <remarks>
/// Two vectors' worth of rows of B are walked side by side, a cache line of each at a time. A walk is too short for the
/// hardware to see it coming, so what is needed in a few steps, be it in the next panel, is asked for.
/// </remarks>
internal static unsafe class HostFewRows<T, V> where T : unmanaged, INumber<T> where V : unmanaged, IMatMulVector<V, T>
{
    const MethodImplOptions Hot = MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining;
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    const long AheadBytes = 512;

    /// <summary>Rows of A done at a time: with 32 registers or 16, their sums and a square of B stay there.</summary>
    public const long Most = 4;

    static long Line => 64 / sizeof(T);
    static long Lane => 16 / sizeof(T);

    /// <summary>c[i, j] (+)= Σ_p a[i, p]·b[j, p] for <paramref name="rows"/> ≤ 4 rows i, two vectors of columns j and p &lt; <paramref name="k"/>.</summary>
    /// <param name="a">Rows <paramref name="lda"/> apart.</param>
    /// <param name="b">Rows <paramref name="ldb"/> apart.</param>
    /// <param name="rest">How far the rows of b go on from here; the next panel follows behind this one.</param>
    /// <param name="c">Rows <paramref name="ldc"/> apart.</param>
    /// <param name="add">Whether c is added to.</param>
    /// <param name="bias">Of two vectors, or null.</param>
    [MethodImpl(Hot), SkipLocalsInit]
    public static void Multiply(T* a, long lda, long rows, T* b, long ldb, long k, long rest, T* c, long ldc, bool add, T* bias)
    {
        long width = 2 * V.Width, whole = k - k % Line;
        T* sums = stackalloc T[(int)(Most * width)];
        new Span<T>(sums, (int)(Most * width)).Clear();
        Walk(a, lda, rows, b, ldb, whole, rest, sums);
        if (whole < k)      // the last columns, with zeros behind, which add nothing
        {
            T* left = stackalloc T[(int)(Most * Line)], right = stackalloc T[(int)(width * Line)];
            Pad(a + whole, lda, rows, k - whole, left);
            Pad(b + whole, ldb, width, k - whole, right);
            Walk(left, Line, rows, right, Line, Line, long.MaxValue, sums);
        }
        for (long i = 0; i < rows; i++, sums += width, c += ldc)
            for (long j = 0; j < width; j += V.Width)
            {
                V sum = V.Load(sums + j);
                if (add) sum = V.Add(sum, V.Load(c + j));
                if (bias != null) sum = V.Add(sum, V.Load(bias + j));
                V.Store(c + j, sum);
            }
    }

    static void Walk(T* a, long lda, long rows, T* b, long ldb, long k, long rest, T* sums)
    {
        if (rows == 1)
            Walk1(a, b, ldb, k, rest, sums);
        else if (rows == 2)
            Walk2(a, lda, b, ldb, k, rest, sums);
        else
            Walk4(a, lda, rows, b, ldb, k, rest, sums);
    }

    // The walks continue the sums, (rows, two vectors), over whole lines. No calls, or the sums would not stay in registers.

    [MethodImpl(Hot)]
    static void Walk1(T* a, T* b, long ldb, long k, long rest, T* sums)
    {
        V x = V.Load(sums), y = V.Load(sums + V.Width);
        T* lower = b + V.Width * ldb;
        for (T* end = a + k; a < end; rest -= Line)
        {
            Ask(b, ldb, rest);
            for (T* line = a + Line; a < line; a += Lane, b += Lane, lower += Lane)
            {
                x = Square1(a, b, ldb, x);
                y = Square1(a, lower, ldb, y);
            }
        }
        V.Store(sums, x);
        V.Store(sums + V.Width, y);
    }

    [MethodImpl(Hot)]
    static void Walk2(T* a, long lda, T* b, long ldb, long k, long rest, T* sums)
    {
        V x0 = V.Load(sums), y0 = V.Load(sums + V.Width), x1 = V.Load(sums + 2 * V.Width), y1 = V.Load(sums + 3 * V.Width);
        T* lower = b + V.Width * ldb;
        for (T* end = a + k; a < end; rest -= Line)
        {
            Ask(b, ldb, rest);
            for (T* line = a + Line; a < line; a += Lane, b += Lane, lower += Lane)
            {
                Square2(a, lda, b, ldb, ref x0, ref x1);
                Square2(a, lda, lower, ldb, ref y0, ref y1);
            }
        }
        V.Store(sums, x0);
        V.Store(sums + V.Width, y0);
        V.Store(sums + 2 * V.Width, x1);
        V.Store(sums + 3 * V.Width, y1);
    }

    // With three rows the first is computed again and dropped.
    [MethodImpl(Hot)]
    static void Walk4(T* a, long lda, long rows, T* b, long ldb, long k, long rest, T* sums)
    {
        V x0 = V.Load(sums), y0 = V.Load(sums + V.Width), x1 = V.Load(sums + 2 * V.Width), y1 = V.Load(sums + 3 * V.Width);
        V x2 = V.Load(sums + 4 * V.Width), y2 = V.Load(sums + 5 * V.Width), x3 = V.Load(sums + 6 * V.Width), y3 = V.Load(sums + 7 * V.Width);
        T* lower = b + V.Width * ldb;
        long last = rows > 3 ? 3 * lda : 0;
        for (T* end = a + k; a < end; rest -= Line)
        {
            Ask(b, ldb, rest);
            for (T* line = a + Line; a < line; a += Lane, b += Lane, lower += Lane)
            {
                Square4(a, lda, last, b, ldb, ref x0, ref x1, ref x2, ref x3);
                Square4(a, lda, last, lower, ldb, ref y0, ref y1, ref y2, ref y3);
            }
        }
        V.Store(sums, x0);
        V.Store(sums + V.Width, y0);
        V.Store(sums + 2 * V.Width, x1);
        V.Store(sums + 3 * V.Width, y1);
        V.Store(sums + 4 * V.Width, x2);
        V.Store(sums + 5 * V.Width, y2);
        V.Store(sums + 6 * V.Width, x3);
        V.Store(sums + 7 * V.Width, y3);
    }

    // One row of A times a square of B: a vector of its rows, 16 bytes of each.
    [MethodImpl(Inline)]
    static V Square1(T* a, T* b, long ldb, V sum)
    {
        Turn(b, ldb, out V b0, out V b1, out V b2, out V b3);
        return Row(a, b0, b1, b2, b3, sum);
    }

    [MethodImpl(Inline)]
    static void Square2(T* a, long lda, T* b, long ldb, ref V sum0, ref V sum1)
    {
        Turn(b, ldb, out V b0, out V b1, out V b2, out V b3);
        sum0 = Row(a, b0, b1, b2, b3, sum0);
        sum1 = Row(a + lda, b0, b1, b2, b3, sum1);
    }

    [MethodImpl(Inline)]
    static void Square4(T* a, long lda, long last, T* b, long ldb, ref V sum0, ref V sum1, ref V sum2, ref V sum3)
    {
        Turn(b, ldb, out V b0, out V b1, out V b2, out V b3);
        sum0 = Row(a, b0, b1, b2, b3, sum0);
        sum1 = Row(a + lda, b0, b1, b2, b3, sum1);
        sum2 = Row(a + 2 * lda, b0, b1, b2, b3, sum2);
        sum3 = Row(a + last, b0, b1, b2, b3, sum3);
    }

    [MethodImpl(Inline)]
    static V Row(T* a, V b0, V b1, V b2, V b3, V sum)
    {
        sum = V.Fma(V.Broadcast(a), b0, sum);
        sum = V.Fma(V.Broadcast(a + 1), b1, sum);
        if (sizeof(T) == 8)
            return sum;
        sum = V.Fma(V.Broadcast(a + 2), b2, sum);
        return V.Fma(V.Broadcast(a + 3), b3, sum);
    }

    // The columns of a square, two for double. See HostMatMul.Transpose.
    [MethodImpl(Inline)]
    static void Turn(T* b, long ldb, out V c0, out V c1, out V c2, out V c3)
    {
        if (sizeof(T) == 4)
        {
            V r0 = V.LoadBlocks(b, 4 * ldb), r1 = V.LoadBlocks(b + ldb, 4 * ldb), r2 = V.LoadBlocks(b + 2 * ldb, 4 * ldb), r3 = V.LoadBlocks(b + 3 * ldb, 4 * ldb);
            V even = V.ZipLow(r0, r2), odd = V.ZipLow(r1, r3);
            c0 = V.ZipLow(even, odd);
            c1 = V.ZipHigh(even, odd);
            even = V.ZipHigh(r0, r2);
            odd = V.ZipHigh(r1, r3);
            c2 = V.ZipLow(even, odd);
            c3 = V.ZipHigh(even, odd);
        }
        else
        {
            V r0 = V.LoadBlocks(b, 2 * ldb), r1 = V.LoadBlocks(b + ldb, 2 * ldb);
            c0 = V.ZipLow(r0, r1);
            c1 = V.ZipHigh(r0, r1);
            c2 = c3 = default;
        }
    }

    // The line that each row of b, or of the panel behind, has some steps ahead.
    [MethodImpl(Inline)]
    static void Ask(T* b, long ldb, long rest)
    {
        if (!Sse.IsSupported)
            return;
        long ahead = AheadBytes / sizeof(T);
        T* at = b + ahead + (ahead < rest ? 0 : (2 * V.Width - 1) * ldb);
        for (long i = 0; i < 2 * V.Width; i++, at += ldb)
            Sse.Prefetch0(at);
    }

    // to (rows, line) ← the last columns of from
    static void Pad(T* from, long stride, long rows, long columns, T* to)
    {
        for (; rows > 0; rows--, from += stride, to += Line)
        {
            new ReadOnlySpan<T>(from, (int)columns).CopyTo(new Span<T>(to, (int)columns));
            new Span<T>(to + columns, (int)(Line - columns)).Clear();
        }
    }
}
