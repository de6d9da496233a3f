namespace Mamba.Bench;

/// <summary>One training step, forward, backward and AdamW: tokens a second, peak memory, managed allocation.</summary>
internal static class TrainBench
{
    public static void Run(Device device, Ceilings ceilings)
    {
        Console.WriteLine("\ntraining step float32                                   ms    tokens/s   of the floor   peak MB   managed KB/step   GC");
        Row(device, ceilings, "the issue's", new MambaConfig { DModel = 256, NLayer = 4, VocabSize = 256 }, batch: 8, length: 256);
        Row(device, ceilings, "twice as long", new MambaConfig { DModel = 256, NLayer = 4, VocabSize = 256 }, batch: 8, length: 512);
        Row(device, ceilings, "induction heads", new MambaConfig { DModel = 64, NLayer = 2, VocabSize = 16 }, batch: 32, length: 64);
        Row(device, ceilings, "induction heads", new MambaConfig { DModel = 64, NLayer = 2, VocabSize = 16 }, batch: 8, length: 256);
    }

    static void Row(Device device, Ceilings ceilings, string name, MambaConfig config, int batch, int length)
    {
        using var model = new MambaLM(config, device, seed: 1);
        using var optimizer = new AdamW(model.Parameters, 1e-3);
        var random = new PhiloxRandom(1);
        int[] tokens = [.. Enumerable.Range(0, batch * length).Select(_ => random.Next(config.VocabSize))];

        void Step()
        {
            using var tape = new Tape();
            Tensor x = Tensor.From(tokens, (batch, length), device);
            Tensor loss = Ops.CrossEntropy(model.Forward(x), x);
            optimizer.Step(tape.Backward(loss).ClipNorm(1));
        }

        Step();
        device.Memory.ResetPeak();
        Timing t = Timing.Measure(device, Step, repeats: 11, leastMilliseconds: 2000);
        long before = GC.GetAllocatedBytesForCurrentThread();
        int collections = GC.CollectionCount(0);
        for (int i = 0; i < 10; i++)
            Step();
        double managed = (GC.GetAllocatedBytesForCurrentThread() - before) / 10.0 / 1024;
        double count = batch * length, floor = count * FloorMilliseconds(config, ceilings);
        Console.WriteLine($"  {name,-16} d {config.DModel,3} × {config.NLayer}, b {batch,2}, l {length,3} {t.Median,9:F1} {count / t.Median * 1e3,11:N0} {floor / t.Median,13:P0} {device.Memory.PeakBytes / 1e6,9:F1} {managed,12:F1} {GC.CollectionCount(0) - collections,9}");
    }

    // The arithmetic of a token at the ceilings: 6 flops a weight of every matrix product, and the scan's two exponentials
    // (forward, recomputation) and some 2 · 16 flops a state.
    static double FloorMilliseconds(MambaConfig config, Ceilings ceilings) =>
        (6 * (config.NLayer * LayerWeights(config) + HeadWeights(config)) + 32 * States(config)) / ceilings.GFlops / 1e6 + 2 * States(config) / ceilings.GExps / 1e6;

    /// <summary>The arithmetic of a forward pass over one sequence at the ceilings: 2 flops a weight, one exponential and some 10 flops a state.</summary>
    public static double ForwardMilliseconds(MambaConfig config, Ceilings ceilings, long length, bool lastOnly) =>
        (2 * (length * config.NLayer * LayerWeights(config) + (lastOnly ? 1 : length) * HeadWeights(config)) + 10 * length * States(config)) / ceilings.GFlops / 1e6
        + length * States(config) / ceilings.GExps / 1e6;

    static double LayerWeights(MambaConfig config)
    {
        double d = config.DInner, n = config.SsmCfg.DState, r = config.DtRank, model = config.DModel;
        return model * 2 * d + d * (r + 2 * n) + r * d + d * model;
    }

    static double HeadWeights(MambaConfig config) => (double)config.PaddedVocabSize * config.DModel;

    static double States(MambaConfig config) => (double)config.NLayer * config.DInner * config.SsmCfg.DState;
}
