namespace Mamba.Bench;

/// <summary>
/// What it costs that sequences differ in length, padded and packed; and what the gradient of a long one costs in pieces, beside one tape over all of it.
/// </summary>
internal static class SequenceBench
{
    public static void Run(Bench bench)
    {
        Lengths(bench);
        Pieces(bench);
    }

    static MambaConfig ConfigOf(Bench bench) => new()
    {
        DModel = checked((int)(bench.Plan.Width ?? 64)),
        NLayer = 2,
        VocabSize = 5,
        SsmCfg = new SsmConfig { DState = checked((int)(bench.Plan.States ?? Size.UsualStates)) },
        Head = new HeadConfig { Kind = HeadConfig.Classes, Outputs = 2 },
    };

    static void Lengths(Bench bench)
    {
        Plan plan = bench.Plan;
        MambaConfig config = ConfigOf(bench);
        (int count, int longest) = (plan.Batch ?? 32, plan.Length ?? (plan.Slow ? 128 : 1024));
        // one of the longest, and lengths uniform in their logarithm down to a 64th of it
        var random = new PhiloxRandom(1);
        int[] lengths = [longest, .. Enumerable.Range(1, count - 1).Select(_ => Math.Max(1, (int)(longest * Math.Pow(2, -6 * random.NextDouble()))))];
        int[][] sequences = [.. lengths.Select(length => Enumerable.Range(0, length).Select(_ => random.Next(4)).ToArray())];
        using var model = new SequenceModel(config, bench.Device, seed: 1, bench.DType);
        using var optimizer = new AdamW(model.Parameters, 1e-3);
        int[] labels = [.. Enumerable.Range(0, count).Select(i => i % 2)];
        Table table = bench.NewTable("lengths", $"A training step, d_model {config.DModel} × {config.NLayer}, {count} sequences of "
            + $"{lengths.Min()} to {longest} tokens, {lengths.Sum():N0} in all", "positions", "peak", "sequences/s", "positions/s");
        Segments padded = Segments.Padded(lengths), packed = Segments.Packed(lengths);
        (Sample slow, Sample fast) = InTurn(bench, () => Step(padded), () => Step(packed));
        Row("padded", padded, slow);
        Row("packed", packed, fast);
        table.Notes.Add($"In turn, in one run: packed takes {slow.Median / fast.Median:0.00} times less time, "
            + $"for {Cells(padded) / Cells(packed):0.00} times fewer positions. The limit is the arithmetic of the positions that belong to a sequence.");
        bench.Add(table);

        static double Cells(Segments segments) => (double)segments.Rows * segments.Length;

        void Row(string name, Segments segments, Sample t)
        {
            long peak = bench.PeakBytes(() => Step(segments));
            table.Rows.Add(bench.RowOf(name, t, TrainBench.StepWork(config) * segments.Positions, [$"{Cells(segments):N0}", $"{peak / 1e6:0.0} MB",
                $"{segments.Count / t.Median * 1e3:N0}", $"{Cells(segments) / t.Median * 1e3:N0}"]));
        }

        void Step(Segments segments)
        {
            using var tape = new Tape();
            Tensor scores = model.Forward(segments.Tokens(sequences, bench.Device), segments);
            optimizer.Step(tape.Backward(Ops.CrossEntropy(scores, Tensor.From(labels, count, bench.Device))).ClipNorm(1));
        }
    }

    static void Pieces(Bench bench)
    {
        Plan plan = bench.Plan;
        MambaConfig config = ConfigOf(bench);
        int length = plan.Length ?? (plan.Slow ? 256 : plan.Quick ? 1 << 12 : 1 << 14);
        using var model = new SequenceModel(config, bench.Device, seed: 1, bench.DType);
        var random = new PhiloxRandom(1);
        int[] tokens = [.. Enumerable.Range(0, length).Select(_ => random.Next(4))];
        using TokenSource source = TokenSource.Of(tokens);
        Table table = bench.NewTable("pieces", $"The gradient of one sequence of {length:N0} tokens, d_model {config.DModel} × {config.NLayer}",
            "one tape", "over one tape", "peak", "peak of one tape");
        Work forward = TrainBench.ForwardWork(config, head: false), both = TrainBench.StepWork(config);
        long whole = bench.PeakBytes(OneTape);
        foreach (int pieces in plan.Choose("pieces", [4, 16, 64], pieces => $"{pieces}", pieces => pieces == 16))
        {
            var cut = SequencePieces.Of(source, (length + pieces - 1) / pieces, bench.Device);
            (Sample tape, Sample t) = InTurn(bench, OneTape, () => InPieces(cut));
            table.Rows.Add(bench.RowOf($"in {pieces} pieces", t, (forward + both) * length,
                [$"{tape}", $"{t.Median / tape.Median:0.00}", $"{bench.PeakBytes(() => InPieces(cut)) / 1e6:0.0} MB", $"{whole / 1e6:0.0} MB"]));
        }
        table.Notes.Add($"In turn, in one run. Pieces go forward twice and back once, one tape once each: {(forward + both).Flops / both.Flops:0.00} times the "
            + "arithmetic. Peaks are without the weights.");
        bench.Add(table);

        Tensor Loss(Tensor scores) => Ops.CrossEntropy(scores, Tensor.From([1], 1, bench.Device));

        void OneTape()
        {
            using var tape = new Tape();
            tape.Backward(Loss(model.Forward(Tensor.From(tokens, (1, length), bench.Device))), new Gradients(model.Parameters));
        }

        void InPieces(SequencePieces cut)
        {
            using var scope = new TensorScope();
            cut.Backward(model, Loss, new Gradients(model.Parameters));
        }
    }

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

        double Milliseconds(Action run) => bench.Time(run, repeats: 1, leastMilliseconds: 20, mostMilliseconds: 1000).Median;
    }
}
