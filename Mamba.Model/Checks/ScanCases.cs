namespace Mamba.Checks;

public static partial class OpCatalog
{
    /// <summary>One form of the selective scan.</summary>
    sealed record ScanForm(int B, int L, int D, int N)
    {
        public Discretization Discretization { get; init; } = Discretization.ExponentialEuler;
        public ScanAlgorithm Algorithm { get; init; } = ScanAlgorithm.Chunked;
        public string? AlgorithmName { get; init; }
        public int Groups { get; init; }
        public bool Complex { get; init; }
        public bool Skip { get; init; } = true;
        public bool Gate { get; init; } = true;
        public bool Bias { get; init; } = true;
        public bool Softplus { get; init; } = true;
        public bool Initial { get; init; } = true;
        public bool ConstantB { get; init; }
        public bool ConstantC { get; init; }
        public int[] Resets { get; init; } = [];        // the same tokens in every row, but one later in the first

        Shape Pairs(Shape shape) => Complex ? shape.Append(2) : shape;
        Shape Projection(bool constant) => Pairs(constant ? (D, N) : Groups > 0 ? (B, L, Groups, N) : (B, L, N));

        public OpCase Case()
        {
            bool previous = Initial && Discretization.LooksBack;
            CaseInput?[] inputs =
            [
                new("u", (B, L, D)), new("delta", (B, L, D), Softplus ? -3 : 0.01, Softplus ? 1 : 0.7), new("A", Pairs((D, N)), -2, -0.1), new("B", Projection(ConstantB)), new("C", Projection(ConstantC)),
                Skip ? new("D", D) : null, Gate ? new("z", (B, L, D)) : null, Bias ? new("deltaBias", D, -0.5, 0.5) : null, Initial ? new("initialState", Pairs((B, D, N))) : null, previous ? new("previousInput", Pairs((B, D, N))) : null,
            ];
            int[] places = new int[inputs.Length];      // where each argument is among those given
            for (int i = 0, at = 0; i < inputs.Length; i++)
                places[i] = inputs[i] is null ? -1 : at++;
            return new OpCase("SelectiveScan", ToString(), [.. inputs.OfType<CaseInput>()], x =>
            {
                Tensor? Given(int i) => places[i] < 0 ? null : x[places[i]];
                ScanResult r = Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], Given(5), Given(6), Given(7), Softplus, Given(8), Mask(x[0]), Discretization, Algorithm, Given(9));
                return r.LastInput is null ? [r.Y, r.LastState] : [r.Y, r.LastState, r.LastInput];
            })
            { Float32Tolerance = 3e-5, Float64Tolerance = 1e-11, Small = B * L * D * N <= 512 };
        }

        Tensor? Mask(Tensor u) => Resets.Length == 0 ? null : Ints(u, (B, L), i => Resets.Contains(i / L == 0 ? i % L - 1 : i % L) ? 1 : 0);

        public override string ToString() => $"{Discretization.Name} {AlgorithmName ?? Algorithm.Name} "
            + Flags((Complex, "complex"), (Groups > 0, $"{Groups} groups"), (ConstantB, "constant B"), (ConstantC, "constant C"), (!Skip, "no D"), (!Gate, "no z"), (!Bias, "no bias"), (!Softplus, "no softplus"), (!Initial, "from zero"), (Resets.Length > 0, "reset"))
            + $"b {B} l {L} d {D} n {N}";
    }

    static IEnumerable<ScanForm> ScanForms()
    {
        // every flag off and on
        for (int flags = 0; flags < 32; flags++)
            yield return new(2, 3, 3, 2) { Skip = (flags & 1) != 0, Gate = (flags & 2) != 0, Bias = (flags & 4) != 0, Softplus = (flags & 8) != 0, Initial = (flags & 16) != 0 };

        // every discretization, real and complex, with every kind of B and C, packed and not
        foreach (Discretization scheme in Discretization.All)
        {
            foreach (bool complex in OffOn)
            {
                foreach (bool reset in OffOn)
                {
                    var form = new ScanForm(2, 4, 4, 2) { Discretization = scheme, Complex = complex, Resets = reset ? [0, 2] : [] };
                    yield return form;
                    yield return form with { Groups = 2, Initial = false };
                    yield return form with { ConstantB = true };
                    yield return form with { ConstantC = true };
                    yield return form with { ConstantB = true, ConstantC = true, Skip = false, Gate = false, Bias = false, Softplus = false };
                }
                yield return new(1, 1, 1, 1) { Discretization = scheme, Complex = complex };
                yield return new(2, 35, 5, 3) { Discretization = scheme, Complex = complex, Resets = [1, 31, 32] };
            }
        }

        // odd sizes, around a chunk of 32
        foreach (int l in new[] { 1, 2, 7, 31, 32, 33, 65 })
            yield return new(2, l, 5, 3);
        foreach (int n in new[] { 1, 3, 4, 5, 16, 17, 64 })
            yield return new(1, 5, 3, n);
        foreach (int d in new[] { 1, 7, 8, 16, 17, 33 })
            yield return new(2, 3, d, 4);
        yield return new(1, 33, 17, 5) { Groups = 1 };
        yield return new(1, 33, 12, 16) { Groups = 3, Resets = [20] };
        yield return new(1, 34, 6, 5) { Resets = [0, 1, 2, 31, 32, 33] };

        // every algorithm with every discretization, everything on and everything off
        foreach (ScanAlgorithm algorithm in ScanAlgorithm.All)
            foreach (Discretization scheme in Discretization.All)
                foreach (bool on in OffOn)
                    yield return new(2, 5, 3, 2) { Algorithm = algorithm, Discretization = scheme, Skip = on, Gate = on, Bias = on, Initial = on, Softplus = on, Resets = on ? [2] : [], Groups = on ? 3 : 0 };
        foreach (ScanAlgorithm algorithm in ScanAlgorithm.All)
            yield return new(1, 34, 2, 3) { Algorithm = algorithm, ConstantB = true };

        // rows cut into segments of time
        foreach (int segments in new[] { 2, 3 })
        {
            foreach (bool complex in OffOn)
            {
                var form = new ScanForm(2, 130, 3, 2) { Algorithm = ScanAlgorithm.ChunkedInto(segments), AlgorithmName = $"chunked into {segments}", Complex = complex };
                yield return form;
                yield return form with { Resets = [40, 64, 100], Discretization = Discretization.ZeroOrderHold };
                yield return form with { Groups = 3, Initial = false, Gate = false, Discretization = Discretization.ExponentialTrapezoidal };
                yield return form with { ConstantB = true, ConstantC = true };
            }
        }
    }

    static IEnumerable<OpCase> Scans()
    {
        foreach (OpCase scan in ScanForms().Select(form => form.Case()).DistinctBy(c => c.Variant, StringComparer.Ordinal))
            yield return scan;
        foreach (Discretization scheme in Discretization.All)
        {
            foreach (bool bias in OffOn)
            {
                foreach (bool reset in OffOn)
                {
                    bool softplus = bias;
                    yield return new("HiddenAttention", $"{scheme.Name} {Flags((bias, "bias"), (!softplus, "no softplus"), (reset, "reset"))}b 2 l 4 d 3 n 2",
                        [new("delta", (2, 4, 3), softplus ? -3 : 0.01, softplus ? 1 : 0.7), new("A", (3, 2), -2, -0.1), new("B", (2, 4, 2)), new("C", (2, 4, 2)), .. bias ? [new("deltaBias", 3)] : Array.Empty<CaseInput>()],
                        x => [Ops.HiddenAttention(x[0], x[1], x[2], x[3], bias ? x[4] : null, softplus, reset ? Ints(x[0], (2, 4), i => i % 3 == 2 ? 1 : 0) : null, scheme)]);
                }
            }
        }
        yield return new("HiddenAttention", "l 1 n 1", [new("delta", (1, 1, 1)), new("A", (1, 1), -2, -0.1), new("B", (1, 1, 1)), new("C", (1, 1, 1))], x => [Ops.HiddenAttention(x[0], x[1], x[2], x[3])]);
    }
}
