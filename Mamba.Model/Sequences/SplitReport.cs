namespace Mamba;

/// <summary>How a model does on one part of <see cref="SplitData"/>: what there is depends on what is asked of it.</summary>
public sealed record SplitReport
{
    /// <summary>Of classes.</summary>
    public ClassificationReport? Classification { get; init; }

    /// <summary>Of numbers.</summary>
    public RegressionReport? Regression { get; init; }

    /// <summary>Of numbers: the same for repeating the last value, to compare with.</summary>
    public RegressionReport? LastValue { get; init; }

    /// <summary>Of next tokens: mean of −log p, nats a token.</summary>
    public double? NatsPerToken { get; init; }

    /// <summary>The tokens that is the mean of.</summary>
    public long Tokens { get; init; }

    /// <summary>What was said of each example, in the order of the part.</summary>
    public IReadOnlyList<Prediction> Predictions { get; init; } = [];

    /// <summary>The loss, to be made smaller: nats, or the mean squared error.</summary>
    public double Loss => Classification?.Nll ?? Regression?.Mse ?? NatsPerToken ?? double.NaN;
}
