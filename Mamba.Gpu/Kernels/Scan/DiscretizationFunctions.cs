using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>α, γ and β of a discretization as functions of z = ΔA by themselves, for the algorithms that store them.</summary>
internal static class DiscretizationFunctions
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    // z as the discretization wants it
    [MethodImpl(Inline)]
    static V Scaled<D, V, M, T>(V z)
        where D : struct, IDiscretization
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged => D.Base2 ? z * V.Constant(1.44269504088896340736) : z;

    /// <summary>α(z)</summary>
    public struct Alpha<D> : IUnary where D : struct, IDiscretization
    {
        [MethodImpl(Inline)] static V IUnary.Forward<V, M, T>(V x, V s) => D.Alpha<V, V, M, T>(Scaled<D, V, M, T>(x));
        [MethodImpl(Inline)] static V IUnary.Derivative<V, M, T>(V x, V y, V s) => D.AlphaSlope<V, V, M, T>(Scaled<D, V, M, T>(x), y);
    }

    /// <summary>γ(z)</summary>
    public struct Gamma<D> : IUnary where D : struct, IDiscretization
    {
        [MethodImpl(Inline)]
        static V IUnary.Forward<V, M, T>(V x, V s)
        {
            V z = Scaled<D, V, M, T>(x);
            return D.Gamma<V, V, M, T>(z, D.Alpha<V, V, M, T>(z));
        }

        [MethodImpl(Inline)]
        static V IUnary.Derivative<V, M, T>(V x, V y, V s)
        {
            V z = Scaled<D, V, M, T>(x);
            return D.GammaSlope<V, V, M, T>(z, D.Alpha<V, V, M, T>(z), y);
        }
    }

    /// <summary>β(z)</summary>
    public struct Beta<D> : IUnary where D : struct, IDiscretization
    {
        [MethodImpl(Inline)]
        static V IUnary.Forward<V, M, T>(V x, V s)
        {
            V z = Scaled<D, V, M, T>(x);
            return D.Beta<V, V, M, T>(z, D.Alpha<V, V, M, T>(z));
        }

        [MethodImpl(Inline)]
        static V IUnary.Derivative<V, M, T>(V x, V y, V s)
        {
            V z = Scaled<D, V, M, T>(x);
            return D.BetaSlope<V, V, M, T>(z, D.Alpha<V, V, M, T>(z));
        }
    }
}
