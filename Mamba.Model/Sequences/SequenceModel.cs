namespace Mamba;

/// <summary>
/// A Mamba over any sequence: tokens (b, l) or numbers (b, l, c) → <see cref="MambaBackbone"/> → a head. What it reads and says is in its config:
/// <code>
/// var config = new MambaConfig
/// {
///     DModel = 64, NLayer = 2, VocabSize = Alphabet.Dna.Count,
///     Mixer = new BidirectionalConfig { Tied = true },
///     Head = new HeadConfig { Kind = HeadConfig.Classes, Outputs = 2 },
/// };
/// using var model = new SequenceModel(config, device, seed: 1);
/// Segments segments = Segments.Packed([.. sequences.Select(s => s.Length)]);
/// Tensor scores = model.Forward(segments.Tokens(sequences, device), segments);        // (sequences, 2)
/// </code>
/// Sequences of one batch may have different lengths, padded or packed: each gets what it gets alone, to rounding.
/// </summary>
public sealed class SequenceModel : MambaModel
{
    const double LeastLogit = -60;

    readonly HeadConfig head;
    readonly Embedding? embedding;
    readonly Linear? input, output, gate;
    readonly double[]? mean, scale;         // of the channels: (x − mean) · scale

    /// <summary>A model with freshly drawn weights.</summary>
    /// <param name="config">Sizes, with a head.</param>
    /// <param name="device">Where it lives.</param>
    /// <param name="seed">The same seed gives the same weights on every device.</param>
    /// <param name="dtype">float32 or float64.</param>
    /// <exception cref="MambaException">No model can be built from the config.</exception>
    public SequenceModel(MambaConfig config, Device device, ulong seed = 0, DType dtype = DType.Float32)
        : this(config, parameters => new ParameterSet(parameters, dtype, device, seed))
    {
    }

    internal SequenceModel(MambaConfig config, DType dtype, Device device, Action<IReadOnlyList<Parameter>>? check = null)
        : this(config, parameters =>
        {
            check?.Invoke(parameters);
            return ParameterSet.OfZeros(parameters, dtype, device);
        })
    {
    }

    SequenceModel(MambaConfig config, Func<Parameter[], ParameterSet> allocate) : base(config)
    {
        head = config.Head ?? throw new MambaException("SequenceModel: the config has no head; expected one, or a MambaLM for a language model.");
        if (config.Input is { } values)
        {
            input = Add("input", new Linear(values.Channels * values.Patch, config.DModel));
            mean = values.Mean?.ToArray();
            scale = values.Deviation?.Select(deviation => 1 / deviation).ToArray();
        }
        else
        {
            embedding = Add("backbone.embedding", new Embedding(config.PaddedVocabSize, config.DModel));
        }
        Add("backbone", Backbone);
        if (head is { IsPooled: true, Pool: Pooling.Gated })
            gate = Add("gate", new Linear(config.DModel, config.DModel));
        if (head.Kind != HeadConfig.NextToken)
            output = Add("head", new Linear(config.DModel, head.Outputs));
        else if (!config.TieEmbeddings)
            output = Add("head", new Linear(config.DModel, config.PaddedVocabSize, bias: false));
        Parameters = allocate([.. ((Module)this).Parameters]);
    }

    /// <summary>A trained model: its run folder, or a folder with config.json and weights.</summary>
    /// <param name="path">The folder, or the file of weights with config.json beside it.</param>
    /// <param name="device">Where it shall live.</param>
    /// <param name="dtype">What it shall compute in; the weights are rounded to it. Null: float64 if one of them is F64, else float32.</param>
    /// <exception cref="MambaException">A file is missing or broken, or the model has no head.</exception>
    public static SequenceModel Load(string path, Device device, DType? dtype = null)
    {
        MambaModel model = ModelFolder.LoadAny(path, device, dtype);
        if (model is SequenceModel sequences)
            return sequences;
        model.Dispose();
        throw new MambaException($"{path}: this is a language model: its config.json has no head. MambaLM.Load opens it.");
    }

