namespace Mamba.Gpu;

/// <summary>The inputs of one selective scan; shapes are checked by the op. With complex states every n below counts real rows, two a state.</summary>
/// <param name="U">(b, l, d)</param>
/// <param name="Delta">(b, l, d), before bias and softplus</param>
/// <param name="A">(d, n)</param>
/// <param name="B">(b, l, n), (b, l, g, n), or (d, n) when constant over time</param>
/// <param name="C">as B</param>
/// <param name="D">(d), optional</param>
/// <param name="Z">(b, l, d), optional</param>
/// <param name="DeltaBias">(d), optional</param>
/// <param name="InitialState">(b, n, d), optional</param>
/// <param name="Softplus">whether delta goes through softplus</param>
public sealed record ScanInputs(Tensor U, Tensor Delta, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? Z, Tensor? DeltaBias, Tensor? InitialState, bool Softplus)
{
    /// <summary>(b, l) int32, optional: not 0 where a sequence starts.</summary>
    public Tensor? Reset { get; init; }

    /// <summary>(b, n, d), optional: B u of the token before the first, for a discretization that looks back.</summary>
    public Tensor? Before { get; init; }

    /// <summary>How steps are made of the continuous system.</summary>
    public Discretization Discretization { get; init; } = Discretization.ExponentialEuler;

    /// <summary>Whether states are complex: real and imaginary parts alternate along n.</summary>
    public bool IsComplex { get; init; }

    /// <summary>Segments of time to cut each row into; as many as seem best when null.</summary>
    public int? Segments { get; init; }

    public long Batch => U.Shape[0];
    public long Length => U.Shape[1];
    public long Channels => U.Shape[2];
    public long States => A.Shape[1];
    public bool ConstantB => B.Shape.Rank == 2;
    public bool ConstantC => C.Shape.Rank == 2;

    /// <summary>Groups of channels with a B and C of their own.</summary>
    public long Groups => B.Shape.Rank == 4 ? B.Shape[2] : C.Shape.Rank == 4 ? C.Shape[2] : 1;

    /// <summary>Chunks whose first states are kept for the backward pass.</summary>
    public long Chunks => (Length + Scan.ChunkLength - 1) / Scan.ChunkLength;
}

/// <summary>Gradients of <see cref="ScanInputs"/>, each in its input's shape; those of absent inputs are scratch.</summary>
public sealed record ScanGradients(Tensor DU, Tensor DDelta, Tensor DA, Tensor DB, Tensor DC, Tensor DD, Tensor? DZ, Tensor DDeltaBias, Tensor DInitial, Tensor? DBefore);
