namespace Mamba;

/// <summary>What one training step did.</summary>
/// <param name="Step">Its number, from 1.</param>
/// <param name="Stage">Its stage, from 0.</param>
/// <param name="Length">Length of the sequences, as the task counts it.</param>
/// <param name="Batch">Number of sequences.</param>
/// <param name="Loss">The loss before the update: mean cross-entropy of the answers in nats, unless the data have a loss of their own.</param>
/// <param name="Accuracy">Share of the answers that were right, 0 to 1.</param>
/// <param name="GradientNorm">Global L2 norm of the gradients, before clipping.</param>
/// <param name="LearningRate">The learning rate used.</param>
/// <param name="Tokens">Tokens read.</param>
public readonly record struct StepReport(long Step, int Stage, int Length, int Batch,
    double Loss, double Accuracy, double GradientNorm, double LearningRate, long Tokens);
