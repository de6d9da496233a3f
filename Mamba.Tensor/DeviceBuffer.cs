namespace Mamba;

/// <summary>A run of bytes on one device. Tensors share it; the pool reuses it.</summary>
public abstract class DeviceBuffer(long bytes) : IDisposable
{
    /// <summary>Usable bytes.</summary>
    public long Bytes { get; } = bytes;

    /// <summary>Gives the bytes back to the device, not to the pool.</summary>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives the bytes back.</summary>
    /// <param name="disposing">True: from <see cref="Dispose()"/>.</param>
    protected abstract void Dispose(bool disposing);
}
