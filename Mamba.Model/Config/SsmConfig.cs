using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>The settings of one Mamba-1 block: the official <c>ssm_cfg</c>. A variant of the block may derive a record from it.</summary>
public record SsmConfig : MixerConfig
{
    internal const string Name = "Mamba1";

    /// <summary>Kind of block; Mamba1.</summary>
    public override string Layer => Name;

    /// <summary>States per channel, n: 1 to 256.</summary>
    public int DState { get; init; } = 16;

    /// <summary>Width of the causal convolution, k: 1 to 8.</summary>
    public int DConv { get; init; } = 4;

    /// <summary>d_inner / d_model, E: 1 or more.</summary>
    public int Expand { get; init; } = 2;

    /// <summary>Rank of delta's projection; null is "auto", ⌈d_model / 16⌉.</summary>
    [JsonConverter(typeof(AutoRank))]
    public int? DtRank { get; init; }

    /// <summary>Smallest initial step size, above 0: Δ is drawn between the two, uniform in its logarithm.</summary>
    public double DtMin { get; init; } = 0.001;

    /// <summary>Largest initial step size, at least <see cref="DtMin"/>.</summary>
    public double DtMax { get; init; } = 0.1;

    /// <summary>How dt_proj.weight starts: "random" is U(±s), "constant" is s, s = r^−½ · dt_scale.</summary>
    public string DtInit { get; init; } = "random";

    /// <summary>Scale of dt_proj.weight's initial values.</summary>
    public double DtScale { get; init; } = 1;

    /// <summary>Initial step sizes are at least this, whatever was drawn: 0 or more.</summary>
    public double DtInitFloor { get; init; } = 1e-4;

    /// <summary>Whether the convolution has a bias.</summary>
    public bool ConvBias { get; init; } = true;

    /// <summary>Whether in_proj and out_proj have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>
    /// ε of Falcon-Mamba's norms of dt, B and C, each v / √(mean(v²) + ε), without weights; null: no such norms, as in Mamba-1. The official code has no such
    /// field; the name is Hugging Face's.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? MixerRmsEps { get; init; }

    /// <inheritdoc/>
    public override Mixer Build(MambaConfig config, int layer) => new MambaBlock(config, layer);

    /// <inheritdoc/>
    protected internal override void Validate(MambaConfig config, Func<string, string> word)
    {
        ConfigField.Positive(Expand, word("expand"));
        ConfigField.Positive(config.DtRank, word("dt_rank"));
        ConfigField.Between(DState, 1, 256, word("d_state"));
        ConfigField.Between(DConv, 1, 8, word("d_conv"));
        if (2L * Expand * config.DModel > int.MaxValue || config.DtRank > int.MaxValue / 2)
            throw new MambaException($"MambaConfig: expand {Expand}, {word("d_model")} {config.DModel}, {word("dt_rank")} {config.DtRank}: "
                + "a weight of such a model has more rows than can be counted.");
        if (DtInit is not ("random" or "constant"))
            throw new MambaException($"MambaConfig: {word("dt_init")} is {Safetensors.Quote(DtInit)}; expected 'random' or 'constant'.");
        if (!(DtMin > 0 && DtMax >= DtMin && double.IsFinite(DtMax)))
            throw new MambaException($"MambaConfig: {word("dt_min")} is {DtMin} and {word("dt_max")} {DtMax}; "
                + $"expected 0 < {word("dt_min")} <= {word("dt_max")}.");
        ConfigField.NotNegative(DtScale, word("dt_scale"));
        ConfigField.NotNegative(DtInitFloor, word("dt_init_floor"));
        ConfigField.NotNegative(MixerRmsEps ?? 0, word("mixer_rms_eps"));
    }
}
