namespace Mamba;

/// <summary>A norm over the innermost axis, and with the residual sum that comes before it.</summary>
public abstract class Norm : Module
{
    /// <param name="epsilon">ε under the root: 0 or more.</param>
    protected Norm(double epsilon) => Epsilon = epsilon;

    /// <summary>ε under the root.</summary>
    public double Epsilon { get; }

    /// <summary>x (…, width) → the same shape.</summary>
    /// <param name="x">(…, width)</param>
    /// <exception cref="MambaException">The innermost extent is another.</exception>
    public abstract Tensor Forward(Tensor x);

    /// <summary>The residual stream with <paramref name="x"/> added, and its norm: both (…, width).</summary>
    /// <param name="x">(…, width): what the layer before made.</param>
    /// <param name="residual">(…, width): the stream so far; none at its start.</param>
    public abstract (Tensor Y, Tensor Residual) Forward(Tensor x, Tensor? residual);
}
