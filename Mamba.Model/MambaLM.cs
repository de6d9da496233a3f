using System.Runtime.CompilerServices;

namespace Mamba;

/// <summary>
/// A Mamba language model: embedding, <see cref="MambaBackbone"/>, head; tokens (b, l) → logits (b, l, v). Parameters carry the names of the official
/// checkpoints. Gu and Dao 2023 (arXiv 2312.00752); <see href="https://github.com/state-spaces/mamba"/>, <c>MambaLMHeadModel</c>.
/// </summary>
public sealed class MambaLM : MambaModel
{
    /// <summary>A model with freshly drawn weights.</summary>
    /// <param name="config">Sizes.</param>
    /// <param name="device">Where it lives.</param>
    /// <param name="seed">The same seed gives the same weights on every device.</param>
    /// <param name="dtype">float32 or float64.</param>
    /// <exception cref="MambaException">No model can be built from the config.</exception>
    public MambaLM(MambaConfig config, Device device, ulong seed = 0, DType dtype = DType.Float32)
        : this(config, parameters => new ParameterSet(parameters, dtype, device, seed))
    {
    }

    /// <summary>
    /// A model whose weights are all zero, to be filled; <paramref name="check"/> looks at its parameters before anything is allocated for them.
    /// </summary>
    internal MambaLM(MambaConfig config, DType dtype, Device device, Action<IReadOnlyList<Parameter>>? check = null)
        : this(config, parameters =>
        {
            check?.Invoke(parameters);
            return ParameterSet.OfZeros(parameters, dtype, device);
        })
    {
    }

    /// <summary>A published or trained model: state-spaces', Hugging Face's, one that <c>mamba train</c> left, or a GGUF file.</summary>
    /// <param name="path">Its folder, or a file: GGUF, or weights with config.json beside them.</param>
    /// <param name="device">Where it shall live.</param>
    /// <param name="dtype">What it shall compute in; the weights are rounded to it. Null: float64 if one of them is F64, else float32.</param>
    /// <exception cref="MambaException">A file is missing or broken, or no model can be built from it.</exception>
    public static MambaLM Load(string path, Device device, DType? dtype = null) => ModelFolder.Load(path, device, dtype);

    MambaLM(MambaConfig config, Func<Parameter[], ParameterSet> allocate) : base(Expect(config))
    {
        Embedding = Add("backbone.embedding", new Embedding(config.PaddedVocabSize, config.DModel));
        Add("backbone", Backbone);
        Head = config.TieEmbeddings ? Embedding.Weight : Add("lm_head", new Linear(config.DModel, config.PaddedVocabSize, bias: false)).Weight;
        Parameters = allocate([.. ((Module)this).Parameters]);
    }

    /// <summary>The config, or one clear line if it is not that of a language model.</summary>
    internal static MambaConfig Expect(MambaConfig config) => config.Head is null ? config
        : throw new MambaException($"MambaLM: the config has a head for {config.Head.Kind}; a language model has none. SequenceModel is for it.");

    /// <summary>The parameters that such a model has, without values.</summary>
    internal static IReadOnlyList<Parameter> ParametersOf(MambaConfig config)
    {
        Parameter[] found = [];
        _ = new MambaLM(config, parameters =>
        {
            found = parameters;
            return null!;               // nobody sees this model
        });
        return found;
    }

    /// <summary>From tokens to vectors.</summary>
    public Embedding Embedding { get; }

    /// <summary>The weight of the head (v, d_model); the embedding's if they are tied.</summary>
    public Parameter Head { get; }

