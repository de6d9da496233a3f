using Mamba.Pictures;

namespace Mamba.Reproductions;

/// <summary>
/// Tables 6 to 10: what selection, a real A, the rank of Δ and the size of the state are worth, on a byte language model. The perplexities of a model of one
/// layer are not those of the paper's, of 350 million weights; the order is what is claimed. With two layers, and as few bytes, nothing selective is as good
/// as all.
/// </summary>
internal sealed class Ablations : Reproduction
{
    static readonly SelectionConfig Whole = new();
    static readonly SelectionConfig Constant = new() { SelectiveDelta = false, SelectiveB = false, SelectiveC = false };
    static readonly SelectionConfig OnlyDelta = new() { SelectiveB = false, SelectiveC = false };
    static readonly SelectionConfig NoDelta = new() { SelectiveDelta = false };

    /// <inheritdoc/>
    public override string Name => "ablations";

    /// <inheritdoc/>
    public override string Table => "Tables 6 to 10";

    /// <inheritdoc/>
    public override string Summary => "which of Δ, B and C select, real and complex A, the rank of Δ, the size of the state, on text as bytes";

    /// <inheritdoc/>
    public override string Minutes => "16 minutes on one core, with other work beside: one layer of width 64, 1.5 million bytes each";

    /// <inheritdoc/>
    public override string Full => "24 layers of width 1,024, bytes instead of the Pile's tokens: days on a GPU, and a text of gigabytes";

    /// <inheritdoc/>
    public override string Data => "a text, such as tinyshakespeare.txt";

    /// <inheritdoc/>
    public override int Seeds => 3;

