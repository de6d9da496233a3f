using Mamba.Pictures;

namespace Mamba.Reproductions;

/// <summary>Are 251 bases a promoter? Mamba both ways against a convolutional network, on splits of one set of sequences.</summary>
internal sealed class Promoters : Reproduction
{
    const int CnnWidth = 64;

    /// <inheritdoc/>
    public override string Name => "promoters";

    /// <inheritdoc/>
    public override string Table => "section 4.3, on Genomic Benchmarks";

    /// <inheritdoc/>
    public override string Summary => "human non-TATA promoters told from other sequences, Mamba beside a CNN";

    /// <inheritdoc/>
    public override string Minutes => "12 minutes";

    /// <inheritdoc/>
    public override string Full => "four times the steps, twice the width";

    /// <inheritdoc/>
    public override string Data => "a CSV file with the columns seq and label";

    /// <inheritdoc/>
    public override int Seeds => 5;

    /// <inheritdoc/>
    public override void Run(ReproductionRun run)
    {
        TrainingTask task = TrainingTask.Named("classify");
        TrainOptions preset = task.Preset() with { Data = run.Data };
        SequenceOptions sequence = preset.Sequence!;
        SequenceSet set = SequenceSet.Read(run.Data!, sequence);
        var sizes = task.Model with { DModel = run.Of(16, 64, 128), NLayer = run.Of(1, 2, 4) };
        var rows = new List<(string Name, ClassificationReport Report, double Minutes)>();
        foreach (ulong seed in run.Seeds)
        {
            var data = new LabeledData(task.Name, set, sequence, seed);
            long steps = run.Of(4, preset.Stages[0].Steps, 4 * preset.Stages[0].Steps);
            TrainOptions options = preset with { Seed = seed, Steps = steps, EvalEvery = Math.Max(1, steps / 8) };
            long start = Environment.TickCount64;
            using (Trainer trainer = BestWeights.Train(run, $"Mamba, seed {seed}", options, data, sizes))
                rows.Add(("Mamba", data.Evaluate(trainer.Network, DataPart.Test, null, run.Stop).Classification!, Since(start)));
            start = Environment.TickCount64;
            rows.Add(("CNN", Cnn(run, data, seed, run.Of(4, 2000, 8000)), Since(start)));
        }
        run.Table($"test part, a tenth of {set.Examples.Count:N0} sequences, split by the seed; accuracy in %",
            [new("", ""), new("seed", "0"), new("accuracy", "0.00"), new("AUC", "0.0000"), new("Matthews", "0.0000"), new("minutes")],
            rows.Select((row, i) => (object?[])[row.Name, (int)run.Seeds[i / 2], 100 * row.Report.Accuracy, row.Report.Auc, row.Report.Matthews, row.Minutes]));
        double[] mamba = [.. rows.Where(row => row.Name == "Mamba").Select(row => 100 * row.Report.Accuracy)];
        double[] cnn = [.. rows.Where(row => row.Name == "CNN").Select(row => 100 * row.Report.Accuracy)];
        run.Table("accuracy in %, beside what was published on the full split (27,097 to train on, 9,034 in the test)", [new("", ""), new("mean", "0.0"),
            new("least", "0.0"), new("most", "0.0"), new("trained on", "N0")],
            [
                ["Mamba, ours", mamba.Average(), mamba.Min(), mamba.Max(), set.Examples.Count * 8 / 10],
                ["CNN, ours", cnn.Average(), cnn.Min(), cnn.Max(), set.Examples.Count * 8 / 10],
                ["HyenaDNA", 96.6, null, null, 27097],
                ["CNN, published", null, 84.6, 86.5, 27097],
            ]);
        run.Draw("promoters", () => ConfusionMatrix.Of(rows[0].Report, $"promoters: Mamba, seed {run.Seeds[0]}"));
        run.ClaimOrder("Mamba is right more often than the CNN", cnn, mamba, "0.0");
    }

    static double Since(long start) => (Environment.TickCount64 - start) / 60_000.0;

    static ClassificationReport Cnn(ReproductionRun run, LabeledData data, ulong seed, long steps)
    {
        var model = new ConvolutionalClassifier(data.Set.VocabSize, data.Set.Classes.Count, CnnWidth);
        using ParameterSet parameters = model.Initialize(run.Device, seed: seed);
        using var optimizer = new AdamW(parameters, 1e-3, weightDecay: 0.01);
        var loop = new TrainingLoop(optimizer) { Clip = 1, Schedule = new Schedule.WarmupCosine(Warmup: 50, Total: steps, Peak: 2e-3) };
        double[]? best = null;
        double least = double.PositiveInfinity;
        for (long step = 0; step < steps; step++)
        {
            int[] examples = ((SequenceBatch)data.BatchOf(seed, step, new Stage(1 << 14, 32, steps))).Examples;
            double loss = loop.Step(() => Ops.CrossEntropy(model.Forward(Tokens(examples), new Dropout(0.2, seed, (ulong)step)), Labels(examples))).Loss;
            run.Progress(() => $"CNN, seed {seed}: step {step + 1:N0} of {steps:N0}, loss {loss:0.0000}");
            if ((step + 1) % Math.Max(1, steps / 10) == 0 && On(DataPart.Validation) is var held && held.Nll < least)
                (least, best) = (held.Nll, parameters.Flat.ToDoubles());
        }
        if (best is not null)
            parameters.Flat.WriteRounded(best);
        return On(DataPart.Test);

        Tensor Tokens(int[] examples)
        {
            int length = data.Set.Examples[examples[0]].Tokens!.Length;
            if (Array.Find(examples, i => data.Set.Examples[i].Tokens!.Length != length) is > 0 and int other)
                throw new MambaException($"{data.Set.PlaceOf(other)}: the sequence has another length than others; the CNN needs one length.");
            return Tensor.From([.. examples.SelectMany(i => data.Set.Examples[i].Tokens!).Select(token => (int)token)], (examples.Length, length), run.Device);
        }

        Tensor Labels(int[] examples) => Tensor.From([.. examples.Select(i => data.Set.Examples[i].Label)], examples.Length, run.Device);

        ClassificationReport On(DataPart part)
        {
            using IDisposable plain = Tape.NoGrad();
            var said = new List<double[]>();
            int[] examples = [.. data.Split.Indices(part)];
            foreach (int[] batch in examples.Chunk(64))
            {
                using var scope = new TensorScope();
                double[] logs = Ops.LogSoftmax(model.Forward(Tokens(batch))).ToDoubles();
                said.AddRange(logs.Chunk(data.Set.Classes.Count));
            }
            return ClassificationReport.Of([.. examples.Select(i => data.Set.Examples[i].Label)], said, data.Set.Classes);
        }
    }
}
