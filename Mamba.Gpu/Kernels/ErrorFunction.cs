using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// erf and the normal distribution in lanes: quotients of polynomials in three ranges, W. J. Cody, "Rational Chebyshev approximations for the
/// error function", Math. Comp. 23 (1969), with the coefficients of his CALERF. In float64 each is good to some 6e-16, relatively, in the
/// tail too.
/// </summary>
internal static class ErrorFunction
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>Below it |x| takes the first range.</summary>
    const float Seam = 0.46875f;

    const double HalfRoot = 0.70710678118654752440;         // √½

    /// <summary>erf x = 2/√π ∫₀ˣ e^−t² dt</summary>
    [MethodImpl(Inline)]
    public static V Erf<V, M, T>(V x)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        V y = V.Min(V.Of(6), V.Abs(x));                     // erf 6 = 1 − 2e-17
        V far = V.Of(1) - Middle<V, M, T>(y) * ExpMinus<V, M, T>(y, y);
        return V.IfLess(y, V.Of(Seam), Near<V, M, T>(x), V.IfLess(x, V.Of(0), -far, far));
    }

    /// <summary>erf′ x = 2/√π e^−x²</summary>
    [MethodImpl(Inline)]
    public static V ErfSlope<V, M, T>(V x)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        V y = Clamped<V, M, T>(x);
        return V.Constant(1.1283791670955125739) * ExpMinus<V, M, T>(y, y);
    }

    /// <summary>Φ(x) = ½ (1 + erf x/√2) and φ(x) = Φ′(x) = e^(−x²/2) / √2π, for |x| up to 40.</summary>
    [MethodImpl(Inline)]
    public static V Normal<V, M, T>(V x, out V density)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        V half = V.Of(0.5f), e = ExpMinus<V, M, T>(half * x, x), y = V.Constant(HalfRoot) * V.Abs(x);
        density = V.Constant(0.39894228040143267794) * e;
        V tail = half * V.IfLess(V.Of(4), y, Far<V, M, T>(y), Middle<V, M, T>(y)) * e;
        return V.IfLess(y, V.Of(Seam), V.Fma(half, Near<V, M, T>(V.Constant(HalfRoot) * x), half), V.IfLess(x, V.Of(0), tail, V.Of(1) - tail));
    }

    /// <summary>x, but at most 40 in size, where every tail is 0: no infinity meets a 0 behind it. A NaN stays one.</summary>
    [MethodImpl(Inline)]
    public static V Clamped<V, M, T>(V x)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged => V.Max(V.Of(-40), V.Min(V.Of(40), x));

    // e^−ab; what the product loses by rounding, which the exponential would multiply by ab, is put back where the machine has it
    [MethodImpl(Inline)]
    static V ExpMinus<V, M, T>(V a, V b)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        V product = a * b, rest = V.Fma(a, b, -product);
        return V.Exp(-product) * (V.Of(1) - rest);
    }

    // erf x for |x| ≤ 0.46875
    [MethodImpl(Inline)]
    static V Near<V, M, T>(V x)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        V q = x * x;
        V p = V.Fma(V.Constant(1.85777706184603153e-1), q, V.Constant(3.16112374387056560));
        p = V.Fma(p, q, V.Constant(1.13864154151050156e2));
        p = V.Fma(p, q, V.Constant(3.77485237685302021e2));
        p = V.Fma(p, q, V.Constant(3.20937758913846947e3));
        V r = q + V.Constant(2.36012909523441209e1);
        r = V.Fma(r, q, V.Constant(2.44024637934444173e2));
        r = V.Fma(r, q, V.Constant(1.28261652607737228e3));
        r = V.Fma(r, q, V.Constant(2.84423683343917062e3));
        return x * p / r;
    }

    // erfc(y) e^y² for 0.46875 ≤ y ≤ 4; up to 6 it is 7e-13 off
    [MethodImpl(Inline)]
    static V Middle<V, M, T>(V y)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        V p = V.Fma(V.Constant(2.15311535474403846e-8), y, V.Constant(5.64188496988670089e-1));
        p = V.Fma(p, y, V.Constant(8.88314979438837594));
        p = V.Fma(p, y, V.Constant(6.61191906371416295e1));
        p = V.Fma(p, y, V.Constant(2.98635138197400131e2));
        p = V.Fma(p, y, V.Constant(8.81952221241769090e2));
        p = V.Fma(p, y, V.Constant(1.71204761263407058e3));
        p = V.Fma(p, y, V.Constant(2.05107837782607147e3));
        p = V.Fma(p, y, V.Constant(1.23033935479799725e3));
        V r = y + V.Constant(1.57449261107098347e1);
        r = V.Fma(r, y, V.Constant(1.17693950891312499e2));
        r = V.Fma(r, y, V.Constant(5.37181101862009858e2));
        r = V.Fma(r, y, V.Constant(1.62138957456669019e3));
        r = V.Fma(r, y, V.Constant(3.29079923573345963e3));
        r = V.Fma(r, y, V.Constant(4.36261909014324716e3));
        r = V.Fma(r, y, V.Constant(3.43936767414372164e3));
        r = V.Fma(r, y, V.Constant(1.23033935480374942e3));
        return p / r;
    }

    // erfc(y) e^y² for y ≥ 4: (1/√π − q P(q)/Q(q)) / y with q = 1/y²
    [MethodImpl(Inline)]
    static V Far<V, M, T>(V y)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        V q = V.Of(1) / (y * y);
        V p = V.Fma(V.Constant(1.63153871373020978e-2), q, V.Constant(3.05326634961232344e-1));
        p = V.Fma(p, q, V.Constant(3.60344899949804439e-1));
        p = V.Fma(p, q, V.Constant(1.25781726111229246e-1));
        p = V.Fma(p, q, V.Constant(1.60837851487422766e-2));
        p = V.Fma(p, q, V.Constant(6.58749161529837803e-4));
        V r = q + V.Constant(2.56852019228982242);
        r = V.Fma(r, q, V.Constant(1.87295284992346725));
        r = V.Fma(r, q, V.Constant(5.27905102951428412e-1));
        r = V.Fma(r, q, V.Constant(6.05183413124413191e-2));
        r = V.Fma(r, q, V.Constant(2.33520497626869185e-3));
        return (V.Constant(0.56418958354775628695) - q * p / r) / y;
    }
}
