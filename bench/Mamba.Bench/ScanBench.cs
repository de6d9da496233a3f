using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>
/// The fused selective scan with all fusions on, n = 16: its time beside the ceilings, its time per token against length, its memory
/// beside the formula.
/// </summary>
internal static class ScanBench
{
    const long N = 16;

    // Instructions of the multiply-add units that an update takes: Δ A, 8 for 2^x, Δu B, h, y; and back 11 of those again, without y, and the ten of BothWork.
    const int Forward = 12, Both = Forward + 21;

    public static void Run(Bench bench)
    {
        Table table = bench.NewTable("scan", "Selective scan, n = 16, softplus, D, z", "updates of a state", "of the multiply-add peak");
        foreach ((long b, long l, long d) in new[] { (8L, 1024L, 256L), (1, 2048, 1536), (8, 256, 512), (32, 64, 128) })
        {
            using var scope = new TensorScope();
            var scan = new Scan(bench, b, l, d);
            string[] Cells(Sample t, double walks, int instructions)
            {
                double updates = (double)b * l * d * N / t.Median / 1e6;
                return [$"{walks * updates:F2} G/s", $"{2 * instructions * updates / bench.Ceilings.GFlops:P0}"];
            }
            bench.Measure(table, $"b {b}, l {l}, d {d}", scan.Forward, ForwardWork(b, l, d, N, bench.DType), t => Cells(t, 1, Forward));
            bench.Measure(table, $"b {b}, l {l}, d {d}, and back", scan.Both, BothWork(b, l, d, N, bench.DType), t => Cells(t, 2, Both));
        }
        bench.Add(table);
        Lengths(bench);
        if (bench.Device is HostDevice host)
            Memory(bench, host);
    }

    /// <summary>An update of a state: Δ A, 2^x, Δu B, h, y; and each array once.</summary>
    public static Work ForwardWork(long b, long l, long d, long n, DType dtype) =>
        new(2 * 4.0 * b * l * d * n, (double)b * l * d * n, (4.0 * b * l * d + 2.0 * b * l * n) * dtype.Size());

    /// <summary>
    /// Backward has Ā and h again (Δ A, 2^x, Δu B, h), then C dy + g, y, dC, Σ g B, dB, Ā h₋, g Ā h₋, dΔ, dA, Ā g;
    /// reads u, Δ, z, dy, B, C and writes their gradients.
    /// </summary>
    public static Work BothWork(long b, long l, long d, long n, DType dtype) => ForwardWork(b, l, d, n, dtype)
        + new Work(2 * 13.0 * b * l * d * n, (double)b * l * d * n, (7.0 * b * l * d + 4.0 * b * l * n) * dtype.Size());

    // One row of few channels: nothing but length grows.
    static void Lengths(Bench bench)
    {
        Table table = bench.NewTable("scan-lengths", "Selective scan against length, b 1, d 64, n 16", "ns a token", "with gradients");
        List<double> forward = [], both = [];
        for (int log = 10; log <= 20; log += 2)
        {
            long l = 1L << log;
            using var scope = new TensorScope();
            var scan = new Scan(bench, 1, l, 64);
            int repeats = log < 18 ? 15 : 5;
            forward.Add(Timing.Measure(bench.Device, scan.Forward, repeats).Median * 1e6 / l);
            bench.Measure(table, $"l {l}", scan.Both, BothWork(1, l, 64, N, bench.DType), t =>
            {
                both.Add(t.Median * 1e6 / l);
                return [$"{forward[^1]:F1}", $"{both[^1]:F1}"];
            }, repeats);
        }
        table.Notes.Add($"The slowest over the fastest, a token: forward {forward.Max() / forward.Min():F2}, with gradients {both.Max() / both.Min():F2}.");
        bench.Add(table);
    }

    static void Memory(Bench bench, HostDevice host)
    {
        Table table = bench.NewTable("scan-memory", "Working memory of the scan beside inputs, outputs and gradients",
            "formula", "of inputs, outputs and gradients");
        foreach ((long b, long l, long d) in new[] { (8L, 1024L, 256L), (1, 2048, 1536), (1, 65536, 64) })
        {
            using var scope = new TensorScope();
            var scan = new Scan(bench, b, l, d);
            long given = host.Memory.LiveBytes - scan.BoundaryBytes;
            host.Memory.ResetPeak();
            scan.Both();
            long measured = host.Memory.PeakBytes - given;
            long formula = SelectiveScanKernels.WorkingBytes(scan.Inputs, host: true, host.Threads, host.Bits / 8 / bench.DType.Size());
            table.Rows.Add(new Row($"b {b}, l {l}, d {d}", [$"{formula / 1e6:F2} MB", $"{(double)measured / given:P1}"], Sample.Exactly(measured / 1e6, "MB")));
        }
        bench.Add(table);
    }

    /// <summary>One problem with everything it needs.</summary>
    sealed class Scan
    {
        readonly Tensor y, last, boundaries, dy;
        readonly ScanGradients gradients;

        public Scan(Bench bench, long b, long l, long d)
        {
            Inputs = new ScanInputs
            {
                U = bench.Draw((b, l, d), 1),
                Delta = bench.Draw((b, l, d), 2, -4),
                A = bench.Draw((d, N), 3, -16, -1),
                B = bench.Draw((b, l, N), 4),
                C = bench.Draw((b, l, N), 5),
                D = bench.Draw(d, 6),
                Z = bench.Draw((b, l, d), 7),
                DeltaBias = bench.Draw(d, 8),
            };
            (y, last, dy) = (Inputs.U.Like(), Inputs.U.Like((b, N, d)), bench.Draw((b, l, d), 9));
            boundaries = Inputs.U.Like((b, Inputs.Chunks, N, d));
            gradients = ScanGradients.Of(Inputs);
        }

        public ScanInputs Inputs { get; }
        public long BoundaryBytes => boundaries.Count * boundaries.DType.Size();
        public void Forward() => SelectiveScanKernels.Forward(Inputs, y, last, null);

        public void Both()
        {
            SelectiveScanKernels.Forward(Inputs, y, last, boundaries);
            SelectiveScanKernels.Backward(Inputs, boundaries, dy, null, gradients);
        }
    }
}
