using Mamba.Gpu;

namespace Mamba;

public static partial class Ops
{
    /// <summary>x, target (…) → scalar: the mean of (x − target)² over all elements; the gradient goes to both.</summary>
    /// <param name="x">float32 or float64.</param>
    /// <param name="target">The same shape: nothing is broadcast, for a target (b) against x (b, 1) would be compared all with all.</param>
    /// <exception cref="MambaException">Shapes, dtypes or devices differ.</exception>
    public static Tensor MeanSquaredError(Tensor x, Tensor target)
    {
        ExpectPair("MeanSquaredError", x, target);
        return Mean(Square(Sub(x, target)));
    }

    /// <summary>
    /// logits, target (…) → scalar: the mean of −t log σ(x) − (1 − t) log(1 − σ(x)) over all elements; the gradient goes to both. It takes logits, not
    /// probabilities, as PyTorch's binary_cross_entropy_with_logits: so it overflows nowhere and keeps its digits where σ is nearly 0 or 1.
    /// </summary>
    /// <param name="logits">Scores before the sigmoid.</param>
    /// <param name="target">The same shape and dtype: probabilities from 0 to 1, which are not looked at.</param>
    /// <exception cref="MambaException">Shapes, dtypes or devices differ.</exception>
    public static Tensor BinaryCrossEntropy(Tensor logits, Tensor target)
    {
        const string Op = "BinaryCrossEntropy";
        ExpectPair(Op, logits, target);
        return Mean(Apply<Binary.LogisticLoss, Binary.LogisticSlope, Binary.MinusFirst>(Op, logits, target));
    }

    static void ExpectPair(string op, Tensor x, Tensor target)
    {
        Arguments.Floats(op, x);
        Arguments.Operands(op, x, target);
        Shape.Expect(op, target, x.Shape, "Nothing is broadcast");
    }
}
