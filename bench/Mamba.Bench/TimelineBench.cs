using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>Where the time of a training step and of a token goes, kernel by kernel.</summary>
internal static class TimelineBench
{
    public static void Run(Bench bench)
    {
        _ = bench.Ceilings;
        var small = new MambaConfig { DModel = 256, NLayer = 4, VocabSize = 256 };
        using (var training = new TrainingStep(bench, small, 8, 256))
            Record(bench, "timeline-train", "Where a training step goes, d_model 256 × 4, b 8, l 256", training.Run, runs: 5, ScanWork(small, 8, 256));
        using var model = new MambaLM(new MambaConfig { DModel = 768, NLayer = 24, VocabSize = 50280 }, bench.Device, seed: 1, bench.DType);
        using MambaState state = model.NewState(1);
        using Tensor token = Tensor.From([1234], 1, bench.Device);
        Record(bench, "timeline-token", "Where a token goes, d_model 768 × 24, one at a time", () =>
        {
            using var scope = new TensorScope();
            model.Step(token, state);
        }, runs: 10, ScanWork(model.Config, 1, 1));
        bench.Device.Memory.Trim();
    }

    // What each scan kernel does; for others the arithmetic is small or, of matrix products, known.
    static Func<string, Work?> ScanWork(MambaConfig c, long b, long l)
    {
        Work forward = ScanBench.ForwardWork(b, l, c.DInner, c.SsmCfg.DState, DType.Float32);
        Work both = ScanBench.BothWork(b, l, c.DInner, c.SsmCfg.DState, DType.Float32);
        return kernel => kernel.StartsWith("SelectiveScanForward", StringComparison.Ordinal) ? forward
            : kernel.StartsWith("SelectiveScanBackward", StringComparison.Ordinal) ? new Work(both.Flops - forward.Flops, both.Exps - forward.Exps)
            : null;
    }

    static void Record(Bench bench, string name, string title, Action run, int runs, Func<string, Work?> known)
    {
        var device = (ComputeDevice)bench.Device;
        for (int i = 0; i < 3; i++)
            run();
        device.Synchronize();
        Sample plain = Timing.Measure(device, run, repeats: runs, leastMilliseconds: 200);
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

        Table table = bench.NewTable(name, title, "calls", "share", "GB/s", "GFLOP/s");
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
            AtomicFile.WriteText(path, ChromeTrace.Write($"{title} on {device.Name}", typical));
        bench.Add(table);
    }
}
