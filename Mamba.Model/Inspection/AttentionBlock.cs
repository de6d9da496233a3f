using System.Numerics;
using System.Runtime.InteropServices;

namespace Mamba;

/// <summary>
/// The hidden attention of a few neighbouring channels of one sequence, a column at a time and in float64. Column j is the answer of the scan to an
/// input of 1 at token j: S_jj = Δ_j γ_j B_j, S_ij = Ā_i S_{i−1,j}, M_ij = C_i·S_ij (Ali et al. 2024, arXiv 2403.01590, eq. 11). So the matrix
/// (b, d, l, l) of <see cref="Ops.HiddenAttention"/>, which has the gradient, is never stored, and a trace's is seen at the speed of plain loops.
/// </summary>
internal sealed class AttentionBlock
{
    /// <summary>Channels of a block, those that are not there included.</summary>
    public const int Lanes = 16;

    const int MostValues = 1 << 22;         // of each of Ā, γ and β at a time
    const double Tiny = 1e-290;             // smaller states count as 0: arithmetic on subnormal numbers is a hundred times slower

    readonly int length, states;
    readonly double[] alpha, weights;       // (l, n, lanes): Ā and Δ γ B
    readonly double[]? back;                // (l, n, lanes): Δ_i β_i B_{i−1}, what the input of the token before adds
    readonly double[] c;                    // (l, n)
    readonly double[] state, column;        // (n, lanes), (l, lanes)
    readonly int[]? starts;                 // (l): not 0 where a sequence starts

    AttentionBlock(int row, int first, int count, int l, int n, double[] c, bool looksBack, int[]? starts)
    {
        this.starts = starts;
        (Row, First, Count, length, states, this.c) = (row, first, count, l, n, c);
        alpha = new double[l * n * Lanes];
        weights = new double[l * n * Lanes];
        back = looksBack ? new double[l * n * Lanes] : null;
        state = new double[n * Lanes];
        column = new double[l * Lanes];
    }

    /// <summary>Which sequence of the batch.</summary>
    public int Row { get; }

    /// <summary>The first channel.</summary>
    public int First { get; }

    /// <summary>How many channels, up to <see cref="Lanes"/>.</summary>
    public int Count { get; }

    /// <summary>The blocks of all sequences and channels.</summary>
    /// <param name="delta">(b, l, d), after bias and softplus.</param>
    /// <param name="A">(d, n)</param>
    /// <param name="B">(b, l, n)</param>
    /// <param name="C">(b, l, n)</param>
    /// <param name="discretization">How steps are made.</param>
    /// <param name="reset">(b, l) int32: not 0 where a sequence starts; null: none does.</param>
    /// <exception cref="MambaException">A shape does not fit.</exception>
    public static IEnumerable<AttentionBlock> Of(Tensor delta, Tensor A, Tensor B, Tensor C, Discretization discretization, Tensor? reset = null)
    {
        Check(delta, A, B, C);
        return Blocks(delta, A, B, C, discretization, reset?.ToArray<int>());
    }

    static IEnumerable<AttentionBlock> Blocks(Tensor delta, Tensor A, Tensor B, Tensor C, Discretization discretization, int[]? reset)
    {
        int b = (int)delta.Shape[0], l = (int)delta.Shape[1], d = (int)delta.Shape[2], n = (int)A.Shape[1];
        if (l == 0)
            yield break;
        int step = Math.Max(Lanes, MostValues / (l * n) / Lanes * Lanes);
        double[] steps = delta.ToDoubles(), rates = A.ToDoubles(), inputs = B.ToDoubles(), outputs = C.ToDoubles();
        using Device cpu = Device.Open("cpu");
        for (int row = 0; row < b; row++)
        {
            double[] bs = inputs[(row * l * n)..((row + 1) * l * n)], cs = outputs[(row * l * n)..((row + 1) * l * n)];
            int[]? marks = reset?[(row * l)..((row + 1) * l)];
            for (int first = 0; first < d; first += step)
            {
                int count = Math.Min(step, d - first);
                double[] some = new double[l * count];
                for (int t = 0; t < l; t++)
                    Array.Copy(steps, (row * (long)l + t) * d + first, some, t * count, count);
                (double[] alpha, double[]? gamma, double[]? beta) = Coefficients(cpu, some, rates[(first * n)..((first + count) * n)], l, n, discretization);
                for (int start = 0; start < count; start += Lanes)
                {
                    var block = new AttentionBlock(row, first + start, Math.Min(Lanes, count - start), l, n, cs, beta is not null, marks);
                    block.Fill(alpha, gamma, beta, some, bs, count, start);
                    yield return block;
                }
            }
        }
    }

