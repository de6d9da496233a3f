using Mamba.Gpu;

namespace Mamba;

public static partial class Ops
{
    /// <summary>
    /// x (…, d), weight (d) → (…, d): y = x / rms(x) · weight over the last axis, rms(x) = √(mean(x²) + ε).
    /// Zhang and Sennrich 2019, equation 4.
    /// </summary>
    public static Tensor RmsNorm(Tensor x, Tensor weight, double eps = 1e-5)
    {
        ExpectNorm("RmsNorm", x, weight);
        Tensor y = x.Like(), rstd = x.Like(x.Shape[..^1]);                  // rstd = 1/rms (…)
        RmsNormKernels.Forward(x, residual: null, weight, eps, sum: null, y, rstd);
        return Tape.Record("RmsNorm", y, [x, weight], dy =>
        {
            Tensor dx = x.Like(), dWeight = weight.Like();
            RmsNormKernels.Backward(x, weight, rstd, dy, dSum: null, dx, dWeight);
            return [dx, dWeight];
        });
    }

    /// <summary>
    /// x, residual (…, d), weight (d) → residual′ = x + residual and y = RmsNorm(residual′), in one pass: the step from one
    /// block of the residual stack to the next. Without a residual, residual′ is x.
    /// </summary>
    public static (Tensor Y, Tensor Residual) AddRmsNorm(Tensor x, Tensor? residual, Tensor weight, double eps = 1e-5)
    {
        if (residual is null)
        {
            Tensor[] both = Tape.AsOne("AddRmsNorm", [RmsNorm(x, weight, eps), x], [x, weight], firstHasAll: true);
            return (both[0], both[1]);
        }
        ExpectNorm("AddRmsNorm", x, weight);
        Shape.Expect("AddRmsNorm", residual, x.Shape, "The shape comes from x");
        Arguments.Alike("AddRmsNorm", x, residual);
        Tensor sum = x.Like(), y = x.Like(), rstd = x.Like(x.Shape[..^1]);
        RmsNormKernels.Forward(x, residual, weight, eps, sum, y, rstd);
        Tape.Record("AddRmsNorm", [y, sum], [x, residual, weight], dys =>
        {
            if (dys[0] is not { } dy)
                return [dys[1], dys[1], Tensor.Zeros(weight.Shape, weight.DType, weight.Device)];
            Tensor dx = x.Like(), dWeight = weight.Like();
            RmsNormKernels.Backward(sum, weight, rstd, dy, dSum: dys[1], dx, dWeight);
            return [dx, dx, dWeight];
        });
        return (y, sum);
    }

    static void ExpectNorm(string op, Tensor x, Tensor weight)
    {
        Arguments.Axes(op, x, "…, d");
        Shape.Expect(op, weight, x.Shape[^1], $"d comes from x {x.Shape}");
        Arguments.Alike(op, x, weight);
    }
}
