namespace Mamba;

public static partial class Ops
{
    /// <summary>
    /// The selective scan: u, delta (b, l, d); A (d, n); B, C (b, l, n), (b, l, g, n) or (d, n) → y (b, l, d), last state (b, d, n).
    /// <code>
    /// delta = softplus(delta + deltaBias)
    /// h_t = exp(delta_t A) h_{t−1} + delta_t B_t u_t,   y_t = (C_t·h_t + D u_t) · silu(z_t)
    /// </code>
    /// Nothing of size (b, l, d, n) is stored: backward recomputes the states from those at chunk boundaries. Every input gets a
    /// gradient, the initial state too, and the last state can be given one, so pieces of a sequence can be chained with gradients.
    /// Mamba (arXiv 2312.00752), Algorithm 2 and §3.3.2, with the exponential-Euler discretization of the released code unless
    /// another is chosen. docs/selective-scan.md derives it.
    /// </summary>
    /// <param name="u">(b, l, d): the input.</param>
    /// <param name="delta">(b, l, d): step sizes, before bias and softplus.</param>
    /// <param name="A">(d, n): negative decay rates; n from 1 to 256. Or (d, n, 2): complex, real and imaginary parts, as S4D-Lin has
    /// them; B, C and the states then end in 2 as well and y is 2 Re(C·h), the other half of each conjugate pair included.</param>
    /// <param name="B">(b, l, n); (b, l, g, n) for g groups of d/g neighbouring channels; or (d, n), constant over time.</param>
    /// <param name="C">As B.</param>
    /// <param name="D">(d): the skip; none when null.</param>
    /// <param name="z">(b, l, d): the gate; none when null.</param>
    /// <param name="deltaBias">(d): added to delta before softplus.</param>
    /// <param name="deltaSoftplus">Whether delta goes through softplus.</param>
    /// <param name="initialState">(b, d, n): h before the first token; zero when null.</param>
    /// <param name="reset">(b, l) int32: not 0 where a token starts a new sequence, which sees nothing before it. Packing.Resets makes one.</param>
    /// <param name="discretization">Exponential-Euler when null.</param>
    /// <param name="algorithm">How to compute it; <see cref="ScanAlgorithm.Chunked"/>, the fused kernel, when null.</param>
    /// <param name="previousInput">(b, d, n): for a discretization that looks back, <see cref="ScanResult.LastInput"/> of the piece before.</param>
    /// <exception cref="MambaException">A shape does not fit; the message says which.</exception>
    public static ScanResult SelectiveScan(Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D = null, Tensor? z = null,
        Tensor? deltaBias = null, bool deltaSoftplus = true, Tensor? initialState = null, Tensor? reset = null,
        Discretization? discretization = null, ScanAlgorithm? algorithm = null, Tensor? previousInput = null)
    {
        ScanInputs inputs = Inputs(u, delta, A, B, C, deltaBias, deltaSoftplus, reset, discretization) with { D = D, Z = z };
        inputs.Check(states: false);
        long b = inputs.Batch, d = inputs.Channels, n = inputs.States;
        Shape state = inputs.IsComplex ? (b, d, n, 2) : (b, d, n);
        inputs.CheckStates(initialState, previousInput, state);
        inputs = inputs with { InitialState = Inside(initialState), PreviousInput = Inside(previousInput) };
        ScanOutputs outputs = (algorithm ?? ScanAlgorithm.Chunked).Of(inputs);
        return new ScanResult(outputs.Y, Outside(outputs.LastState)) { LastInput = outputs.LastInput is null ? null : Outside(outputs.LastInput) };

        // (b, d, n) or (b, d, n, 2) ↔ (b, rows, d)
        Tensor? Inside(Tensor? s) => s is null ? null : Transpose(Reshape(s, (b, d, inputs.Rows)));
        Tensor Outside(Tensor s) => Reshape(Transpose(s), state);
    }

    /// <summary>
    /// The same over inputs whose states are channels last, (b, n, d), as blocks keep them between pieces of a sequence and as kernels
    /// read them: nothing is transposed.
    /// </summary>
    /// <param name="inputs">u, delta (b, l, d), A (d, n), B, C and the rest.</param>
    /// <param name="algorithm">How to compute it; <see cref="ScanAlgorithm.Chunked"/>, the fused kernel, when null.</param>
    /// <returns>y (b, l, d), the last state (b, n, d) and, for a discretization that looks back, the last input (b, n, d).</returns>
    /// <exception cref="MambaException">A shape, dtype or device does not fit; the message says which.</exception>
    public static ScanOutputs SelectiveScan(ScanInputs inputs, ScanAlgorithm? algorithm = null)
    {
        inputs.Check();
        return (algorithm ?? ScanAlgorithm.Chunked).Of(inputs);
    }

    /// <summary>
    /// The hidden attention matrix (b, d, l, l): y_i = Σ_j M_ij u_j + D u_i for an initial state of zero and no gate. M_ij = C_i·(Π_{k=j+1..i} Ā_k) B̄_j,
    /// 0 for j &gt; i and where a sequence starts between them. Ali et al. 2024 (arXiv 2403.01590), eq. 11. Differentiable; for lengths of some
    /// hundreds, its size being quadratic. Arguments as those of the scan.
    /// </summary>
    public static Tensor HiddenAttention(Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? deltaBias = null, bool deltaSoftplus = true,
        Tensor? reset = null, Discretization? discretization = null)
    {
        ScanInputs inputs = Inputs(delta, delta, A, B, C, deltaBias, deltaSoftplus, reset, discretization);
        inputs.Check();
        Tensor matrix = Permute(AttentionScan.Matrix(inputs, new ScanCoefficients(inputs)), 0, 3, 1, 2);
        return Tape.AsOne("HiddenAttention", [matrix], [delta, A, B, C, deltaBias], firstHasAll: inputs.Length > 1)[0];
    }

    static ScanInputs Inputs(Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? deltaBias, bool softplus, Tensor? reset,
        Discretization? discretization) => new()
        {
            U = u,
            Delta = delta,
            A = A,
            B = B,
            C = C,
            DeltaBias = deltaBias,
            Reset = reset,
            Softplus = softplus,
            Discretization = discretization ?? Discretization.ExponentialEuler,
        };
}
