using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>How a kernel reads B and C, of which there is one vector of n values a token, or one a channel.</summary>
public interface IProjection<V, M>
{
    /// <summary>The value(s) of one n at element i, for the lanes of a channel group.</summary>
    static abstract V Get(M p, long i);

    /// <summary>Whether it changes from token to token. A constant to both compilers, so that strides fold.</summary>
    static abstract bool Varies { get; }
}

/// <summary>B or C (b, l, g, n), selected by the input: one value for all channels of a group.</summary>
internal struct PerToken<V, M, T> : IProjection<V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static V Get(M p, long i) => V.Broadcast(p, i);
    public static bool Varies { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => true; }
}

/// <summary>B or C constant over time, transposed to (n, d): a value for each channel.</summary>
internal struct PerChannel<V, M, T> : IProjection<V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static V Get(M p, long i) => V.Load(p, i);
    public static bool Varies { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => false; }
}
