using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>Where the time of a training step and of a token goes, kernel by kernel.</summary>
internal static class TimelineBench
{
    public static void Run(Bench bench)
    {
        _ = bench.Ceilings;
        Plan plan = bench.Plan;
        var usual = new Size(8, 256, 256);
        Size size = plan.Of(plan.Quick ? new Size(32, 64, 64) : usual);
        MambaConfig small = TrainBench.ConfigOf(size);
        string step = $"d_model {small.DModel} × {small.NLayer}, b {size.B}, l {size.L}{Size.States(size.N)}";
        int runs = plan.Quick ? 3 : 5;
        using (var training = new TrainingStep(bench, small, checked((int)size.B), checked((int)size.L)))
            Record(bench, "timeline-train", $"Where a training step goes, {step}", size == usual ? null : step, training.Run, runs, ScanWork(small, size));
        MambaConfig large = GenerateBench.ConfigOf(plan);
        using var model = new MambaLM(large, bench.Device, seed: 1, bench.DType);
        using MambaState state = model.NewState(1);
        using Tensor token = Tensor.From([1234 % large.VocabSize], 1, bench.Device);
        string title = $"Where a token goes, d_model {large.DModel} × {large.NLayer}{Size.States(large.SsmCfg.DState)}, one at a time";
        Record(bench, "timeline-token", title, large == GenerateBench.ConfigOf(new Plan()) ? null : GenerateBench.Setup(large), () =>
        {
            using var scope = new TensorScope();
            model.Step(token, state);
        }, 2 * runs, ScanWork(large, new Size(1, 1, 0)));
        bench.Device.Memory.Trim();
    }

    // What each scan kernel does; for others the arithmetic is small or, of matrix products, known.
    static Func<string, Work?> ScanWork(MambaConfig c, Size size)
    {
        size = size with { D = c.DInner, N = c.SsmCfg.DState };
        Work forward = ScanBench.ForwardWork(size, DType.Float32), both = ScanBench.BothWork(size, DType.Float32);
        return kernel => kernel.StartsWith("SelectiveScanForward", StringComparison.Ordinal) ? forward
            : kernel.StartsWith("SelectiveScanBackward", StringComparison.Ordinal) ? new Work(both.Flops - forward.Flops, both.Exps - forward.Exps)
            : null;
    }

    static void Record(Bench bench, string name, string title, string? setup, Action run, int runs, Func<string, Work?> known)
    {
        var device = (ComputeDevice)bench.Device;
        Sample plain = bench.Time(run, repeats: runs, leastMilliseconds: 200);
        var all = new List<KernelRun[]>();
        for (int i = 0; i < runs; i++)
        {
            device.Timeline = new Timeline(device);
            run();
            all.Add(device.Timeline.Read());
            device.Timeline = null;
        }
        KernelRun[] typical = all.OrderBy(r => r.Sum(k => k.Milliseconds)).ElementAt(all.Count / 2);
        double kernels = typical.Sum(k => k.Milliseconds);

        Table table = bench.NewTable(name, title, "calls", "share", "GB/s", "GFLOP/s").Sized(setup);
        var groups = typical.GroupBy(k => k.Name, StringComparer.Ordinal).OrderByDescending(g => g.Sum(k => k.Milliseconds)).ToArray();
        const int Shown = 24;
        foreach (var g in groups.Take(Shown))
        {
            bool gathers = g.Key.StartsWith("Embedding", StringComparison.Ordinal);        // a few rows of a table: its size says nothing
            double bytes = gathers ? 0 : g.Sum(k => (double)k.Bytes);
            Work? scan = known(g.Key);
            var work = new Work(scan is null ? g.Sum(k => k.Flops) : scan.Flops * g.Count(), scan is null ? 0 : scan.Exps * g.Count(), bytes, g.Count());
            Sample sample = Sample.Of(all.Select(r => r.Where(k => k.Name == g.Key).Sum(k => k.Milliseconds)), "ms");
            string bytesRate = bytes == 0 ? "" : Sample.Number(bytes / sample.Median / 1e6);
            string flopsRate = work.Flops == 0 ? "" : Sample.Number(work.Flops / sample.Median / 1e6);
            string[] cells = [$"{g.Count()}", $"{g.Sum(k => k.Milliseconds) / kernels:P1}", bytesRate, flopsRate];
            table.Rows.Add(bench.RowOf(g.Key, sample, work, cells));
        }
        if (groups.Length > Shown)
        {
            KernelRun[] others = [.. groups.Skip(Shown).SelectMany(g => g)];
            table.Rows.Add(new Row($"{groups.Length - Shown} others", [$"{others.Length}", $"{others.Sum(k => k.Milliseconds) / kernels:P1}", "", ""]));
        }
        table.Rows.Add(new Row("all kernels", [$"{typical.Length}", "100.0 %", "", ""], Sample.Of(all.Select(r => r.Sum(k => k.Milliseconds)), "ms")));
        table.Rows.Add(new Row("the whole, not recorded", [], plain));
        table.Notes.Add($"Kernels take {kernels / plain.Median:P0} of the whole; the rest is the host's work between them and copies. "
            + "Bytes are those of the tensors a kernel is given, each counted once, "
            + "so reuse shows as more than memory can do and partial reads as less.");
        if (bench.FileFor(table, name, "json") is { } path)
        {
            AtomicFile.WriteText(path, ChromeTrace.Write($"{title} on {device.Name}", typical));
            table.Notes.Add($"To see every kernel on a line of time, open {Path.GetFileName(path)} at https://ui.perfetto.dev.");
        }
        bench.Add(table);
    }
}
