namespace Mamba;

/// <summary>Compares what a model says with what it should say.</summary>
internal static class Predictions
{
    /// <summary>
    /// How many rows have their largest logit at the target, among the first <paramref name="classes"/> (the rest is padding); NaN if that of
    /// a row is infinite or NaN: no number would tell that a model gave no answer.
    /// </summary>
    /// <param name="logits">(rows, v)</param>
    /// <param name="targets">(rows), none of them ignored.</param>
    /// <param name="classes">Tokens there are.</param>
    public static double Right(Tensor logits, ReadOnlySpan<int> targets, int classes)
    {
        double[] values = logits.ToDoubles();
        int width = (int)logits.Shape[^1];
        double right = 0;
        for (int row = 0; row < targets.Length; row++)
        {
            int? answer = Ops.Answer(values.AsSpan(row * width, classes));
            right += answer is null ? double.NaN : answer == targets[row] ? 1 : 0;
        }
        return right;
    }
}
