namespace Mamba;

/// <summary>
/// Dropout in a model that is trained: the embedding, and what each mixer and MLP adds to the residual stream, lose each element with probability p
/// (<see cref="Ops.Dropout"/>). The stream itself and the states keep all. Srivastava et al. 2014; the places are those of GPT-2.
/// </summary>
/// <param name="P">The part that is dropped, from 0 to below 1.</param>
/// <param name="Seed">The same seed and stream, the same elements.</param>
/// <param name="Stream">The step.</param>
public readonly record struct Dropout(double P, ulong Seed = 0, ulong Stream = 0)
{
    /// <summary>What is left of x, (b, l, d_model), at one of the model's places: 0, the embedding; then two for each layer.</summary>
    internal Tensor At(int place, Tensor x) => Ops.Dropout(x, P, Seed + (ulong)(place + 1) * PlaceKey, Stream);

    const ulong PlaceKey = 0x9e3779b97f4a7c15;          // 2^64 over the golden ratio: places and seeds do not meet
}
