namespace Mamba;

/// <summary>
/// |M| of one sequence, the average over the channels in which it is a number; and of tokens, carried through the convolution that made u of them: u_j has
/// token t with the weight w_{j−t}, so y_i has it with Σ_j |M_ij| |w_{j−t}|.
/// </summary>
/// <param name="length">l</param>
/// <param name="taps">(channels, k), row-major: the weights of the convolution, the last for the token itself; null: tokens are not asked for.</param>
/// <param name="width">k</param>
/// <param name="channels">Which of <paramref name="taps"/> the channels of the blocks are; null: the same.</param>
internal sealed class AttentionAverage(int length, double[]? taps, int width, int[]? channels = null)
{
    readonly double[] sums = new double[length * length];
    readonly int[] counted = new int[length * length];

    /// <summary>(l, l), row-major.</summary>
    public double[] OfInputs => [.. sums.Select((sum, i) => sum / counted[i])];

    /// <summary>(l, l), row-major, a sum over channels; null where there are no weights of a convolution.</summary>
    public double[]? OfTokens { get; } = taps is null ? null : new double[length * length];

    /// <summary>Adds a column of some channels.</summary>
    public void Add(AttentionBlock block, int j, ReadOnlySpan<double> column)
    {
        for (int lag = 0; lag < length - j; lag++)
            for (int c = 0; c < block.Count; c++)
            {
                double value = Math.Abs(column[lag * AttentionBlock.Lanes + c]);
                if (!double.IsFinite(value))
                    continue;
                int row = (j + lag) * length, channel = channels?[block.First + c] ?? block.First + c;
                sums[row + j] += value;
                counted[row + j]++;
                for (int q = 0; OfTokens is not null && q < Math.Min(width, j + 1); q++)
                    OfTokens[row + j - q] += value * Math.Abs(taps![channel * width + width - 1 - q]);
            }
    }
}
