using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>Matrix products: squares in all transposes, the shapes of training, and the few rows of generation.</summary>
internal static class MatMulBench
{
    public static void Run(Bench bench)
    {
        Table table = bench.NewTable("matmul", "Matrix product", "m × n × k", "GFLOP/s", "GB/s");
        foreach ((string name, long m, long n, long k, bool ta, bool tb) in Products(bench.Plan))
        {
            using var scope = new TensorScope();
            Tensor a = bench.Draw(ta ? (k, m) : (m, k), 1), b = bench.Draw(tb ? (n, k) : (k, n), 2), c = a.Like((m, n));
            var work = new Work(2.0 * m * n * k, Bytes: (m * k + n * k + m * n) * (double)bench.DType.Size(), ReadOnly: m < 16);
            bench.Measure(table, name, () => MatMulKernels.Multiply(new MatMulProblem(a, b, c, m, n, k) { TransposeA = ta, TransposeB = tb }), work,
                t => [$"{m} × {n} × {k}", Sample.Number(work.Flops / t.Median / 1e6), Sample.Number(work.Bytes / t.Median / 1e6)]);
        }
        bench.Add(table);
    }

    static IReadOnlyList<(string Name, long M, long N, long K, bool TransposeA, bool TransposeB)> Products(Plan plan)
    {
        if (plan.Sized)
        {
            (long b, long l, long d, _) = plan.Of(new Size(8, 256, 256));
            return [($"linear {d} → {d}, b {b}, l {l}", b * l, d, d, false, true)];
        }
        (string Name, long M, long N, long K, bool, bool)[] all =
        [
            ("square", 1024L, 1024L, 1024L, false, false), ("square, B transposed", 1024, 1024, 1024, false, true),
            ("square, A transposed", 1024, 1024, 1024, true, false),
            ("large square", 2048, 2048, 2048, false, false), ("large square, B transposed", 2048, 2048, 2048, false, true),
            ("large square, A transposed", 2048, 2048, 2048, true, false),
            ("in_proj 256 → 512", 2048, 512, 256, false, true), ("in_proj, its dx", 2048, 256, 512, false, false),
            ("in_proj, its dW", 512, 256, 2048, true, false),
            ("x_proj 512 → 16", 2048, 16, 512, false, true), ("out_proj 512 → 256", 2048, 256, 512, false, true), ("head 64 → 16", 2048, 16, 64, false, true),
            ("one token, head 768 → 50280", 1, 50280, 768, false, true), ("four tokens, head 768 → 50280", 4, 50280, 768, false, true),
        ];
        // less than some 2 GFLOP each, and no weight of 150 MB
        return plan.Choose("matmul", all, p => p.Name, p => p is { M: >= 16 } && (double)p.M * p.N * p.K <= (plan.Slow ? 3e8 : 1.1e9));
    }
}
