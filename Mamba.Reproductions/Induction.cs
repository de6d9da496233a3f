using Mamba.Pictures;

namespace Mamba.Reproductions;

/// <summary>
/// Table 11: induction heads, learned at length 256 and asked up to 2^16 and more. Mamba has to keep one token in its state, however long it takes; attention
/// looks back at all of them, at distances it has never seen.
/// </summary>
internal sealed class Induction : Reproduction
{
    static readonly MambaConfig Small = InductionHeads.Task.Model;

    /// <summary>Length of the sequences in training.</summary>
    const int Trained = 256;

    // From 2^6 on, in %; where the paper has a mark for 100, 100. Attention ran out of memory after 2^14.
    static readonly double[] PaperAbsolute = [100, 99.6, 100, 58.6, 26.6, 18.8, 9.8, 10.9, 7.8], PaperRotary = [100, 100, 100, 83.6, 31.3, 18.4, 8.6, 9.0, 5.5];

    /// <inheritdoc/>
    public override string Name => "induction";

    /// <inheritdoc/>
    public override string Table => "Table 11";

    /// <inheritdoc/>
    public override string Summary => "induction heads: attention and Mamba learn length 256, and Mamba alone goes on to 2^16";

    /// <inheritdoc/>
    public override string Minutes => "20 minutes on two cores, with much other work beside";

    /// <inheritdoc/>
    public override string Full => "204,800 steps at length 256, asked up to 2^20: hours on a GPU";

    /// <inheritdoc/>
    public override void Run(ReproductionRun run)
    {
        TrainOptions mamba = run.Of(InductionHeads.Task.Preset("quick") with { Stages = [new(16, 8, 20)] }, InductionHeads.Task.Preset("quick"),
            InductionHeads.Task.Preset("paper"));
        // Attention has to find the token before each token first, which it does at once where there are few. Weights settle at a tenth of the rate.
        TrainOptions attention = mamba with
        {
            Stages = run.Of<IReadOnlyList<Stage>>([new(16, 8, 20)],
            [
                new(16, 64, 3000, 0.99), new(32, 32, 2000, 0.99), new(64, 32, 2000, 0.99), new(128, 16, 2000, 0.99),
                new(Trained, 8, 600), new(Trained, 8, 200, Rate: 0.1),
            ], mamba.Stages),
            LearningRate = run.Of(1e-3, 1e-3, 2e-4),
            Warmup = 100,
            Eps = 1e-8,
        };
        int[] lengths = [.. Enumerable.Range(6, run.Of(3, 11, 15)).Select(power => 1 << power)];
        int longest = run.Of(Trained, 1 << 12, 1 << 14);
        var task = new InductionHeads();
        double[][] ofMamba = Each(run, "Mamba", mamba, Small, lengths, (model, length) => new Evaluator(model, task).Run(length, stop: run.Stop).Accuracy);
        int[] within = [.. lengths.Where(length => length <= longest)];
        MambaConfig rotary = Small with { DModel = run.Of(64, 64, 128), Mixer = new AttentionConfig { Heads = run.Of(4, 4, 8) } };
        double[][] ofAttention = Each(run, "attention", attention, rotary, within, (model, length) => Accuracy(run, model, task, length));

        object? Cell(double[] values, int i) => i < values.Length ? values[i] : null;
        object? Mean(double[][] values, int i) => i < values.Length ? values[i].Average() : null;
        run.Table("Induction heads, accuracy in % at each length (trained at 256)",
            [new("length", "N0"), new("Mamba"), new("paper's"), new("attention, rotary"), new("paper's, rotary"), new("paper's, absolute")],
            lengths.Select((length, i) => new[] { length, Mean(ofMamba, i), 100.0, Mean(ofAttention, i), Cell(PaperRotary, i), Cell(PaperAbsolute, i) }));
        run.Draw("induction", () => Curves.Of("Induction heads: accuracy against length", $"trained at length {Trained}", "length", "accuracy, %",
            Across.Doubling,
        [
            new Curve("Mamba", [.. lengths.Select((length, i) => ((double)length, ofMamba[i]))]),
            new Curve("attention", [.. within.Select((length, i) => ((double)length, ofAttention[i]))]),
            new Curve("paper's attention, rotary", [.. lengths.Zip(PaperRotary, (length, y) => ((double)length, new[] { y }))], Dashed: true),
            new Curve("paper's attention, absolute", [.. lengths.Zip(PaperAbsolute, (length, y) => ((double)length, new[] { y }))], Dashed: true),
        ], ("guessing", 100 * task.Chance)));

        int at = Array.IndexOf(lengths, Trained);
        run.Claim("Mamba has learned the length it was trained at", ofMamba[at].Min() >= 99, $"{ofMamba[at].Min():0.0} %, at least 99");
        run.Claim("Attention has, too", ofAttention[at].Min() >= 95, $"{ofAttention[at].Min():0.0} %, at least 95");
        double worst = ofMamba.Min(row => row.Min());
        run.Claim($"Mamba holds at every length up to {lengths[^1]:N0}", worst >= 99, $"{worst:0.0} %, at least 99");
        run.Claim($"Attention does not: at {within[^1]:N0} it is below half", ofAttention[^1].Max() < 50, $"{ofAttention[^1].Max():0.0} %");
    }

    // (lengths) of (seeds), in %
    static double[][] Each(ReproductionRun run, string what, TrainOptions options, MambaConfig config, int[] lengths, Func<MambaLM, int, double> ask)
    {
        var found = new List<double[]>();
        foreach (ulong seed in run.Seeds)
        {
            using Trainer trainer = run.Train($"{what}, seed {seed}", options with { Seed = seed }, config);
            var row = new List<double>();
            foreach (int length in lengths)
            {
                run.Progress(() => $"{what}, seed {seed}: asked at length {length:N0}");
                row.Add(100 * ask(trainer.Model, length));
                run.Say($"  {what}, seed {seed}, length {length,9:N0}: {row[^1]:0.0} %");
            }
            found.Add([.. row]);
        }
        return [.. lengths.Select((_, i) => found.Select(row => row[i]).ToArray())];
    }

    // Attention has no state to go on from: whole sequences, a few at a time.
    static double Accuracy(ReproductionRun run, MambaLM model, InductionHeads task, int length)
    {
        const int Sequences = 64, Tokens = 2048;
        int few = Math.Clamp((1 << 16) / length, 16, Sequences), batch = Math.Clamp(Tokens / length, 1, few);
        double right = 0;
        for (int first = 0; first < few; first += batch)
        {
            using var scope = new TensorScope();
            run.Progress(() => $"attention: asked at length {length:N0}, {first} of {few}");
            IEnumerable<int> sequences = Enumerable.Range(first, Math.Min(batch, few - first));
            Batch[] drawn = [.. sequences.Select(i => task.Draw(SequenceTask.ValidationStream(length, i), 1, length))];
            Tensor tokens = Tensor.From([.. drawn.SelectMany(one => one.Tokens)], (drawn.Length, length), run.Device);
            Tensor answers = Tensor.From([.. drawn.SelectMany(one => one.LastTargets(1))], drawn.Length, run.Device);
            right += Ops.CountCorrect(model.Forward(tokens, lastOnly: true), answers, classes: task.VocabSize).Correct;
        }
        return right / few;
    }
}
