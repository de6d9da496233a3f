using System.Globalization;
using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>The fused selective scan with all fusions on, float32, n = 16: its time beside the arithmetic, its time per token against length, its memory beside the formula.</summary>
internal static class ScanBench
{
    const long N = 16;

    // Instructions of the multiply-add units an update of one state takes, with 2^x as 2 for its two ends and 6 for the polynomial.
    const int Forward = 12;         // ΔA, 8 of 2^x, Δu B, h, y
    const int Backward = 21;        // 11 to have Ā and h again; C dy + g, y, dC, Σ g B, dB, Ā h₋, g Ā h₋, dΔ, dA, Ā g

    public static void Run(Device device, Ceilings ceilings)
    {
        Console.WriteLine("""

            selective scan, float32, n = 16, softplus, D, z: medians; the floor is arithmetic alone at the multiply-add peak (12 instructions an update forward, 21 back)
              b      l     d      forward   of the peak   forward + backward   of the peak
            """);
        foreach ((long b, long l, long d) in new[] { (8L, 1024L, 256L), (1, 2048, 1536), (8, 256, 512), (32, 64, 128) })
        {
            using var scope = new TensorScope();
            var scan = new Scan(device, b, l, d);
            Timing forward = Timing.Measure(device, scan.Forward), both = Timing.Measure(device, scan.Both);
            double floor = b * l * d * N * 2 / ceilings.GFlops / 1e6;      // one instruction an update, ms
            Console.WriteLine($"  {b,3} {l,6:N0} {d,5:N0} {forward.Median,9:F2} ms {Percent(Forward * floor / forward.Median),11} {both.Median,17:F2} ms {Percent((Forward + Backward) * floor / both.Median),11}");
        }
        Lengths(device);
        Memory(device);
    }

    // B 1, D 64: too few channels to fill the machine, so time is cut into segments.
    static void Lengths(Device device)
    {
        Console.WriteLine("\ntime per token against length, b 1, d 64, n 16\n          l      forward   forward + backward   ns a token");
        double least = double.MaxValue, most = 0, leastBoth = double.MaxValue, mostBoth = 0;
        for (int log = 10; log <= 20; log += 2)
        {
            long l = 1L << log;
            using var scope = new TensorScope();
            var scan = new Scan(device, 1, l, 64);
            int repeats = log < 18 ? 15 : 5;
            double forward = Timing.Measure(device, scan.Forward, repeats).Median * 1e6 / l, both = Timing.Measure(device, scan.Both, repeats).Median * 1e6 / l;
            (least, most, leastBoth, mostBoth) = (Math.Min(least, forward), Math.Max(most, forward), Math.Min(leastBoth, both), Math.Max(mostBoth, both));
            Console.WriteLine($"  {l,9:N0} {forward,12:F1} {both,20:F1}");
        }
        Console.WriteLine($"  the slowest over the fastest: forward {most / least:F2}, forward + backward {mostBoth / leastBoth:F2}");
    }

    static void Memory(Device device)
    {
        if (device is not HostDevice host)
            return;
        Console.WriteLine("\nworking memory beside inputs, outputs and gradients\n  b      l     d     measured      formula   of inputs, outputs and gradients");
        foreach ((long b, long l, long d) in new[] { (8L, 1024L, 256L), (1, 2048, 1536), (1, 65536, 64) })
        {
            using var scope = new TensorScope();
            var scan = new Scan(device, b, l, d);
            long given = device.Memory.LiveBytes - scan.BoundaryBytes;
            device.Memory.ResetPeak();
            scan.Both();
            long measured = device.Memory.PeakBytes - given, formula = SelectiveScanKernels.WorkingBytes(scan.Inputs, host: true, host.Threads, host.Bits / 32);
            Console.WriteLine($"  {b,3} {l,6:N0} {d,5:N0} {measured / 1e6,9:F2} MB {formula / 1e6,9:F2} MB {Percent((double)measured / given),8}");
        }
    }

    static string Percent(double x) => (100 * x).ToString("F1", CultureInfo.InvariantCulture) + " %";

    /// <summary>One problem with everything it needs.</summary>
    sealed class Scan
    {
        readonly Tensor y, last, boundaries, dy;
        readonly ScanGradients gradients;

        public Scan(Device device, long b, long l, long d)
        {
            Tensor Draw(Shape shape, ulong seed, double low = -1, double high = 1) => Ops.Uniform(shape, DType.Float32, device, seed, low: low, high: high);
            Inputs = new ScanInputs(Draw((b, l, d), 1), Draw((b, l, d), 2, -4), Draw((d, N), 3, -16, -1), Draw((b, l, N), 4), Draw((b, l, N), 5), Draw(d, 6), Draw((b, l, d), 7), Draw(d, 8), null, Softplus: true);
            (y, last, dy) = (Inputs.U.Like(), Inputs.U.Like((b, N, d)), Draw((b, l, d), 9));
            boundaries = Inputs.U.Like((b, Inputs.Chunks, N, d));
            gradients = new ScanGradients(Inputs.U.Like(), Inputs.U.Like(), Inputs.A.Like(), Inputs.B.Like(), Inputs.C.Like(), Inputs.U.Like(d), Inputs.U.Like(), Inputs.U.Like(d), last.Like(), null);
        }

        public ScanInputs Inputs { get; }
        public long BoundaryBytes => boundaries.Count * sizeof(float);
        public void Forward() => SelectiveScanKernels.Forward(Inputs, y, last, null);

        public void Both()
        {
            SelectiveScanKernels.Forward(Inputs, y, last, boundaries);
            SelectiveScanKernels.Backward(Inputs, boundaries, dy, null, gradients);
        }
    }
}
