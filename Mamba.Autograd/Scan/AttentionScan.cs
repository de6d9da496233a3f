namespace Mamba;

/// <summary>The quadratic form, a row of the hidden attention matrix at a time. Primitive ops: for lengths of some hundreds.</summary>
internal sealed class AttentionScan() : ScanAlgorithm("attention")
{
    public override ScanCost Cost(long b, long l, long d, long n) => new((double)b * l * l / 2 * d * n, l, (double)b * l * l / 2 * d * (n + 1));

    internal override ScanResult Run(ScanProblem p)
    {
        var c = new Coefficients(p);
        (Tensor rows, Tensor? from, Tensor last) = Matrix(p, c);                                          // (b, l, l, d), (b, l, d), (b, n, d)
        Tensor y = Ops.Sum(rows * Ops.Reshape(p.U, (p.Batch, 1, p.Length, p.Channels)), 2);               // y_i = Σ_j M_ij u_j
        if (from is not null)
            y += from;
        return AsOne(p, c.Result(y, last, c.Inputs()));
    }

    /// <summary>
    /// M (b, i, j, d); what an initial state adds to y (b, l, d); the last state (b, n, d). Row i follows from row i − 1: with
    /// S_ij = (Π_{k=j+1..i} Ā_k) Δ_j γ_j B_j, S_ij = Ā_i S_{i−1,j} and M_ij = C_i·S_ij.
    /// </summary>
    public static (Tensor Rows, Tensor? FromInitial, Tensor Last) Matrix(ScanProblem p, Coefficients c)
    {
        long b = p.Batch, l = p.Length, n = p.States, d = p.Channels;
        Shape whole = (b, l, n, d);
        Tensor B = Ops.Expand(c.B, whole), C = Ops.Expand(c.C, whole), weights = c.Delta * (c.Gamma is null ? B : c.Gamma * B);     // Δ γ B
        Tensor? back = c.Beta is null ? null : c.Delta * c.Beta;
        Tensor? influence = null, initial = c.Initial is null ? null : Ops.Reshape(c.Initial, (b, 1, n, d));                       // S_i (b, i + 1, n, d)
        var rows = new List<Tensor>();
        var fromInitial = new List<Tensor>();
        for (long i = 0; i < l; i++)
        {
            Tensor alpha = At(c.Alpha, i), newest = At(weights, i);
            if (influence is not null)
            {
                influence = alpha * influence;
                if (back is not null)       // the token before has a second say, through β
                {
                    Tensor second = At(back, i) * At(B, i - 1);
                    influence = i == 1 ? influence + second : Ops.Concat(1, Ops.Slice(influence, 1, 0, i - 1), Ops.Slice(influence, 1, i - 1, 1) + second);
                }
            }
            influence = influence is null ? newest : Ops.Concat(1, influence, newest);
            Tensor row = Ops.Reshape(Ops.Sum(At(C, i) * influence, 2), (b, 1, i + 1, d));
            rows.Add(i + 1 == l ? row : Ops.Concat(2, row, Tensor.Zeros((b, 1, l - i - 1, d), row.DType, row.Device)));
            if (i == 0 && back is not null && c.Previous is not null)
                initial = (initial is null ? 0.0 * newest : alpha * initial) + At(back, 0) * Ops.Reshape(c.Previous, (b, 1, n, d));
            else if (initial is not null)
                initial = alpha * initial;
            if (initial is not null)
                fromInitial.Add(Ops.Sum(At(C, i) * initial, 2));
        }
        if (l == 0)
            return (Tensor.Zeros((b, 0, 0, d), p.U.DType, p.U.Device), null, c.Last(p.U));
        Tensor last = Ops.Sum(influence! * Ops.Reshape(p.U, (b, l, 1, d)), 1);
        if (initial is not null)
            last += Ops.Reshape(initial, (b, n, d));
        return (Ops.Concat(1, [.. rows]), initial is null ? null : Ops.Concat(1, [.. fromInitial]), last);

        static Tensor At(Tensor x, long t) => Ops.Slice(x, 1, t, 1);
    }
}
