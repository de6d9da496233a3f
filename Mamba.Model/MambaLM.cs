namespace Mamba;

/// <summary>
/// A Mamba language model: embedding, blocks in a residual stack with a norm before each, a final norm, and the head.
/// Parameters carry the names of the official checkpoints.
/// </summary>
public sealed class MambaLM : IDisposable
{
    readonly Parameter embedding;           // (v, d_model), v padded
    readonly Parameter head;                // the same, or its own
    readonly (MambaBlock Block, Parameter NormWeight, Parameter? NormBias)[] layers;
    readonly (Parameter Weight, Parameter? Bias) finalNorm;

    /// <summary>A model with freshly drawn weights.</summary>
    /// <param name="config">Sizes.</param>
    /// <param name="device">Where it lives.</param>
    /// <param name="seed">The same seed gives the same weights on every device.</param>
    /// <param name="dtype">float32 or float64.</param>
    public MambaLM(MambaConfig config, Device device, ulong seed = 0, DType dtype = DType.Float32) : this(config, dtype, device) =>
        Initialize(new PhiloxRandom(seed, stream: InitializationStream));

    /// <summary>A model whose weights are all zero, to be filled; <paramref name="check"/> looks at its parameters before anything is allocated for them.</summary>
    internal MambaLM(MambaConfig config, DType dtype, Device device, Action<IReadOnlyList<Parameter>>? check = null)
    {
        config.Validate();
        Config = config;
        embedding = new Parameter("backbone.embedding.weight", (config.PaddedVocabSize, config.DModel));
        layers = [.. Enumerable.Range(0, config.NLayer).Select(i => (new MambaBlock(config, i), Norm($"backbone.layers.{i}.norm").Weight, Norm($"backbone.layers.{i}.norm").Bias))];
        finalNorm = Norm("backbone.norm_f");
        head = config.TieEmbeddings ? embedding : new Parameter("lm_head.weight", (config.PaddedVocabSize, config.DModel));
        Parameter?[] all = [embedding, .. layers.SelectMany(l => l.Block.Parameters.Append(l.NormWeight).Append(l.NormBias!)), finalNorm.Weight, finalNorm.Bias, config.TieEmbeddings ? null : head];
        Parameter[] parameters = [.. all.OfType<Parameter>()];
        check?.Invoke(parameters);
        Parameters = new ParameterSet(parameters, dtype, device);

        (Parameter Weight, Parameter? Bias) Norm(string name) =>
            (new Parameter(name + ".weight", config.DModel, decay: false), config.RmsNorm ? null : new Parameter(name + ".bias", config.DModel, decay: false));
    }

    const ulong InitializationStream = 0x77656967687473;        // "weights": apart from the streams data are drawn from

    public MambaConfig Config { get; }

    /// <summary>All weights; those of a tied head are the embedding's.</summary>
    public ParameterSet Parameters { get; }

    /// <summary>The blocks, first to last.</summary>
    public IEnumerable<MambaBlock> Blocks => layers.Select(l => l.Block);

