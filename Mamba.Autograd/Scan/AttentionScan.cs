namespace Mamba;

/// <summary>The quadratic form, a row of the hidden attention matrix at a time. Primitive ops: for lengths of some hundreds.</summary>
internal sealed class AttentionScan() : ScanAlgorithm("attention")
{
    public override ScanCost Cost(long b, long l, long d, long n) => new((double)b * l * l / 2 * d * n, l, (double)b * l * l / 2 * d * (n + 1));

    protected override ScanOutputs Run(ScanInputs inputs)
    {
        var c = new ScanCoefficients(inputs);
        if (inputs.Length == 0)
            return c.Result(inputs.U, c.Last(inputs.U));
        Influence influence = Rows(inputs, c);
        Tensor u = Ops.Reshape(inputs.U, (inputs.Batch, inputs.Length, 1, inputs.Channels)), seen = u;
        var y = new Tensor[inputs.Length];
        for (int i = 0; i < y.Length; i++)
        {
            // the inputs token i sees (b, i + 1, 1, d), 0 for those of sequences before its own: M_ij is 0 there, but 0 · NaN is not
            seen = c.Starts is null ? Ops.Slice(u, 1, 0, i + 1)
                : i == 0 ? Ops.Slice(u, 1, 0, 1) : Ops.Concat(1, c.Within(seen, c.StartsAt(i)), Ops.Slice(u, 1, i, 1));
            y[i] = Ops.Sum(influence.Rows[i] * seen, 1, keepDim: true);                                     // y_i = Σ_j M_ij u_j
            if (influence.FromInitial is not null)
                y[i] += influence.FromInitial[i];
        }
        Tensor last = Ops.Sum(influence.Last * seen, 1);
        if (influence.Initial is not null)
            last += Ops.Reshape(influence.Initial, last.Shape);
        return c.Result(Ops.Reshape(Ops.Concat(1, y), inputs.U.Shape), last);
    }

    /// <summary>M (b, i, j, d), 0 for j &gt; i.</summary>
    public static Tensor Matrix(ScanInputs x, ScanCoefficients c)
    {
        long b = x.Batch, l = x.Length, d = x.Channels;
        return l == 0 ? Tensor.Zeros((b, 0, 0, d), x.U.DType, x.U.Device) : Ops.Concat(1, [.. Rows(x, c).Rows.Select((row, i) =>
        {
            Tensor all = i + 1 == l ? row : Ops.Concat(1, row, Tensor.Zeros((b, l - i - 1, 1, d), row.DType, row.Device));
            return Ops.Reshape(all, (b, 1, l, d));
        })]);
    }

    /// <summary>What inputs and the initial state do to y and to the last state.</summary>
    /// <param name="Rows">Rows of M, as far as the diagonal: (b, i + 1, 1, d).</param>
    /// <param name="FromInitial">What an initial state adds to each y_i (b, 1, 1, d); null if there is none.</param>
    /// <param name="Last">S of the last token (b, l, n, d).</param>
    /// <param name="Initial">What is left of the initial state after the last token (b, 1, n, d).</param>
    sealed record Influence(List<Tensor> Rows, List<Tensor>? FromInitial, Tensor Last, Tensor? Initial);

    // Row i follows from row i − 1: with S_ij = (Π_{k=j+1..i} Ā_k) Δ_j γ_j B_j, S_ij = Ā_i S_{i−1,j} and M_ij = C_i·S_ij.
    static Influence Rows(ScanInputs x, ScanCoefficients c)
    {
        Shape whole = (x.Batch, x.Length, x.States, x.Channels);
        Tensor B = Ops.Expand(c.B, whole), C = Ops.Expand(c.C, whole), weights = c.Delta * (c.Gamma is null ? B : c.Gamma * B);     // Δ γ B
        Tensor? back = c.Beta is null ? null : c.Delta * c.Beta;
        Tensor? previousInput = back is null || x.PreviousInput is null ? null : Ops.Reshape(x.PreviousInput, (x.Batch, 1, x.States, x.Channels));
        bool isInitial = x.InitialState is not null || previousInput is not null;
        Tensor influence = At(weights, 0), initial = c.Decayed(c.InitialState(), 0);                        // S_i (b, i + 1, n, d)
        if (previousInput is not null)
            initial += Second(0, previousInput);
        var rows = new List<Tensor>();
        var fromInitial = new List<Tensor>();
        for (long i = 0; i < x.Length; i++)
        {
            if (i > 0)
            {
                influence = c.Decayed(influence, i);
                if (back is not null)       // the token before has a second say, through β
                    influence = i == 1 ? influence + Second(1, At(B, 0))
                        : Ops.Concat(1, Ops.Slice(influence, 1, 0, i - 1), Ops.Slice(influence, 1, i - 1, 1) + Second(i, At(B, i - 1)));
                influence = Ops.Concat(1, influence, At(weights, i));
                if (isInitial)
                    initial = c.Decayed(initial, i);
            }
            rows.Add(Ops.Sum(At(C, i) * influence, 2, keepDim: true));
            if (isInitial)
                fromInitial.Add(Ops.Sum(At(C, i) * initial, 2, keepDim: true));
        }
        return new(rows, isInitial ? fromInitial : null, influence, isInitial ? initial : null);

        static Tensor At(Tensor values, long t) => Ops.Slice(values, 1, t, 1);

        // Δ_i β_i times the input of the token before
        Tensor Second(long i, Tensor input) => c.Within(At(back!, i), c.StartsAt(i)) * c.Within(input, c.StartsAt(i));
    }
}
