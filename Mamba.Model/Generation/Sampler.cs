namespace Mamba;

/// <summary>
/// Which token comes next: some functions of the logits, one after another, and then the largest of what is left, or a draw from its softmax.
/// <code>
/// Sampler.Draw.RepetitionPenalty(1.1).TopK(40).Temperature(0.8).TopP(0.95)
/// </code>
/// It is a value: each method gives another sampler. <see cref="Official"/> has the order of state-spaces' <c>mamba_ssm/utils/generation.py</c>.
/// </summary>
public sealed class Sampler
{
    readonly bool draws;
    readonly LogitsFilter[] filters;

    Sampler(bool draws, params LogitsFilter[] filters) => (this.draws, this.filters) = (draws, filters);

    /// <summary>The largest logit, the first of equals.</summary>
    public static Sampler Greedy { get; } = new(draws: false);

    /// <summary>A draw from the softmax of the logits.</summary>
    public static Sampler Draw { get; } = new(draws: true);

    /// <summary>
    /// In the reference's order: repetition penalty, top-k, min-p, temperature, top-p. What is off is left out; a temperature of 0, or a top-k of 1, is
    /// greedy after the penalty. The reference's min-p compares with the first logit where it means the largest probability; here it is the largest.
    /// </summary>
    /// <param name="temperature">0 or more.</param>
    /// <param name="topK">0: off.</param>
    /// <param name="topP">1: off; the reference's 0 is off, too.</param>
    /// <param name="minP">0: off.</param>
    /// <param name="repetitionPenalty">1: off.</param>
    /// <exception cref="MambaException">One is out of its range.</exception>
    public static Sampler Official(double temperature, int topK = 0, double topP = 1, double minP = 0, double repetitionPenalty = 1)
    {
        if (!(temperature >= 0 && double.IsFinite(temperature)))
            throw new MambaException($"Sampler: temperature is {temperature}; expected 0 or more.");
        if (topK < 0)
            throw new MambaException($"Sampler: top-k is {topK}; expected 0 or more.");
        bool greedy = temperature == 0 || topK == 1;
        Sampler sampler = greedy ? Greedy : Draw;
        if (repetitionPenalty != 1)
            sampler = sampler.RepetitionPenalty(repetitionPenalty);
        if (topK > 1)
            sampler = sampler.TopK(topK);
        if (minP != 0)
            sampler = sampler.MinP(minP);
        if (!greedy && temperature != 1)
            sampler = sampler.Temperature(temperature);
        return topP is 0 or 1 ? sampler : sampler.TopP(topP);
    }

    /// <summary>A function of your own behind those there are.</summary>
    /// <param name="filter">Changes logits in place.</param>
    public Sampler Then(LogitsFilter filter) => new(draws, [.. filters, filter]);

    /// <summary>logits / t.</summary>
    /// <param name="t">Above 0: below 1 the likely ones become likelier.</param>
    /// <exception cref="MambaException">It is not.</exception>
    public Sampler Temperature(double t)
    {
        Expect(t > 0 && double.IsFinite(t), "temperature", t, "above 0; Sampler.Greedy is that of 0");
        return Then((logits, _) =>
        {
            foreach (ref double logit in logits)
                logit /= t;
        });
    }

    /// <summary>Leaves the k largest; of equals the first.</summary>
    /// <param name="k">1 or more.</param>
    /// <exception cref="MambaException">It is not.</exception>
    public Sampler TopK(int k)
    {
        Expect(k >= 1, "top-k", k, "1 or more");
        return Then((logits, _) =>
        {
            if (k >= logits.Length)
                return;
            int[] order = Descending(logits);
            foreach (int id in order.AsSpan(k))
                logits[id] = double.NegativeInfinity;
        });
    }

