namespace Mamba.Gpu;

/// <summary>Gradients of <see cref="ScanInputs"/>, each in its input's shape. Those of absent inputs that a kernel writes all the same are scratch.</summary>
internal sealed record ScanGradients(Tensor DU, Tensor DDelta, Tensor DA, Tensor DB, Tensor DC, Tensor DD, Tensor? DZ, Tensor DDeltaBias, Tensor DInitialState,
    Tensor? DPreviousInput)
{
    /// <summary>Room for the gradients of <paramref name="x"/>, owned by the open scope.</summary>
    public static ScanGradients Of(ScanInputs x) =>
        new(x.U.Like(), x.Delta.Like(), x.A.Like(), x.B.Like(), x.C.Like(), x.U.Like(x.Channels), x.Z?.Like(), x.U.Like(x.Channels),
        x.U.Like(x.StateShape), x.Discretization.LooksBack ? x.U.Like(x.StateShape) : null);
}
