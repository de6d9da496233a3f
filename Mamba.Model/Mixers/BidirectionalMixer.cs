namespace Mamba;

/// <summary>
/// A mixer run both ways: hidden (b, l, d_model) → (b, l, d_model),
/// <code>
/// y = forward(x) + reverse(backward(reverse(x)))
/// </code>
/// where reverse mirrors every sequence in its own place. For what has no direction: DNA, images, sequences that are classified as a whole. The sum is
/// that of Caduceus' BiMamba (Schiff et al. 2024, arXiv 2403.03234, §3.1), which shares in_proj and out_proj alone between the directions where it ties;
/// here <see cref="BidirectionalConfig.Tied"/> shares all parameters, and a mirrored sequence then gives the mirrored result. Vision Mamba (Zhu et al. 2024,
/// arXiv 2401.09417, §3.3) has two directions within one block, with one in_proj and one gate, and sums before out_proj.
/// </summary>
public sealed class BidirectionalMixer : StatelessMixer
{
    readonly Mixer forward, backward;

    /// <param name="config">The model it is for, whose <see cref="MambaConfig.Mixer"/> is a <see cref="BidirectionalConfig"/>.</param>
    /// <param name="layer">Which of its layers, from 0.</param>
    /// <exception cref="MambaException">The config has another kind of mixer.</exception>
    public BidirectionalMixer(MambaConfig config, int layer = 0)
    {
        BidirectionalConfig settings = MixerConfig.Of<BidirectionalConfig>(config);
        MambaConfig inner = config with { Mixer = settings.Inner };
        forward = Add("forward", settings.Inner.Build(inner, layer));
        backward = settings.Tied ? forward : Add("backward", settings.Inner.Build(inner, layer));
    }

    /// <summary>The mixer that reads from the first token to the last: <c>forward.…</c>.</summary>
    public Mixer ForwardMixer => forward;

    /// <summary>The one that reads from the last token to the first: <c>backward.…</c>, or <see cref="ForwardMixer"/> where they are tied.</summary>
    public Mixer BackwardMixer => backward;

    /// <inheritdoc/>
    protected override string WhyStateless => "a bidirectional layer reads to the end of a sequence";

    /// <inheritdoc/>
    protected override Tensor Mix(Tensor hidden, Tensor? reset)
    {
        Hooked.Refuse("bidirectional: one of its two scans is over the mirrored sequence; hooks and traces follow one scan, forward in time.");
        Tensor mirrored = backward.Forward(Ops.Reverse(hidden, reset), reset: reset);       // where sequences start, their mirrors do
        return forward.Forward(hidden, reset: reset) + Ops.Reverse(mirrored, reset);
    }
}
