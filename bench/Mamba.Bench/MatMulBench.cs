using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>Matrix products: squares in all transposes, and the shapes of training.</summary>
internal static class MatMulBench
{
    public static void Run(Device device, Ceilings ceilings)
    {
        Console.WriteLine($"\nmatrix product float32          m ×    n ×    k        ms   GFLOP/s  of the peak ({ceilings.GFlops:F0})");
        foreach ((string name, long m, long n, long k, bool ta, bool tb) in new[]
        {
            ("square", 1024L, 1024L, 1024L, false, false), ("square, B transposed", 1024, 1024, 1024, false, true), ("square, A transposed", 1024, 1024, 1024, true, false),
            ("square", 2048, 2048, 2048, false, false), ("square, B transposed", 2048, 2048, 2048, false, true), ("square, A transposed", 2048, 2048, 2048, true, false),
            ("in_proj 256 → 512", 2048, 512, 256, false, true), ("its dx", 2048, 256, 512, false, false), ("its dW", 512, 256, 2048, true, false),
            ("x_proj 512 → 16", 2048, 16, 512, false, true), ("out_proj 512 → 256", 2048, 256, 512, false, true), ("head 64 → 16", 2048, 16, 64, false, true),
        })
        {
            using var scope = new TensorScope();
            Tensor a = Tensor.Zeros(ta ? (k, m) : (m, k), DType.Float32, device), b = Tensor.Zeros(tb ? (n, k) : (k, n), DType.Float32, device), c = Tensor.Zeros((m, n), DType.Float32, device);
            Timing t = Timing.Measure(device, () => MatMulKernels.Multiply(new MatMulProblem(a, b, c, m, n, k) { TransposeA = ta, TransposeB = tb }), repeats: 9);
            double gflops = 2.0 * m * n * k / t.Median / 1e6;
            Console.WriteLine($"  {name,-24} {m,6} × {n,4} × {k,4} {t.Median,9:F2} {gflops,9:F1}  {gflops / ceilings.GFlops,6:P0}  (best {2.0 * m * n * k / t.Best / 1e6 / ceilings.GFlops:P0})");
        }
    }
}
