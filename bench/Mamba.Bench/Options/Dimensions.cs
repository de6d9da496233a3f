namespace Mamba.Bench;

/// <summary>The extents that a user can choose.</summary>
[Flags]
internal enum Dimensions
{
    None = 0,
    Batch = 1,
    Length = 2,
    Width = 4,
    States = 8,
}