    /// <summary>tokens (b, l) int32 → logits (b, l, v), v the padded vocabulary.</summary>
    /// <param name="tokens">(b, l) int32, each below the vocabulary size.</param>
    /// <param name="state">Starts from it and leaves the state after the last token in it; null starts from nothing.</param>
    /// <param name="lastOnly">Computes only the last position's logits: (b, v).</param>
    /// <param name="observe">Called with the residual stream (b, l, d_model) after each layer.</param>
    /// <param name="reset">(b, l) int32: not 0 where a token starts a new sequence, which sees nothing before it, the state included. <see cref="Packing.Resets"/> makes one.</param>
    public Tensor Forward(Tensor tokens, MambaState? state = null, bool lastOnly = false, Action<int, Tensor>? observe = null, Tensor? reset = null)
    {
        if (tokens.DType != DType.Int32 || tokens.Shape.Rank != 2)
            throw new MambaException($"MambaLM: tokens are {tokens.DType.Name()} {tokens.Shape}; expected int32 (b, l).");
        if (state is not null && state.Batch != tokens.Shape[0])
            throw new MambaException($"MambaLM: the state is for {state.Batch} sequences; the tokens {tokens.Shape} are {tokens.Shape[0]}.");
        if (reset is not null && (reset.DType != DType.Int32 || reset.Shape != tokens.Shape || reset.Device != tokens.Device))
            throw new MambaException($"MambaLM: reset is {reset}; expected {tokens}, as the tokens.");
        long length = tokens.Shape[1];
        if (lastOnly && length == 0)
            throw new MambaException("MambaLM: there is no last position in 0 tokens.");
        state?.Begin();
        Tensor hidden = Ops.Embedding(tokens, embedding);                                   // (b, l, d_model)
        Tensor? residual = null;
        for (int i = 0; i < layers.Length; i++)
        {
            (MambaBlock block, Parameter weight, Parameter? bias) = layers[i];
            (Tensor normed, residual) = AddNorm(hidden, residual, weight, bias);
            hidden = block.Forward(normed, state?.Layers[i], reset);
            observe?.Invoke(i, residual + hidden);
        }
        state?.End(length);
        if (lastOnly)
        {
            hidden = Last(hidden);
            residual = Last(residual!);
        }
        (Tensor y, _) = AddNorm(hidden, residual, finalNorm.Weight, finalNorm.Bias);
        return Ops.Linear(y, head);

        Tensor Last(Tensor x) => Ops.Reshape(Ops.Slice(x, axis: 1, start: length - 1, count: 1), (x.Shape[0], x.Shape[2]));
    }

    /// <summary>One token for each sequence, (b) int32 → logits (b, v). Equal to the last position of <see cref="Forward"/> over all tokens so far, to rounding.</summary>
    public Tensor Step(Tensor tokens, MambaState state)
    {
        if (Tape.Recording is not null || tokens.DType != DType.Int32 || tokens.Count != state.Batch)   // with gradients; or it says what does not fit
            return Forward(tokens.View((tokens.Count, 1)), state, lastOnly: true);
        Tensor hidden = Ops.Embedding(tokens.View(tokens.Count), embedding);                            // (b, d_model)
        Tensor? residual = null;
        for (int i = 0; i < layers.Length; i++)
        {
            (MambaBlock block, Parameter weight, Parameter? bias) = layers[i];
            (Tensor normed, residual) = AddNorm(hidden, residual, weight, bias);
            hidden = block.Step(normed, state.Layers[i]);
        }
        state.Position++;
        return Ops.Linear(AddNorm(hidden, residual, finalNorm.Weight, finalNorm.Bias).Y, head);
    }

    /// <summary>The state before the first token, for <paramref name="batch"/> sequences.</summary>
    public MambaState NewState(long batch) => new(Config, batch, Parameters.DType, Parameters.Device);

    (Tensor Y, Tensor Residual) AddNorm(Tensor hidden, Tensor? residual, Parameter weight, Parameter? bias)
    {
        if (Config.RmsNorm)
            return Ops.AddRmsNorm(hidden, residual, weight, Config.NormEpsilon);
        Tensor sum = residual is null ? hidden : residual + hidden;
        return (Ops.LayerNorm(sum, weight, bias is null ? null : bias.Value, Config.NormEpsilon), sum);
    }

    void Initialize(PhiloxRandom random)
    {
        Fill(embedding, () => 0.02 * random.NextNormal());
        foreach ((MambaBlock block, Parameter weight, _) in layers)
        {
            block.Initialize(random);
            Fill(weight, () => 1);
        }
        Fill(finalNorm.Weight, () => 1);
        if (!Config.TieEmbeddings)
        {
            double bound = 1 / Math.Sqrt(Config.DModel);
            Fill(head, () => bound * (2 * random.NextDouble() - 1));
        }

        static void Fill(Parameter p, Func<double> value)
        {
            double[] values = new double[p.Shape.Count];
            for (int i = 0; i < values.Length; i++)
                values[i] = value();
            p.Value.WriteRounded(values);
        }
    }

    public void Dispose() => Parameters.Dispose();
}
