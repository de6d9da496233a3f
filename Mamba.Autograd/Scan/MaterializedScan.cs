namespace Mamba;

/// <summary>The algorithms that store Ā and Δ B u (b, l, n, d): a linear recurrence by <paramref name="algorithm"/>, or by primitive ops when null.</summary>
internal sealed class MaterializedScan(string name, LinearScan? algorithm) : ScanAlgorithm(name)
{
    public override ScanCost Cost(long b, long l, long d, long n)
    {
        double states = (double)b * l * d * n, log = Math.Ceiling(Math.Log2(Math.Max(2, l)));
        return algorithm switch
        {
            LinearScan.KoggeStone => new(states * log, log, 5 * states),        // Ā, x, h and a pair to alternate with
            LinearScan.Blelloch => new(2 * states, 2 * log, 4 * states),        // Ā, x, h and the products on the way up
            _ => new(states, l, 3 * states),                                    // Ā, x, h
        };
    }

    internal override ScanResult Run(ScanProblem p)
    {
        var c = new Coefficients(p);
        Shape whole = (p.Batch, p.Length, p.States, p.Channels);
        Tensor inputs = c.Inputs(), x = c.Sources(inputs);
        Tensor h = algorithm is null ? ByPrimitives(p, c, x) : ByRecurrence(p, c, x, algorithm.Value);
        Tensor y = Ops.Sum(Ops.Expand(c.C, whole) * h, 2);                                                 // y_t = C_t·h_t
        return AsOne(p, c.Result(y, c.Last(h), inputs));
    }

    static Tensor ByRecurrence(ScanProblem p, Coefficients c, Tensor x, LinearScan algorithm)
    {
        long row = p.States * p.Channels;
        Tensor flat = Ops.LinearRecurrence(Ops.Reshape(c.Alpha, (p.Batch, p.Length, row)), Ops.Reshape(x, (p.Batch, p.Length, row)),
            c.Initial is null ? null : Ops.Reshape(c.Initial, (p.Batch, row)), algorithm, p.Reset);
        return Ops.Reshape(flat, (p.Batch, p.Length, p.States, p.Channels));
    }

    // h_t = Ā_t h_{t−1} + x_t, an op for everything
    static Tensor ByPrimitives(ScanProblem p, Coefficients c, Tensor x)
    {
        if (p.Length == 0)
            return x;
        Tensor h = c.Before();
        var all = new Tensor[p.Length];
        for (int t = 0; t < all.Length; t++)
            all[t] = h = c.Decayed(h, t) + Ops.Slice(x, 1, t, 1);
        return Ops.Concat(1, all);
    }
}
