using Mamba.Gpu;

namespace Mamba;

public static partial class Ops
{
    /// <summary>tokens int32 (…), weight (v, d) → (…, d): row tokens[…] of weight. A token outside 0 … v − 1 gives a row of NaN, and no gradient.</summary>
    public static Tensor Embedding(Tensor tokens, Tensor weight)
    {
        Arguments.Axes("Embedding", weight, "v, d");
        Arguments.Ints("Embedding", tokens, weight.Device);
        Tensor y = weight.Like(tokens.Shape.Append(weight.Shape[1]));
        EmbeddingKernels.Forward(tokens, weight, y);
        return Tape.Record("Embedding", y, [weight], dy =>
        {
            Tensor dWeight = Tensor.Zeros(weight.Shape, weight.DType, weight.Device);
            EmbeddingKernels.Backward(tokens, dy, dWeight);
            return [dWeight];
        });
    }
}
