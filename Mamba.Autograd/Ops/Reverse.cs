using Mamba.Gpu;

namespace Mamba;

public static partial class Ops
{
    /// <summary>
    /// x (b, l, d) → (b, l, d): every sequence of a row mirrored in its own place. Token t of a sequence that stands at [s, e) goes to s + e − 1 − t. Twice
    /// is x again, and the gradient is mirrored the same way.
    /// </summary>
    /// <param name="x">(b, l, d)</param>
    /// <param name="reset">
    /// (b, l) int32: not 0 where a token starts a new sequence, and token 0 starts one whatever it says. Null: a row is one sequence.
    /// <see cref="Packing.Resets"/> makes one.
    /// </param>
    /// <exception cref="MambaException">A shape, dtype or device does not fit; the message says which.</exception>
    public static Tensor Reverse(Tensor x, Tensor? reset = null)
    {
        Arguments.Axes("Reverse", x, "b, l, d");
        ExpectReset("Reverse", x, reset);
        Arguments.Floats("Reverse", x);
        Tensor? partner = reset is null ? null : Tensor.Empty(reset.Shape, DType.Int32, reset.Device);      // (b, l)
        if (reset is not null)
            ReverseKernels.Partners(x, reset, partner!);
        Tensor y = x.Like();
        ReverseKernels.Move(x, partner, y);
        return Tape.Record("Reverse", y, [x], dy =>
        {
            Tensor dx = x.Like();
            ReverseKernels.Move(dy, partner, dx);
            return [dx];
        });
    }
}
