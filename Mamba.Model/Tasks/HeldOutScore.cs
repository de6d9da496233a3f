namespace Mamba;

/// <summary>How a model in training does on what is held out.</summary>
/// <param name="Loss">To be made smaller: mean of −log p in nats, or a mean squared error.</param>
/// <param name="BitsPerByte">The loss in bits for each byte of text, or base of DNA; null where it is of something else.</param>
/// <param name="Accuracy">The share of examples that were right, 0 to 1; null where there are no right and wrong ones.</param>
public readonly record struct HeldOutScore(double Loss, double? BitsPerByte = null, double? Accuracy = null);
