namespace Mamba;

/// <summary>What <see cref="Ops.SelectiveScan(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, bool, Tensor, Tensor, Discretization, ScanAlgorithm, Tensor)"/> returns.</summary>
/// <param name="Y">(b, l, d)</param>
/// <param name="LastState">(b, d, n), or (b, d, n, 2) for complex A: h after the last token.</param>
public readonly record struct ScanResult(Tensor Y, Tensor LastState)
{
    /// <summary>B u of the last token, in the shape of the state, for a discretization that looks back: the next piece's previousInput. Null otherwise.</summary>
    public Tensor? LastInput { get; init; }
}
