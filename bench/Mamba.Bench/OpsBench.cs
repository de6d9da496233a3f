using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>The ops of a model one by one, forward and with gradients. They do little arithmetic for each element: memory bounds them.</summary>
internal static class OpsBench
{
    static readonly Size Usual = new(8, 256, 512);

    public static void Run(Bench bench)
    {
        Size size = bench.Plan.Of(Usual);
        Table table = bench.NewTable("ops", "Ops", "shape", "GB/s").Sized(size == Usual ? null : $"b {size.B}, l {size.L}, d {size.D}");
        using var scope = new TensorScope();
        Device device = bench.Device;
        long rows = size.B * size.L, d = size.D;
        Tensor x = bench.Draw((size.B, size.L, d), 1), y = bench.Draw((size.B, size.L, d), 2), w = bench.Draw(d, 3), taps = bench.Draw((d, 4), 4);
        Tensor logits = bench.Draw((rows, d), 5), vectors = bench.Draw((d, d), 6);
        Tensor tokens = Tensor.From((int[])[.. Enumerable.Range(0, checked((int)rows)).Select(i => (int)(i * 37L % d))], rows, device);
        Tensor starts = Packing.Resets(device, size.L, [.. Enumerable.Range(0, checked((int)size.B)).Select(_ => (long[])[Math.Max(1, size.L / 3)])]);
        foreach (Tensor t in new[] { x, y, w, taps, logits, vectors })
            Tape.Watch(t);

        // arrays of x's size moved, and flops and exponentials an element; of the backward pass alone the arrays in the last column
        (string Name, Tensor On, Func<Tensor> Op, double Arrays, double Flops, double Exps, double ArraysBack)[] ops =
        [
            ("Add", x, () => Ops.Add(x, y), 3, 1, 0, 3),
            ("Mul", x, () => Ops.Mul(x, y), 3, 1, 0, 5),
            ("Silu", x, () => Ops.Silu(x), 2, 4, 1, 3),
            ("Softplus", x, () => Ops.Softplus(x), 2, 20, 1, 3),
            ("Dropout", x, () => Ops.Dropout(x, 0.2, seed: 1), 2, 16, 0, 2),        // a quarter of a Philox block, whose multiplications count as two
            ("RmsNorm", x, () => Ops.RmsNorm(x, w), 2, 4, 0, 3),
            ("LayerNorm", x, () => Ops.LayerNorm(x, w), 2, 6, 0, 3),
            ("Softmax", logits, () => Ops.Softmax(logits), 2, 4, 1, 3),
            ("CausalConv1d, 4 taps, silu", x, () => Ops.CausalConv1d(x, taps, w), 2, 12, 1, 3),
            ("Sum over rows", logits, () => Ops.Sum(logits, 0), 1, 1, 0, 1),
            ("Transpose", logits, () => Ops.Transpose(logits), 2, 0, 0, 2),
            ("Reverse", x, () => Ops.Reverse(x, starts), 2, 0, 0, 2),
            ("Embedding", x, () => Ops.Embedding(tokens, vectors), 2, 0, 0, 1),
            ("CrossEntropy", logits, () => Ops.CrossEntropy(logits, tokens), 1, 3, 1, 2),
        ];
        // on a slow device those that a training step has, too
        foreach (var op in bench.Plan.Choose("ops", ops, op => op.Name, op => !bench.Plan.Slow || op.Name is "Mul" or "Silu" or "RmsNorm" or "CrossEntropy"))
            Row(op.Name, op.On, op.Op, op.Arrays, op.Flops, op.Exps, op.ArraysBack);
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
