using System.Runtime.CompilerServices;
using ILGPU;

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

/// <summary>Elements in device memory.</summary>
internal struct DeviceMemory<T>(ArrayView<T> view) : IMemory<T> where T : unmanaged
{
    public ArrayView<T> View = view;

    public readonly T this[long i]
    {
        get => View[i];
        set => View[i] = value;
    }
}
