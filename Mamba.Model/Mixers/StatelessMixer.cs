namespace Mamba;

/// <summary>
/// A <see cref="Mixer"/> over whole sequences, which has no state: one that reads both ways, or one that looks back at every token. A model of such layers
/// has <c>Forward</c>, and with it training, classification and losses; <c>Forward</c> from a state, <c>Step</c>, <c>NewState</c> and with them
/// generation are refused in one clear line.
/// </summary>
#pragma warning disable RS0022 // as Mixer<S>: a mixer is derived from this one, or from that
public abstract class StatelessMixer : Mixer
#pragma warning restore RS0022
{
    /// <summary>Why there is no state, the beginning of a sentence: <c>a bidirectional layer reads to the end of a sequence</c>.</summary>
    protected abstract string WhyStateless { get; }

    /// <summary>hidden (b, l, d_model) → (b, l, d_model), without a state.</summary>
    /// <param name="hidden">(b, l, d_model), l from 0.</param>
    /// <param name="reset">(b, l) int32: not 0 where a token starts a new sequence, which sees nothing of the others of its row.</param>
    protected abstract Tensor Mix(Tensor hidden, Tensor? reset);

    /// <inheritdoc/>
    /// <exception cref="MambaException">A state is given, or a shape does not fit.</exception>
    public sealed override Tensor Forward(Tensor hidden, MixerState? state = null, Tensor? reset = null) =>
        state is null ? Mix(hidden, reset) : throw Refusal();

    /// <summary>There is none.</summary>
    /// <param name="hidden">(b, d_model)</param>
    /// <param name="state">A state.</param>
    /// <exception cref="MambaException">Always.</exception>
    public sealed override Tensor Step(Tensor hidden, MixerState state) => throw Refusal();

    private protected sealed override MixerState CreateState(long batch, DType dtype, Device device) => throw Refusal();

    MambaException Refusal() => new($"{GetType().Name}: {WhyStateless}: there is no state to go on from, and no step; "
        + "expected Forward over whole sequences, without a state.");
}
