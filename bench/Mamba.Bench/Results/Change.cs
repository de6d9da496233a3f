namespace Mamba.Bench;

/// <summary>How a row moved from one run to another.</summary>
/// <param name="Ratio">The second's median over the first's.</param>
/// <param name="Moved">Whether the quartiles of the two lie apart.</param>
/// <param name="Better">Whether the second is the better one.</param>
internal readonly record struct Change(string Row, Sample Before, Sample After, double Ratio, bool Moved, bool Better)
{
    public string Verdict => !Moved ? "" : Better ? "better" : "WORSE";
}
