using System.Text.Json.Serialization;

namespace Mamba.Checks;

/// <summary>One output, or one gradient, of a case on a device against the host in float64.</summary>
/// <param name="Name"><c>output 0</c>, <c>gradient of weight</c>.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Relative">The largest difference over the scale: the largest element, or a hundredth of the largest of all outputs and gradients of the case
/// if that is more.</param>
/// <param name="Ulps">The largest difference in units in the last place of the element.</param>
/// <param name="Tolerance">What <paramref name="Relative"/> may be.</param>
/// <param name="Index">Where the difference is largest.</param>
/// <param name="Actual">What is there.</param>
/// <param name="Expected">What the host has in float64.</param>
/// <param name="Unwritten">Elements that no kernel wrote, or that a kernel copied from where none did.</param>
public sealed record ParityOutput(string Name, long[] Shape, double Relative, double Ulps, double Tolerance, IReadOnlyList<long>? Index, double Actual,
    double Expected, long Unwritten)
{
    /// <summary>
    /// All bits of what is there, so that two machines can be compared: FNV-1a in 64 bits, as 16 digits, of the elements in order, each its 4 or 8 bytes from
    /// the lowest, any NaN as 7fc00000 or 7ff8000000000000.
    /// </summary>
    public string Bits { get; init; } = "";

    /// <summary>One line, if anything is wrong.</summary>
    [JsonIgnore]
    public string? Problem =>
        Unwritten > 0 ? $"{Unwritten} of {Shape.Aggregate(1L, (a, b) => a * b)} elements of {Name} were never written, or come from memory that was not"
        : !(Relative <= Tolerance)
            ? $"{Name} at ({string.Join(", ", Index ?? [])}) is {Actual:g10}; expected {Expected:g10}, off by {Relative:0.0e+0}; allowed is "
            + $"{Tolerance:0.0e+0}" : null;
}
