using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>The settings of an <see cref="AttentionMixer"/>, the baseline of the paper's Table 11.</summary>
public sealed record AttentionConfig : MixerConfig
{
    internal const string Name = "Attention";

    /// <inheritdoc/>
    public override string Layer => Name;

    /// <summary>Heads, h: they divide d_model.</summary>
    public int Heads { get; init; } = 8;

    /// <summary>Whether queries and keys are turned by their positions: RoFormer (Su et al. 2021, arXiv 2104.09864). A head's width is then even.</summary>
    public bool Rotary { get; init; } = true;

    /// <summary>
    /// Learned absolute positions, this many: a vector of each position of a sequence is added to what the layer reads, and no sequence may be longer.
    /// Null: none.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? MaxLength { get; init; }

    /// <inheritdoc/>
    public override Mixer Build(MambaConfig config, int layer) => new AttentionMixer(config);

    /// <inheritdoc/>
    protected internal override void Validate(MambaConfig config, Func<string, string> word)
    {
        ConfigField.Positive(Heads, "heads");
        ConfigField.Positive(MaxLength ?? 1, "max_length");
        long multiple = Rotary ? 2L * Heads : Heads;
        if (config.DModel % multiple != 0 || config.DModel > int.MaxValue / 3)
            throw new MambaException($"MambaConfig: {word("d_model")} is {config.DModel} and heads {Heads}; "
                + $"expected {word("d_model")} to be a multiple of heads" + (Rotary ? " and the width of a head even, as rotary positions need it." : "."));
    }
}
