namespace Mamba;

/// <summary>
/// What was inside one layer: tensors of the trace they are of. Gradients are those of the trace's quantity, on all ways from the value to it: that of h_t
/// counts what later tokens make of it, that of u also what B, C and delta are made of. What was not asked for is said to be missing.
/// </summary>
public sealed class LayerTrace
{
    readonly Dictionary<string, TraceArray> arrays = new(StringComparer.Ordinal);
    readonly Discretization discretization;
    readonly Tensor? reset;

    internal LayerTrace(int index, Discretization discretization, Tensor? reset) => (Index, this.discretization, this.reset) = (index, discretization, reset);

    /// <summary>Which layer it is, from 0.</summary>
    public int Index { get; }

    /// <summary>The names of what there is: <c>delta</c>, <c>ddelta</c>, <c>h</c>, …</summary>
    public IEnumerable<string> Names => arrays.Keys;

    /// <summary>One of <see cref="Names"/>.</summary>
    /// <param name="name"><c>delta</c>, <c>ddelta</c>, <c>h</c>, …</param>
    /// <exception cref="MambaException">There is none.</exception>
    public Tensor this[string name] => arrays.TryGetValue(name, out TraceArray array) ? array.Values
        : throw new MambaException($"Trace: there is no '{name}' of layer {Index}; there is {string.Join(", ", Names)}.");

    /// <summary>A (d, n): the rates.</summary>
    public Tensor A => this["A"];

    /// <summary>D (d): the skip.</summary>
    public Tensor D => this["D"];

    /// <summary>(d, k): the weights of the convolution, the last for the token itself; of a <see cref="MambaBlock"/>.</summary>
    public Tensor Conv => this["conv"];

    /// <summary>u (b, l, d): what the recurrence reads.</summary>
    public Tensor U => this["u"];

    /// <summary>delta (b, l, d): the step size, after bias and softplus.</summary>
    public Tensor Delta => this["delta"];

    /// <summary>Ā (b, l, n, d): what remains of a state; 0 where a sequence starts.</summary>
    public Tensor Abar => this["Abar"];

    /// <summary>B̄ (b, l, n, d): the weight of u.</summary>
    public Tensor Bbar => this["Bbar"];

    /// <summary>B (b, l, n)</summary>
    public Tensor B => this["B"];

    /// <summary>C (b, l, n)</summary>
    public Tensor C => this["C"];

    /// <summary>h (b, l, n, d): the state after each token.</summary>
    public Tensor H => this["h"];

    /// <summary>y (b, l, d): C·h + D u, before the gate.</summary>
    public Tensor Y => this["y"];

    /// <summary>z (b, l, d): the gate, before silu.</summary>
    public Tensor Z => this["z"];

    /// <summary>∂/∂u (b, l, d)</summary>
    public Tensor DU => this["du"];

    /// <summary>∂/∂delta (b, l, d)</summary>
    public Tensor DDelta => this["ddelta"];

    /// <summary>∂/∂Ā (b, l, n, d)</summary>
    public Tensor DAbar => this["dAbar"];

    /// <summary>∂/∂B̄ (b, l, n, d)</summary>
    public Tensor DBbar => this["dBbar"];

    /// <summary>∂/∂B (b, l, n)</summary>
    public Tensor DB => this["dB"];

    /// <summary>∂/∂C (b, l, n)</summary>
    public Tensor DC => this["dC"];

    /// <summary>∂/∂h (b, l, n, d)</summary>
    public Tensor DH => this["dh"];

    /// <summary>∂/∂y (b, l, d)</summary>
    public Tensor DY => this["dy"];

    /// <summary>∂/∂z (b, l, d)</summary>
    public Tensor DZ => this["dz"];

    /// <summary>(b, l, k) int32: the likeliest next tokens if the model ended after this layer, the likeliest first.</summary>
    public Tensor TopIds => this["top_ids"];

    /// <summary>(b, l, k): their probabilities.</summary>
    public Tensor TopP => this["top_p"];

    /// <summary>(b, l − 1): the probability, read the same way, of the token that comes next.</summary>
    public Tensor NextP => this["next_p"];

    /// <summary>
    /// The hidden attention of some channels, M (b, channels, l, l): y_i = Σ_j M_ij u_j + D u_i where no hook changed a state. Quadratic in l.
    /// <see cref="Ops.HiddenAttention"/>; Ali et al. 2024 (arXiv 2403.01590), eq. 11.
    /// </summary>
    /// <param name="first">The first of the channels.</param>
    /// <param name="count">How many.</param>
    /// <exception cref="MambaException">There are no such channels, or delta, B or C were not traced.</exception>
    public Tensor HiddenAttention(long first, long count) => Ops.HiddenAttention(Ops.Slice(Delta, 2, first, count), Ops.Slice(A, 0, first, count), B, C,
        deltaSoftplus: false, reset: reset, discretization: discretization);

    /// <summary>
    /// How much of each token is in y, (b, l, l): row i adds up to 1. The hidden attention tells of u_j, and u_j is a convolution of the last k tokens; carried
    /// through its weights w it tells of tokens: Σ_j |M_ij| |w_{j−t}| for token t, the mean over channels. Computed in float64 on the host.
    /// </summary>
    /// <param name="ofTokens">False: of u_j, without the convolution.</param>
    /// <exception cref="MambaException">Delta, B or C were not traced, or the layer has no convolution that is known.</exception>
    public Tensor Attention(bool ofTokens = true)
    {
        int b = (int)Delta.Shape[0], l = (int)Delta.Shape[1];
        double[]? taps = ofTokens ? Conv.ToDoubles() : null;
        AttentionAverage[] rows = [.. Enumerable.Range(0, b).Select(_ => new AttentionAverage(l, taps, ofTokens ? (int)Conv.Shape[1] : 0))];
        foreach (AttentionBlock block in AttentionBlock.Of(Delta, A, B, C, discretization, reset))
            for (int j = 0; j < l; j++)
                rows[block.Row].Add(block, j, block.Column(j));
        double[] all = [.. rows.SelectMany(row => row.OfTokens ?? row.OfInputs)];
        for (int i = 0; i < b * l; i++)
        {
            Span<double> row = all.AsSpan(i * l, l);
            double sum = 0;
            foreach (double value in row)
                sum += value;
            for (int j = 0; j < l && sum > 0; j++)
                row[j] /= sum;
        }
        return Tensor.From(all, (b, l, l), Delta.DType, Delta.Device);
    }

    internal IEnumerable<TraceArray> Arrays => arrays.Values;

    internal void Add(string name, TraceArray array) => arrays.Add(name, array);
}
