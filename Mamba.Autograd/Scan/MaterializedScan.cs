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

    protected override ScanOutputs Run(ScanInputs inputs)
    {
        var c = new ScanCoefficients(inputs);
        Tensor x = c.Sources();
        return c.Result(algorithm is null ? ByPrimitives(inputs, c, x) : ByRecurrence(inputs, c, x, algorithm.Value));
    }

    static Tensor ByRecurrence(ScanInputs inputs, ScanCoefficients c, Tensor x, LinearScan algorithm)
    {
        long b = inputs.Batch, l = inputs.Length, m = inputs.States * inputs.Channels;
        Tensor? initial = inputs.InitialState is null ? null : Ops.Reshape(inputs.InitialState, (b, m));
        return Ops.Reshape(Ops.LinearRecurrence(Ops.Reshape(c.Alpha, (b, l, m)), Ops.Reshape(x, (b, l, m)), initial, algorithm, inputs.Reset), x.Shape);
    }

    // h_t = Ā_t h_{t−1} + x_t, an op for everything
    static Tensor ByPrimitives(ScanInputs inputs, ScanCoefficients c, Tensor x)
    {
        if (inputs.Length == 0)
            return x;
        Tensor h = c.InitialState();
        var all = new Tensor[inputs.Length];
        for (int t = 0; t < all.Length; t++)
            all[t] = h = c.Decayed(h, t) + Ops.Slice(x, 1, t, 1);
        return Ops.Concat(1, all);
    }
}
