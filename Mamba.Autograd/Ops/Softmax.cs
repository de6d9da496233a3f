using Mamba.Gpu;

namespace Mamba;

public static partial class Ops
{
    /// <summary>x (…, d) → (…, d): exp(x) / Σ exp(x) over the last axis, computed from x − max so that nothing overflows.</summary>
    public static Tensor Softmax(Tensor x)
    {
        Arguments.Axes("Softmax", x, "…, d");
        Tensor y = x.Like();
        SoftmaxKernels.Forward(x, y, log: false);
        return Tape.Record("Softmax", y, [x], dy =>
        {
            Tensor dx = x.Like();
            SoftmaxKernels.Backward(y, dy, dx, log: false);
            return [dx];
        });
    }

    /// <summary>x (…, d) → (…, d): x − log Σ exp(x) over the last axis.</summary>
    public static Tensor LogSoftmax(Tensor x)
    {
        Arguments.Axes("LogSoftmax", x, "…, d");
        Tensor y = x.Like();
        SoftmaxKernels.Forward(x, y, log: true);
        return Tape.Record("LogSoftmax", y, [x], dy =>
        {
            Tensor dx = x.Like();
            SoftmaxKernels.Backward(y, dy, dx, log: true);
            return [dx];
        });
    }
}