    /// <summary>x → (b, l, d_model): what the backbone makes of each position, after its last norm.</summary>
    /// <param name="x">
    /// Tokens (b, l) int32; or numbers (b, l, c), where the config has an input: with a patch p there are ⌈l / p⌉ positions then. What stands in the padding
    /// counts for nothing, NaN included.
    /// </param>
    /// <param name="segments">Where the sequences stand in the rows, in steps of x; null: each row is one sequence.</param>
    /// <param name="state">
    /// Starts from it and leaves the state after the last position in it; null starts from nothing. Rows with segments take none: their sequences are whole.
    /// </param>
    /// <param name="dropout">For training: what is dropped on the way; null: nothing.</param>
    /// <exception cref="MambaException">A shape or dtype does not fit.</exception>
    public Tensor Features(Tensor x, Segments? segments = null, MambaState? state = null, Dropout? dropout = null)
    {
        Expect(x);
        if (segments is not null && (segments.Rows != x.Shape[0] || segments.Length > x.Shape[1]))
            throw new MambaException($"SequenceModel: the segments are of {segments.Rows} rows of {segments.Length} steps; x has shape {x.Shape}.");
        if (segments is not null && state is not null)
            throw new MambaException("SequenceModel: segments and a state were given; expected one of them: a sequence with a segment starts from nothing.");
        Tensor embedded = Embed(x, segments?.Mask(x.Device, x.Shape[1]));
        Tensor? reset = segments?.Patched(Patch).Resets(x.Device, embedded.Shape[1]);
        return Backbone.Forward(embedded, state, reset: reset, dropout: dropout);
    }

    /// <summary>Steps of x to a position.</summary>
    internal int Patch => Config.Input?.Patch ?? 1;

    /// <summary>
    /// x → what the head says: (b, l, v) or (b, l, outputs) at each position, or (sequences, outputs) of each sequence. Scores of classes and tokens are
    /// before the softmax. What a head says of each position it says in the padding too, where it means nothing.
    /// </summary>
    /// <param name="x">As that of <see cref="Features"/>.</param>
    /// <param name="segments">As that of <see cref="Features"/>.</param>
    /// <param name="state">As that of <see cref="Features"/>.</param>
    /// <param name="dropout">For training: what is dropped on the way; null: nothing.</param>
    /// <exception cref="MambaException">A shape or dtype does not fit.</exception>
    public Tensor Forward(Tensor x, Segments? segments = null, MambaState? state = null, Dropout? dropout = null)
    {
        Tensor features = Features(x, segments, state, dropout);
        return head.IsPooled ? output!.Forward(Pool(features, segments?.Patched(Patch)))
            : output is null ? Ops.Linear(features, embedding!.Weight)
            : output.Forward(features);
    }

    void Expect(Tensor x)
    {
        if (Config.Input is not { } values)
        {
            if (x.DType != DType.Int32 || x.Shape.Rank != 2)
                throw new MambaException($"SequenceModel: x is {x.DType.Name()} {x.Shape}; expected tokens, int32 (b, l).");
            return;
        }
        if (x.Shape.Rank != 3 || x.Shape[2] != values.Channels || x.DType != Parameters.DType)
            throw new MambaException($"SequenceModel: x is {x.DType.Name()} {x.Shape}; expected numbers, {Parameters.DType.Name()} (b, l, {values.Channels}).");
    }

    /// <summary>x → (b, positions, d_model). The padding is made 0 before any weight sees it: a gradient of 0 times a NaN would be NaN.</summary>
    Tensor Embed(Tensor x, Tensor? mask)
    {
        if (embedding is not null)
            return Masked(embedding.Forward(x));        // a token that is none is a row of NaN, without a gradient
        if (mean is not null)
            x -= Constant(mean, mean.Length);
        if (scale is not null)
            x *= Constant(scale, scale.Length);
        x = Masked(x);
        (long b, long l, long c) = (x.Shape[0], x.Shape[1], x.Shape[2]);
        if (l % Patch is > 0 and long rest)
            x = Ops.Concat(1, x, Tensor.Zeros((b, Patch - rest, c), x.DType, x.Device));
        return input!.Forward(Patch == 1 ? x : Ops.Reshape(x, (b, x.Shape[1] / Patch, Patch * c)));

        Tensor Masked(Tensor values) => mask is null ? values : Ops.Where(mask, values, Constant([0], 1));
    }

