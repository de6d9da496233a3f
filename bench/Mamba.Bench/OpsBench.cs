using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>The ops of a model one by one, forward and with gradients. They do little arithmetic for each element: memory bounds them.</summary>
internal static class OpsBench
{
    const long Rows = 2048, D = 512;

    public static void Run(Bench bench)
    {
        Table table = bench.NewTable("ops", "Ops", "shape", "GB/s");
        using var scope = new TensorScope();
        Device device = bench.Device;
        Tensor x = bench.Draw((8, Rows / 8, D), 1), y = bench.Draw((8, Rows / 8, D), 2), w = bench.Draw(D, 3), taps = bench.Draw((D, 4), 4);
        Tensor logits = bench.Draw((Rows, D), 5);
        Tensor tokens = Tensor.From((int[])[.. Enumerable.Range(0, (int)Rows).Select(i => i * 37 % (int)D)], Rows, device), vectors = bench.Draw((D, D), 6);
        foreach (Tensor t in new[] { x, y, w, taps, logits, vectors })
            Tape.Watch(t);

        // arrays of x's size moved, and flops and exponentials an element; backward alone in the second line
        Row("Add", x, () => Ops.Add(x, y), 3, 1, 0, 3);
        Row("Mul", x, () => Ops.Mul(x, y), 3, 1, 0, 5);
        Row("Silu", x, () => Ops.Silu(x), 2, 4, 1, 3);
        Row("Softplus", x, () => Ops.Softplus(x), 2, 20, 1, 3);
        Row("RmsNorm", x, () => Ops.RmsNorm(x, w), 2, 4, 0, 3);
        Row("LayerNorm", x, () => Ops.LayerNorm(x, w), 2, 6, 0, 3);
        Row("Softmax", logits, () => Ops.Softmax(logits), 2, 4, 1, 3);
        Row("CausalConv1d, 4 taps, silu", x, () => Ops.CausalConv1d(x, taps, w), 2, 12, 1, 3);
        Row("Sum over rows", logits, () => Ops.Sum(logits, 0), 1, 1, 0, 1);
        Row("Transpose", logits, () => Ops.Transpose(logits), 2, 0, 0, 2);
        Row("Embedding", x, () => Ops.Embedding(tokens, vectors), 2, 0, 0, 1);
        Row("CrossEntropy", logits, () => Ops.CrossEntropy(logits, tokens), 1, 3, 1, 2);
        bench.Add(table);

        void Row(string name, Tensor on, Func<Tensor> op, double arrays, double flops, double exps, double arraysBack)
        {
            double n = on.Count, bytes = n * bench.DType.Size();
            var forward = new Work(n * flops, n * exps, arrays * bytes);
            bench.Measure(table, name, () =>
            {
                using var inner = new TensorScope();
                op();
            }, forward, t => Cells(t, forward.Bytes));
            Tensor dy;
            using (var inner = new TensorScope())
                dy = inner.Keep(Ops.Fill(op().Like(), 1));
            Work both = forward + new Work(2 * n * flops, n * exps, arraysBack * bytes);
            bench.Measure(table, name + ", with gradients", () =>
            {
                using var tape = new Tape();
                tape.Backward([(op(), dy)]);
            }, both, t => Cells(t, both.Bytes));

            string[] Cells(Sample t, double moved) => [on.Shape.ToString(), Sample.Number(moved / t.Median / 1e6)];
        }
    }
}
