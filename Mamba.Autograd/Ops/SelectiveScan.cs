namespace Mamba;

/// <summary>What a selective scan returns.</summary>
/// <param name="Y">(b, l, d)</param>
/// <param name="LastState">(b, d, n), or (b, d, n, 2) for complex A: h after the last token.</param>
public readonly record struct ScanResult(Tensor Y, Tensor LastState)
{
    /// <summary>B u of the last token, in the shape of the state, for a discretization that looks back: the next piece's previousInput. Null otherwise.</summary>
    public Tensor? LastInput { get; init; }
}

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
        var problem = new ScanProblem(u, delta, A, B, C, D, z, deltaBias, deltaSoftplus, initialState, reset, discretization ?? Discretization.ExponentialEuler, previousInput);
        problem.Check();
        return (algorithm ?? ScanAlgorithm.Chunked).Run(problem);
    }

    /// <summary>
    /// The hidden attention matrix (b, d, l, l): y_i = Σ_j M_ij u_j + D u_i for an initial state of zero and no gate. M_ij = C_i·(Π_{k=j+1..i} Ā_k) B̄_j,
    /// 0 for j &gt; i and where a sequence starts between them. Ali et al. 2024 (arXiv 2403.01590), eq. 11. Differentiable; for lengths of some hundreds, its size being quadratic.
    /// Arguments as those of <see cref="SelectiveScan"/>.
    /// </summary>
    public static Tensor HiddenAttention(Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? deltaBias = null, bool deltaSoftplus = true,
        Tensor? reset = null, Discretization? discretization = null)
    {
        var problem = new ScanProblem(delta, delta, A, B, C, null, null, deltaBias, deltaSoftplus, null, reset, discretization ?? Discretization.ExponentialEuler, null);
        problem.Check();
        Tensor matrix = Permute(AttentionScan.Matrix(problem, new Coefficients(problem)), 0, 3, 1, 2);
        return Tape.AsOne("HiddenAttention", [matrix], [delta, A, B, C, deltaBias], firstHasAll: problem.Length > 1)[0];
    }

    /// <summary>The fused scan with its states as the kernels hold them, (b, n, d): what a model keeps between tokens.</summary>
    internal static (Tensor Y, Tensor LastState) SelectiveScanChannelsLast(Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? z,
        Tensor? deltaBias, bool deltaSoftplus, Tensor? initialState, Tensor? reset = null)
    {
        var problem = new ScanProblem(u, delta, A, B, C, D, z, deltaBias, deltaSoftplus, null, reset, Discretization.ExponentialEuler, null);
        problem.Check();
        if (initialState is not null)
            Shape.Expect("SelectiveScan", initialState, (problem.Batch, problem.States, problem.Channels), $"n comes from A {A.Shape}, the rest from u {u.Shape}");
        (Tensor y, Tensor last, _) = ChunkedScan.ChannelsLast(problem, initialState, null);
        return (y, last);
    }
}
