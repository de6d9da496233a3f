using Mamba.Gpu;

namespace Mamba;

/// <summary>Differentiable functions of tensors.</summary>
public static partial class Ops
{
    /// <summary>x · σ(x), any shape.</summary>
    public static Tensor Silu(Tensor x)
    {
        Tensor y = x.Like();
        ElementwiseKernels.Silu(x, y);
        return Tape.Record("Silu", y, [x], dy =>
        {
            Tensor dx = x.Like();
            ElementwiseKernels.SiluBackward(x, y, dy, dx);
            return [dx];
        });
    }

    internal static Tensor Fill(Tensor x, double value)
    {
        x.WriteRounded(Enumerable.Repeat(value, (int)x.Count).ToArray());
        return x;
    }

    internal static Tensor AddUnrecorded(Tensor a, Tensor b) => throw new NotSupportedException();
    internal static void AddInto(Tensor sum, Tensor x) => throw new NotSupportedException();
}
