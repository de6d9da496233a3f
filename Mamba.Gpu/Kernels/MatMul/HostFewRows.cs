using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Mamba.Gpu;

/// <summary>
/// A few rows of A times rows of B, B stored transposed: a token or some times a weight. Every element of B is read once and
/// reading it is all the time there is, so B is neither copied nor turned: an element of C is one dot product along both rows.
/// </summary>
/// <remarks>
/// Bits: the products of an element are added in one vector along k, then its lanes, then what is left of k. That depends on
/// nothing but k and the vector's width, so a row's result is the same whatever rows are beside it, up to <see cref="Most"/> of them; with
/// more, <see cref="HostMatMul{T, V}"/> adds in another order.
/// </remarks>
internal static unsafe class HostFewRows<T, V> where T : unmanaged, INumber<T> where V : unmanaged, IMatMulVector<V, T>
{
    const MethodImplOptions Hot = MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining;
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>Most rows of A: with more the product is bound by arithmetic.</summary>
    public const long Most = 8;

    /// <summary>C[.., start..end] of a product with no more than <see cref="Most"/> rows; see <see cref="MatMulArgs{T}"/>.</summary>
    [MethodImpl(Hot)]
    public static void Multiply(in MatMulArgs<T> args, long batch, long start, long end)
    {
        T* A = args.A + batch * args.StrideA, B = args.B + batch * args.StrideB, C = args.C + batch * args.StrideC;
        T* sums = stackalloc T[12];        // eight, and three more that Dot spoils
        long k = args.K, whole = k - k % V.Width, step = args.M > 2 ? 2 : 4;
        for (long j = start, columns; j < end; j += columns)
        {
            columns = Math.Min(step, end - j);
            for (long i = 0, rows; i < args.M; i += rows)
            {
                rows = Math.Min(args.M - i, step == 2 ? 4 : 2);
                T* a = A + i * args.RowA, b = B + j * k;
                if (columns < step)
                    for (long x = 0; x < rows * columns; x++)
                        Dot(a + x / columns * args.RowA, b + x % columns * k, whole, sums + x);
                else if (step == 2)
                    Dot2(a, args.RowA, rows, b, k, whole, sums);
                else if (rows == 2)
                    Dot4(a, a + args.RowA, b, k, whole, sums);
                else
                    Dot4(a, b, k, whole, sums);
                for (long x = 0; x < rows; x++)
                    for (long y = 0; y < columns; y++)
                    {
                        T sum = sums[x * columns + y];
                        for (long p = whole; p < k; p++) sum += a[x * args.RowA + p] * b[y * k + p];
                        T* c = C + (i + x) * args.N + j + y;
                        if (args.Accumulate) sum += *c;
                        if (args.Bias != null) sum += args.Bias[j + y];
                        *c = sum;
                    }
            }
        }
    }

    // The products of whole vectors; three more elements of sums are written.
    [MethodImpl(Hot)]
    static void Dot(T* a, T* b, long whole, T* sums)
    {
        V sum = default;
        for (long p = 0; p < whole; p += V.Width)
            sum = V.Fma(V.Load(a + p), V.Load(b + p), sum);
        V.StoreSums(sum, sum, sum, sum, sums);
    }

    // A row of A and four of B.
    [MethodImpl(Hot)]
    static void Dot4(T* a, T* b, long k, long whole, T* sums)
    {
        V s0 = default, s1 = default, s2 = default, s3 = default;
        T* b1 = b + k, b2 = b1 + k, b3 = b2 + k, next = b3 + k;
        for (long p = 0; p < whole; p += V.Width, next += 4 * V.Width)
        {
            Ask(next);
            Ask(next + 2 * V.Width);
            V x = V.Load(a + p);
            s0 = V.Fma(x, V.Load(b + p), s0);
            s1 = V.Fma(x, V.Load(b1 + p), s1);
            s2 = V.Fma(x, V.Load(b2 + p), s2);
            s3 = V.Fma(x, V.Load(b3 + p), s3);
        }
        V.StoreSums(s0, s1, s2, s3, sums);
    }

    // Two rows of A and four of B.
    [MethodImpl(Hot)]
    static void Dot4(T* a, T* a1, T* b, long k, long whole, T* sums)
    {
        V s0 = default, s1 = default, s2 = default, s3 = default, t0 = default, t1 = default, t2 = default, t3 = default;
        T* b1 = b + k, b2 = b1 + k, b3 = b2 + k, next = b3 + k;
        for (long p = 0; p < whole; p += V.Width, next += 4 * V.Width)
        {
            Ask(next);
            Ask(next + 2 * V.Width);
            V x = V.Load(a + p), y = V.Load(a1 + p), z = V.Load(b + p);
            s0 = V.Fma(x, z, s0);
            t0 = V.Fma(y, z, t0);
            z = V.Load(b1 + p);
            s1 = V.Fma(x, z, s1);
            t1 = V.Fma(y, z, t1);
            z = V.Load(b2 + p);
            s2 = V.Fma(x, z, s2);
            t2 = V.Fma(y, z, t2);
            z = V.Load(b3 + p);
            s3 = V.Fma(x, z, s3);
            t3 = V.Fma(y, z, t3);
        }
        V.StoreSums(s0, s1, s2, s3, sums);
        V.StoreSums(t0, t1, t2, t3, sums + 4);
    }

    // Up to four rows of A and two of B. Missing rows are the first again, and dropped.
    [MethodImpl(Hot)]
    static void Dot2(T* a, long lda, long rows, T* b, long k, long whole, T* sums)
    {
        V s0 = default, s1 = default, s2 = default, s3 = default, t0 = default, t1 = default, t2 = default, t3 = default;
        T* a1 = rows > 1 ? a + lda : a, a2 = rows > 2 ? a1 + lda : a, a3 = rows > 3 ? a2 + lda : a, b1 = b + k, next = b1 + k;
        for (long p = 0; p < whole; p += V.Width, next += 2 * V.Width)
        {
            Ask(next);
            V x = V.Load(b + p), y = V.Load(b1 + p), z = V.Load(a + p);
            s0 = V.Fma(z, x, s0);
            t0 = V.Fma(z, y, t0);
            z = V.Load(a1 + p);
            s1 = V.Fma(z, x, s1);
            t1 = V.Fma(z, y, t1);
            z = V.Load(a2 + p);
            s2 = V.Fma(z, x, s2);
            t2 = V.Fma(z, y, t2);
            z = V.Load(a3 + p);
            s3 = V.Fma(z, x, s3);
            t3 = V.Fma(z, y, t3);
        }
        V.StoreSums(s0, t0, s1, t1, sums);
        V.StoreSums(s2, t2, s3, t3, sums + 4);
    }

    // Two vectors of the rows of B behind those under way, in the order they lie in memory: what they hold is needed soon.
    [MethodImpl(Inline)]
    static void Ask(T* next)
    {
        if (!Sse.IsSupported)
            return;
        Sse.Prefetch0(next);
        if (V.Width * sizeof(T) == 64)
            Sse.Prefetch0(next + V.Width);
    }
}
