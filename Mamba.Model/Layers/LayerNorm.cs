namespace Mamba;

/// <summary>y = (x − mean(x)) / √(var(x) + ε) · w + b. Parameters <c>weight</c> (width), 1 at first, and <c>bias</c> (width). Ba et al. 2016.</summary>
public sealed class LayerNorm : Norm
{
    /// <param name="width">Extent of the innermost axis.</param>
    /// <param name="epsilon">ε under the root: 0 or more.</param>
    public LayerNorm(int width, double epsilon = 1e-5) : base(epsilon)
    {
        Weight = Add("weight", width, decay: false, Initial.Ones);
        Bias = Add("bias", width, decay: false);
    }

    /// <summary>w: (width), 1 at first; it does not decay.</summary>
    public Parameter Weight { get; }

    /// <summary>b: (width), 0 at first; it does not decay.</summary>
    public Parameter Bias { get; }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x) => Ops.LayerNorm(x, Weight, Bias, Epsilon);

    /// <inheritdoc/>
    public override (Tensor Y, Tensor Residual) Forward(Tensor x, Tensor? residual)
    {
        Tensor sum = residual is null ? x : residual + x;
        return (Forward(sum), sum);
    }
}
