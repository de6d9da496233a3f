using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>
/// The settings of one kind of <see cref="Mixer"/>: <c>ssm_cfg</c> in config.json, where <c>layer</c> names the kind. It knows how to build one.
/// A kind of your own derives a record from it, with its settings as properties (<c>HeadDim</c> is <c>headdim</c>'s <c>head_dim</c> in the file
/// unless a <see cref="JsonPropertyNameAttribute"/> says otherwise), and <see cref="Mixers.Register{C}"/> makes files with it readable.
/// </summary>
public abstract record MixerConfig
{
    /// <summary>The name of the kind: Mamba1.</summary>
    [JsonPropertyOrder(-1)]
    public abstract string Layer { get; }

    /// <summary>A mixer over (b, l, d_model).</summary>
    /// <param name="config">The model it is for; <see cref="MambaConfig.Mixer"/> is this.</param>
    /// <param name="layer">Which of its layers, from 0.</param>
    public abstract Mixer Build(MambaConfig config, int layer);

    /// <summary>The settings of a model's mixer, if they are of the kind that is asked for.</summary>
    internal static C Of<C>(MambaConfig config) where C : MixerConfig => config.Mixer as C
        ?? throw new MambaException($"MambaConfig: the blocks are {config.Mixer.Layer}; expected a {typeof(C).Name}.");

    /// <summary>Throws one clear line if no mixer can be built from this.</summary>
    /// <param name="config">The model it is for.</param>
    /// <param name="word">What the file that is read calls a field: <c>d_state</c> is <c>state_size</c> in Hugging Face's.</param>
    /// <exception cref="MambaException">A setting is out of range.</exception>
    protected internal virtual void Validate(MambaConfig config, Func<string, string> word)
    {
    }
}
