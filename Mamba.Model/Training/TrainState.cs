using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>
/// How far a training is. With the weights and the optimizer's moments this is all there is to continue from:
/// data and learning rate follow from the step.
/// </summary>
public sealed record TrainState
{
    /// <summary>How much of the running accuracy a step keeps: about the last twenty steps count.</summary>
    internal const double Memory = 0.95;

    /// <summary>Steps done.</summary>
    public long Step { get; init; }

    /// <summary>The stage of the curriculum that the next step belongs to; as many as there are stages when all are done.</summary>
    public int Stage { get; init; }

    /// <summary>Steps done in this stage.</summary>
    public long StageStep { get; init; }

    /// <summary>Running mean of the training accuracy, from 0 at the start of each stage.</summary>
    public double Accuracy { get; init; }

    /// <summary>Tokens read.</summary>
    public long Tokens { get; init; }

    /// <summary>The smallest loss so far on what is held out, as the data count it; null: it was not measured yet.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? BestLoss { get; init; }

    /// <summary>The step after which it was.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long BestStep { get; init; }

    /// <summary>
    /// The running mean that people see after one more step: without the 0 that <see cref="Accuracy"/> starts from, which is there so that a lucky first batch
    /// does not end a stage.
    /// </summary>
    internal double AccuracyWith(double accuracy) => Mixed(accuracy) / (1 - Math.Pow(Memory, StageStep + 1));

    double Mixed(double accuracy) => Memory * Accuracy + (1 - Memory) * accuracy;

    /// <summary>The state after one more step of <paramref name="options"/> that had the given accuracy.</summary>
    internal TrainState After(TrainOptions options, double accuracy, long tokens)
    {
        Stage stage = options.StageOf(this);
        TrainState next = this with
        {
            Step = Step + 1,
            StageStep = StageStep + 1,
            Accuracy = Mixed(accuracy),
            Tokens = Tokens + tokens,
        };
        bool over = next.StageStep >= stage.Steps || next.Accuracy >= stage.UntilAccuracy;
        bool last = Stage + 1 >= options.Stages.Count;
        return over && !(last && options.Steps is not null) ? next with { Stage = Stage + 1, StageStep = 0, Accuracy = 0 } : next;
    }
}
