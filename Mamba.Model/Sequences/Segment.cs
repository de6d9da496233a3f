namespace Mamba;

/// <summary>Where one sequence of a batch stands.</summary>
/// <param name="Row">Its row, from 0.</param>
/// <param name="Start">Its first position in the row.</param>
/// <param name="Length">Its positions: 1 or more.</param>
public readonly record struct Segment(int Row, int Start, int Length);
