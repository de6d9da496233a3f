namespace Mamba;

/// <summary>
/// A machine that holds tensors and runs kernels: <c>cpu</c>, <c>cuda:0</c>, <c>opencl:0</c>, <c>ilgpu-cpu</c>.
/// <c>Device.Open</c> (in Mamba.Gpu) makes one; it owns all memory of its tensors.
/// </summary>
public abstract class Device : IDisposable
{
    /// <summary>A device without tensors.</summary>
    protected Device() => Memory = new BufferPool(this);

    /// <summary>The name it was opened by, with its index: <c>cuda:0</c>.</summary>
    public abstract string Name { get; }

    /// <summary>What the machine calls itself, for people.</summary>
    public abstract string Description { get; }

    /// <summary>Whether float64 kernels run here.</summary>
    public abstract bool SupportsFloat64 { get; }

    /// <summary>The pool all tensors of this device come from, with its counts of live and peak bytes.</summary>
    public BufferPool Memory { get; }

    /// <summary>Waits until all launched work is done.</summary>
    public abstract void Synchronize();

    /// <summary>A buffer of that many bytes, their values unset.</summary>
    protected internal abstract DeviceBuffer Allocate(long bytes);

    /// <summary>Copies bytes from the host to <paramref name="target"/>, from its byte <paramref name="byteOffset"/> on.</summary>
    protected internal abstract void Upload(ReadOnlySpan<byte> source, DeviceBuffer target, long byteOffset);

    /// <summary>Copies bytes of <paramref name="source"/>, from its byte <paramref name="byteOffset"/> on, to the host; waits for them.</summary>
    protected internal abstract void Download(DeviceBuffer source, long byteOffset, Span<byte> target);

    /// <summary>Copies bytes from one buffer of this device to another, or within one.</summary>
    protected internal abstract void Copy(DeviceBuffer source, long sourceOffset, DeviceBuffer target, long targetOffset, long bytes);

    /// <summary>Sets bytes to zero.</summary>
    protected internal abstract void Clear(DeviceBuffer target, long byteOffset, long bytes);

    /// <summary>Throws one clear line if this device cannot compute in <paramref name="dtype"/>.</summary>
    public void Require(DType dtype)
    {
        if (dtype == DType.Float64 && !SupportsFloat64)
            throw new MambaException($"{Name} ({Description}) has no float64; use float32 or another device.");
    }

    /// <summary>Its <see cref="Name"/>.</summary>
    public override string ToString() => Name;

    /// <summary>Gives everything back; tensors that still live there must not be used any more.</summary>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives everything back.</summary>
    /// <param name="disposing">True: from <see cref="Dispose()"/>.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
            Memory.Trim();
    }
}
