using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>The functions of one number; each is NaN at NaN. Where one has a corner, the derivative there is the one PyTorch takes.</summary>
internal static class Unary
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>−x</summary>
    public struct Neg : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => -x;
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => V.Of(-1);
    }

    /// <summary>e^x</summary>
    public struct Exp : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => V.Exp(x);
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => y;
    }

    /// <summary>ln x</summary>
    public struct Log : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => V.Log(x);
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => V.Of(1) / x;
    }

    /// <summary>√x</summary>
    public struct Sqrt : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => V.Sqrt(x);
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => V.Of(0.5f) / y;
    }

    /// <summary>x²</summary>
    public struct Square : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => x * x;
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => x + x;
    }

    /// <summary>1 / x</summary>
    public struct Reciprocal : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => V.Of(1) / x;
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => -y * y;
    }

    /// <summary>|x|; derivative 0 at 0.</summary>
    public struct Abs : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => V.Abs(x);
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => V.IfLess(x, V.Of(0), V.Of(-1), V.IfLess(-x, V.Of(0), V.Of(1), V.Of(0)));
    }

    /// <summary>max(x, 0); derivative 0 at 0.</summary>
    public struct Relu : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => V.Max(V.Of(0), x);
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => V.IfLess(-x, V.Of(0), V.Of(1), V.Of(0));
        [MethodImpl(Inline)] static V IUnary.Gradient<V, M, T>(V dy, V derivative) => Lanes.Masked<V, M, T>(dy, derivative);
    }

    /// <summary>σ(x) = 1 / (1 + e^−x)</summary>
    public struct Sigmoid : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => Lanes.Sigmoid<V, M, T>(x);
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => y * (V.Of(1) - y);
    }

    /// <summary>x · σ(x)</summary>
    public struct Silu : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => x * Lanes.Sigmoid<V, M, T>(x);

        [MethodImpl(Inline)]
        static V IUnary.Derivative<V, M, T>(V x, V y, V s)
        {
            V sigma = Lanes.Sigmoid<V, M, T>(x);
            return sigma * V.Fma(x, V.Of(1) - sigma, V.Of(1));      // σ(x)(1 + x(1 − σ(x)))
        }
    }

    /// <summary>log(1 + e^x), computed as max(x, 0) + log1p(e^−|x|); x itself above 20, as PyTorch's softplus.</summary>
    public struct Softplus : IUnary
    {
        [MethodImpl(Inline)]
        static V IUnary.Forward<V, M, T>(V x, V s) =>
            V.IfLess(V.Of(20), x, x, V.Max(V.Of(0), x) + V.Log1p(V.Exp(-V.Abs(x))));

        [MethodImpl(Inline)]
        static V IUnary.Derivative<V, M, T>(V x, V y, V s) => V.IfLess(-x, V.Of(-20), V.Of(1), Lanes.Sigmoid<V, M, T>(x));
    }

    /// <summary>
    /// tanh x = (1 − e) / (1 + e) with e = e^−2|x|. Below ⅝ that cancels, and Lambert's continued fraction
    /// x / (1 + x²/(3 + x²/(5 + …))), cut after 15, takes its place: 5e-18 there.
    /// </summary>
    public struct Tanh : IUnary
    {
        [MethodImpl(Inline)]
        static V IUnary.Forward<V, M, T>(V x, V s)
        {
            V q = x * x;
            V p = V.Fma(V.Fma(V.Fma(V.Of(36), q, V.Of(6930)), q, V.Of(270270)), q, V.Of(2027025));
            V r = V.Fma(V.Fma(V.Fma(q + V.Of(630), q, V.Of(51975)), q, V.Of(945945)), q, V.Of(2027025));
            V e = V.Exp(V.Of(-2) * V.Abs(x)), far = (V.Of(1) - e) / (V.Of(1) + e);
            return V.IfLess(V.Abs(x), V.Of(0.625f), x * p / r, V.IfLess(x, V.Of(0), -far, far));
        }

        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => (V.Of(1) - y) * (V.Of(1) + y);
    }

    /// <summary>erf x</summary>
    public struct Erf : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => ErrorFunction.Erf<V, M, T>(x);
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => ErrorFunction.ErfSlope<V, M, T>(x);
    }

    /// <summary>x Φ(x), Φ the normal distribution: Hendrycks and Gimpel, arXiv 1606.08415.</summary>
    public struct Gelu : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => x * ErrorFunction.Normal<V, M, T>(ErrorFunction.Clamped<V, M, T>(x), out _);

        [MethodImpl(Inline)]
        static V IUnary.Derivative<V, M, T>(V x, V y, V s)
        {
            V at = ErrorFunction.Clamped<V, M, T>(x), phi = ErrorFunction.Normal<V, M, T>(at, out V density);
            return V.Fma(at, density, phi);                         // Φ(x) + x φ(x)
        }
    }

    /// <summary>½ x (1 + tanh v) = x σ(2v) with v = √(2/π) (x + 0.044715 x³): the paper's approximation of <see cref="Gelu"/>.</summary>
    public struct GeluTanh : IUnary
    {
        const double Two = 1.5957691216057307117, Cubic = Two * 0.044715;       // 2√(2/π)

        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => x * Sigma<V, M, T>(ErrorFunction.Clamped<V, M, T>(x));

        [MethodImpl(Inline)]
        static V IUnary.Derivative<V, M, T>(V x, V y, V s)
        {
            V at = ErrorFunction.Clamped<V, M, T>(x), sigma = Sigma<V, M, T>(at);
            V slope = V.Fma(V.Constant(3 * Cubic), at * at, V.Constant(Two));
            return sigma * V.Fma(at * slope, V.Of(1) - sigma, V.Of(1));         // σ + x σ (1 − σ) 2v′
        }

        [MethodImpl(Inline)]
        static V Sigma<V, M, T>(V x)
            where V : unmanaged, ILane<V, M, T>
            where M : struct, IMemory<T>
            where T : unmanaged => Lanes.Sigmoid<V, M, T>(x * V.Fma(V.Constant(Cubic), x * x, V.Constant(Two)));
    }

    /// <summary>x^s for x &gt; 0</summary>
    public struct Pow : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => V.Exp(s * V.Log(x));
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => s * y / x;
    }

    /// <summary>x + s</summary>
    public struct AddScalar : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => x + s;
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => V.Of(1);
    }

    /// <summary>x · s</summary>
    public struct MulScalar : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => x * s;
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => s;
    }

    /// <summary>s − x</summary>
    public struct ScalarSub : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => s - x;
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => V.Of(-1);
    }

    /// <summary>s / x</summary>
    public struct ScalarDiv : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => s / x;
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => -y / x;
    }

    /// <summary>max(x, s); derivative 1 at s.</summary>
    public struct MaxScalar : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => V.Max(s, x);
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => V.IfLess(x, s, V.Of(0), V.Of(1));
        [MethodImpl(Inline)] static V IUnary.Gradient<V, M, T>(V dy, V derivative) => Lanes.Masked<V, M, T>(dy, derivative);
    }

    /// <summary>min(x, s); derivative 1 at s.</summary>
    public struct MinScalar : IUnary
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => V.Min(s, x);
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => V.IfLess(s, x, V.Of(0), V.Of(1));
        [MethodImpl(Inline)] static V IUnary.Gradient<V, M, T>(V dy, V derivative) => Lanes.Masked<V, M, T>(dy, derivative);
    }
}
