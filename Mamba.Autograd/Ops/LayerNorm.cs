using Mamba.Gpu;

namespace Mamba;

public static partial class Ops
{
    /// <summary>
    /// x (…, d), weight and bias (d) or absent → (…, d): y = (x − mean) / √(variance + ε) · weight + bias over the last axis,
    /// with the variance of the population. Ba, Kiros and Hinton 2016.
    /// </summary>
    public static Tensor LayerNorm(Tensor x, Tensor? weight = null, Tensor? bias = null, double eps = 1e-5)
    {
        Arguments.Axes("LayerNorm", x, "…, d");
        if (weight is not null)
            Shape.Expect("LayerNorm", weight, x.Shape[^1], $"d comes from x {x.Shape}");
        if (bias is not null)
            Shape.Expect("LayerNorm", bias, x.Shape[^1], $"d comes from x {x.Shape}");
        Arguments.Alike("LayerNorm", x, weight);
        Arguments.Alike("LayerNorm", x, bias);
        Tensor y = x.Like(), mean = x.Like(x.Shape[..^1]), rstd = mean.Like();      // mean, rstd (…)
        LayerNormKernels.Forward(x, weight, bias, eps, y, mean, rstd);
        return Tape.Record("LayerNorm", y, [x, weight, bias], dy =>
        {
            Tensor dx = x.Like(), dWeightBias = x.Like((2, x.Shape[^1]));
            LayerNormKernels.Backward(x, weight, mean, rstd, dy, dx, dWeightBias);
            return [dx, weight is null ? null : dWeightBias.Part(0, weight.Shape), bias is null ? null : dWeightBias.Part(bias.Count, bias.Shape)];
        });
    }
}
