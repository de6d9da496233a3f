using ILGPU;

namespace Mamba.Gpu;

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
