namespace Mamba;

/// <summary>
/// One layer of a <see cref="MambaBackbone"/>, over the residual stream (b, l, d_model): a norm and a mixer, and an MLP with a norm of its own if the
/// model has one. Made by the backbone; its parameters are <c>norm</c>, <c>mixer</c>, <c>norm2</c> and <c>mlp</c>, as in the official checkpoints.
/// </summary>
public sealed class BackboneLayer : Module
{
    internal BackboneLayer(MambaConfig config, int layer)
    {
        Mixer = Add("mixer", config.Mixer.Build(config, layer));
        Norm = Add("norm", MakeNorm(config));
        if (config.DIntermediate == 0)
            return;
        MlpNorm = Add("norm2", MakeNorm(config));
        int hidden = (config.DIntermediate + GatedMlp.Multiple - 1) / GatedMlp.Multiple * GatedMlp.Multiple;
        Mlp = Add("mlp", new GatedMlp(config.DModel, hidden, config.NLayer));
    }

    /// <summary>The norm before the mixer.</summary>
    public Norm Norm { get; }

    /// <summary>What mixes the tokens.</summary>
    public Mixer Mixer { get; }

    /// <summary>The norm before the MLP, or null.</summary>
    public Norm? MlpNorm { get; }

    /// <summary>The MLP after the mixer, or null.</summary>
    public GatedMlp? Mlp { get; }

    internal static Norm MakeNorm(MambaConfig config) =>
        config.RmsNorm ? new RmsNorm(config.DModel, config.NormEpsilon) : new LayerNorm(config.DModel, config.NormEpsilon);

    /// <summary>From what the layer before made, not yet added, and the residual stream before that, to the same of this layer.</summary>
    /// <param name="hidden">(…, d_model)</param>
    /// <param name="residual">(…, d_model), or null before the first layer.</param>
    /// <param name="mix">What the mixer makes of the normed stream.</param>
    /// <param name="dropMlp">What becomes of the MLP's output; null: nothing else.</param>
    internal (Tensor Hidden, Tensor Residual) Forward(Tensor hidden, Tensor? residual, Func<Mixer, Tensor, Tensor> mix, Func<Tensor, Tensor>? dropMlp = null)
    {
        (Tensor normed, Tensor sum) = Norm.Forward(hidden, residual);
        Tensor mixed = mix(Mixer, normed);
        if (Mlp is null)
            return (mixed, sum);
        (normed, sum) = MlpNorm!.Forward(mixed, sum);
        Tensor branch = Mlp.Forward(normed);
        return (dropMlp is null ? branch : dropMlp(branch), sum);
    }
}
