using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>
/// The fused selective scan with all fusions on: its time beside the ceilings, its time per token against length, its memory
/// beside the formula.
/// </summary>
internal static class ScanBench
{
    // Instructions of the multiply-add units that an update takes: Δ A, 8 for 2^x, Δu B, h, y; and back 11 of those again, without y, and the ten of BothWork.
    const int Forward = 12, Both = Forward + 21;

    public static void Run(Bench bench)
    {
        Plan plan = bench.Plan;
        long n = plan.States ?? Size.UsualStates;
        Table table = bench.NewTable("scan", $"Selective scan, n = {n}, softplus, D, z", "updates of a state", "of the multiply-add peak");
        Size[] all = [new(8, 1024, 256), new(1, 2048, 1536), new(8, 256, 512), new(32, 64, 128)];
        foreach (Size size in plan.Sizes("scan", all, size => size == all[3] || (size == all[0] && !plan.Slow)))
        {
            using var scope = new TensorScope();
            var scan = new Scan(bench, size);
            string[] Cells(Sample t, double walks, int instructions)
            {
                double updates = (double)size.B * size.L * size.D * n / t.Median / 1e6;
                return [$"{walks * updates:F2} G/s", $"{2 * instructions * updates / bench.Ceilings.GFlops:P0}"];
            }
            bench.Measure(table, $"{size}", scan.Forward, ForwardWork(size, bench.DType), t => Cells(t, 1, Forward));
            bench.Measure(table, $"{size}, and back", scan.Both, BothWork(size, bench.DType), t => Cells(t, 2, Both));
        }
        bench.Add(table);
        if (plan.Length is null)
            Lengths(bench);
        if (bench.Device is HostDevice host)
            Memory(bench, host);
    }

    /// <summary>An update of a state: Δ A, 2^x, Δu B, h, y; and each array once.</summary>
    public static Work ForwardWork(Size size, DType dtype)
    {
        (double b, double l, double d, double n) = (size.B, size.L, size.D, size.N);
        return new(2 * 4 * b * l * d * n, b * l * d * n, (4 * b * l * d + 2 * b * l * n) * dtype.Size());
    }

    /// <summary>
    /// Backward has Ā and h again (Δ A, 2^x, Δu B, h), then C dy + g, y, dC, Σ g B, dB, Ā h₋, g Ā h₋, dΔ, dA, Ā g;
    /// reads u, Δ, z, dy, B, C and writes their gradients.
    /// </summary>
    public static Work BothWork(Size size, DType dtype)
    {
        (double b, double l, double d, double n) = (size.B, size.L, size.D, size.N);
        return ForwardWork(size, dtype) + new Work(2 * 13 * b * l * d * n, b * l * d * n, (7 * b * l * d + 4 * b * l * n) * dtype.Size());
    }

    // One row of few channels: nothing but length grows.
    static void Lengths(Bench bench)
    {
        Size of = bench.Plan.Of(new Size(1, 0, 64));
        string setup = $"b {of.B}, d {of.D}, n {of.N}";
        Table table = bench.NewTable("scan-lengths", $"Selective scan against length, {setup}", "ns a token", "with gradients")
            .Sized(bench.Plan.Sized ? setup : null);
        List<double> forward = [], both = [];
        long[] lengths = [1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20];
        foreach (long l in bench.Plan.Choose("lengths of a scan", lengths, l => $"{l}", l => l <= (bench.Plan.Slow ? 1 << 10 : 1 << 14)))
        {
            using var scope = new TensorScope();
            Size size = of with { L = l };
            var scan = new Scan(bench, size);
            int repeats = l < 1 << 18 ? 15 : 5;
            forward.Add(bench.Time(scan.Forward, repeats).Median * 1e6 / (of.B * l));
            bench.Measure(table, $"l {l}", scan.Both, BothWork(size, bench.DType), t =>
            {
                both.Add(t.Median * 1e6 / (of.B * l));
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
        Size[] all = [new(8, 1024, 256), new(1, 2048, 1536), new(1, 65536, 64)];
        foreach (Size size in bench.Plan.Sizes("memory of a scan", all, size => size == all[0]))
        {
            using var scope = new TensorScope();
            var scan = new Scan(bench, size);
            long given = host.Memory.LiveBytes - scan.BoundaryBytes;
            host.Memory.ResetPeak();
            scan.Both();
            long measured = host.Memory.PeakBytes - given;
            long formula = SelectiveScanKernels.WorkingBytes(scan.Inputs, host: true, host.Threads, host.Bits / 8 / bench.DType.Size());
            table.Rows.Add(new Row($"{size}", [$"{formula / 1e6:F2} MB", $"{(double)measured / given:P1}"], Sample.Exactly(measured / 1e6, "MB")));
        }
        bench.Add(table);
    }

    /// <summary>One problem with everything it needs.</summary>
    sealed class Scan
    {
        readonly Tensor y, last, boundaries, dy;
        readonly ScanGradients gradients;

        public Scan(Bench bench, Size size)
        {
            (long b, long l, long d, long n) = size;
            Inputs = new ScanInputs
            {
                U = bench.Draw((b, l, d), 1),
                Delta = bench.Draw((b, l, d), 2, -4),
                A = bench.Draw((d, n), 3, -16, -1),
                B = bench.Draw((b, l, n), 4),
                C = bench.Draw((b, l, n), 5),
                D = bench.Draw(d, 6),
                Z = bench.Draw((b, l, d), 7),
                DeltaBias = bench.Draw(d, 8),
            };
            (y, last, dy) = (Inputs.U.Like(), Inputs.U.Like((b, n, d)), bench.Draw((b, l, d), 9));
            boundaries = Inputs.U.Like((b, Inputs.Chunks, n, d));
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
