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
    public override string Minutes => "32 minutes on one core, with other work beside";

    /// <inheritdoc/>
    public override string Full => "eight times the steps, twice the width";

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
        var rows = new List<Row>();
        foreach (ulong seed in run.Seeds)
        {
            var data = new LabeledData(task.Name, set, sequence, seed);
            SequenceExample[] test = [.. data.Split.Indices(DataPart.Test).Select(i => set.Examples[i])];
            long steps = run.Of(4, 800, 6000);
            TrainOptions options = preset with { Seed = seed, Steps = steps, EvalEvery = Math.Max(1, steps / 8) };
            var twins = new Twins(set, data.Split.Indices(DataPart.Train));
            bool[] isAlone = [.. test.Select(example => !twins.Has(example))];
            long start = Environment.TickCount64;
            using (Trainer trainer = BestWeights.Train(run, $"Mamba, seed {seed}", options, data, sizes))
                Add("Mamba", [.. data.Evaluate(trainer.Network, DataPart.Test, null, run.Stop).Predictions.Select(prediction => prediction.Values)]);
            start = Environment.TickCount64;
            Add("CNN", Cnn(run, data, seed, run.Of(4, 2000, 8000)));
            start = Environment.TickCount64;
            Add("lookup", [.. test.Select(example => Sure(twins.Guess(example), set.Classes.Count))]);

            void Add(string name, IReadOnlyList<double[]> said)
            {
                int[] all = [.. Enumerable.Range(0, test.Length)], alone = [.. all.Where(i => isAlone[i])];
                double minutes = (Environment.TickCount64 - start) / 60_000.0;
                rows.Add(new Row(name, (int)seed, Report(all), alone.Length > 0 ? Report(alone) : null, alone.Length, minutes));

                ClassificationReport Report(int[] which) =>
                    ClassificationReport.Of([.. which.Select(i => test[i].Label)], [.. which.Select(i => said[i])], set.Classes);
            }
        }
        run.Table($"test part, a tenth of {set.Examples.Count:N0} sequences, split by the seed; accuracy in %; alone: sequences that share no run of 30 "
            + "bases with one that is trained on",
            [
                new(""), new("seed", "0"), new("accuracy", "0.0"), new("AUC", "0.0000"), new("Matthews", "0.0000"), new("alone", "0.0"), new("of", "0"),
                new("minutes"),
            ],
            rows.Select(row => (object?[])
                [row.Name, row.Seed, 100 * row.Report.Accuracy, row.Report.Auc, row.Report.Matthews, 100 * row.Alone?.Accuracy, row.AloneCount, row.Minutes]));
        int trained = set.Examples.Count * 8 / 10;
        run.Table("accuracy in %, beside what was published on the full split (27,097 to train on, 9,034 in the test)",
            [new(""), new("mean", "0.0"), new("least", "0.0"), new("most", "0.0"), new("alone, mean", "0.0"), new("trained on", "N0")],
            [
                .. ((string[])["Mamba", "CNN", "lookup"]).Select(name => (object?[])
                    [name + ", ours", All(name).Average(), All(name).Min(), All(name).Max(), Alone(name).DefaultIfEmpty(double.NaN).Average(), trained]),
                ["HyenaDNA", 96.6, null, null, null, 27097],
                ["CNN, published", null, 84.6, 86.5, null, 27097],
            ]);
        run.Draw("promoters", () => ConfusionMatrix.Of(rows[0].Report, $"promoters: Mamba, seed {run.Seeds[0]}"));
        run.Say("");
        run.Say("  Many sequences of this set are overlapping windows of one stretch: a lookup of runs of 30 bases, which learns nothing, does well.");
        run.ClaimOrder("Mamba is right more often than the CNN where there is no such twin", Alone("CNN"), Alone("Mamba"), "0.0");

        double[] All(string name) => [.. rows.Where(row => row.Name == name).Select(row => 100 * row.Report.Accuracy)];

        double[] Alone(string name) => [.. rows.Where(row => row.Name == name && row.Alone is not null).Select(row => 100 * row.Alone!.Accuracy)];
    }

    sealed record Row(string Name, int Seed, ClassificationReport Report, ClassificationReport? Alone, int AloneCount, double Minutes);

    // nearly all of the probability on one class
    static double[] Sure(int label, int classes) => [.. Enumerable.Range(0, classes).Select(c => Math.Log(c == label ? 1 - 1e-3 * (classes - 1) : 1e-3))];

    static IReadOnlyList<double[]> Cnn(ReproductionRun run, LabeledData data, ulong seed, long steps)
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
            if ((step + 1) % Math.Max(1, steps / 10) == 0 && Nll() is var held && held < least)
                (least, best) = (held, parameters.Flat.ToDoubles());
        }
        if (best is not null)
            parameters.Flat.WriteRounded(best);
        return Said(DataPart.Test);

        Tensor Tokens(int[] examples)
        {
            int length = data.Set.Examples[examples[0]].Tokens!.Length;
            if (Array.FindIndex(examples, i => data.Set.Examples[i].Tokens!.Length != length) is >= 0 and int other)
                throw new MambaException($"{data.Set.PlaceOf(examples[other])}: the sequence has another length than others; the CNN needs one length.");
            return Tensor.From([.. examples.SelectMany(i => data.Set.Examples[i].Tokens!).Select(token => (int)token)], (examples.Length, length), run.Device);
        }

        Tensor Labels(int[] examples) => Tensor.From([.. examples.Select(i => data.Set.Examples[i].Label)], examples.Length, run.Device);

        double Nll()
        {
            int[] labels = [.. data.Split.Indices(DataPart.Validation).Select(i => data.Set.Examples[i].Label)];
            return ClassificationReport.Of(labels, Said(DataPart.Validation), data.Set.Classes).Nll;
        }

        // log-probabilities of each example of a part
        List<double[]> Said(DataPart part)
        {
            using IDisposable plain = Tape.NoGrad();
            var said = new List<double[]>();
            foreach (int[] batch in data.Split.Indices(part).Chunk(64))
            {
                using var scope = new TensorScope();
                said.AddRange(Ops.LogSoftmax(model.Forward(Tokens(batch))).ToDoubles().Chunk(data.Set.Classes.Count));
            }
            return said;
        }
    }
}
