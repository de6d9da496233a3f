namespace Mamba;

/// <summary>What an algorithm costs for u (b, l, d) and n states, forward.</summary>
/// <param name="Work">Operations, in updates of a state: one decay, one multiply-add.</param>
/// <param name="Depth">The longest chain of updates that wait for each other.</param>
/// <param name="Elements">Elements it stores beside inputs and outputs, for the backward pass or to work in.</param>
public readonly record struct ScanCost(double Work, double Depth, double Elements);

/// <summary>
/// How a selective scan is computed. All of them take the same inputs and give the same outputs and gradients, to rounding; they
/// differ in work, depth and memory. Values behind one interface, so that they can be taught, compared and swapped.
/// </summary>
public abstract class ScanAlgorithm
{
    private protected ScanAlgorithm(string name) => Name = name;

    /// <summary>Primitive ops, a step at a time, with the gradient from the tape: slow, and right by construction. The oracle.</summary>
    public static ScanAlgorithm Reference { get; } = new MaterializedScan("reference", null);

    /// <summary>Ā and Δ B u are stored for every token and state, and one walk over time makes every h.</summary>
    public static ScanAlgorithm Sequential { get; } = new MaterializedScan("sequential", LinearScan.Sequential);

    /// <summary>
    /// The fused kernel, and the default: nothing of size (b, l, d, n) is stored, backward recomputes the states from those at
    /// chunk boundaries, and a long row of few channels is cut into segments of time that are worked on side by side.
    /// </summary>
    public static ScanAlgorithm Chunked { get; } = new ChunkedScan(null);

    /// <summary>The work-efficient parallel scan: up a tree and down again. Blelloch 1990; paper §3.3.2.</summary>
    public static ScanAlgorithm Blelloch { get; } = new MaterializedScan("blelloch", LinearScan.Blelloch);

    /// <summary>The parallel scan of least depth: ⌈log₂ l⌉ passes over everything. Kogge and Stone 1973.</summary>
    public static ScanAlgorithm KoggeStone { get; } = new MaterializedScan("kogge-stone", LinearScan.KoggeStone);

    /// <summary>The quadratic form y = M u, M the hidden attention matrix (<see cref="Ops.HiddenAttention"/>), a row at a time.</summary>
    public static ScanAlgorithm Attention { get; } = new AttentionScan();

    /// <summary>Those above.</summary>
    public static IReadOnlyList<ScanAlgorithm> All { get; } = [Reference, Sequential, Chunked, Blelloch, KoggeStone, Attention];

    /// <summary>The fused kernel with each row cut into <paramref name="segments"/> segments of time: three passes, see docs/selective-scan.md.</summary>
    public static ScanAlgorithm ChunkedInto(int segments) => segments >= 1
        ? new ChunkedScan(segments)
        : throw new MambaException($"ScanAlgorithm: {segments} segments were asked for; expected 1 or more.");

    /// <summary>Its name on the command line.</summary>
    public string Name { get; }

    /// <summary>What it costs, forward, for u (b, l, d) and n states.</summary>
    public abstract ScanCost Cost(long b, long l, long d, long n);

    internal abstract ScanResult Run(ScanProblem problem);

    /// <summary>What primitive ops made of a problem, with a gradient for every input, as the fused kernel gives: of A and one token without a past, zeros.</summary>
    private protected static ScanResult AsOne(ScanProblem p, ScanResult r)
    {
        Tensor[] outputs = Tape.AsOne("SelectiveScan", r.LastInput is null ? [r.Y, r.LastState] : [r.Y, r.LastState, r.LastInput], p.Inputs, firstHasAll: p.Length > 1);
        return new ScanResult(outputs[0], outputs[1]) { LastInput = outputs.Length > 2 ? outputs[2] : null };
    }

    /// <summary>The algorithm called <paramref name="name"/>.</summary>
    /// <exception cref="MambaException">There is none.</exception>
    public static ScanAlgorithm Named(string name) => All.FirstOrDefault(a => a.Name == name)
        ?? throw new MambaException($"Scan algorithm '{name}' is unknown; there are {string.Join(", ", All.Select(a => a.Name))}.");

    public override string ToString() => Name;
}
