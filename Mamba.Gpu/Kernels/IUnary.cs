using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>A function of one number and its derivative, over any lanes. A new one needs these two lines and no kernel.</summary>
public interface IUnary
{
    /// <summary>y = f(x). <paramref name="parameter"/> is the op's scalar, if it has one.</summary>
    static abstract V Forward<V, M, T>(V x, V parameter)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged;

    /// <summary>f′(x), given x and y = f(x).</summary>
    static abstract V Derivative<V, M, T>(V x, V y, V parameter)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged;

    /// <summary>
    /// dx = dy · f′(x). A function that hides x where its derivative is 0, as a mask does, says <see cref="Lanes.Masked"/>: nothing comes
    /// through there, neither NaN nor infinity.
    /// </summary>
    static virtual V Gradient<V, M, T>(V dy, V derivative)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged => dy * derivative;
}
