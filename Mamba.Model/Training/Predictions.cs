namespace Mamba;

/// <summary>Compares what a model says with what it should say.</summary>
internal static class Predictions
{
    /// <summary>How many rows have their largest logit at the target, among the first <paramref name="classes"/> (the rest is padding).</summary>
    /// <param name="logits">(rows, v)</param>
    /// <param name="targets">(rows), none of them ignored.</param>
    /// <param name="classes">Tokens there are.</param>
    public static int Right(Tensor logits, ReadOnlySpan<int> targets, int classes)
    {
        double[] values = logits.ToDoubles();
        int width = (int)logits.Shape[^1], right = 0;
        for (int row = 0; row < targets.Length; row++)
        {
            ReadOnlySpan<double> scores = values.AsSpan(row * width, classes);
            int best = 0;
            for (int i = 1; i < classes; i++)
                if (scores[i] > scores[best])
                    best = i;
            if (best == targets[row])
                right++;
        }
        return right;
    }
}
