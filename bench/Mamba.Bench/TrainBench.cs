namespace Mamba.Bench;

/// <summary>One training step, forward, backward and AdamW: tokens a second, peak memory, managed allocation.</summary>
internal static class TrainBench
{
    public static void Run(Bench bench)
    {
        Table table = bench.NewTable("train", "Training step", "tokens/s", "peak", "managed a step");
        Size[] all = [new(8, 256, 256), new(8, 512, 256), new(32, 64, 64), new(8, 256, 64)];
        foreach (Size size in bench.Plan.Sizes("train", all, size => size == all[2] || (size == all[3] && !bench.Plan.Slow)))
            Row(bench, table, ConfigOf(size), checked((int)size.B), checked((int)size.L));
        table.Notes.Add("The limit of a step is the arithmetic of its matrix products and scans alone.");
        bench.Add(table);
    }

    /// <summary>Two layers of 16 tokens where the model is narrow, four of 256 otherwise.</summary>
    public static MambaConfig ConfigOf(Size size)
    {
        bool small = size.D <= 64;
        return new MambaConfig
        {
            DModel = checked((int)size.D),
            NLayer = small ? 2 : 4,
            VocabSize = small ? 16 : 256,
            SsmCfg = new SsmConfig { DState = checked((int)size.N) },
        };
    }

    static void Row(Bench bench, Table table, MambaConfig config, int batch, int length)
    {
        using var training = new TrainingStep(bench, config, batch, length);
        training.Run();
        bench.Device.Memory.ResetPeak();
        Sample t = bench.Time(training.Run, repeats: 11, leastMilliseconds: 2000, mostMilliseconds: 6000);
        const int Steps = 3;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Steps; i++)
            training.Run();
        double managed = (GC.GetAllocatedBytesForCurrentThread() - before) / (double)Steps / 1024;
        double tokens = (double)batch * length;
        string name = $"d_model {config.DModel} × {config.NLayer}, b {batch}, l {length}{Size.States(config.SsmCfg.DState)}";
        table.Rows.Add(bench.RowOf(name, t, StepWork(config) * tokens,
            [$"{tokens / t.Median * 1e3:N0}", $"{bench.Device.Memory.PeakBytes / 1e6:F1} MB", $"{managed:F0} KB"]));
    }

    /// <summary>A token forward: 2 flops a weight of every matrix product, that of the head or not, and the scan.</summary>
    public static Work ForwardWork(MambaConfig config, bool head = true)
    {
        double d = config.DInner, n = config.SsmCfg.DState, r = config.DtRank, model = config.DModel;
        double weights = config.NLayer * (model * 2 * d + d * (r + 2 * n) + r * d + d * model) + (head ? (double)config.PaddedVocabSize * model : 0);
        double states = config.NLayer * d * n;
        return new Work(2 * weights + 2 * 4 * states, states, Launches: 0);
    }

    /// <summary>A token forward and back: three times the products; the states twice, and thirteen multiply-adds for each.</summary>
    public static Work StepWork(MambaConfig config)
    {
        Work forward = ForwardWork(config);
        double states = forward.Exps;
        return new Work(3 * (forward.Flops - 8 * states) + 2 * 17 * states, 2 * states, Launches: 0);
    }
}