    /// <summary>Leaves the fewest, likeliest first, whose probabilities sum to p or more. Holtzman et al. 2020 (arXiv 1904.09751).</summary>
    /// <param name="p">Above 0, at most 1.</param>
    /// <exception cref="MambaException">It is not.</exception>
    public Sampler TopP(double p)
    {
        Expect(p is > 0 and <= 1, "top-p", p, "above 0, at most 1");
        return Then((logits, _) =>
        {
            int[] order = Descending(logits);
            double[] weights = Weights(logits, logits[order[0]]);
            double sum = 0, all = 0;
            foreach (double weight in weights)
                all += weight;
            for (int i = 0; i < order.Length; i++)
            {
                if (sum >= p * all)
                    logits[order[i]] = double.NegativeInfinity;
                sum += weights[order[i]];
            }
        });
    }

    /// <summary>Leaves those at least p times as likely as the likeliest. Nguyen et al. 2024 (arXiv 2407.01082).</summary>
    /// <param name="p">0 to 1.</param>
    /// <exception cref="MambaException">It is not.</exception>
    public Sampler MinP(double p)
    {
        Expect(p is >= 0 and <= 1, "min-p", p, "0 to 1");
        return Then((logits, _) =>
        {
            double least = Largest(logits) + Math.Log(p);
            foreach (ref double logit in logits)
                if (logit < least)
                    logit = double.NegativeInfinity;
        });
    }

    /// <summary>
    /// Logits of tokens that were there, the prompt's too, become smaller: divided by r where they are positive, multiplied where not. Keskar et al. 2019
    /// (arXiv 1909.05858).
    /// </summary>
    /// <param name="r">Above 0; 1 changes nothing.</param>
    /// <exception cref="MambaException">It is not.</exception>
    public Sampler RepetitionPenalty(double r)
    {
        Expect(r > 0 && double.IsFinite(r), "repetition penalty", r, "above 0");
        return Then((logits, tokens) =>
        {
            foreach (int id in tokens.Distinct())
                logits[id] = logits[id] < 0 ? logits[id] * r : logits[id] / r;
        });
    }

    /// <summary>The next token.</summary>
    /// <param name="logits">(v); they are changed.</param>
    /// <param name="tokens">The sequence so far.</param>
    /// <param name="random">Uniform in [0, 1).</param>
    /// <exception cref="MambaException">The largest logit is infinite or NaN, or nothing is left.</exception>
    public int Choose(Span<double> logits, IReadOnlyList<int> tokens, double random)
    {
        if (Ops.Answer(logits) is null)
            throw new MambaException("Generate: the model's logits are infinite or NaN.");
        foreach (LogitsFilter filter in filters)
            filter(logits, tokens);
        int best = Ops.Answer(logits) ?? throw new MambaException("Generate: the sampler leaves no token, or logits that are not numbers.");
        if (!draws)
            return best;
        double[] weights = Weights(logits, logits[best]);
        double left = random * weights.Sum();
        for (int i = 0; i < weights.Length; i++)
            if ((left -= weights[i]) < 0)
                return i;
        return best;
    }

    static double Largest(ReadOnlySpan<double> logits)
    {
        double largest = double.NegativeInfinity;
        foreach (double logit in logits)
            largest = Math.Max(largest, logit);
        return largest;
    }

    static double[] Weights(ReadOnlySpan<double> logits, double largest)
    {
        double[] weights = new double[logits.Length];
        for (int i = 0; i < weights.Length; i++)
            weights[i] = Math.Exp(logits[i] - largest);
        return weights;
    }

    // Ids from the largest logit to the smallest, equals in their order.
    static int[] Descending(ReadOnlySpan<double> logits)
    {
        (double, int)[] keys = new (double, int)[logits.Length];
        int[] ids = new int[logits.Length];
        for (int i = 0; i < ids.Length; i++)
            (keys[i], ids[i]) = ((-logits[i], i), i);
        Array.Sort(keys, ids);
        return ids;
    }

    static void Expect(bool holds, string what, double value, string expected)
    {
        if (!holds)
            throw new MambaException($"Sampler: {what} is {value}; expected {expected}.");
    }
}
