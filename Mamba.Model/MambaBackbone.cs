namespace Mamba;

/// <summary>
/// The stack of a Mamba model by itself, over any sequence of vectors: hidden (b, l, d_model) → (b, l, d_model). Each layer adds what its mixer makes of
/// the normed stream to the stream; a last norm ends it. <see cref="MambaLM"/> puts tokens before it and logits after it; put what you have:
/// <code>
/// var backbone = new MambaBackbone(config);
/// using ParameterSet parameters = backbone.Initialize(device, seed: 1);
/// Tensor features = backbone.Forward(x);                  // x (b, l, d_model): samples, prices, patches, …
/// </code>
/// </summary>
public sealed class MambaBackbone : Module
{
    readonly MambaConfig config;
    readonly Norm finalNorm;

    /// <param name="config">Sizes and the kind of mixer; what it says of a vocabulary is not looked at.</param>
    /// <exception cref="MambaException">No model can be built from it.</exception>
    public MambaBackbone(MambaConfig config)
    {
        config.Validate();
        this.config = config;
        Layers = [.. Enumerable.Range(0, config.NLayer).Select(i => Add($"layers.{i}", new BackboneLayer(config, i)))];
        finalNorm = Add("norm_f", BackboneLayer.MakeNorm(config));
    }

    /// <summary>The layers, first to last.</summary>
    public IReadOnlyList<BackboneLayer> Layers { get; }

    /// <summary>Element type of its parameters.</summary>
    internal DType DType => Any.DType;

    /// <summary>Where its parameters are.</summary>
    internal Device Device => Any.Device;

    Tensor Any => finalNorm.Parameters.First().Value;

    /// <summary>hidden (b, l, d_model) → (b, l, d_model).</summary>
    /// <param name="hidden">(b, l, d_model)</param>
    /// <param name="state">Starts from it and leaves the state after the last token in it; null starts from nothing.</param>
    /// <param name="lastOnly">Only the last position's: (b, d_model).</param>
    /// <param name="observe">Called with the residual stream (b, l, d_model) after each layer.</param>
    /// <param name="reset">
    /// (b, l) int32: not 0 where a position starts a new sequence, which sees nothing before it, the state included. <see cref="Packing.Resets"/> makes one.
    /// </param>
    /// <param name="dropout">For training: what is dropped on the way; null: nothing.</param>
    /// <param name="hooks">What is changed inside the blocks, one after another; null: nothing.</param>
    /// <exception cref="MambaException">A shape does not fit, or a hook chooses what is not there.</exception>
    public Tensor Forward(Tensor hidden, MambaState? state = null, bool lastOnly = false, Action<int, Tensor>? observe = null, Tensor? reset = null,
        Dropout? dropout = null, IReadOnlyList<Hook>? hooks = null)
    {
        if (hidden.Shape.Rank != 3 || hidden.Shape[2] != config.DModel)
            throw new MambaException($"MambaBackbone: hidden has shape {hidden.Shape}; expected (b, l, d_model={config.DModel}).");
        Expect("MambaBackbone", hidden, state, lastOnly, reset);
        return Run(hidden, state, lastOnly, Added(observe), reset, dropout, hooks);
    }

    internal static Action<int, Func<Tensor>>? Added(Action<int, Tensor>? observe) => observe is null ? null : (i, residual) => observe(i, residual());

