using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>The settings of a <see cref="BidirectionalMixer"/>: another mixer, run both ways.</summary>
public sealed record BidirectionalConfig : MixerConfig
{
    internal const string Name = "Bidirectional";

    /// <inheritdoc/>
    public override string Layer => Name;

    /// <summary>The mixer that is run forward and over the mirrored sequence: the settings of any kind; Mamba-1's unless set.</summary>
    [JsonConverter(typeof(MixerJson))]
    public MixerConfig Inner { get; init; } = new SsmConfig();

    /// <summary>Whether both directions share all parameters; otherwise each has its own.</summary>
    public bool Tied { get; init; }

    /// <inheritdoc/>
    public override Mixer Build(MambaConfig config, int layer) => new BidirectionalMixer(config, layer);

    /// <inheritdoc/>
    protected internal override void Validate(MambaConfig config, Func<string, string> word) => Inner.Validate(config with { Mixer = Inner }, word);
}
