namespace Mamba;

/// <summary>y = x / rms(x) · w. Parameter <c>weight</c> (width), 1 at first. Zhang and Sennrich 2019, eq. 4.</summary>
public sealed class RmsNorm : Norm
{
    /// <param name="width">Extent of the innermost axis.</param>
    /// <param name="epsilon">ε under the root: 0 or more.</param>
    public RmsNorm(int width, double epsilon = 1e-5) : base(epsilon) => Weight = Add("weight", width, decay: false, Initial.Ones);

    /// <summary>w: (width), 1 at first; it does not decay.</summary>
    public Parameter Weight { get; }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x) => Ops.RmsNorm(x, Weight, Epsilon);

    /// <inheritdoc/>
    public override (Tensor Y, Tensor Residual) Forward(Tensor x, Tensor? residual) => Ops.AddRmsNorm(x, residual, Weight, Epsilon);
}
