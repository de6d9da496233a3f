namespace Mamba.Gpu;

/// <summary>The one way from a tensor to a kernel.</summary>
public static class Launching
{
    /// <summary>Runs <paramref name="launch"/> on the tensor's device, in its dtype.</summary>
    public static void Launch<L>(this Tensor on, L launch) where L : struct, ILaunch =>
        ((ComputeDevice)on.Device).Launch(on.DType, launch);
}