    Tensor Constant(double[] values, Shape shape) => Parameters.DType == DType.Float64
        ? Tensor.From(values, shape, Parameters.Device)
        : Tensor.From(Array.ConvertAll(values, value => (float)value), shape, Parameters.Device);

    /// <summary>features (b, l, d_model) → (sequences, d_model).</summary>
    Tensor Pool(Tensor features, Segments? segments)
    {
        (long b, long l, long width) = (features.Shape[0], features.Shape[1], features.Shape[2]);
        if (l == 0)
            throw new MambaException("SequenceModel: the sequences have 0 positions; expected 1 or more.");
        if (segments?.Resets(features.Device, l) is not { } reset)
            return Pooled(PartialSums(features), l);
        if (head.Pool == Pooling.Last)
            return AtEnds(features);
        if (head.Pool == Pooling.Gated)
        {
            Tensor weight = Weights(features);
            return AtEnds(Sums(weight * features)) / AtEnds(Sums(weight));
        }
        return AtEnds(Sums(features)) * Constant([.. Enumerable.Range(0, segments.Count).Select(i => 1.0 / segments[i].Length)], (segments.Count, 1));

        // sums from the start of each sequence: h_t = 1 h_{t−1} + x_t, begun anew where a sequence starts
        Tensor Sums(Tensor x) => Ops.LinearRecurrence(Ops.Fill(x.Like(), 1), x, reset: reset);

        Tensor AtEnds(Tensor x) => Ops.Embedding(segments.Ends(x.Device, l), Ops.Reshape(x, (b * l, width)));
    }

    /// <summary>
    /// What the head says of a sequence as a whole, (b, outputs), read piece by piece: a million positions take the memory of a piece. Equal to
    /// <see cref="Forward(Tensor, Segments?, MambaState?, Dropout?)"/>, to rounding. Without gradients; <see cref="SequencePieces.Backward"/> has them.
    /// </summary>
    /// <param name="pieces">The sequence, in order.</param>
    /// <param name="stop">Ends the work with an <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="MambaException">The head is for each position, the model reads in both directions, or a piece is no whole patches.</exception>
    public Tensor Forward(SequencePieces pieces, CancellationToken stop = default)
    {
        pieces.Expect(this);
        using IDisposable plain = Tape.NoGrad();
        using MambaState state = NewState(pieces.Batch);
        var pooled = new PooledSums(this, pieces.Batch);
        for (int i = 0; i < pieces.Count; i++)
        {
            stop.ThrowIfCancellationRequested();
            using var scope = new TensorScope();
            Tensor features = Features(pieces.Read(i), state: state);
            pooled.Add(PartialSums(features), features.Shape[1]);
        }
        return Finish(pooled.Tensors(), pooled.Positions);
    }

    // of gated pooling: where all weights of a channel would be 0 in float32 there would be no mean
    Tensor Weights(Tensor features) => Ops.Sigmoid(Ops.Maximum(gate!.Forward(features), LeastLogit));

    /// <summary>features (b, l, d_model) → what pooling needs of them, (b, d_model) each; sums add up over pieces; the last is the last piece's.</summary>
    internal Tensor[] PartialSums(Tensor features)
    {
        if (head.Pool == Pooling.Last)
            return [Ops.Reshape(features[.., ^1..], (features.Shape[0], features.Shape[2]))];
        if (head.Pool == Pooling.Mean)
            return [Ops.Sum(features, 1)];
        Tensor weight = Weights(features);
        return [Ops.Sum(weight * features, 1), Ops.Sum(weight, 1)];
    }

    /// <summary>From those sums over all positions to (b, d_model).</summary>
    Tensor Pooled(Tensor[] sums, long positions) => head.Pool switch
    {
        Pooling.Last => sums[0],
        Pooling.Mean => sums[0] / positions,
        _ => sums[0] / sums[1],
    };

    /// <summary>From those sums to what the head says: (b, outputs).</summary>
    internal Tensor Finish(Tensor[] sums, long positions) => output!.Forward(Pooled(sums, positions));

    internal Pooling PoolKind => head.Pool;
}
