using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// How the continuous system h′ = A h + B u becomes steps of size Δ. With z = Δ_t A and p_t = B_t u_t,
/// <code>
/// h_t = α(z) h_{t−1} + Δ_t (γ(z) p_t + β(z) p_{t−1})
/// </code>
/// A scheme is three functions of z and their derivatives, written once for real and complex A, on every device. A new one is a
/// struct like those in <see cref="Schemes"/>; <c>new Discretization&lt;Mine&gt;("mine")</c> makes it a choice of Ops.SelectiveScan.
/// </summary>
public interface IDiscretization
{
    /// <summary>Whether z arrives times log2(e), so that e^z is N.Exp2(z), one instruction less. Derivatives are in z itself all the same.</summary>
    static abstract bool Base2 { get; }

    /// <summary>Whether γ is anything but 1. If not, <see cref="Gamma"/> is never called.</summary>
    static abstract bool ScalesInput { get; }

    /// <summary>Whether β is anything but 0: a step then looks at the token before. If not, <see cref="Beta"/> is never called.</summary>
    static abstract bool LooksBack { get; }

    /// <summary>α(z): what remains of the state.</summary>
    static abstract N Alpha<N, V, M, T>(N z)
        where N : struct, INumber<N, V, M, T>
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged;

    /// <summary>α′(z), given α.</summary>
    static abstract N AlphaSlope<N, V, M, T>(N z, N alpha)
        where N : struct, INumber<N, V, M, T>
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged;

    /// <summary>γ(z): the weight of this token's input, given α.</summary>
    static abstract N Gamma<N, V, M, T>(N z, N alpha)
        where N : struct, INumber<N, V, M, T>
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged;

    /// <summary>γ′(z), given α and γ.</summary>
    static abstract N GammaSlope<N, V, M, T>(N z, N alpha, N gamma)
        where N : struct, INumber<N, V, M, T>
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged;

    /// <summary>β(z): the weight of the last token's input, given α.</summary>
    static abstract N Beta<N, V, M, T>(N z, N alpha)
        where N : struct, INumber<N, V, M, T>
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged;

    /// <summary>β′(z), given α.</summary>
    static abstract N BetaSlope<N, V, M, T>(N z, N alpha)
        where N : struct, INumber<N, V, M, T>
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged;
}
