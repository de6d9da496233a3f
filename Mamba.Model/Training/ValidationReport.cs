namespace Mamba;

/// <summary>How a model in training does on what is held out.</summary>
/// <param name="Step">After how many steps.</param>
/// <param name="Loss">Mean of −log p over the tokens or examples held out, in nats; or the mean squared error of numbers.</param>
/// <param name="BitsPerByte">The same in bits for each byte of text; null where the bytes are not known.</param>
/// <param name="IsBest">Whether no measurement before it was as good: the weights are then the run's model.</param>
public readonly record struct ValidationReport(long Step, double Loss, double? BitsPerByte, bool IsBest)
{
    /// <summary>The share of examples that were right, 0 to 1; null where there are no right and wrong ones.</summary>
    public double? Accuracy { get; init; }
}
