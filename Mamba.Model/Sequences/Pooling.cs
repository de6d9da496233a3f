using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>
/// How the positions of a sequence, (l, d_model), become one vector, (d_model). None of them looks at padding, or at another sequence of the row.
/// </summary>
public enum Pooling
{
    /// <summary>The mean over the positions.</summary>
    [JsonStringEnumMemberName("mean")]
    Mean,

    /// <summary>The last position: what a causal model ends with.</summary>
    [JsonStringEnumMemberName("last")]
    Last,

    /// <summary>
    /// A weighted mean, each channel with weights of its own: Σ σ(W x_t + b) ⊙ x_t / Σ σ(W x_t + b). The model chooses where to look, without attention: no
    /// position is compared with another. A gated form of the sums of Zhai et al. 2021, "An Attention Free Transformer" (arXiv 2105.14103), eq. 3.
    /// </summary>
    [JsonStringEnumMemberName("gated")]
    Gated,
}
