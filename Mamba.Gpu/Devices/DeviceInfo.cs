namespace Mamba;

/// <summary>A device of this machine, not opened.</summary>
/// <param name="Name">What <c>Device.Open</c> takes.</param>
/// <param name="Description">What it calls itself.</param>
/// <param name="Float64">Whether it computes in float64.</param>
public readonly record struct DeviceInfo(string Name, string Description, bool Float64)
{
    /// <summary>
    /// Whether its float32 kernels compute with subnormal numbers, unless told otherwise; else such inputs and results count as zero. docs/subnormals.md.
    /// </summary>
    public bool KeepsSubnormals { get; init; }
}
