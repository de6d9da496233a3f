using Mamba.Pictures;

namespace Mamba.Reproductions;

/// <summary>Complex against real A on sound, each selective and not: continuous data prefer complex numbers.</summary>
internal sealed class ComplexAudio : Reproduction
{
    // steps that a point of a curve is the mean of
    const int Every = 10;

    /// <inheritdoc/>
    public override string Name => "complex-audio";

    /// <inheritdoc/>
    public override string Table => "section 3.6 and Figure 10";

    /// <inheritdoc/>
    public override string Summary => "the next sample of sound, with complex and with real A, selective and not";

    /// <inheritdoc/>
    public override string Minutes => "17 minutes on one core, with other work beside";

    /// <inheritdoc/>
    public override string Full => "ten times the steps, four layers of 256; the paper has hours of piano at 16 kHz";

    /// <inheritdoc/>
    public override string Data => "recordings: an archive of WAV files";

    /// <inheritdoc/>
    public override int Seeds => 2;

    /// <inheritdoc/>
    public override void Run(ReproductionRun run)
    {
        TrainingTask task = TrainingTask.Named("audio");
        SequenceOptions sequence = new() { MuLaw = true, Generate = true };
        SequenceSet set = SequenceSet.Read(run.Data!, sequence);
        var found = new Dictionary<(bool Complex, bool Selective), double[]>();
        var curves = new List<Curve>();
        foreach (bool selective in (bool[])[false, true])
            foreach (bool complex in (bool[])[false, true])
                found[(complex, selective)] = [.. run.Seeds.Select(seed => Bits(complex, selective, seed))];
        run.Table("bits a sample on the test recordings (256 mu-law levels); N = 16 real numbers of state for each channel, or 8 complex ones",
            [new("A"), new("delta, B, C"), new("mean", "0.000"), new("least", "0.000"), new("most", "0.000")],
            found.Select(one => (object?[])[one.Key.Complex ? "complex" : "real", one.Key.Selective ? "selective" : "constant", one.Value.Average(),
                one.Value.Min(), one.Value.Max()]));
        run.Draw("complex-audio", () => Curves.Of("the next sample of sound, in training", $"means of {Every} steps, seed {run.Seeds[0]}", "step",
            "bits a sample", Across.Linear, curves));
        run.Say("");
        run.Say("  The paper: complex numbers help on continuous data such as sound, and there constant parameters do better than selective ones.");
        // at this size the other way round: said, not claimed
        run.Say($"  With constant parameters (S4): {ReproductionRun.Range(found[(true, false)], "0.000")} with complex A, "
            + $"{ReproductionRun.Range(found[(false, false)], "0.000")} with real A.");
        run.ClaimOrder("With selective parameters (S6), complex A foretells sound better than real A", found[(true, true)], found[(false, true)]);

        double Bits(bool complex, bool selective, ulong seed)
        {
            var data = new RecordingTokens(set, sequence, seed: 0);
            long steps = run.Of(Every, 250, 2500);
            TrainOptions options = task.Preset() with
            {
                Seed = seed,
                Data = run.Data,
                Sequence = sequence,
                Steps = steps,
                Stages = [new Stage(run.Of(64, 4096, 8192), run.Of(1, 4, 16), steps)],
                LearningRate = 4e-3,
                Dropout = 0,
                EvalEvery = Math.Max(1, steps),
            };
            var sizes = task.Model with
            {
                DModel = run.Of(16, 64, 256),
                NLayer = run.Of(1, 2, 4),
                Mixer = new SelectionConfig
                {
                    Complex = complex,
                    AInit = complex ? "s4d-lin" : "s4d-real",
                    DState = complex ? 8 : 16,
                    SelectiveDelta = selective,
                    SelectiveB = selective,
                    SelectiveC = selective,
                },
            };
            List<(double Step, double[] Bits)> curve = [];
            double sum = 0;
            string what = $"{(complex ? "complex" : "real")}, {(selective ? "selective" : "constant")}, seed {seed}";
            using Trainer trainer = run.Train(what, options, data.ModelOf(sizes), data, (_, step) =>
            {
                sum += step.Loss / Math.Log(2) / Every;
                if (step.Step % Every != 0)
                    return;
                curve.Add((step.Step, [sum]));
                sum = 0;
            });
            if (seed == run.Seeds[0])
                curves.Add(new Curve($"{(complex ? "complex" : "real")}, {(selective ? "selective" : "constant")}", curve, Dashed: !complex));
            return data.Evaluate(trainer.Network, DataPart.Test, null, run.Stop).Loss / Math.Log(2);
        }
    }
}
