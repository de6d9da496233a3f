namespace Mamba.Bench;

/// <summary>One training step, forward, backward and AdamW: tokens a second, peak memory, managed allocation.</summary>
internal static class TrainBench
{
    public static void Run(Bench bench)
    {
        Table table = bench.NewTable("train", "Training step", "tokens/s", "peak", "managed a step");
        Row(bench, table, new MambaConfig { DModel = 256, NLayer = 4, VocabSize = 256 }, batch: 8, length: 256);
        Row(bench, table, new MambaConfig { DModel = 256, NLayer = 4, VocabSize = 256 }, batch: 8, length: 512);
        Row(bench, table, new MambaConfig { DModel = 64, NLayer = 2, VocabSize = 16 }, batch: 32, length: 64);
        Row(bench, table, new MambaConfig { DModel = 64, NLayer = 2, VocabSize = 16 }, batch: 8, length: 256);
        table.Notes.Add("The limit of a step is the arithmetic of its matrix products and scans alone.");
        bench.Add(table);
    }

    static void Row(Bench bench, Table table, MambaConfig config, int batch, int length)
    {
        using var training = new TrainingStep(bench, config, batch, length);
        training.Run();
        bench.Device.Memory.ResetPeak();
        Sample t = Timing.Measure(bench.Device, training.Run, repeats: 11, leastMilliseconds: 2000, mostMilliseconds: 6000);
        const int Steps = 3;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Steps; i++)
            training.Run();
        double managed = (GC.GetAllocatedBytesForCurrentThread() - before) / (double)Steps / 1024;
        double tokens = (double)batch * length;
        table.Rows.Add(bench.RowOf($"d_model {config.DModel} × {config.NLayer}, b {batch}, l {length}", t, StepWork(config) * tokens,
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
