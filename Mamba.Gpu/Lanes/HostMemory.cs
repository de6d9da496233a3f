using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>Elements in host memory.</summary>
internal unsafe struct HostMemory<T>(T* pointer) : IMemory<T> where T : unmanaged
{
    public T* Pointer = pointer;

    public readonly T this[long i]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Pointer[i];
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        set => Pointer[i] = value;
    }
}
