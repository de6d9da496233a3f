using Mamba.Pictures;

namespace Mamba.Reproductions;

/// <summary>Spoken digits: which one is it, from the waveform and from mu-law tokens; and new ones.</summary>
internal sealed class Digits : Reproduction
{
    // recordings 0 to 4 of each speaker and digit are the test of the Free Spoken Digit Dataset
    const string OfficialTest = @"_[0-4]\.wav$";
    const double LongestSeconds = 1.0;

    /// <inheritdoc/>
    public override string Name => "digits";

    /// <inheritdoc/>
    public override string Table => "section 4.4, at a small size";

    /// <inheritdoc/>
    public override string Summary => "spoken digits told apart from raw samples and from mu-law tokens, and generated";

    /// <inheritdoc/>
    public override string Minutes => "35 minutes on one core, with other work beside";

    /// <inheritdoc/>
    public override string Full => "five times the steps, twice the width; the paper has one-second words and hours of piano";

    /// <inheritdoc/>
    public override string Data => "the recordings of the Free Spoken Digit Dataset: an archive";

    /// <inheritdoc/>
    public override void Run(ReproductionRun run)
    {
        TrainingTask task = TrainingTask.Named("audio");
        TrainOptions preset = task.Preset() with { Data = run.Data };
        SequenceOptions raw = preset.Sequence! with { TestPattern = OfficialTest }, tokens = raw with { Patch = 1, MuLaw = true };
        var sizes = task.Model with { DModel = run.Of(16, 64, 128), NLayer = run.Of(1, 4, 6) };
        long steps = run.Of(2, preset.Stages[0].Steps, 5 * preset.Stages[0].Steps);

        SequenceSet samples = SequenceSet.Read(run.Data!, raw), levels = SequenceSet.Read(run.Data!, tokens);
        var rows = new List<object?[]>();
        Dictionary<bool, List<double>> found = new() { [false] = [], [true] = [] };
        foreach (ulong seed in run.Seeds)
        {
            WavAudio[] made = Generate(run, task, preset with { Sequence = tokens with { Generate = true } }, levels, seed);
            foreach (bool isRaw in (bool[])[true, false])
            {
                var data = new LabeledData(task.Name, isRaw ? samples : levels, isRaw ? raw : tokens, seed);
                TrainOptions options = preset with
                {
                    Seed = seed,
                    Sequence = isRaw ? raw : tokens,
                    Steps = isRaw ? steps : steps / 2,
                    Stages = [preset.Stages[0] with { Batch = run.Of(2, isRaw ? 16 : 8, 16) }],
                    EvalEvery = Math.Max(1, steps / 8),
                };
                using Trainer trainer = BestWeights.Train(run, $"{(isRaw ? "raw samples" : "mu-law tokens")}, seed {seed}", options, data, sizes);
                ClassificationReport report = data.Evaluate(trainer.Network, DataPart.Test, null, run.Stop).Classification!;
                found[isRaw].Add(100 * report.Accuracy);
                int heard = Heard(isRaw, trainer.Network, made, samples.Classes);
                rows.Add([isRaw ? "raw samples, 8 a position" : "mu-law tokens", (int)seed, 100 * report.Accuracy, report.Auc, report.Matthews, heard]);
                string title = $"spoken digits from {(isRaw ? "raw samples" : "mu-law tokens")}, official test";
                if (seed == run.Seeds[0])
                    run.Draw(isRaw ? "raw" : "mu-law", () => ConfusionMatrix.Of(report, title));
            }
        }
        run.Table("official test, 300 recordings; and of ten generated digits, how many are heard as what was asked for", [new(""), new("seed", "0"),
            new("accuracy, %", "0.00"), new("AUC", "0.0000"), new("Matthews", "0.0000"), new("heard, of 10", "0")], rows);
        run.Claim("Raw samples are enough to tell nine digits of ten", found[true].Min() > 90, $"{found[true].Min():0.0} %");
        run.Claim("Of mu-law tokens, eight times as many positions, more are learned than the tenth that guessing has", found[false].Min() > 20,
            $"{found[false].Min():0.0} %");
    }

    // ten new recordings, one of each digit, with their pictures
    static WavAudio[] Generate(ReproductionRun run, TrainingTask task, TrainOptions preset, SequenceSet levels, ulong seed)
    {
        var data = new RecordingTokens(levels, preset.Sequence!, seed);
        long steps = run.Of(2, 700, 7000);
        TrainOptions options = preset with
        {
            Seed = seed,
            Steps = steps,
            Stages = [preset.Stages[0] with { Batch = run.Of(1, 4, 8) }],
            Dropout = 0,
            LearningRate = 4e-3,
            EvalEvery = Math.Max(1, steps / 5),
        };
        using Trainer trainer = BestWeights.Train(run, $"next samples, seed {seed}", options, data,
            task.Model with { DModel = run.Of(16, 96, 256), NLayer = run.Of(1, 4, 8) });
        double nats = data.Evaluate(trainer.Network, DataPart.Test, null, run.Stop).Loss;
        run.Say($"  next sample of the test recordings, seed {seed}: {nats / Math.Log(2):0.000} bits (256 levels alike: 8)");
        WavAudio[] made = [.. levels.Classes.Select((label, i) =>
        {
            run.Progress(() => $"drawing '{label}'");
            return data.Generate((MambaLM)trainer.Network, i, (int)(run.Of(0.01, LongestSeconds, LongestSeconds) * levels.SampleRate), 0.9, seed, run.Stop);
        })];
        for (int i = 0; seed == run.Seeds[0] && i < made.Length; i++)
            if (made[i].Frames > 0)
                run.Keep($"digit-{levels.Classes[i]}", made[i], $"a generated '{levels.Classes[i]}'");
        return made;
    }

    // how many of the made digits a model takes for what they were asked to be
    static int Heard(bool isRaw, MambaModel model, WavAudio[] made, IReadOnlyList<string> classes)
    {
        // one that ended before it began is not heard
        int[] some = [.. Enumerable.Range(0, made.Length).Where(i => made[i].Frames > 0)];
        if (some.Length == 0)
            return 0;
        SequenceSet set = SequenceSet.Of([.. some.Select(i => made[i])], [.. some.Select(i => classes[i])], classes, muLaw: !isRaw);
        return LabeledData.ToPredict("audio", set, new SequenceOptions { Patch = isRaw ? model.Config.Input!.Patch : 1, MuLaw = !isRaw })
            .Predict(model).Count(prediction => prediction.Class == prediction.Label);
    }
}
