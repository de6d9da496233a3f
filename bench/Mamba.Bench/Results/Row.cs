using System.Text.Json.Serialization;

namespace Mamba.Bench;

/// <summary>One line of a table. Its name identifies it when two runs are compared.</summary>
/// <param name="Name">What was measured.</param>
/// <param name="Cells">The table's own columns.</param>
/// <param name="Sample">The measurement; null where the row only states facts.</param>
/// <param name="Fraction">Of the limiting ceiling.</param>
/// <param name="Limit">Which ceiling that is.</param>
/// <param name="Work">What the fraction is of, for the roofline.</param>
internal sealed record Row(string Name, IReadOnlyList<string> Cells, Sample? Sample = null, double? Fraction = null, string? Limit = null, Work? Work = null)
{
    /// <summary>The fraction in percent, with the spread of the measurement; null where there is no limit.</summary>
    [JsonIgnore]
    public Sample? FractionSample => (Fraction, Sample) is not ({ } f, { } s) || s.Median == 0 ? null
        : s.MoreIsBetter ? s.Times(100 * f / s.Median, Sample.Percent) : s.ToRate(100 * f * s.Median, Sample.Percent);
}