    /// <inheritdoc/>
    public override void Run(ReproductionRun run)
    {
        using var text = new TextData(run.Data!);
        text.Prepare();
        TrainOptions options = TextData.Task.Preset("quick") with
        {
            Stages = [run.Of(new Stage(16, 2, 4), new Stage(128, 8, 1500), new Stage(2048, 256, 13_500))],
            LearningRate = run.Of(1e-2, 1e-2, 1.5e-3),
            EvalEvery = 0,
            Data = run.Data,
        };
        MambaConfig model = new()
        {
            DModel = run.Of(16, 64, 1024),
            NLayer = run.Of(1, 1, 24),
            VocabSize = ByteTokenizer.Count,
        };
        var known = new Dictionary<SelectionConfig, double[]>();

        // e^(mean of −log p) over the bytes that are held out, one for each seed
        double[] Perplexities(string what, SelectionConfig settings)
        {
            if (known.TryGetValue(settings, out double[]? before))
                return before;
            var found = new List<double>();
            foreach (ulong seed in run.Seeds)
            {
                using Trainer trainer = run.Train($"{what}, seed {seed}", options with { Seed = seed }, model with { Mixer = settings }, text);
                Perplexity held = text.Validate(trainer.Model, options.Stages[0].Length, run.Stop)
                    ?? throw new MambaException($"{run.Data}: the last tenth has less than two bytes; expected a longer text.");
                found.Add(Math.Exp(held.NatsPerToken));
            }
            run.Say($"  {what}: {ReproductionRun.Range(found, "0.000")}");
            return known[settings] = [.. found];
        }

        run.Say("perplexity of a byte held out, the mean and from where to where:");
        Head[] head = [new(""), new("ours", "0.000"), new("least", "0.000"), new("most", "0.000"), new("paper's", "0.00")];
        object?[] Row(string what, double[] ours, double? paper) => [what, ours.Average(), ours.Min(), ours.Max(), paper];
        Stage stage = options.Stages[0];
        string size = $"{TraceLayer.Words(model.NLayer, "layer")} of width {model.DModel:N0}, {stage.Batch * stage.Length * stage.Steps:N0} bytes";

        double[] none = Perplexities("nothing selective", Constant), b = Perplexities("B selective", Constant with { SelectiveB = true });
        double[] c = Perplexities("C selective", Constant with { SelectiveC = true }), delta = Perplexities("Δ selective", OnlyDelta);
        double[] all = Perplexities("Δ, B and C selective", Whole);
        run.Table($"Table 7: what is selective; perplexity of a byte ({size})", head,
        [
            Row("nothing", none, 10.93), Row("B", b, 10.15), Row("C", c, 9.98), Row("Δ", delta, 9.81), Row("Δ, B and C", all, 8.71),
        ]);

        int half = Whole.DState / 2;            // a complex state is as large as two
        double[] complexConstant = Perplexities("nothing selective, complex A", Constant with { Complex = true, DState = half });
        run.Table("Table 6: S4 and S6 in a Mamba block", head,
        [
            Row("S4, complex", complexConstant, 10.54), Row("S4, real", none, 10.56), Row("S6", all, 8.69),
        ]);

        double[] complex = Perplexities("complex A", Whole with { Complex = true, DState = half });
        double[] minusHalf = Perplexities("A = −1/2", Whole with { AInit = SelectionConfig.MinusHalf });
        double[] random = Perplexities("A random", Whole with { AInit = SelectionConfig.RandomA });
        run.Table("Table 8: how A starts", head,
        [
            Row("−1/2 + πni, complex", complex, 9.16), Row("−1/2", minusHalf, 8.85), Row("−(n + 1)", all, 8.71), Row("−exp(N(0, 1))", random, 8.71),
        ]);

        int auto = model.DModel / 16;
        double[] noRank = Perplexities("B and C selective", NoDelta), one = Perplexities("Δ of rank 1", Whole with { DtRank = 1 });
        double[] wide = Perplexities($"Δ of rank {4 * auto}", Whole with { DtRank = 4 * auto });
        run.Table("Table 9: the rank of Δ's projection", head,
        [
            Row("no projection", noRank, 9.12), Row("1", one, 8.97), Row($"{auto} (width / 16)", all, 8.71), Row($"{4 * auto}", wide, null),
        ]);

        int[] states = [1, 4];
        double[][] constants = [.. states.Select(n => Perplexities($"N = {n}, B and C constant", OnlyDelta with { DState = n })), delta];
        double[][] selectives = [.. states.Select(n => Perplexities($"N = {n}, B and C selective", Whole with { DState = n })), all];
        double[] paperConstant = [9.88, 9.82, 9.81], paperSelective = [9.73, 9.09, 8.71];
        int[] sizes = [.. states, Whole.DState];
        run.Table("Table 10: the size of the state", head,
        [
            .. sizes.Select((n, i) => Row($"N = {n}, B and C constant", constants[i], paperConstant[i])),
            .. sizes.Select((n, i) => Row($"N = {n}, B and C selective", selectives[i], paperSelective[i])),
        ]);
        run.Draw("ablations", () => Curves.Of("Table 10: the size of the state", size, "N", "perplexity of a byte", Across.Doubling,
        [
            new Curve("B and C constant", [.. sizes.Select((n, i) => ((double)n, constants[i]))]),
            new Curve("B and C selective", [.. sizes.Select((n, i) => ((double)n, selectives[i]))]),
        ], ("nothing selective", none.Average())));

        run.ClaimOrder("All selective is below nothing selective", all, none);
        run.ClaimOrder("All selective is below Δ alone", all, delta);
        run.ClaimOrder("All selective is below B and C without Δ", all, noRank);
        run.ClaimOrder("Of Δ, B and C the one that matters most is Δ: it is below B", delta, b);
        run.ClaimOrder("Δ is below C", delta, c);
        run.ClaimOrder("B is below nothing selective", b, none);
        run.ClaimOrder("C is below nothing selective", c, none);
        run.ClaimOrder("S6 is below S4 with a complex A", all, complexConstant);
        run.ClaimOrder("On text a real A is below a complex one of the same size", all, complex);
        run.ClaimOrder("A = −(n + 1) is below A = −1/2", all, minusHalf);
        run.ClaimOrder("Δ of rank 1 is below no projection", one, noRank);
        run.ClaimOrder($"Δ of rank {auto} is below rank 1", all, one);
        run.ClaimOrder($"With selective B and C, N = {sizes[^1]} is below N = 1", all, selectives[0]);
        run.ClaimOrder("What a larger state gains is less with constant B and C than with selective ones", Gain(constants), Gain(selectives));

        static double[] Gain(double[][] bySize) => [.. bySize[0].Zip(bySize[^1], (small, large) => small - large)];
    }
}
