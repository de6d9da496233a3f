namespace Mamba.Examples;

/// <summary>
/// A scan algorithm of your own: the recurrence h_t = Ā_t h_{t−1} + x_t by halves. Each half is scanned from zero, and the first half's last state, times
/// the products of Ā so far, is added to every state of the second. Hillis and Steele 1986 in another order; work l log₂ l.
/// </summary>
public sealed class OwnAlgorithm() : ScanAlgorithm("halves")
{
    public override ScanCost Cost(long b, long l, long d, long n)
    {
        double states = (double)b * l * d * n, log = Math.Ceiling(Math.Log2(Math.Max(2, l)));
        return new ScanCost(states * log, log, states * log);
    }

    protected override ScanOutputs Run(ScanInputs inputs)
    {
        var c = new ScanCoefficients(inputs);                                       // Ā and x, (b, l, n, d)
        Tensor a = c.Within(c.Alpha, c.Starts);                                     // 0 where a sequence starts
        (Tensor products, Tensor h) = Halves(a, c.Sources());
        return c.Result(h + products * c.InitialState());
    }

    // the products of Ā from the first token on, and the states from zero
    static (Tensor Products, Tensor States) Halves(Tensor a, Tensor x)
    {
        long l = x.Shape[1], half = l / 2;
        if (l < 2)
            return (a, x);
        (Tensor firstA, Tensor firstH) = Halves(Ops.Slice(a, 1, 0, half), Ops.Slice(x, 1, 0, half));
        (Tensor secondA, Tensor secondH) = Halves(Ops.Slice(a, 1, half, l - half), Ops.Slice(x, 1, half, l - half));
        Tensor carry = Ops.Slice(firstH, 1, half - 1, 1), product = Ops.Slice(firstA, 1, half - 1, 1);
        return (Ops.Concat(1, firstA, secondA * product), Ops.Concat(1, firstH, secondH + secondA * carry));
    }

    public static void Run(Device device)
    {
        using var scope = new TensorScope();
        Tensor R(Shape shape, ulong seed) => Ops.Normal(shape, DType.Float64, device, seed);
        Tensor[] inputs = [R((2, 7, 5), 1), R((2, 7, 5), 2), -R((5, 3), 3).Exp(), R((2, 7, 3), 4), R((2, 7, 3), 5), R((2, 5, 3), 6)];
        Func<Tensor[], Tensor[]> By(ScanAlgorithm algorithm) => x =>
        {
            ScanResult r = Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], initialState: x[5], algorithm: algorithm);
            return [r.Y, r.LastState];
        };
        Console.WriteLine(GradCheck.Compare(By(new OwnAlgorithm()), By(ScanAlgorithm.Reference), inputs, names: ["u", "delta", "A", "B", "C", "initialState"]));
    }
}
