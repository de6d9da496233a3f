using Mamba.Pictures;

namespace Mamba.Reproductions;

/// <summary>The loss against the length of the context, on a genome: Figure 5's form.</summary>
internal sealed class DnaContext : Reproduction
{
    // what a step reads, whatever the context: so that every run makes as many updates from as many tokens
    const int StepTokens = 1 << 14, LongestPiece = 1 << 13;

    /// <inheritdoc/>
    public override string Name => "dna-context";

    /// <inheritdoc/>
    public override string Table => "Figure 5 (right)";

    /// <inheritdoc/>
    public override string Summary => "bits a base against the length of the context, one budget of weights and tokens";

    /// <inheritdoc/>
    public override string Minutes => "32 minutes on one core, with other work beside";

    /// <inheritdoc/>
    public override string Full => "the same genome, ten times as many tokens, a model four times as wide; the paper has the human genome, 2^10 to 2^20";

    /// <inheritdoc/>
    public override string Data => "a FASTA file: a genome";

    /// <inheritdoc/>
    public override int Seeds => 3;

    /// <inheritdoc/>
    public override void Run(ReproductionRun run)
    {
        int[] contexts = run.Of<int[]>([64, 128], [1 << 10, 1 << 13, 1 << 16], [1 << 10, 1 << 13, 1 << 16, 1 << 18]);
        int tokens = run.Of(1 << 8, StepTokens, StepTokens);
        long steps = run.Of(4, 400, 4000);
        (string Name, double Bits) markov = Markov(run);
        var config = new MambaConfig { DModel = run.Of(16, 64, 256), NLayer = run.Of(1, 4, 8), VocabSize = Alphabet.Dna.Count };
        var found = new List<double[]>();
        foreach (int context in contexts)
        {
            int length = Math.Min(context, Math.Min(tokens, LongestPiece));
            found.Add([.. run.Seeds.Select(seed =>
            {
                var options = TextData.Dna.Preset() with
                {
                    Seed = seed,
                    Data = run.Data,
                    Context = context > length ? context : null,
                    Stages = [new Stage(length, tokens / length, steps)],
                    EvalEvery = 0,
                };
                using Trainer trainer = run.Train($"context {context:N0}, seed {seed}", options, config);
                return trainer.Data.Validate(trainer.Model, context, run.Stop)!.BitsPerByte!.Value;
            })]);
        }
        run.Table($"bits a base on the last tenth; {steps * tokens:N0} bases are trained on", [new("context"), new("mean", "0.0000"), new("least", "0.0000"),
            new("most", "0.0000"), new("gradients reach back", "N0")],
            [
                .. contexts.Select((context, i) => (object?[])
                    [$"{context:N0}", found[i].Average(), found[i].Min(), found[i].Max(), Math.Min(context, LongestPiece)]),
                [markov.Name, markov.Bits, null, null, null],
            ]);
        run.Say("");
        run.Say("  The paper (human genome, more tokens at longer contexts): the perplexity falls from 2^10 to 2^20; HyenaDNA's rises.");
        run.Draw("dna-context", () => Curves.Of("bits a base on the last tenth of the genome", $"{steps * tokens:N0} bases trained on, {run.Seeds.Count} seeds",
            "context, bases", "bits a base", Across.Doubling,
            [new Curve("Mamba", [.. contexts.Select((context, i) => ((double)context, found[i]))])], (markov.Name, markov.Bits)));
        for (int i = 0; i < contexts.Length; i++)
            run.Claim($"A context of {contexts[i]:N0} does better than counting, with every seed", found[i].Max() < markov.Bits,
                $"{ReproductionRun.Range(found[i], "0.0000")} below {markov.Bits:0.0000}");
        string longer = found[^1].Max() < found[0].Min() ? "better than" : found[^1].Min() > found[0].Max() ? "worse than" : "neither better nor worse than";
        run.Say($"  Here, with this budget, {contexts[^1]:N0} bases of context do {longer} {contexts[0]:N0}.");
    }

    // the best of the orders and weights, chosen on the last tenth itself: counting gets the better of the doubt
    static (string Name, double Bits) Markov(ReproductionRun run)
    {
        // N, which says nothing, is left out
        byte[] all = [.. FastaReader.Read(run.Data!, Alphabet.Dna).SelectMany(record => record.Tokens).Where(token => token != Alphabet.Dna.Unknown)];
        int held = all.Length / 10;
        if (held < 2)
            throw new MambaException($"{run.Data}: there are {all.Length} bases in it; expected enough for a tenth to be held out.");
        var counts = new MarkovModel(all.AsSpan(0, all.Length - held), letters: 4, order: run.Of(3, 12, 12));
        var found = new List<(double Bits, int Order)>();
        foreach (double weight in (double[])[1, 16, 256])
        {
            run.Progress(() => $"counting, weight {weight}");
            double[] byOrder = counts.Bits(all.AsSpan(all.Length - held), weight);
            found.AddRange(Enumerable.Range(1, byOrder.Length - 1).Select(order => (byOrder[order], order)));
        }
        run.Table("counting alone, interpolated Markov models, bits a base on the last tenth", [new("order", "0"), new("bits", "0.0000")],
            found.GroupBy(one => one.Order).Select(group => (object?[])[group.Key, group.Min(one => one.Bits)]));
        (double bits, int best) = found.Min();
        return ($"counting, order {best}", bits);
    }
}
