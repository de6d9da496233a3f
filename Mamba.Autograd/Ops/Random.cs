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

    /// <summary>
    /// x (…) → (…): each element is 0 with probability p, else x / (1 − p), so that the mean stays. For training; a model that is evaluated leaves it out.
    /// Srivastava et al. 2014, with the factor where it costs nothing later.
    /// </summary>
    /// <remarks>
    /// The mask is words 0, 1, … of one <see cref="Philox"/> stream: the same on every device and in both dtypes, drawn again on the way back instead of
    /// kept. Two calls with one seed and stream drop the same elements, so give each layer a seed and each step a stream, or the other way round.
    /// What is dropped is 0 even if it was NaN.
    /// </remarks>
    /// <param name="x">float32 or float64.</param>
    /// <param name="p">The part that is dropped, from 0 to below 1; 0 gives x itself.</param>
    /// <param name="seed">The key of the generator.</param>
    /// <param name="stream">Which of the seed's independent streams: the step, say.</param>
    /// <exception cref="MambaException">p is outside, or x is int32.</exception>
    public static Tensor Dropout(Tensor x, double p, ulong seed, ulong stream = 0)
    {
        Arguments.Floats("Dropout", x);
        if (!(p >= 0 && p < 1))
            throw new MambaException($"Dropout: p is {p}; expected a number from 0 to below 1.");
        if (p == 0)
            return x;
        Tensor y = x.Like();
        RandomKernels.Dropout(x, y, p, seed, stream);
        return Tape.Record("Dropout", y, [x], dy =>
        {
            Tensor dx = x.Like();
            RandomKernels.Dropout(dy, dx, p, seed, stream);
            return [dx];
        });
    }

    /// <summary>Overwrites y as <see cref="Uniform"/>; returns it.</summary>
    internal static Tensor FillUniform(Tensor y, ulong seed, ulong stream, double low, double high)
    {
        Arguments.Floats("Uniform", y);
        RandomKernels.Uniform(y, seed, stream, low, high);
        return y;
    }

    /// <summary>Overwrites y as <see cref="Normal"/>; returns it.</summary>
    internal static Tensor FillNormal(Tensor y, ulong seed, ulong stream, double mean, double deviation)
    {
        Arguments.Floats("Normal", y);
        RandomKernels.Normal(y, seed, stream, mean, deviation);
        return y;
    }
}
