using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>Small helpers of kernels.</summary>
public static class Lanes
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>How many of the next lanes are inside, when <paramref name="left"/> elements are left.</summary>
    [MethodImpl(Inline)]
    public static int In(long left) => left < 64 ? (int)left : 64;

    /// <summary>x in the first <paramref name="lanes"/> lanes, <paramref name="outside"/> in the others, whatever x holds there.</summary>
    [MethodImpl(Inline)]
    public static V Inside<V, M, T>(V x, int lanes, V outside)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged =>
        lanes >= V.Width ? x : V.IfLess(V.Keep(V.Of(1), lanes), V.Of(1), outside, x);

    /// <summary>1 / (1 + e^−x). Far below 0 the exponential becomes infinite and the quotient 0, as it should.</summary>
    [MethodImpl(Inline)]
    public static V Sigmoid<V, M, T>(V x)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged => V.Of(1) / (V.Of(1) + V.Exp(-x));

    /// <summary>
    /// sin x and cos x: x = k π/2 + r with π/2 in three parts, the series of both over |r| ≤ π/4, and the quadrant k says which is
    /// which. For |x| below 10^5 the error is some ulps of 1.
    /// </summary>
    [MethodImpl(Inline)]
    public static void SinCos<V, M, T>(V x, out V sin, out V cos)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        V k = V.Round(x * V.Constant(0.63661977236758134308));
        V r = V.Fma(k, V.Of(-1.5703125f), x);
        r = V.Fma(k, V.Constant(-4.837512969970703125e-4), r);
        r = V.Fma(k, V.Constant(-7.549789954891882169e-8), r);
        V q = r * r;
        V s = V.Fma(q, V.Constant(1 / 355687428096000.0), V.Constant(-1 / 1307674368000.0));
        s = V.Fma(q, s, V.Constant(1 / 6227020800.0));
        s = V.Fma(q, s, V.Constant(-1 / 39916800.0));
        s = V.Fma(q, s, V.Constant(1 / 362880.0));
        s = V.Fma(q, s, V.Constant(-1 / 5040.0));
        s = V.Fma(q, s, V.Constant(1 / 120.0));
        s = V.Fma(q, s, V.Constant(-1 / 6.0));
        s = V.Fma(q * s, r, r);
        V c = V.Fma(q, V.Constant(1 / 20922789888000.0), V.Constant(-1 / 87178291200.0));
        c = V.Fma(q, c, V.Constant(1 / 479001600.0));
        c = V.Fma(q, c, V.Constant(-1 / 3628800.0));
        c = V.Fma(q, c, V.Constant(1 / 40320.0));
        c = V.Fma(q, c, V.Constant(-1 / 720.0));
        c = V.Fma(q, c, V.Constant(1 / 24.0));
        c = V.Fma(q, c, V.Of(-0.5f));
        c = V.Fma(q, c, V.Of(1));
        V quadrant = k - V.Of(4) * V.Round(k * V.Of(0.25f));       // -2 … 2
        V odd = V.Abs(V.Abs(quadrant) - V.Of(1)), half = V.Of(0.5f);
        V first = V.IfLess(odd, half, c, s), second = V.IfLess(odd, half, s, c);
        sin = V.IfLess(V.Of(1.5f), quadrant, -first, V.IfLess(quadrant, -half, -first, first));
        cos = V.IfLess(half, quadrant, -second, V.IfLess(quadrant, V.Of(-1.5f), -second, second));
    }

    /// <summary>x · mask, and 0 where the mask is, whatever x.</summary>
    [MethodImpl(Inline)]
    public static V Masked<V, M, T>(V x, V mask)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged => V.IfZero(mask, mask, x * mask);

    /// <summary>How many elements of a row one item of a row-wise kernel takes: one on a device, where neighbouring threads take neighbours.</summary>
    [MethodImpl(Inline)]
    public static long Run(int width) => width == 1 ? 1 : 1024;
}
