namespace Mamba;

/// <summary>What a selective scan of <see cref="ScanInputs"/> returns; its states can be the inputs of the next piece of the sequence.</summary>
/// <param name="Y">(b, l, d)</param>
/// <param name="LastState">(b, n, d), or (b, 2n, d) for complex A: h after the last token.</param>
/// <param name="LastInput">B u of the last token, in the shape of the state, for a discretization that looks back: the next piece's
/// <see cref="ScanInputs.PreviousInput"/>. Null otherwise.</param>
public readonly record struct ScanOutputs(Tensor Y, Tensor LastState, Tensor? LastInput = null);
