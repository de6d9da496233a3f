using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>The selective scan with all fusions on, n = 16.</summary>
internal static class ScanBench
{
    public static void Run(Device device, Ceilings ceilings)
    {
        Console.WriteLine("\nselective scan float32, n = 16, softplus, D, z        forward            backward");
        foreach ((long b, long l, long d) in new[] { (8L, 1024L, 256L), (8, 256, 512), (32, 64, 128), (1, 2048, 1536), (1, 65536, 128) })
        {
            const long N = 16;
            using var scope = new TensorScope();
            Tensor Draw(Shape shape, ulong seed, double low, double high) => Ops.Uniform(shape, DType.Float32, device, seed, low: low, high: high);
            var x = new ScanInputs(Draw((b, l, d), 1, -1, 1), Draw((b, l, d), 2, -4, 1), Draw((d, N), 3, -16, -1), Draw((b, l, N), 4, -1, 1), Draw((b, l, N), 5, -1, 1),
                Draw(d, 6, -1, 1), Draw((b, l, d), 7, -1, 1), Draw(d, 8, -1, 1), null, Softplus: true);
            Tensor y = x.U.Like(), last = x.U.Like((b, N, d)), boundaries = x.U.Like((b, x.Chunks, N, d)), dy = Draw((b, l, d), 9, -1, 1);
            var gradients = new ScanGradients(x.U.Like(), x.U.Like(), x.A.Like(), x.B.Like(), x.C.Like(), x.U.Like(d), x.U.Like(), x.U.Like(d), last.Like(), null);
            Timing forward = Timing.Measure(device, () => SelectiveScanKernels.Forward(x, y, last, boundaries));
            Timing backward = Timing.Measure(device, () => SelectiveScanKernels.Backward(x, boundaries, dy, null, gradients));
            double updates = b * l * d * N / 1e6;
            Console.WriteLine($"  b {b,2}, l {l,5}, d {d,4}      {forward.Median,9:F2} ms {updates / forward.Median,6:F2} G/s {backward.Median,9:F2} ms {updates / backward.Median,6:F2} G/s   exponentials alone at the ceiling: {updates / ceilings.GExps:F2} ms");
        }
    }
}
