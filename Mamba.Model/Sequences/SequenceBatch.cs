namespace Mamba;

/// <summary>Examples for one step, by their numbers; the data make tensors of them.</summary>
/// <param name="Examples">Which.</param>
/// <param name="Count">Positions of all of them together.</param>
internal sealed record SequenceBatch(int[] Examples, long Count) : Batch([], [], Examples.Length, 0)
{
    /// <summary>Longer examples are cut to their first so many steps.</summary>
    public int Longest { get; init; } = int.MaxValue;

    public override long Positions => Count;
}
