namespace Mamba;

/// <summary>
/// What mixes the tokens of a sequence: hidden (b, l, d_model) → (b, l, d_model), causal, with a state that says all it needs of the tokens so far.
/// A Mamba block is one. A model is a stack of them, built from <c>ssm_cfg.layer</c>; derive yours from <see cref="Mixer{S}"/>, and a
/// <see cref="MixerConfig"/> beside it.
/// </summary>
public abstract class Mixer : Module
{
    private protected Mixer()
    {
    }

    /// <summary>hidden (b, l, d_model) → (b, l, d_model).</summary>
    /// <param name="hidden">(b, l, d_model), l from 0.</param>
    /// <param name="state">Starts from it and leaves the state after the last token in it; null starts from nothing.</param>
    /// <param name="reset">(b, l) int32: not 0 where a token starts a new sequence, which sees nothing before it, the state included.</param>
    public abstract Tensor Forward(Tensor hidden, MixerState? state = null, Tensor? reset = null);

    /// <summary>
    /// One token of each sequence, hidden (b, d_model) → (b, d_model): <see cref="Forward"/> over one token, to rounding, without gradients. A mixer
    /// with a faster way has it here.
    /// </summary>
    /// <param name="hidden">(b, d_model)</param>
    /// <param name="state">Moved on by one token.</param>
    public abstract Tensor Step(Tensor hidden, MixerState state);

    /// <summary>The state before the first token, for <paramref name="batch"/> sequences.</summary>
    /// <param name="batch">b.</param>
    /// <param name="dtype">That of the parameters.</param>
    /// <param name="device">That of the parameters.</param>
    public MixerState NewState(long batch, DType dtype, Device device)
    {
        MixerState state = CreateState(batch, dtype, device);
        state.Maker = () => NewState(batch, dtype, device);
        return state;
    }

    private protected abstract MixerState CreateState(long batch, DType dtype, Device device);
}

/// <summary>A <see cref="Mixer"/> whose state is an <typeparamref name="S"/>.</summary>
/// <typeparam name="S">What it keeps between tokens; nothing outside the mixer knows what that is.</typeparam>
#pragma warning disable RS0022 // a mixer is derived from this one, which sees to it that it gets a state of its own kind; not from the one above
public abstract class Mixer<S> : Mixer where S : MixerState
#pragma warning restore RS0022
{
    /// <inheritdoc cref="Mixer.Forward"/>
    public abstract Tensor Forward(Tensor hidden, S? state = null, Tensor? reset = null);

    /// <inheritdoc cref="Mixer.Step"/>
    public virtual Tensor Step(Tensor hidden, S state) =>
        Ops.Reshape(Forward(Ops.Reshape(hidden, (hidden.Shape[0], 1, hidden.Shape[1])), state), hidden.Shape);

    /// <summary>The state before the first token; every tensor of it zero.</summary>
    /// <param name="batch">b.</param>
    /// <param name="dtype">Element type.</param>
    /// <param name="device">Where.</param>
    protected abstract S MakeState(long batch, DType dtype, Device device);

    /// <inheritdoc cref="Mixer.NewState"/>
    public new S NewState(long batch, DType dtype, Device device) => (S)base.NewState(batch, dtype, device);

    /// <inheritdoc/>
    public sealed override Tensor Forward(Tensor hidden, MixerState? state = null, Tensor? reset = null) =>
        Forward(hidden, state is null ? null : Own(state, hidden), reset);

    /// <inheritdoc/>
    public sealed override Tensor Step(Tensor hidden, MixerState state) => Step(hidden, Own(state, hidden));

    private protected sealed override MixerState CreateState(long batch, DType dtype, Device device) => MakeState(batch, dtype, device);

    S Own(MixerState state, Tensor hidden)
    {
        if (state is not S own)
            throw new MambaException($"{GetType().Name}: the state is a {state.GetType().Name}; expected a {typeof(S).Name}, which NewState makes.");
        if (hidden.Shape.Rank == 0 || own.Batch != hidden.Shape[0])
            throw new MambaException($"{GetType().Name}: the state is for {own.Batch} sequences; hidden has shape {hidden.Shape}.");
        return own;
    }
}
