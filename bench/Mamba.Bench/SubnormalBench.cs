using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>
/// The same work on numbers that sink below the smallest normal one and on ordinary ones: a scan of an impulse followed by zeros, a training step of a
/// loss scaled down until its gradients are subnormal, a token whose state is. Flushed to zero they cost nothing; kept, on an Intel core, tens of times.
/// </summary>
internal static class SubnormalBench
{
    public static void Run(Bench bench)
    {
        Table table = bench.NewTable("subnormals", "Subnormal beside ordinary numbers", "ordinary", "subnormal over ordinary", "kept, over ordinary");
        bool small = bench.Plan is { Quick: true, Slow: true };
        Size size = bench.Plan.Of(small ? new Size(2, 128, 64) : new Size(8, 1024, 256));
        Scan(bench, table, size, withGradients: false);
        Scan(bench, table, size, withGradients: true);
        if (!bench.Plan.Sized)
        {
            Training(bench, table, bench.Plan.Quick ? 1 : 8, bench.Plan.Quick ? 64 : 256);
            Token(bench, table);
        }
        table.Notes.Add("Ordinary, subnormal and kept in turn, again and again in one run; ratios are of medians. Only the host can be told to keep them.");
        bench.Add(table);
    }

    static void Scan(Bench bench, Table table, Size size, bool withGradients)
    {
        using var scope = new TensorScope();
        (long b, long l, long d, long n) = size;
        double[] impulse = new double[checked((int)(b * l * d))];
        for (int i = 0; i < b; i++)
            impulse.AsSpan((int)(i * l * d), (int)d).Fill(1);
        double[] late = [.. impulse.Reverse()];        // a gradient of the last token only
        Tensor delta = bench.Draw((b, l, d), 2, -5, -3), A = bench.Draw((d, n), 3, -16, -1), B = bench.Draw((b, l, n), 4), C = bench.Draw((b, l, n), 5);
        (Tensor U, Tensor Dy) ordinary = (bench.Draw((b, l, d), 1), bench.Draw((b, l, d), 9));
        (Tensor U, Tensor Dy) subnormal = (Tensor.From(impulse, (b, l, d), bench.DType, bench.Device), Tensor.From(late, (b, l, d), bench.DType, bench.Device));
        Row(bench, table, $"scan {size}{(withGradients ? ", and back" : "")}", () => Walk(ordinary), () => Walk(subnormal));

        void Walk((Tensor U, Tensor Dy) x)
        {
            using TensorScope inner = withGradients ? new Tape() : new TensorScope();
            if (withGradients)
                foreach (Tensor input in (Tensor[])[x.U, delta, A, B, C])
                    Tape.Watch(input);
            Tensor y = Ops.SelectiveScan(x.U, delta, A, B, C).Y;
            (inner as Tape)?.Backward([(y, x.Dy)]);
        }
    }

    static void Training(Bench bench, Table table, int batch, int length)
    {
        using var training = new TrainingStep(bench, new MambaConfig { DModel = 128, NLayer = 2, VocabSize = 256 }, batch, length);
        double tiny = bench.DType == DType.Float32 ? 1e-34 : 1e-303;
        Row(bench, table, $"training step d_model 128 × 2, b {batch}, l {length}", training.Run, () => training.Run(tiny));
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
        int rounds = bench.Plan.Quick ? 3 : 9;
        var host = bench.Device as HostDevice;
        List<double> plain = [], small = [], kept = [];
        for (int i = 0; i < rounds; i++)
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
        table.Rows.Add(new Row(name, [$"{o}", $"{s.Median / o.Median:F2}", asTheyAre], s));

        double Milliseconds(Action run) => bench.Time(run, repeats: 3, leastMilliseconds: 20, mostMilliseconds: 500).Median;
    }
}
