using Mamba.Gpu;

namespace Mamba;

public static partial class Ops
{
    /// <summary>
    /// Random numbers uniform in [low, high), drawn from words 0, 1, … of one <see cref="Philox"/> stream: the same bits on
    /// every device. (Rounding of low + (high − low)·u to float32 may reach high.)
    /// </summary>
    public static Tensor Uniform(Shape shape, DType dtype, Device device, ulong seed, ulong stream = 0, double low = 0, double high = 1) =>
        low <= high && double.IsFinite(high - low)
            ? FillUniform(Tensor.Empty(shape, dtype, device), seed, stream, low, high)
            : throw new MambaException($"Uniform: the range is {low} to {high}; expected two finite numbers, the smaller first.");

    /// <summary>Normal random numbers, drawn from words 0, 1, … of one <see cref="Philox"/> stream: the same on every device, to rounding.</summary>
    public static Tensor Normal(Shape shape, DType dtype, Device device, ulong seed, ulong stream = 0, double mean = 0, double deviation = 1) =>
        deviation >= 0
            ? FillNormal(Tensor.Empty(shape, dtype, device), seed, stream, mean, deviation)
            : throw new MambaException($"Normal: the standard deviation is {deviation}; expected 0 or more.");

    /// <summary>Overwrites y as <see cref="Uniform"/>; returns it.</summary>
    internal static Tensor FillUniform(Tensor y, ulong seed, ulong stream, double low, double high)
    {
        ExpectFloat("Uniform", y);
        RandomKernels.Uniform(y, seed, stream, low, high);
        return y;
    }

    /// <summary>Overwrites y as <see cref="Normal"/>; returns it.</summary>
    internal static Tensor FillNormal(Tensor y, ulong seed, ulong stream, double mean, double deviation)
    {
        ExpectFloat("Normal", y);
        RandomKernels.Normal(y, seed, stream, mean, deviation);
        return y;
    }
}
