using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>The discretizations there are. Table 1 of Mamba-3 lists them side by side; eq. 4 of Mamba (arXiv 2312.00752) is the second.</summary>
internal static class Schemes
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>α = e^z, γ = 1: exact for the state, Euler's for the input. What the released code of Mamba computes.</summary>
    public struct ExponentialEuler : IDiscretization
    {
        public static bool Base2 { [MethodImpl(Inline)] get => true; }
        public static bool ScalesInput { [MethodImpl(Inline)] get => false; }
        public static bool LooksBack { [MethodImpl(Inline)] get => false; }
        [MethodImpl(Inline)] static N IDiscretization.Alpha<N, V, M, T>(N z) => N.Exp2(z);
        [MethodImpl(Inline)] static N IDiscretization.AlphaSlope<N, V, M, T>(N z, N alpha) => alpha;
        [MethodImpl(Inline)] static N IDiscretization.Gamma<N, V, M, T>(N z, N alpha) => N.Of(1);
        [MethodImpl(Inline)] static N IDiscretization.GammaSlope<N, V, M, T>(N z, N alpha, N gamma) => N.Of(0);
        [MethodImpl(Inline)] static N IDiscretization.Beta<N, V, M, T>(N z, N alpha) => N.Of(0);
        [MethodImpl(Inline)] static N IDiscretization.BetaSlope<N, V, M, T>(N z, N alpha) => N.Of(0);
    }

    /// <summary>
    /// α = e^z, γ = φ(z) = (e^z − 1)/z: exact for an input that is constant over the step. Near 0, where the difference would cancel,
    /// φ(z) = e^{z/2} sinh(z/2)/(z/2) by the series of sinh.
    /// </summary>
    public struct ZeroOrderHold : IDiscretization
    {
        public static bool Base2 { [MethodImpl(Inline)] get => false; }
        public static bool ScalesInput { [MethodImpl(Inline)] get => true; }
        public static bool LooksBack { [MethodImpl(Inline)] get => false; }
        [MethodImpl(Inline)] static N IDiscretization.Alpha<N, V, M, T>(N z) => N.Exp(z);
        [MethodImpl(Inline)] static N IDiscretization.AlphaSlope<N, V, M, T>(N z, N alpha) => alpha;

        [MethodImpl(Inline)]
        static N IDiscretization.Gamma<N, V, M, T>(N z, N alpha) =>
            N.IfSmall(z, N.Sqrt(alpha) * SinhSeries<N, V, M, T>(z * z * N.Of(0.25f)), (alpha - N.Of(1)) / z);

        // φ′ = (e^z − φ)/z, and near 0 the derivative of the series
        [MethodImpl(Inline)]
        static N IDiscretization.GammaSlope<N, V, M, T>(N z, N alpha, N gamma)
        {
            N q = z * z * N.Of(0.25f);
            N series = N.Fma(SinhSeriesSlope<N, V, M, T>(q), z, SinhSeries<N, V, M, T>(q)) * N.Of(0.5f);
            return N.IfSmall(z, N.Sqrt(alpha) * series, (alpha - gamma) / z);
        }

        [MethodImpl(Inline)] static N IDiscretization.Beta<N, V, M, T>(N z, N alpha) => N.Of(0);
        [MethodImpl(Inline)] static N IDiscretization.BetaSlope<N, V, M, T>(N z, N alpha) => N.Of(0);

        // sinh(w)/w = Σ q^k/(2k+1)!, q = w² ≤ ¼; what is left out is below 1e-19
        [MethodImpl(Inline)]
        static N SinhSeries<N, V, M, T>(N q)
            where N : struct, INumber<N, V, M, T>
            where V : unmanaged, ILane<V, M, T>
            where M : struct, IMemory<T>
            where T : unmanaged
        {
            N p = N.Fma(q, N.Constant(1 / 1307674368000.0), N.Constant(1 / 6227020800.0));
            p = N.Fma(q, p, N.Constant(1 / 39916800.0));
            p = N.Fma(q, p, N.Constant(1 / 362880.0));
            p = N.Fma(q, p, N.Constant(1 / 5040.0));
            p = N.Fma(q, p, N.Constant(1 / 120.0));
            p = N.Fma(q, p, N.Constant(1 / 6.0));
            return N.Fma(q, p, N.Of(1));
        }

        // its derivative in q
        [MethodImpl(Inline)]
        static N SinhSeriesSlope<N, V, M, T>(N q)
            where N : struct, INumber<N, V, M, T>
            where V : unmanaged, ILane<V, M, T>
            where M : struct, IMemory<T>
            where T : unmanaged
        {
            N p = N.Fma(q, N.Constant(7 / 1307674368000.0), N.Constant(6 / 6227020800.0));
            p = N.Fma(q, p, N.Constant(5 / 39916800.0));
            p = N.Fma(q, p, N.Constant(4 / 362880.0));
            p = N.Fma(q, p, N.Constant(3 / 5040.0));
            p = N.Fma(q, p, N.Constant(2 / 120.0));
            return N.Fma(q, p, N.Constant(1 / 6.0));
        }
    }

    /// <summary>α = 1 + z, γ = 1: the forward Euler method. Unstable where |1 + z| &gt; 1.</summary>
    public struct ForwardEuler : IDiscretization
    {
        public static bool Base2 { [MethodImpl(Inline)] get => false; }
        public static bool ScalesInput { [MethodImpl(Inline)] get => false; }
        public static bool LooksBack { [MethodImpl(Inline)] get => false; }
        [MethodImpl(Inline)] static N IDiscretization.Alpha<N, V, M, T>(N z) => N.Of(1) + z;
        [MethodImpl(Inline)] static N IDiscretization.AlphaSlope<N, V, M, T>(N z, N alpha) => N.Of(1);
        [MethodImpl(Inline)] static N IDiscretization.Gamma<N, V, M, T>(N z, N alpha) => N.Of(1);
        [MethodImpl(Inline)] static N IDiscretization.GammaSlope<N, V, M, T>(N z, N alpha, N gamma) => N.Of(0);
        [MethodImpl(Inline)] static N IDiscretization.Beta<N, V, M, T>(N z, N alpha) => N.Of(0);
        [MethodImpl(Inline)] static N IDiscretization.BetaSlope<N, V, M, T>(N z, N alpha) => N.Of(0);
    }

    /// <summary>α = γ = 1/(1 − z): the backward Euler method.</summary>
    public struct BackwardEuler : IDiscretization
    {
        public static bool Base2 { [MethodImpl(Inline)] get => false; }
        public static bool ScalesInput { [MethodImpl(Inline)] get => true; }
        public static bool LooksBack { [MethodImpl(Inline)] get => false; }
        [MethodImpl(Inline)] static N IDiscretization.Alpha<N, V, M, T>(N z) => N.Of(1) / (N.Of(1) - z);
        [MethodImpl(Inline)] static N IDiscretization.AlphaSlope<N, V, M, T>(N z, N alpha) => alpha * alpha;
        [MethodImpl(Inline)] static N IDiscretization.Gamma<N, V, M, T>(N z, N alpha) => alpha;
        [MethodImpl(Inline)] static N IDiscretization.GammaSlope<N, V, M, T>(N z, N alpha, N gamma) => alpha * alpha;
        [MethodImpl(Inline)] static N IDiscretization.Beta<N, V, M, T>(N z, N alpha) => N.Of(0);
        [MethodImpl(Inline)] static N IDiscretization.BetaSlope<N, V, M, T>(N z, N alpha) => N.Of(0);
    }

    /// <summary>α = (1 + z/2)/(1 − z/2), γ = 1/(1 − z/2): Tustin's method, the one of S4.</summary>
    public struct Bilinear : IDiscretization
    {
        public static bool Base2 { [MethodImpl(Inline)] get => false; }
        public static bool ScalesInput { [MethodImpl(Inline)] get => true; }
        public static bool LooksBack { [MethodImpl(Inline)] get => false; }

        [MethodImpl(Inline)]
        static N IDiscretization.Alpha<N, V, M, T>(N z)
        {
            N half = z * N.Of(0.5f);
            return (N.Of(1) + half) / (N.Of(1) - half);
        }

        [MethodImpl(Inline)]
        static N IDiscretization.AlphaSlope<N, V, M, T>(N z, N alpha)
        {
            N gamma = N.Of(1) / (N.Of(1) - z * N.Of(0.5f));
            return gamma * gamma;
        }

        [MethodImpl(Inline)] static N IDiscretization.Gamma<N, V, M, T>(N z, N alpha) => N.Of(1) / (N.Of(1) - z * N.Of(0.5f));
        [MethodImpl(Inline)] static N IDiscretization.GammaSlope<N, V, M, T>(N z, N alpha, N gamma) => gamma * gamma * N.Of(0.5f);
        [MethodImpl(Inline)] static N IDiscretization.Beta<N, V, M, T>(N z, N alpha) => N.Of(0);
        [MethodImpl(Inline)] static N IDiscretization.BetaSlope<N, V, M, T>(N z, N alpha) => N.Of(0);
    }

    /// <summary>
    /// α = e^z, γ = ½, β = ½ e^z: the trapezoidal rule over the exact decay, Mamba-3's with λ = ½. Second order in Δ if it is given the input before the
    /// first token, first order if not: the first step then takes that input for 0.
    /// </summary>
    public struct ExponentialTrapezoidal : IDiscretization
    {
        public static bool Base2 { [MethodImpl(Inline)] get => true; }
        public static bool ScalesInput { [MethodImpl(Inline)] get => true; }
        public static bool LooksBack { [MethodImpl(Inline)] get => true; }
        [MethodImpl(Inline)] static N IDiscretization.Alpha<N, V, M, T>(N z) => N.Exp2(z);
        [MethodImpl(Inline)] static N IDiscretization.AlphaSlope<N, V, M, T>(N z, N alpha) => alpha;
        [MethodImpl(Inline)] static N IDiscretization.Gamma<N, V, M, T>(N z, N alpha) => N.Of(0.5f);
        [MethodImpl(Inline)] static N IDiscretization.GammaSlope<N, V, M, T>(N z, N alpha, N gamma) => N.Of(0);
        [MethodImpl(Inline)] static N IDiscretization.Beta<N, V, M, T>(N z, N alpha) => alpha * N.Of(0.5f);
        [MethodImpl(Inline)] static N IDiscretization.BetaSlope<N, V, M, T>(N z, N alpha) => alpha * N.Of(0.5f);
    }
}
