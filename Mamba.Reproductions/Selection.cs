using Mamba.Pictures;

namespace Mamba.Reproductions;

/// <summary>Table 1: selective copying, with selection and without. Only a model that selects can tell data from noise wherever they stand.</summary>
internal sealed class Selection : Reproduction
{
    /// <summary>Steps that a point of the picture is the mean of.</summary>
    const int Window = 50;

    // The figures of S4 and S6 in the table; its H3 and Hyena are other architectures.
    static readonly (string Name, bool Delta, bool BC, bool Gate, double? Paper)[] Kinds =
    [
        ("nothing selective, no gate", false, false, false, 18.3),
        ("Δ, B and C selective, no gate", true, true, false, 97.0),
        ("nothing selective", false, false, true, 56.4),
        ("Δ selective", true, false, true, null),
        ("Δ, B and C selective", true, true, true, 99.8),
    ];

    /// <inheritdoc/>
    public override string Name => "selection";

    /// <inheritdoc/>
    public override string Table => "Table 1";

    /// <inheritdoc/>
    public override string Summary => "selective copying: with selection it is solved, without it is not";

    /// <inheritdoc/>
    public override string Minutes => "11 minutes on one core, with other work beside: 8 data tokens among 64, 3,000 steps";

    /// <inheritdoc/>
    public override string Full => "16 data tokens among 4,096, 400,000 steps of 64 sequences: days on a GPU";

    /// <inheritdoc/>
    public override void Run(ReproductionRun run)
    {
        TrainOptions paper = SelectiveCopying.Task.Preset("paper");
        TrainOptions reduced = SelectiveCopying.Task.Preset("quick") with { Stages = [new(64, 32, 3000)] };
        TrainOptions options = run.Of(reduced with { DataTokens = 2, Stages = [new(12, 8, 100)] }, reduced, paper);
        var accuracies = new List<double[]>();
        var curves = new List<Curve>();
        foreach (var kind in Kinds)
        {
            var reached = new List<double>();
            var points = new SortedDictionary<long, List<double>>();
            foreach (ulong seed in run.Seeds)
            {
                double sum = 0;
                using Trainer trainer = run.Train($"{kind.Name}, seed {seed}", options with { Seed = seed }, ModelOf(kind), after: (_, step) =>
                {
                    sum += 100 * step.Accuracy / Window;
                    if (step.Step % Window != 0)
                        return;
                    points.TryAdd(step.Step, []);
                    points[step.Step].Add(sum);
                    sum = 0;
                });
                int length = options.Stages[^1].Length;
                var evaluator = new Evaluator(trainer.Model, (SequenceTask)trainer.Data) { MostSequences = run.Of(64, 512, 512) };
                reached.Add(100 * evaluator.Run(length, share => run.Progress(() => $"{kind.Name}, seed {seed}: {100 * share:0} % asked"), run.Stop).Accuracy);
            }
            accuracies.Add([.. reached]);
            curves.Add(new Curve(kind.Name, [.. points.Select(point => ((double)point.Key, point.Value.ToArray()))]));
            run.Say($"  {kind.Name}: {ReproductionRun.Range(reached, "0.0")} %");
        }
        string asked = $"{options.DataTokens} data tokens among {options.Stages[^1].Length:N0}";
        run.Table($"Selective copying, accuracy in % ({asked}; the paper's: 16 among 4,096)",
            [new("a Mamba block with"), new("ours"), new("worst seed"), new("paper's")],
            Kinds.Select((kind, i) => new object?[] { kind.Name, accuracies[i].Average(), accuracies[i].Min(), kind.Paper }));
        run.Draw("selection", () => Curves.Of("Selective copying: accuracy in training", $"{asked}; mean of {Window} steps", "step", "accuracy, %",
            Across.Linear, curves));
        (double[] noneOpen, double[] allOpen, double[] none, double[] all) = (accuracies[0], accuracies[1], accuracies[2], accuracies[4]);
        run.Claim("With selection it is solved", all.Min() >= 95, $"{all.Min():0.0} %, at least 95");
        run.Claim("Without selection it is not: 20 points less, or more", all.Min() - none.Max() >= 20, $"{all.Min() - none.Max():0.0} points");
        run.Claim("Without a gate, too", allOpen.Min() - noneOpen.Max() >= 20, $"{allOpen.Min() - noneOpen.Max():0.0} points");
        run.Claim("The gate is no selection: with it and without selection there is less than with selection and without it", allOpen.Min() > none.Max(),
            $"{none.Max():0.0} and {allOpen.Min():0.0} %");
    }

    static MambaConfig ModelOf((string Name, bool Delta, bool BC, bool Gate, double? Paper) kind) => SelectiveCopying.Task.Model with
    {
        Mixer = new SelectionConfig { SelectiveDelta = kind.Delta, SelectiveB = kind.BC, SelectiveC = kind.BC, Gate = kind.Gate },
    };
}
