using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>A function of two numbers, over any lanes. Its gradient is written in the op, with other ops.</summary>
public interface IBinary
{
    /// <summary>y = f(a, b)</summary>
    static abstract V Forward<V, M, T>(V a, V b)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged;
}
