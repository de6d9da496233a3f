namespace Mamba;

/// <summary>What a batch asks of a model.</summary>
/// <param name="Loss">One element, to be made smaller.</param>
/// <param name="Accuracy">The share of answers that were right, 0 to 1, looked at after the update; null where there are no right and wrong ones.</param>
public readonly record struct TrainingLoss(Tensor Loss, Func<double>? Accuracy = null);
