namespace Mamba.Reproductions;

/// <summary>
/// Markov models of order 0 to k over few letters, each leaning on the one below where its context is rare:
/// <code>p_k(x | c) = (count(c x) + a p_{k−1}(x | c′)) / (count(c) + a),   c′ = c without its first letter,   p_{−1} = 1 / letters</code>
/// What letters alone foretell, without any learning but counting.
/// </summary>
internal sealed class MarkovModel
{
    readonly int letters, order;
    readonly int[][] counts;        // of order k: letters^(k + 1)

    /// <param name="tokens">0 … letters − 1 each.</param>
    /// <param name="letters">How many there are.</param>
    /// <param name="order">The highest k.</param>
    public MarkovModel(ReadOnlySpan<byte> tokens, int letters, int order)
    {
        (this.letters, this.order) = (letters, order);
        counts = [.. Enumerable.Range(0, order + 1).Select(k => new int[Power(k + 1)])];
        for (int k = 0; k <= order; k++)
        {
            int index = 0, modulus = Power(k + 1);
            for (int i = 0; i < tokens.Length; i++)
            {
                index = (int)((long)index * letters % modulus) + tokens[i];
                if (i >= k)
                    counts[k][index]++;
            }
        }
    }

    int Power(int exponent) => checked((int)Math.Pow(letters, exponent));

    /// <summary>Mean of −log2 p over the letters of a text, for each order from 0.</summary>
    /// <param name="tokens">The text, two letters or more.</param>
    /// <param name="weight">a: how many observations the order below counts for.</param>
    public double[] Bits(ReadOnlySpan<byte> tokens, double weight)
    {
        double[] bits = new double[order + 1];
        for (int i = 0; i < tokens.Length; i++)
        {
            double p = 1.0 / letters;
            int context = 0, scale = 1;         // the letters before, the nearest in the last place
            for (int k = 0; k <= order; k++)
            {
                if (k > 0 && k <= i)
                {
                    context += tokens[i - k] * scale;
                    scale *= letters;
                }
                if (k <= i)                     // at the start of the text there is no longer context
                {
                    ReadOnlySpan<int> row = counts[k].AsSpan(context * letters, letters);
                    double total = 0;
                    foreach (int count in row)
                        total += count;
                    p = (row[tokens[i]] + weight * p) / (total + weight);
                }
                bits[k] -= Math.Log2(p) / tokens.Length;
            }
        }
        return bits;
    }
}
