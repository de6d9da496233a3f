namespace Mamba.Gpu;

/// <summary>A device that runs kernels. Every op goes through <see cref="Launch{L}"/>.</summary>
internal abstract class ComputeDevice : Device
{
    /// <summary>Looks at every launch; null, the usual, does not.</summary>
    internal KernelWatch? Watch { get; set; }

    /// <summary>Runs <paramref name="launch"/> in <paramref name="dtype"/>.</summary>
    public abstract void Launch<L>(DType dtype, L launch) where L : struct, ILaunch;

    /// <summary>How float32 matrices are multiplied, forward and backward, from now on.</summary>
    /// <exception cref="MambaException">The device has no such form.</exception>
    public virtual MatMulPrecision MatMulPrecision
    {
        get => MatMulPrecision.Full;
        set
        {
            if (value != MatMulPrecision.Full)
                throw new MambaException($"MatMul: {Name} has no {value} form, only {MatMulPrecision.Full}; tensor cores of CUDA GPUs from sm_80 on have it.");
        }
    }

    /// <summary>Whether kernels compute with subnormal numbers; else such inputs and results count as zero.</summary>
    /// <exception cref="MambaException">The device cannot.</exception>
    public abstract bool KeepSubnormals { get; set; }

    /// <summary>Matrix product, the exception: host and devices have each their own.</summary>
    internal abstract void Multiply(in MatMulProblem problem);

    /// <summary>The driver and its version, for reports.</summary>
    internal abstract string Driver { get; }

    /// <summary>Now, on this device: a device's own event where it has them.</summary>
    internal abstract Mark Mark();

    /// <summary>Where runs of kernels are noted; null, as ever outside the benchmarks and tests, costs nothing.</summary>
    internal Timeline? Timeline { get; set; }
}
