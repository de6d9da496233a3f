using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>
/// The same work on numbers that sink below the smallest normal one and on ordinary ones: a scan of an impulse followed by zeros, a training step of a
/// loss scaled down until its gradients are subnormal, a token whose state is. Flushed to zero they cost nothing; kept, on an Intel core, tens of times.
/// </summary>
internal static class SubnormalBench
{
    const long B = 8, L = 1024, D = 256, N = 16;

    public static void Run(Bench bench)
    {
        Table table = bench.NewTable("subnormals", "Subnormal beside ordinary numbers", "ordinary", "subnormal over ordinary", "kept, over ordinary");
        Scan(bench, table, withGradients: false);
        Scan(bench, table, withGradients: true);
        Training(bench, table);
        Token(bench, table);
        table.Notes.Add("Ordinary, subnormal and kept in turn, again and again in one run; ratios are of medians. Only the host can be told to keep them.");
        bench.Add(table);
    }

    static void Scan(Bench bench, Table table, bool withGradients)
    {
        using var scope = new TensorScope();
        double[] impulse = new double[B * L * D];
        for (int b = 0; b < B; b++)
            impulse.AsSpan((int)(b * L * D), (int)D).Fill(1);
        double[] late = [.. impulse.Reverse()];        // a gradient of the last token only
        Tensor delta = bench.Draw((B, L, D), 2, -5, -3), A = bench.Draw((D, N), 3, -16, -1), BB = bench.Draw((B, L, N), 4), C = bench.Draw((B, L, N), 5);
        (Tensor U, Tensor Dy) ordinary = (bench.Draw((B, L, D), 1), bench.Draw((B, L, D), 9));
        (Tensor U, Tensor Dy) subnormal = (Tensor.From(impulse, (B, L, D), bench.DType, bench.Device), Tensor.From(late, (B, L, D), bench.DType, bench.Device));
        Row(bench, table, $"scan b {B}, l {L}, d {D}{(withGradients ? ", and back" : "")}", () => Walk(ordinary), () => Walk(subnormal));

        void Walk((Tensor U, Tensor Dy) x)
        {
            using TensorScope inner = withGradients ? new Tape() : new TensorScope();
            if (withGradients)
                foreach (Tensor input in (Tensor[])[x.U, delta, A, BB, C])
                    Tape.Watch(input);
            Tensor y = Ops.SelectiveScan(x.U, delta, A, BB, C).Y;
            (inner as Tape)?.Backward([(y, x.Dy)]);
        }
    }

    static void Training(Bench bench, Table table)
    {
        using var training = new TrainingStep(bench, new MambaConfig { DModel = 128, NLayer = 2, VocabSize = 256 }, batch: 8, length: 256);
        double tiny = bench.DType == DType.Float32 ? 1e-34 : 1e-303;
        Row(bench, table, "training step d_model 128 × 2, b 8, l 256", training.Run, () => training.Run(tiny));
    }

    // With an embedding so small, and no bias in the convolution, what a block adds to its state is subnormal: a product of two such numbers.
    static void Token(Bench bench, Table table)
    {
        var config = new MambaConfig { DModel = 256, NLayer = 4, VocabSize = 16, SsmCfg = new SsmConfig { ConvBias = false } };
        using var model = new MambaLM(config, bench.Device, seed: 1, bench.DType);
        Tensor embedding = model.Parameters["backbone.embedding.weight"];
        double[] rows = embedding.ToDoubles();
        for (int i = 0; i < config.DModel; i++)
            rows[i] *= bench.DType == DType.Float32 ? 1e-19 : 1e-154;
        embedding.WriteRounded(rows);
        using MambaState ordinary = model.NewState(1), subnormal = model.NewState(1);
        using var scope = new TensorScope();
        Tensor one = Tensor.From([1], 1, bench.Device), zero = Tensor.From([0], 1, bench.Device);
        Row(bench, table, $"token d_model {config.DModel} × {config.NLayer}", () => Step(one, ordinary), () => Step(zero, subnormal));

        void Step(Tensor token, MambaState state)
        {
            using var inner = new TensorScope();
            _ = model.Step(token, state);
        }
    }

    static void Row(Bench bench, Table table, string name, Action ordinary, Action subnormal)
    {
        const int Rounds = 9;
        var host = bench.Device as HostDevice;
        List<double> plain = [], small = [], kept = [];
        for (int i = 0; i < Rounds; i++)
        {
            plain.Add(Milliseconds(ordinary));
            small.Add(Milliseconds(subnormal));
            if (host is null)
                continue;
            host.KeepSubnormals = true;
            kept.Add(Milliseconds(subnormal));
            host.KeepSubnormals = false;
        }
        Sample o = Sample.Of(plain, "ms"), s = Sample.Of(small, "ms");
        string asTheyAre = kept.Count > 0 ? $"{Sample.Of(kept, "ms").Median / o.Median:F2}" : "–";
        table.Rows.Add(new Row(name, [$"{o.Median:G3} ms", $"{s.Median / o.Median:F2}", asTheyAre], s));

        double Milliseconds(Action run) => Timing.Measure(bench.Device, run, repeats: 3, leastMilliseconds: 20, mostMilliseconds: 500).Median;
    }
}