    /// <summary>tokens (b, l) int32 → logits (b, l, v), v the padded vocabulary.</summary>
    /// <param name="tokens">(b, l) int32, each below the vocabulary size; null if embeddings are given instead.</param>
    /// <param name="state">Starts from it and leaves the state after the last token in it; null starts from nothing.</param>
    /// <param name="lastOnly">Computes only the last position's logits: (b, v).</param>
    /// <param name="observe">Called with the residual stream (b, l, d_model) after each layer.</param>
    /// <param name="reset">
    /// (b, l) int32: not 0 where a token starts a new sequence, which sees nothing before it, the state included. <see cref="Packing.Resets"/> makes one.
    /// </param>
    /// <param name="embeddings">(b, l, d_model) in place of tokens: vectors of your own.</param>
    /// <param name="dropout">For training: what is dropped on the way; null: nothing.</param>
    /// <param name="hooks">What is changed inside the blocks, one after another; null: nothing.</param>
    /// <exception cref="MambaException">A shape or dtype does not fit, or a hook chooses what is not there.</exception>
    public Tensor Forward(Tensor? tokens = null, MambaState? state = null, bool lastOnly = false, Action<int, Tensor>? observe = null, Tensor? reset = null,
        Tensor? embeddings = null, Dropout? dropout = null, IReadOnlyList<Hook>? hooks = null)
    {
        if (tokens is null == embeddings is null)
            throw new MambaException($"MambaLM: tokens and embeddings are {(tokens is null ? "both missing" : "both given")}; expected one of them.");
        if (embeddings is not null)
            return Ops.Linear(Backbone.Forward(embeddings, state, lastOnly, observe, reset, dropout, hooks), Head);
        if (tokens!.DType != DType.Int32 || tokens.Shape.Rank != 2)
            throw new MambaException($"MambaLM: tokens are {tokens.DType.Name()} {tokens.Shape}; expected int32 (b, l).");
        MambaBackbone.Expect("MambaLM", tokens, state, lastOnly, reset);
        return Ops.Linear(Backbone.Run(Embedding.Forward(tokens), state, lastOnly, MambaBackbone.Added(observe), reset, dropout, hooks), Head);
    }

    /// <summary>
    /// What is inside the blocks while the model reads tokens (b, l): delta, Ā, B̄, B, C, u, z, every state h_t, y, the likeliest next tokens after each layer,
    /// and the gradient of a number of your choice with respect to each. In memory, so for lengths of some thousands; the other overload writes a file,
    /// of any length.
    /// </summary>
    /// <param name="tokens">(b, l) int32, l from 1.</param>
    /// <param name="options">What of it; all, of every layer, without gradients, when null.</param>
    /// <returns>The caller's, who disposes it.</returns>
    /// <exception cref="MambaException">A shape does not fit, or what was chosen is not there.</exception>
    public ModelTrace Trace(Tensor tokens, TraceSettings? options = null) => ModelTrace.Of(this, tokens, options ?? new TraceSettings());

    /// <summary>The same into a file, piece by piece: a sequence of any length takes the memory of a piece. docs/inspect.md tells what is in it.</summary>
    /// <param name="tokens">(b, l) int32, l from 1.</param>
    /// <param name="path">The safetensors file, replaced if it is there.</param>
    /// <param name="options">What of it; all, of every layer, without gradients, when null.</param>
    /// <exception cref="MambaException">A shape does not fit, what was chosen is not there, or the file cannot be written.</exception>
    public void Trace(Tensor tokens, string path, TraceSettings? options = null) => TraceWriter.Write(this, tokens, options ?? new TraceSettings(), path);

    /// <summary><see cref="Forward"/> with its layers recorded.</summary>
    internal Tensor Run(Tensor tokens, MambaState? state, Tensor? reset, IReadOnlyList<Hook> hooks, Func<int, ScanRecord?> record,
        Action<int, Func<Tensor>> observe)
    {
        MambaBackbone.Expect("Trace", tokens, state, lastOnly: false, reset);
        return Ops.Linear(Backbone.Run(Embedding.Forward(tokens), state, lastOnly: false, observe, reset, dropout: null, hooks, record), Head);
    }

    /// <summary>
    /// One token for each sequence, (b) int32 → logits (b, v). Equal to the last position of <see cref="Forward"/> over all tokens so far, to rounding.
    /// </summary>
    /// <param name="tokens">(b) int32.</param>
    /// <param name="state">Moved on by one token.</param>
    /// <exception cref="MambaException">A shape or dtype does not fit.</exception>
    public Tensor Step(Tensor tokens, MambaState state)
    {
        if (Tape.Recording is not null || tokens.DType != DType.Int32 || tokens.Count != state.Batch)   // with gradients; or it says what does not fit
            return Forward(tokens.View((tokens.Count, 1)), state, lastOnly: true);
        return Ops.Linear(Backbone.Step(Embedding.Forward(tokens.View(tokens.Count)), state), Head);
    }

