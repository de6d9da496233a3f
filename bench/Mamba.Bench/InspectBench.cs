namespace Mamba.Bench;

/// <summary>
/// What looking inside costs: a forward pass with hooks in one of 24 layers beside the plain one, and a full trace beside the loop over tokens in primitive
/// ops that others look into, which makes the same states.
/// </summary>
internal static class InspectBench
{
    public static void Run(Bench bench)
    {
        Hooks(bench);
        Traces(bench);
    }

    static void Hooks(Bench bench)
    {
        Plan plan = bench.Plan;
        MambaConfig config = Given(plan.Quick
            ? new() { DModel = plan.Slow ? 64 : 256, NLayer = 24, VocabSize = 256 }
            : new() { DModel = 768, NLayer = 24, VocabSize = 50280 }, plan);
        int layer = config.NLayer / 2, b = plan.Batch ?? 1, l = plan.Length ?? (plan.Slow ? 64 : 512);
        using var model = new MambaLM(config, bench.Device, seed: 1, bench.DType);
        using var scope = new TensorScope();
        Tensor tokens = Tokens(bench, b, l);
        Table table = bench.NewTable("hooks", $"A forward pass, d_model {config.DModel} × {config.NLayer}, b {b}, l {l}, with hooks in one layer",
            "plain", "over plain");
        Row("delta scaled", Hook.Scale(Site.Delta, 1.5, layer));
        Row("y scaled, every fourth channel",
            Hook.Scale(Site.Y, 1.5, layer, channels: Indices.Of([.. Enumerable.Range(0, config.DInner / 4).Select(i => 4 * i)])));
        Row("a state wiped, one position", Hook.Wipe(Site.H, layer, l / 2));
        Row("states wiped, eight positions", Hook.Wipe(Site.H, layer, Indices.Of([.. Enumerable.Range(0, 8).Select(i => i * l / 8)])));
        Row("one of each", Hook.Scale(Site.Delta, 1.5, layer), Hook.Scale(Site.B, 1.5, layer), Hook.Scale(Site.C, 1.5, layer), Hook.Wipe(Site.H, layer, l / 2),
            Hook.Scale(Site.Y, 1.5, layer));
        table.Notes.Add("Plain and hooked in turn, again and again in one run; ratios are of medians. At most 1.15 is the aim.");
        bench.Add(table);

        void Row(string name, params Hook[] hooks)
        {
            (Sample plain, Sample hooked) = InTurn(bench, () => Forward(null), () => Forward(hooks));
            table.Rows.Add(new Row(name, [$"{plain}", $"{hooked.Median / plain.Median:F3}"], hooked));
        }

        void Forward(Hook[]? hooks)
        {
            using var inner = new TensorScope();
            _ = model.Forward(tokens, lastOnly: true, hooks: hooks);
        }
    }

    static void Traces(Bench bench)
    {
        Plan plan = bench.Plan;
        MambaConfig config = Given(new() { DModel = plan.Slow ? 32 : 256, NLayer = 2, VocabSize = 256 }, plan);
        int b = plan.Batch ?? 1, l = plan.Length ?? (plan.Slow ? 32 : 512);
        using var model = new MambaLM(config, bench.Device, seed: 1, bench.DType);
        using var slow = new MambaLM(config with { ScanAlgorithm = ScanAlgorithm.Reference }, bench.Device, seed: 1, bench.DType);
        using var scope = new TensorScope();
        Tensor tokens = Tokens(bench, b, l);
        Table table = bench.NewTable("trace", $"Every value of every layer, d_model {config.DModel} × {config.NLayer}, b {b}, l {l}",
            "the slow loop", "loop over trace");
        // what must at least be written: u, delta, y, z, B, C, and h, Ā, B̄
        double d = config.DInner, n = config.SsmCfg.DState, numbers = (double)b * l * config.NLayer * (4 * d + 2 * n + 3 * d * n);
        string file = Path.Combine(Path.GetTempPath(), $"mamba-bench-{Environment.ProcessId}.safetensors");
        var all = new TraceSettings { Values = TraceValues.All & ~TraceValues.Predictions };
        Row("in memory", () => model.Trace(tokens, all).Dispose(), () => Loop(false), 1);
        Row("in memory, with gradients", () => model.Trace(tokens, all with { Quantity = Quantity.Loss }).Dispose(), () => Loop(true), 2);
        double disk = DiskSpeed(bench, file);
        Row("into a file", () => model.Trace(tokens, file, all), () => Loop(false), 1, disk);
        Row("into a file, with gradients", () => model.Trace(tokens, file, all with { Quantity = Quantity.Loss }), () => Loop(true), 2, disk);
        File.Delete(file);
        table.Notes.Add("The loop is the whole model with the reference scan, which keeps every h (and, forward and back, every gradient of it) on the "
            + "way: no file. The limit is writing u, delta, y, z, B, C, h, Ā, B̄, and their gradients,"
            + " once; into a file, to the disk, which the file is forced to.");
        bench.Add(table);

        void Row(string name, Action trace, Action loop, int times, double? disk = null)
        {
            (Sample slow, Sample fast) = InTurn(bench, loop, trace);
            var work = new Work(Bytes: times * numbers * bench.DType.Size());
            string[] cells = [$"{slow}", $"{slow.Median / fast.Median:F1}"];
            table.Rows.Add(disk is { } speed
                ? new Row(name, cells, fast, work.Bytes / speed / 1e6 / fast.Median, $"the disk at {Sample.Number(speed)} GB/s", work)
                : bench.RowOf(name, fast, work, cells));
        }

        void Loop(bool gradients)
        {
            using TensorScope inner = gradients ? new Tape() : new TensorScope();
            Tensor logits = slow.Forward(tokens);
            if (inner is Tape tape)
                tape.Backward(Quantity.Loss.In(logits, new Quantity.Part(tokens.ToArray<int>(), l, 0, config.VocabSize))!);
        }
    }

    // What a file of 64 MB takes until it is on the disk.
    static double DiskSpeed(Bench bench, string path)
    {
        byte[] bytes = new byte[64 << 20];
        Sample t = bench.Time(() =>
        {
            using var stream = new FileStream(path, FileMode.Create);
            stream.Write(bytes);
            stream.Flush(flushToDisk: true);
        }, repeats: 5);
        return bytes.Length / t.Best / 1e6;
    }

    static MambaConfig Given(MambaConfig config, Plan plan) =>
        config with { DModel = plan.Width ?? config.DModel, SsmCfg = config.SsmCfg with { DState = plan.States ?? config.SsmCfg.DState } };

    static Tensor Tokens(Bench bench, int b, int l) =>
        Tensor.From([.. Enumerable.Range(0, b * l).Select(i => (int)(i * 97L % 256))], (b, l), bench.Device);

    // In turn, so that what else the machine does falls on both.
    static (Sample, Sample) InTurn(Bench bench, Action first, Action second)
    {
        List<double> firsts = [], seconds = [];
        for (int i = 0; i < (bench.Plan.Quick ? 2 : 5); i++)
        {
            firsts.Add(Milliseconds(first));
            seconds.Add(Milliseconds(second));
        }
        return (Sample.Of(firsts, "ms"), Sample.Of(seconds, "ms"));

        double Milliseconds(Action run) => bench.Time(run, repeats: 3, leastMilliseconds: 20, mostMilliseconds: 1000).Median;
    }
}
