using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>
/// The settings of a <see cref="SelectionBlock"/>: those of a Mamba-1 block, and what of it is selective, for the ablations of the paper (arXiv 2312.00752,
/// Tables 6 to 10). As they are, the block is Mamba-1's.
/// </summary>
public sealed record SelectionConfig : SsmConfig
{
    internal new const string Name = "Selection";

    /// <summary>How A may start: the field <c>a_init</c>.</summary>
    internal const string S4DReal = "s4d-real", S4DLin = "s4d-lin", MinusHalf = "minus-half", RandomA = "random";

    /// <inheritdoc/>
    public override string Layer => Name;

    /// <summary>Whether Δ depends on the token; off, it is softplus(dt_bias), a step size of each channel (Table 7).</summary>
    public bool SelectiveDelta { get; init; } = true;

    /// <summary>Whether B depends on the token; off, it is a parameter (d, n) (Table 7).</summary>
    public bool SelectiveB { get; init; } = true;

    /// <summary>Whether C depends on the token; off, it is a parameter (d, n) (Table 7).</summary>
    public bool SelectiveC { get; init; } = true;

    /// <summary>
    /// Whether A, B, C and the states are complex (Tables 6 and 8). <see cref="SsmConfig.DState"/> then counts conjugate pairs, of which y has the sum,
    /// 2 Re(C·h): a state is twice as large, and n/2 of them are what n real ones are to be held against.
    /// </summary>
    public bool Complex { get; init; }

    /// <summary>
    /// How A starts (Table 8), n from 0: "s4d-real", −(n + 1); "minus-half", −½; "random", −exp(N(0, 1)); and for complex A "s4d-lin", −½ + iπn, which the
    /// table prints without the π of S4D (arXiv 2206.11893). Null: "s4d-lin" where A is complex, "s4d-real" where not.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? AInit { get; init; }

    /// <summary>Whether y · silu(z) follows the scan; off, there is no z, and in_proj has half its rows.</summary>
    public bool Gate { get; init; } = true;

    /// <summary><see cref="AInit"/>, or what it is when null.</summary>
    internal string InitOfA => AInit ?? (Complex ? S4DLin : S4DReal);

    /// <inheritdoc/>
    public override Mixer Build(MambaConfig config, int layer) => new SelectionBlock(config);

    /// <inheritdoc/>
    protected internal override void Validate(MambaConfig config, Func<string, string> word)
    {
        base.Validate(config, word);
        string[] inits = Complex ? [S4DLin] : [S4DReal, MinusHalf, RandomA];
        if (!inits.Contains(InitOfA))
            throw new MambaException($"MambaConfig: ssm_cfg.a_init is {Safetensors.Quote(InitOfA)} and complex {(Complex ? "true" : "false")}; "
                + $"expected {string.Join(", ", inits)}.");
        if (Complex && config.ScanAlgorithm != ScanAlgorithm.Chunked)
            throw new MambaException($"MambaConfig: scan_algorithm is {config.ScanAlgorithm.Name} and ssm_cfg.complex true; complex A is computed by "
                + $"{ScanAlgorithm.Chunked.Name} alone.");
        if (MixerRmsEps is not null)
            throw new MambaException($"MambaConfig: ssm_cfg.mixer_rms_eps is {MixerRmsEps}; a block of the kind {Layer} has no such norms, expected null.");
    }
}
