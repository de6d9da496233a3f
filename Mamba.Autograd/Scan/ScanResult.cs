namespace Mamba;

/// <summary>What <c>Ops.SelectiveScan(u, delta, A, B, C, …)</c> returns: states as the caller has them, (b, d, n).</summary>
/// <param name="Y">(b, l, d)</param>
/// <param name="LastState">(b, d, n), or (b, d, n, 2) for complex A: h after the last token.</param>
public readonly record struct ScanResult(Tensor Y, Tensor LastState)
{
    /// <summary>
    /// B u of the last token, in the shape of the state, for a discretization that looks back: the next piece's previousInput. Null otherwise.
    /// </summary>
    public Tensor? LastInput { get; init; }
}
