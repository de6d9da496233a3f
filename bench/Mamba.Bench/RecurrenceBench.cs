using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>The three algorithms of the linear recurrence, forward and its adjoint with all gradients, beside the time memory needs to read a and x and write h.</summary>
internal static class RecurrenceBench
{
    public static void Run(Device device, Ceilings ceilings)
    {
        Console.WriteLine("\nlinear recurrence float32                     forward    backward   a, x, h through memory once");
        foreach ((long b, long l, long m) in new[] { (1L, 4096L, 1024L), (8, 256, 1024), (1, 65536, 16) })
            foreach (LinearScan algorithm in Enum.GetValues<LinearScan>())
            {
                using var scope = new TensorScope();
                Tensor Draw(ulong seed, double low) => Ops.Uniform((b, l, m), DType.Float32, device, seed, low: low, high: 1);
                Tensor a = Draw(1, 0), x = Draw(2, -1), dh = Draw(3, -1), h = x.Like(), da = a.Like(), dx = x.Like();
                Timing forward = Timing.Measure(device, () => LinearRecurrenceKernels.Forward(algorithm, a, x, null, h));
                Timing backward = Timing.Measure(device, () => LinearRecurrenceKernels.Backward(algorithm, a, null, h, dh, dx, da, null));
                double bytes = 3.0 * sizeof(float) * a.Count;
                Console.WriteLine($"  {algorithm,-10}  b {b,2}, l {l,5}, m {m,4} {forward.Median,9:F2} ms {backward.Median,8:F2} ms   {bytes / ceilings.CopyGBs / 1e6,8:F2} ms");
            }
    }
}
