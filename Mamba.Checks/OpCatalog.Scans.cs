namespace Mamba.Checks;

public static partial class OpCatalog
{
    /// <summary>A form as a case: by which algorithm, and what that is called.</summary>
    sealed record ScanCase(int B, int L, int D, int N) : ScanForm(B, L, D, N)
    {
        public ScanAlgorithm Algorithm { get; init; } = ScanAlgorithm.Chunked;
        public string? AlgorithmName { get; init; }

        public OpCase Case()
        {
            int[] places = new int[Arguments.Count];        // where each argument is among those given
            for (int i = 0, at = 0; i < places.Length; i++)
                places[i] = Arguments[i].Given ? at++ : -1;
            return new OpCase("SelectiveScan", ToString(), [.. Arguments.Where(a => a.Given).Select(a => a.Input)],
                x => Apply([.. places.Select(i => i < 0 ? null : x[i])], Algorithm))
            {
                Float32Tolerance = 3e-5,
                Float64Tolerance = 1e-11,
                Small = B * L * D * N <= 512,
            };
        }

        public override string ToString() => $"{Discretization.Name} {AlgorithmName ?? Algorithm.Name} "
            + Flags((Complex, "complex"), (Groups > 0, $"{Groups} groups"), (ConstantB, "constant B"), (ConstantC, "constant C"), (!Skip, "no D"),
                (!Gate, "no z"),
                (!Bias, "no bias"), (!Softplus, "no softplus"), (!Initial, "from zero"), (Resets.Count > 0, "reset"), (ChannelsLast, "channels last"))
            + $"b {B} l {L} d {D} n {N}";
    }

    static IEnumerable<ScanCase> ScanForms()
    {
        // every flag off and on
        for (int flags = 0; flags < 32; flags++)
            yield return new(2, 3, 3, 2)
            {
                Skip = (flags & 1) != 0,
                Gate = (flags & 2) != 0,
                Bias = (flags & 4) != 0,
                Softplus = (flags & 8) != 0,
                Initial = (flags & 16) != 0
            };

        // every discretization, real and complex, with every kind of B and C, packed and not
        foreach (Discretization scheme in Discretization.All)
        {
            foreach (bool complex in OffOn)
            {
                foreach (bool reset in OffOn)
                {
                    var form = new ScanCase(2, 4, 4, 2) { Discretization = scheme, Complex = complex, Resets = reset ? [0, 2] : [] };
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
                    yield return new(2, 5, 3, 2)
                    {
                        Algorithm = algorithm,
                        Discretization = scheme,
                        Skip = on,
                        Gate = on,
                        Bias = on,
                        Initial = on,
                        Softplus = on,
                        Resets = on ? [2] : [],
                        Groups = on ? 3 : 0,
                    };
        foreach (ScanAlgorithm algorithm in ScanAlgorithm.All)
            yield return new(1, 34, 2, 3) { Algorithm = algorithm, ConstantB = true };

        // states as blocks keep them
        foreach (Discretization scheme in Discretization.All)
            foreach (bool complex in OffOn)
                yield return new(2, 5, 3, 2) { Discretization = scheme, Complex = complex, ChannelsLast = true };

        // rows cut into segments of time
        foreach (int segments in new[] { 2, 3 })
        {
            foreach (bool complex in OffOn)
            {
                var form = new ScanCase(2, 130, 3, 2)
                {
                    Algorithm = ScanAlgorithm.ChunkedInto(segments),
                    AlgorithmName = $"chunked into {segments}",
                    Complex = complex
                };
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
                        [new("delta", (2, 4, 3), softplus ? -3 : 0.01, softplus ? 1 : 0.7), new("A", (3, 2), -2, -0.1), new("B", (2, 4, 2)),
                            new("C", (2, 4, 2)), .. bias ? [new("deltaBias", 3)] : Array.Empty<CaseInput>()],
                        x => [Ops.HiddenAttention(x[0], x[1], x[2], x[3], bias ? x[4] : null, softplus,
                            reset ? Ints(x[0], (2, 4), i => i % 3 == 2 ? 1 : 0) : null, scheme)]);
                }
            }
        }
        yield return new("HiddenAttention", "l 1 n 1", [new("delta", (1, 1, 1)), new("A", (1, 1), -2, -0.1), new("B", (1, 1, 1)), new("C", (1, 1, 1))],
            x => [Ops.HiddenAttention(x[0], x[1], x[2], x[3])]);
    }
}
