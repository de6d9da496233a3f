namespace Mamba;

/// <summary>
/// value, gate = split(fc1 x);  y = fc2(value · silu(gate)): x (…, width) → the same shape. Parameters <c>fc1.weight</c> (2 hidden, width) and
/// <c>fc2.weight</c> (width, hidden), no biases. Shazeer 2020 (SwiGLU), the value first, as the official models with <c>d_intermediate</c> have it.
/// </summary>
public sealed class GatedMlp : Module
{
    /// <summary>The official code rounds <c>d_intermediate</c> up to a multiple of this.</summary>
    public const int Multiple = 128;

    readonly int hidden;

    /// <param name="width">Width of x and y.</param>
    /// <param name="hidden">Width between the two projections.</param>
    /// <param name="residuals">Layers that add to the same residual stream: fc2 starts smaller by its root.</param>
    public GatedMlp(int width, int hidden, int residuals = 1)
    {
        this.hidden = hidden;
        Fc1 = Add("fc1", new Linear(width, 2 * hidden, bias: false));
        Fc2 = Add("fc2", new Linear(hidden, width, bias: false, Initial.Kaiming(hidden, residuals)));
    }

    /// <summary>The first projection: value, then gate.</summary>
    public Linear Fc1 { get; }

    /// <summary>The second projection.</summary>
    public Linear Fc2 { get; }

    /// <summary>x (…, width) → the same shape.</summary>
    /// <param name="x">(…, width)</param>
    /// <exception cref="MambaException">The innermost extent is another.</exception>
    public Tensor Forward(Tensor x)
    {
        Tensor[] parts = Ops.LinearSplit(x, Fc1.Weight, null, hidden, hidden);
        return Fc2.Forward(parts[0] * Ops.Silu(parts[1]));
    }
}
