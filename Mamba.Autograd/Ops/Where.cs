using Mamba.Gpu;

namespace Mamba;

public static partial class Ops
{
    /// <summary>
    /// condition ≠ 0 ? a : b, element by element; shapes broadcast. What is not chosen counts for nothing, in the gradient too: a mask that holds back NaN
    /// and infinity, which a factor of 0 does not.
    /// </summary>
    /// <param name="condition">
    /// int32, as <see cref="Greater(Tensor, Tensor)"/> and <see cref="Packing.Resets"/> make it, or a float, of which NaN counts as ≠ 0. It has no gradient.
    /// </param>
    /// <param name="a">Chosen where the condition is not 0.</param>
    /// <param name="b">Chosen where it is 0.</param>
    /// <remarks>
    /// What is not chosen gets a gradient of 0, and the op that made it multiplies that by its own slope: where this is infinite or NaN, as that of √x
    /// at 0, choose among the inputs of that op as well.
    /// </remarks>
    public static Tensor Where(Tensor condition, Tensor a, Tensor b)
    {
        const string Op = "Where";
        Arguments.Floats(Op, a);
        Arguments.Operands(Op, a, b);
        if (condition.DType != DType.Int32)
            condition = NotEqual(condition, 0);
        Arguments.Ints(Op, condition, a.Device);
        Tensor y = Select(condition, a, b, Broadcast(Op, condition.Shape, Broadcast(Op, a.Shape, b.Shape)));
        return Tape.Record(Op, y, [a, b], dy =>
        {
            Tensor zero = Fill(dy.Like(new Shape()), 0);
            return
            [
                a.RequiresGrad ? SumTo(Select(condition, dy, zero, dy.Shape), a.Shape) : null,
                b.RequiresGrad ? SumTo(Select(condition, zero, dy, dy.Shape), b.Shape) : null,
            ];
        });
    }

    static Tensor Select(Tensor condition, Tensor a, Tensor b, Shape shape)
    {
        Tensor y = a.Like(shape);
        WhereKernels.Select(condition, a, b, y);
        return y;
    }
}
