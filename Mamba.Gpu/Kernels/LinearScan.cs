namespace Mamba;

/// <summary>
/// How a first-order linear recurrence over l steps is computed. All give the same h to rounding; they differ in work and in
/// depth, the number of operations that must follow one another.
/// </summary>
/// <remarks>
/// The two parallel ones multiply coefficients with one another. Where such a product leaves the range of the dtype and meets a state other than
/// 0, they give infinity or NaN although h itself may be finite; where it sinks below, what it is multiplied by counts for nothing, but an
/// infinity becomes NaN. A state of exactly 0 stays one, whatever the product. Coefficients of at most 1 in size are always safe.
/// </remarks>
public enum LinearScan
{
    /// <summary>One step after the other. Work l, depth l: the least work, and all a device needs when there are channels enough.</summary>
    Sequential,

    /// <summary>Every element looks 1, 2, 4, … steps back. Work l log2 l, depth log2 l: the shallowest. Kogge and Stone 1973.</summary>
    KoggeStone,

    /// <summary>Up a tree with sums, down with prefixes. Work 2 l, depth 2 log2 l: the scan of the paper's §3.3.2. Blelloch 1990.</summary>
    Blelloch,
}
