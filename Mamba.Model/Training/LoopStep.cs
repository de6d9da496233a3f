namespace Mamba;

/// <summary>What one step of a <see cref="TrainingLoop"/> did.</summary>
/// <param name="Step">Its number, from 1.</param>
/// <param name="Loss">The loss, before the update.</param>
/// <param name="GradientNorm">Global L2 norm of the gradients, before clipping.</param>
/// <param name="LearningRate">The learning rate used.</param>
public readonly record struct LoopStep(long Step, double Loss, double GradientNorm, double LearningRate);
