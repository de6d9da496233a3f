namespace Mamba;

/// <summary>What a model says of one example.</summary>
/// <param name="Id">The example's name or line.</param>
/// <param name="Values">Of classes: log-probabilities, nats, one for each; of a regression: the numbers.</param>
/// <param name="Label">The class it has, from 0; −1 where that is not known.</param>
public sealed record Prediction(string Id, double[] Values, int Label = -1)
{
    /// <summary>The likeliest class, the first of equals; null if the model gave no numbers.</summary>
    public int? Class => Ops.Answer(Values);
}
