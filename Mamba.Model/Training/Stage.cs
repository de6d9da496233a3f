using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>A stretch of training at one length: short sequences first, longer ones when those are learned.</summary>
/// <param name="Length">Length of the sequences, as the task counts it.</param>
/// <param name="Batch">Sequences a step.</param>
/// <param name="Steps">Steps at most.</param>
/// <param name="UntilAccuracy">The stage ends early once <see cref="TrainState.Accuracy"/> is at least this; null: never.</param>
/// <param name="Rate">The stage's learning rate, as a multiple of the run's.</param>
public sealed record Stage(int Length, int Batch, long Steps,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? UntilAccuracy = null, double Rate = 1);
