namespace Mamba;

/// <summary>
/// How a selective scan is computed. All of them take the same inputs and give the same outputs and gradients, to rounding; they
/// differ in work, depth and memory. Values behind one interface, so that they can be taught, compared and swapped.
/// <para>
/// One of your own overrides <see cref="Run"/>. With <see cref="ScanCoefficients"/> that is a few lines, and the tape knows their gradient:
/// </para>
/// <code>
/// protected override ScanOutputs Run(ScanInputs inputs)
/// {
///     var c = new ScanCoefficients(inputs);
///     Tensor h = …c.Alpha…c.Sources()…;      // (b, l, n, d): h_t = Ā_t h_{t−1} + x_t
///     return c.Result(h);
/// }
/// </code>
/// </summary>
public abstract class ScanAlgorithm
{
    static readonly Lazy<Choices<ScanAlgorithm>> Choices = new(() => new Choices<ScanAlgorithm>("Scan algorithm", All!, a => a.Name));

    /// <summary>An algorithm called <paramref name="name"/>.</summary>
    protected ScanAlgorithm(string name) => Name = name;

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

    /// <summary>Those above. What was registered is found by <see cref="Named"/> alone.</summary>
    public static IReadOnlyList<ScanAlgorithm> All { get; } = [Reference, Sequential, Chunked, Blelloch, KoggeStone, Attention];

    /// <summary>The fused kernel with each row cut into <paramref name="segments"/> segments of time: three passes, see docs/selective-scan.md.</summary>
    /// <exception cref="MambaException">Fewer than one segment.</exception>
    public static ScanAlgorithm ChunkedInto(int segments) => segments >= 1
        ? new ChunkedScan(segments)
        : throw new MambaException($"ScanAlgorithm: {segments} segments were asked for; expected 1 or more.");

    /// <summary>Its name, for <see cref="Named"/> and the command line.</summary>
    public string Name { get; }

    /// <summary>What it costs, forward, for u (b, l, d) and n states; NaN where an algorithm does not say.</summary>
    public virtual ScanCost Cost(long b, long l, long d, long n) => new(double.NaN, double.NaN, double.NaN);

    /// <summary>
    /// Computes y (b, l, d), the last state and, for a discretization that looks back, the last input, both in <see cref="ScanInputs.StateShape"/>,
    /// from inputs that were checked. Gradients are the tape's, of the ops that are called here, or of
    /// <see cref="Tape.Record(string, Tensor[], Tensor[], Func{Tensor[], Tensor[]})"/>.
    /// </summary>
    protected abstract ScanOutputs Run(ScanInputs inputs);

    /// <summary>The algorithm called <paramref name="name"/>: one of <see cref="All"/>, or one that was registered.</summary>
    /// <exception cref="MambaException">There is none.</exception>
    public static ScanAlgorithm Named(string name) => Choices.Value.Find(name);

    /// <summary>Makes one of your own known to <see cref="Named"/>, and so to configurations and commands. For any thread.</summary>
    /// <exception cref="MambaException">There is one of that name.</exception>
    public static void Register(ScanAlgorithm algorithm) => Choices.Value.Add(algorithm);

    /// <inheritdoc/>
    public override string ToString() => Name;

    /// <summary>Whether <see cref="Run"/> records one op with a gradient for each of its inputs, so that none needs to be made of several.</summary>
    private protected virtual bool IsOneOp => false;

    /// <summary>The outputs for checked inputs, looked at in turn, and one op on the tape.</summary>
    internal ScanOutputs Of(ScanInputs inputs)
    {
        ScanOutputs outputs = Run(inputs);
        if (IsOneOp)
            return outputs;
        Expect("y", outputs.Y, inputs.U.Shape);
        Expect("the last state", outputs.LastState, inputs.StateShape);
        if (outputs.LastInput is not null != inputs.Discretization.LooksBack)
            throw new MambaException($"Scan algorithm '{Name}' returned {(outputs.LastInput is null ? "no" : "a")} last input; {inputs.Discretization} "
                + (inputs.Discretization.LooksBack ? "looks back and needs one." : "does not look back and has none."));
        if (outputs.LastInput is not null)
            Expect("the last input", outputs.LastInput, inputs.StateShape);
        // As the fused kernel, every input has a gradient then: of A and one token without a past, zeros.
        Tensor[] made = outputs.LastInput is null ? [outputs.Y, outputs.LastState] : [outputs.Y, outputs.LastState, outputs.LastInput];
        made = Tape.AsOne("SelectiveScan", made, inputs.Differentiable, firstHasAll: inputs.Length > 1);
        return new ScanOutputs(made[0], made[1], made.Length > 2 ? made[2] : null);

        void Expect(string what, Tensor tensor, Shape shape)
        {
            if (tensor.Shape != shape)
                throw new MambaException($"Scan algorithm '{Name}' returned {what} of shape {tensor.Shape}; expected {shape}.");
            if (tensor.DType != inputs.U.DType || tensor.Device != inputs.U.Device)
                throw new MambaException($"Scan algorithm '{Name}' returned {what} as {tensor.DType.Name()} on {tensor.Device}; expected "
                    + $"{inputs.U.DType.Name()} on {inputs.U.Device}, as u.");
        }
    }
}
