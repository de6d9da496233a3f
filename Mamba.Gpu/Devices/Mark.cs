namespace Mamba.Gpu;

/// <summary>A moment on a device.</summary>
internal abstract class Mark
{
    /// <summary>Milliseconds from <paramref name="earlier"/> to this, once the device has been waited for.</summary>
    public abstract double MillisecondsSince(Mark earlier);
}
