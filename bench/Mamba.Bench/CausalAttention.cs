namespace Mamba.Bench;

/// <summary>Causal softmax attention with one head, written plainly: y = softmax(q kᵀ / √d + mask) v.</summary>
internal static class CausalAttention
{
    /// <summary>q, k, v (b, l, d), mask (l, l) → (b, l, d)</summary>
    public static Tensor Apply(Tensor q, Tensor k, Tensor v, Tensor mask)
    {
        Tensor scores = Ops.MatMul(q, k, transposeB: true) * (1 / Math.Sqrt(q.Shape[^1]));         // (b, l, l)
        return Ops.MatMul(Ops.Softmax(scores + mask), v);
    }

    /// <summary>(l, l): 0 where j ≤ i, else so low that its exponential is 0.</summary>
    public static Tensor Mask(long l, DType dtype, Device device)
    {
        double[] mask = new double[l * l];
        for (long i = 0; i < l; i++)
            mask.AsSpan((int)(i * l + i + 1), (int)(l - i - 1)).Fill(-1e30);
        return Tensor.From(mask, (l, l), dtype, device);
    }
}
