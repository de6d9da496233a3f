namespace Mamba;

/// <summary>Element type of a <see cref="Tensor"/>. Ints are token ids and targets; floats are everything else.</summary>
public enum DType
{
    /// <summary>IEEE 754 single precision, 4 bytes.</summary>
    Float32,

    /// <summary>IEEE 754 double precision, 8 bytes: for gradient checks and reference values.</summary>
    Float64,

    /// <summary>Signed 32-bit whole numbers: token ids, targets, masks. They have no gradient.</summary>
    Int32,
}
