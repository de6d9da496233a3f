namespace Mamba;

/// <summary>A vector for each token: ids (…) int32 → (…, width). Parameter <c>weight</c> (count, width).</summary>
public sealed class Embedding : Module
{
    /// <param name="count">Number of ids, v.</param>
    /// <param name="width">Width of a vector.</param>
    /// <param name="initial">How the weight starts; N(0, 0.02²), as the official code, when null.</param>
    public Embedding(int count, int width, Initializer? initial = null) =>
        Weight = Add("weight", (count, width), initial: initial ?? Initial.Normal(0.02));

    /// <summary>(count, width): a row for each id.</summary>
    public Parameter Weight { get; }

    /// <summary>ids (…) int32, each from 0 to count − 1 → (…, width).</summary>
    /// <param name="ids">int32.</param>
    /// <exception cref="MambaException">The ids are no integers.</exception>
    public Tensor Forward(Tensor ids) => Ops.Embedding(ids, Weight);
}