    /// <summary><see cref="Forward"/> over what was looked at.</summary>
    internal Tensor Run(Tensor hidden, MambaState? state, bool lastOnly, Action<int, Func<Tensor>>? observe, Tensor? reset, Dropout? dropout,
        IReadOnlyList<Hook>? hooks, Func<int, ScanRecord?>? record = null)
    {
        long length = hidden.Shape[1], before = state?.Position ?? 0;
        foreach (Hook hook in hooks ?? [])
            hook.Expect(Layers.Count, state is null ? length : null);
        Tensor? residual = null;
        hidden = Drop(hidden, 0);
        for (int i = 0; i < Layers.Count; i++)
        {
            (hidden, residual) = Layers[i].Forward(hidden, residual, (mixer, x) => Drop(Mix(mixer, x, i), 2 * i + 1),
                branch => Drop(branch, 2 * i + 2));
            observe?.Invoke(i, () => residual + hidden);
        }
        if (state is not null)
            state.Position += length;
        if (lastOnly)
        {
            hidden = Last(hidden);
            residual = Last(residual!);
        }
        return finalNorm.Forward(hidden, residual).Y;

        Tensor Drop(Tensor x, int place) => dropout?.At(place, x) ?? x;

        Tensor Mix(Mixer mixer, Tensor x, int i) => HookedLayer.Of(hooks, i, before, record?.Invoke(i)) is { } hooked
            ? Hooked.Forward(hooked, mixer, x, state?.Layers[i], reset)
            : mixer.Forward(x, state?.Layers[i], reset);

        Tensor Last(Tensor x) => Ops.Reshape(Ops.Slice(x, axis: 1, start: length - 1, count: 1), (x.Shape[0], x.Shape[2]));
    }

    /// <summary>The last norm over a residual stream (…, d_model), as if the model ended there.</summary>
    internal Tensor Norm(Tensor residual) => finalNorm.Forward(residual);

    /// <summary>
    /// One position of each sequence, hidden (b, d_model) → (b, d_model), without gradients: the last position of <see cref="Forward"/>, to rounding.
    /// </summary>
    /// <param name="hidden">(b, d_model)</param>
    /// <param name="state">Moved on by one.</param>
    /// <exception cref="MambaException">A shape does not fit.</exception>
    public Tensor Step(Tensor hidden, MambaState state)
    {
        Shape.Expect("MambaBackbone", hidden, (state.Batch, config.DModel), $"the state is for {state.Batch} sequences");
        Tensor? residual = null;
        for (int i = 0; i < Layers.Count; i++)
            (hidden, residual) = Layers[i].Forward(hidden, residual, (mixer, x) => mixer.Step(x, state.Layers[i]));
        state.Position++;
        return finalNorm.Forward(hidden, residual).Y;
    }

    /// <summary>The state before the first position, for <paramref name="batch"/> sequences.</summary>
    /// <param name="batch">b.</param>
    /// <returns>Zeros, in the dtype and on the device of the parameters; disposed by the caller.</returns>
    public MambaState NewState(long batch) => new(this, batch);

    /// <summary>
    /// Which model it is: sizes, and a hash of the first values of each parameter in float32, so that it is the same on every device and in every dtype.
    /// </summary>
    internal string Fingerprint()
    {
        const int Sampled = 64;
        ulong hash = 14695981039346656037;          // FNV-1a
        foreach (Parameter parameter in Layers.SelectMany(layer => layer.Parameters).Concat(finalNorm.Parameters))
            foreach (double value in parameter.Value.Read(0, Math.Min(Sampled, parameter.Shape.Count)))
                hash = (hash ^ BitConverter.SingleToUInt32Bits((float)value)) * 1099511628211;
        return $"{config.Mixer.Layer}, d_model {config.DModel}, n_layer {config.NLayer}, weights {hash:x16}";
    }

    /// <summary>Throws one clear line unless state and reset fit what <paramref name="who"/> was given: (b, l) or (b, l, d_model).</summary>
    internal static void Expect(string who, Tensor given, MambaState? state, bool lastOnly, Tensor? reset)
    {
        string what = given.Shape.Rank == 2 ? "tokens" : "hidden";
        Shape positions = given.Shape[..2];
        if (state is not null && state.Batch != positions[0])
            throw new MambaException($"{who}: the state is for {state.Batch} sequences; the {what} {given.Shape} are {positions[0]}.");
        if (reset is not null && (reset.DType != DType.Int32 || reset.Shape != positions || reset.Device != given.Device))
            throw new MambaException($"{who}: reset is {reset.Describe()}; expected int32 {positions} on {given.Device}, as the {what}.");
        if (lastOnly && positions[1] == 0)
            throw new MambaException($"{who}: there is no last position in 0 tokens.");
    }
}
