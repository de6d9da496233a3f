namespace Mamba;

/// <summary>
/// How far back a selective scan looks, in tokens, from its hidden attention M, y_i = Σ_j M_ij u_j (Ali et al. 2024, arXiv 2403.01590, eq. 11): the mean
/// reach of each channel, the receptive field, and the half-lives of the states. Computed in float64 on the host, some channels at a time, so that
/// nothing of size (b, d, l, l) is stored; the time is that of l²/2 steps of the scan.
/// </summary>
public sealed class Reach
{
    Reach(double[] mean, double[] field, double[] halfLives) => (Mean, ReceptiveField, HalfLives) = (mean, field, halfLives);

    /// <summary>
    /// (b, d), row-major, in tokens: Σ_j |M_ij| (i − j) / Σ_j |M_ij|, averaged over the tokens i. 0 where a channel sees nothing but the token itself.
    /// Tokens whose row of M is 0 or not finite do not count; NaN where none counts. After the mean distance of Ben-Kish et al. 2024 (DeciMamba,
    /// arXiv 2406.14528).
    /// </summary>
    public IReadOnlyList<double> Mean { get; }

    /// <summary>
    /// (l): at k, the mean of |M_{i,i−k}| over all tokens i ≥ k, channels and rows of the batch: how much an input k tokens back moves the output. M_ij is
    /// ∂y_i/∂u_j at fixed delta, B and C, so this is the effective receptive field of Luo et al. 2016 (arXiv 1701.04128) for the scan alone. Values
    /// that are not finite do not count; NaN where none counts.
    /// </summary>
    public IReadOnlyList<double> ReceptiveField { get; }

    /// <summary>(d, n), row-major, in tokens: as <see cref="HalfLivesOf"/> says.</summary>
    public IReadOnlyList<double> HalfLives { get; }

    /// <summary>The reach of a scan whose initial state is zero.</summary>
    /// <param name="delta">(b, l, d): step sizes, after bias and softplus. Any device, float32 or float64, as the others.</param>
    /// <param name="A">(d, n): decay rates, negative where states fade.</param>
    /// <param name="B">(b, l, n)</param>
    /// <param name="C">(b, l, n)</param>
    /// <param name="discretization">Exponential-Euler when null.</param>
    /// <param name="reset">(b, l) int32: not 0 where a token starts a new sequence; null: none does.</param>
    /// <exception cref="MambaException">A shape does not fit; the message says which.</exception>
    public static Reach Of(Tensor delta, Tensor A, Tensor B, Tensor C, Discretization? discretization = null, Tensor? reset = null) =>
        Of(delta, A, B, C, discretization ?? Discretization.ExponentialEuler, reset, also: null);

    /// <summary>The same; <paramref name="also"/> sees each column of M, its block and j, on the way.</summary>
    internal static Reach Of(Tensor delta, Tensor A, Tensor B, Tensor C, Discretization discretization, Tensor? reset,
        Action<AttentionBlock, int, ReadOnlySpan<double>>? also)
    {
        IEnumerable<AttentionBlock> blocks = AttentionBlock.Of(delta, A, B, C, discretization, reset);
        int b = (int)delta.Shape[0], l = (int)delta.Shape[1], d = (int)delta.Shape[2];
        double[] mean = new double[b * d], field = new double[l];
        long[] counted = new long[l];
        Array.Fill(mean, double.NaN);
        double[] weight = new double[l * AttentionBlock.Lanes], moment = new double[l * AttentionBlock.Lanes];      // Σ_j |M_ij|, Σ_j |M_ij| (i − j)
        foreach (AttentionBlock block in blocks)
        {
            Array.Clear(weight);
            Array.Clear(moment);
            for (int j = 0; j < l; j++)
            {
                ReadOnlySpan<double> m = block.Column(j);
                also?.Invoke(block, j, m);
                for (int lag = 0; lag < l - j; lag++)
                    for (int c = 0; c < block.Count; c++)
                    {
                        double value = Math.Abs(m[lag * AttentionBlock.Lanes + c]);
                        int at = (j + lag) * AttentionBlock.Lanes + c;
                        weight[at] += value;
                        moment[at] += value * lag;
                        if (!double.IsFinite(value))
                            continue;
                        field[lag] += value;
                        counted[lag]++;
                    }
            }
            for (int c = 0; c < block.Count; c++)
            {
                double sum = 0;
                int rows = 0;
                for (int i = 0; i < l; i++)
                {
                    double total = weight[i * AttentionBlock.Lanes + c], ratio = moment[i * AttentionBlock.Lanes + c] / total;
                    if (total == 0 || !double.IsFinite(total) || !double.IsFinite(ratio))
                        continue;
                    sum += ratio;
                    rows++;
                }
                mean[block.Row * d + block.First + c] = sum / rows;
            }
        }
        for (int lag = 0; lag < l; lag++)
            field[lag] /= counted[lag];
        return new Reach(mean, field, HalfLivesOf(delta, A, discretization));
    }

    /// <summary>
    /// After how many tokens half of a state is left, ln 2 / −ln |α(Δ A)|, Δ the median step of the channel over all tokens: ln 2 / (−Δ A) where α = e^{ΔA}.
    /// Infinite where a state does not fade, 0 where nothing is left of it at once.
    /// </summary>
    /// <param name="delta">(b, l, d): step sizes, after bias and softplus. Those that are not finite do not count; NaN where none does.</param>
    /// <param name="A">(d, n): decay rates, negative where states fade.</param>
    /// <param name="discretization">Exponential-Euler when null.</param>
    /// <returns>(d, n), row-major, in tokens.</returns>
    /// <exception cref="MambaException">A shape does not fit.</exception>
    public static double[] HalfLivesOf(Tensor delta, Tensor A, Discretization? discretization = null)
    {
        AttentionBlock.CheckRates(delta, A);
        int d = (int)A.Shape[0], n = (int)A.Shape[1];
        double[] steps = delta.ToDoubles(), medians = new double[d], values = new double[d == 0 ? 0 : steps.Length / d];
        for (int c = 0; c < d; c++)
        {
            int count = 0;
            for (int t = 0; t < values.Length; t++)
                if (double.IsFinite(steps[t * d + c]))
                    values[count++] = steps[t * d + c];
            Array.Sort(values, 0, count);
            medians[c] = count == 0 ? double.NaN : (values[(count - 1) / 2] + values[count / 2]) / 2;
        }
        using Device cpu = Device.Open("cpu");
        using var scope = new TensorScope();
        Tensor alpha = AttentionBlock.Coefficients(Tensor.From(medians, (1, 1, d), cpu), Tensor.From(A.ToDoubles(), (d, n), cpu),
            discretization ?? Discretization.ExponentialEuler).Alpha;                                       // (1, 1, n, d)
        return Array.ConvertAll(Ops.Transpose(Ops.Reshape(alpha, (n, d))).ToDoubles(), left => Math.Log(2) / Math.Max(0, -Math.Log(Math.Abs(left))));
    }
}