    /// <summary>Continues a prompt, a token at a time.</summary>
    /// <param name="prompt">At least one token id.</param>
    /// <param name="count">Tokens to add.</param>
    /// <param name="temperature">0 takes the likeliest token each time; above, one is drawn from softmax(logits / temperature).</param>
    /// <param name="seed">Of the draws: the same seed, the same tokens.</param>
    /// <returns>The added tokens: (count).</returns>
    /// <exception cref="MambaException">The prompt is empty, or the model's logits are not numbers.</exception>
    public int[] Generate(IReadOnlyList<int> prompt, int count, double temperature = 0, ulong seed = 0) =>
        [.. Generate(prompt, new Generation { MaxTokens = count, Sampler = Sampler.Official(temperature), Seed = seed }).Select(token => token.Id)];

    /// <summary>Continues a text, a token at a time: each is there as soon as it is computed.</summary>
    /// <param name="prompt">The text; where it is empty, the tokenizer has a token that begins one.</param>
    /// <param name="options">With a tokenizer.</param>
    /// <param name="stop">Ends it with an <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="MambaException">There is nothing to begin with, or the model's logits are not numbers.</exception>
    public IEnumerable<GeneratedToken> Generate(string prompt, Generation options, CancellationToken stop = default) =>
        Generate(PromptIds(prompt, options), options, stop);

    /// <summary>Continues a prompt, a token at a time: each is there as soon as it is computed.</summary>
    /// <param name="prompt">Token ids; at least one, unless the state to go on from has one.</param>
    /// <param name="options">How.</param>
    /// <param name="stop">Ends it with an <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="MambaException">There is nothing to begin with, or the model's logits are not numbers.</exception>
    public IEnumerable<GeneratedToken> Generate(IReadOnlyList<int> prompt, Generation options, CancellationToken stop = default) =>
        Generate([prompt], options, stop);

    /// <summary>
    /// Continues several prompts at once: each gets the tokens that it gets alone, wherever the choice is not within rounding. Tokens of one position come
    /// one behind another, in the order of the prompts.
    /// </summary>
    /// <param name="prompts">Token ids, of any lengths, one or more each.</param>
    /// <param name="options">How.</param>
    /// <param name="stop">Ends it with an <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="MambaException">A prompt is empty, or the model's logits are not numbers.</exception>
    public IEnumerable<GeneratedToken> Generate(IReadOnlyList<IReadOnlyList<int>> prompts, Generation options, CancellationToken stop = default)
    {
        var generator = new Generator(this, prompts, options);      // complains at once, not at the first token
        return Run();

        IEnumerable<GeneratedToken> Run()
        {
            using (generator)
            {
                if (options.MaxTokens > 0 || options.State is not null)
                    generator.Prefill(stop);
                while (generator.Next() is { Count: > 0 } tokens)
                {
                    foreach (GeneratedToken token in tokens)
                        yield return token;
                    stop.ThrowIfCancellationRequested();
                    generator.Step();
                }
            }
        }
    }

    /// <summary>
    /// <see cref="Generate(string, Generation, CancellationToken)"/> for who awaits: the work is done on threads of the pool, a token at a time.
    /// </summary>
    /// <param name="prompt">The text.</param>
    /// <param name="options">With a tokenizer.</param>
    /// <param name="stop">Ends it with an <see cref="OperationCanceledException"/>.</param>
    public IAsyncEnumerable<GeneratedToken> GenerateAsync(string prompt, Generation options, CancellationToken stop = default) =>
        GenerateAsync([PromptIds(prompt, options)], options, stop);

    /// <summary><see cref="GenerateAsync(string, Generation, CancellationToken)"/> of token ids.</summary>
    /// <param name="prompts">Token ids, of any lengths, one or more each.</param>
    /// <param name="options">How.</param>
    /// <param name="stop">Ends it with an <see cref="OperationCanceledException"/>.</param>
    public async IAsyncEnumerable<GeneratedToken> GenerateAsync(IReadOnlyList<IReadOnlyList<int>> prompts, Generation options,
        [EnumeratorCancellation] CancellationToken stop = default)
    {
        using IEnumerator<GeneratedToken> tokens = Generate(prompts, options, stop).GetEnumerator();
        while (await Task.Run(tokens.MoveNext, stop).ConfigureAwait(false))
            yield return tokens.Current;
    }

    static int[] PromptIds(string prompt, Generation options)
    {
        Tokenizer tokenizer = options.Tokenizer ?? throw new MambaException("Generate: a text was given without a tokenizer; expected Generation.Tokenizer.");
        return tokenizer.EncodePrompt(prompt, goesOn: options.State is not null);
    }
}