    // α, γ, β (l, n, channels) of the steps (l, channels) and rates (channels, n)
    static (double[] Alpha, double[]? Gamma, double[]? Beta) Coefficients(Device cpu, double[] steps, double[] rates, int l, int n,
        Discretization discretization)
    {
        using var scope = new TensorScope();
        ScanCoefficients of = Coefficients(Tensor.From(steps, (1, l, steps.Length / l), cpu), Tensor.From(rates, (rates.Length / n, n), cpu), discretization);
        return (of.Alpha.ToDoubles(), of.Gamma?.ToDoubles(), of.Beta?.ToDoubles());
    }

    /// <summary>α, γ and β of steps (b, l, d) and rates (d, n); B and C are not in it.</summary>
    public static ScanCoefficients Coefficients(Tensor delta, Tensor A, Discretization discretization)
    {
        var none = Tensor.Zeros((delta.Shape[0], delta.Shape[1], A.Shape[1]), delta.DType, delta.Device);
        return new ScanCoefficients(new ScanInputs
        {
            U = delta,
            Delta = delta,
            A = A,
            B = none,
            C = none,
            Softplus = false,
            Discretization = discretization,
        });
    }

    void Fill(double[] alphas, double[]? gammas, double[]? betas, double[] steps, double[] b, int channels, int start)
    {
        for (int t = 0; t < length; t++)
            for (int k = 0; k < states; k++)
                for (int i = 0; i < Count; i++)
                {
                    int from = (t * states + k) * channels + start + i, to = (t * states + k) * Lanes + i;
                    double step = steps[t * channels + start + i];
                    alpha[to] = alphas[from];
                    weights[to] = step * (gammas?[from] ?? 1) * b[t * states + k];
                    if (back is not null && t > 0)
                        back[to] = step * betas![from] * b[(t - 1) * states + k];
                }
    }

    /// <summary>Column j (l − j, <see cref="Lanes"/>): what outputs j, j + 1, … have of input j. It lasts until the next call.</summary>
    public ReadOnlySpan<double> Column(int j)
    {
        int width = Vector<double>.Count, size = states * Lanes / width, perState = Lanes / width;
        Span<Vector<double>> s = Vectors(state), m = Vectors(column);
        Vectors(weights).Slice(j * size, size).CopyTo(s);
        var tiny = new Vector<double>(Tiny);
        for (int i = j; i < length; i++)
        {
            if (i > j && starts is not null && starts[i] != 0)
            {
                m[((i - j) * perState)..((length - j) * perState)].Clear();         // a sequence that starts sees nothing before it
                break;
            }
            if (i > j)
            {
                ReadOnlySpan<Vector<double>> a = Vectors(alpha).Slice(i * size, size);
                ReadOnlySpan<Vector<double>> more = back is not null && i == j + 1 ? Vectors(back).Slice(i * size, size) : default;
                for (int k = 0; k < size; k++)
                {
                    Vector<double> next = a[k] * s[k];
                    if (more.Length > 0)
                        next += more[k];
                    s[k] = Vector.ConditionalSelect(Vector.LessThan(Vector.Abs(next), tiny), Vector<double>.Zero, next);
                }
            }
            for (int v = 0; v < perState; v++)
            {
                Vector<double> sum = Vector<double>.Zero;
                for (int k = 0; k < states; k++)
                    sum += c[i * states + k] * s[k * perState + v];
                m[(i - j) * perState + v] = sum;
            }
        }
        return column.AsSpan(0, (length - j) * Lanes);

        static Span<Vector<double>> Vectors(double[] values) => MemoryMarshal.Cast<double, Vector<double>>(values.AsSpan());
    }

    static void Check(Tensor delta, Tensor A, Tensor B, Tensor C)
    {
        if (delta.Shape.Rank != 3)
            throw new MambaException($"Reach: delta has shape {delta.Shape}; expected (b, l, d).");
        CheckRates(delta, A);
        Shape expected = (delta.Shape[0], delta.Shape[1], A.Shape[1]);
        foreach ((string name, Tensor tensor) in (ReadOnlySpan<(string, Tensor)>)[("B", B), ("C", C)])
            if (tensor.Shape != expected)
                throw new MambaException($"Reach: {name} has shape {tensor.Shape}; expected {expected}. "
                    + $"b, l come from delta {delta.Shape}, n from A {A.Shape}.");
    }

    /// <summary>Whether A (d, n) goes with delta (b, l, d).</summary>
    public static void CheckRates(Tensor delta, Tensor A)
    {
        if (A.Shape.Rank != 2 || A.Shape[0] != delta.Shape[^1])
            throw new MambaException($"Reach: A has shape {A.Shape}; expected (d={delta.Shape[^1]}, n). d comes from delta {delta.Shape}.");
    }
}
