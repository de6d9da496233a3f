namespace Mamba;

/// <summary>
/// Sound to be foretold sample by sample, as mu-law tokens: each recording begins with a token for its label, so that a model can be asked for one, and ends
/// with a token that says so. For a <see cref="MambaLM"/> of 256 + classes + 1 tokens. van den Oord et al. 2016, "WaveNet" (arXiv 1609.03499), §2.2.
/// </summary>
public sealed class RecordingTokens : SplitData
{
    const int MostPositions = 1 << 14;

    readonly LabeledData labeled;           // the same recordings: their split and the order in which they come

    /// <param name="set">Recordings as mu-law tokens.</param>
    /// <param name="options">How they are split.</param>
    /// <param name="seed">Splits them, unless the options say otherwise.</param>
    /// <exception cref="MambaException">They are no mu-law tokens.</exception>
    public RecordingTokens(SequenceSet set, SequenceOptions options, ulong seed)
    {
        if (set.VocabSize != MuLaw.Count)
            throw new MambaException($"audio: sound is generated as mu-law tokens; expected recordings read as such.");
        labeled = new LabeledData("audio", set, options, seed);
    }

    /// <summary>The recordings.</summary>
    public SequenceSet Set => labeled.Set;

    /// <summary>The token that begins a recording of a class, from 0.</summary>
    /// <param name="label">The class.</param>
    public int Begin(int label) => MuLaw.Count + label;

    /// <summary>The token that ends a recording.</summary>
    public int End => MuLaw.Count + Set.Classes.Count;

    /// <inheritdoc/>
    public override string Name => "audio";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Ids => labeled.Ids;

    /// <inheritdoc/>
    public override DataSplit Split
    {
        get => labeled.Split;
        set => labeled.Split = value;
    }

    /// <summary>256 levels, the classes, and the end.</summary>
    public override int VocabSize => End + 1;

    /// <summary>The padded vocabulary: what the model draws from.</summary>
    /// <param name="config">The model's.</param>
    public override int Classes(MambaConfig config) => config.PaddedVocabSize;

    /// <summary>Every position.</summary>
    public override int Answers => int.MaxValue;

    /// <summary>1.</summary>
    public override int MinLength => 1;

    /// <inheritdoc/>
    public override string LossUnit => "nats a sample";

    /// <summary>The mean of the recordings, for how much there is to do.</summary>
    /// <param name="length">The longest that are read.</param>
    public override int Tokens(int length) => labeled.Tokens(length);

    /// <inheritdoc/>
    public override void Prepare() => labeled.Prepare();

    /// <inheritdoc/>
    public override MambaConfig ModelOf(MambaConfig sizes) => sizes with { VocabSize = VocabSize };

    /// <inheritdoc/>
    public override Batch BatchOf(ulong seed, long step, Stage stage)
    {
        int[] examples = ((SequenceBatch)labeled.BatchOf(seed, step, stage)).Examples;
        return new SequenceBatch(examples, examples.Sum(i => (long)Math.Min(Length(i), stage.Length))) { Longest = stage.Length };
    }

    int Length(int i) => Set.Examples[i].Tokens!.Length + 1;

    /// <inheritdoc/>
    public override TrainingLoss LossOf(MambaModel model, Batch batch)
    {
        var examples = (SequenceBatch)batch;
        (Tensor logits, Tensor targets) = Read(Language(model), examples.Examples, examples.Longest, batch.Dropout);
        return new(Ops.CrossEntropy(logits, targets, SequenceTask.Ignore), () => Ops.CountCorrect(logits, targets, SequenceTask.Ignore).Accuracy);
    }

    // logits (b, l, v) and what follows each position (b, l), of packed recordings
    (Tensor Logits, Tensor Targets) Read(MambaLM model, int[] examples, int longest = int.MaxValue, Dropout? dropout = null)
    {
        Device device = model.Parameters.Device;
        int[] lengths = Array.ConvertAll(examples, i => Math.Min(Length(i), longest));
        Segments segments = Segments.Packed(lengths);
        int[] inputs = new int[segments.Rows * segments.Length], targets = [.. Enumerable.Repeat(SequenceTask.Ignore, inputs.Length)];
        for (int k = 0; k < examples.Length; k++)
        {
            SequenceExample example = Set.Examples[examples[k]];
            int start = segments[k].Row * segments.Length + segments[k].Start;
            for (int t = 0; t < lengths[k]; t++)
            {
                inputs[start + t] = t == 0 ? Begin(example.Label) : example.Tokens![t - 1];
                targets[start + t] = t < example.Tokens!.Length ? example.Tokens[t] : End;
            }
        }
        Shape shape = (segments.Rows, segments.Length);
        return (model.Forward(Tensor.From(inputs, shape, device), reset: segments.Resets(device), dropout: dropout), Tensor.From(targets, shape, device));
    }

    /// <inheritdoc/>
    public override HeldOutScore? Score(MambaModel model, int? window, CancellationToken stop = default) =>
        Split.Indices(DataPart.Validation).Count > 0 ? new(Evaluate(model, DataPart.Validation, null, stop).Loss) : null;

    /// <inheritdoc/>
    public override SplitReport Evaluate(MambaModel model, DataPart part, Action<double>? progress = null, CancellationToken stop = default)
    {
        IReadOnlyList<int> examples = Split.Indices(part);
        if (examples.Count == 0)
            throw new MambaException($"{Set.Source}: there are no recordings in the {part.ToString().ToLowerInvariant()} part.");
        double nats = 0;
        long tokens = 0;
        using IDisposable plain = Tape.NoGrad();
        for (int first = 0; first < examples.Count;)
        {
            stop.ThrowIfCancellationRequested();
            int count = 1;
            long positions = Length(examples[first]);
            while (first + count < examples.Count && (positions += Length(examples[first + count])) <= MostPositions)
                count++;
            using var scope = new TensorScope();
            (Tensor logits, Tensor targets) = Read(Language(model), [.. examples.Skip(first).Take(count)]);
            foreach (double loss in Ops.TokenLosses(logits, targets, SequenceTask.Ignore).ToDoubles())
                nats += loss;
            tokens += Enumerable.Range(first, count).Sum(k => (long)Length(examples[k]));
            first += count;
            progress?.Invoke((double)first / examples.Count);
        }
        return new SplitReport { NatsPerToken = nats / tokens, Tokens = tokens };
    }

    /// <summary>A new recording of a class, drawn sample by sample.</summary>
    /// <param name="model">A trained model of these data.</param>
    /// <param name="label">The class, from 0.</param>
    /// <param name="most">Samples at most.</param>
    /// <param name="temperature">Of the draws; below 1, the likelier samples are drawn more often.</param>
    /// <param name="seed">The same seed, the same sound.</param>
    /// <param name="stop">Ends the work with an <see cref="OperationCanceledException"/>.</param>
    public WavAudio Generate(MambaLM model, int label, int most, double temperature = 1, ulong seed = 0, CancellationToken stop = default)
    {
        var samples = new List<float>();
        var options = new Generation { MaxTokens = most, Sampler = Sampler.Official(temperature), Seed = seed };
        foreach (GeneratedToken token in model.Generate([Begin(label)], options, stop))
        {
            if (token.Id >= MuLaw.Count)
                break;
            samples.Add(MuLaw.Decode(token.Id));
        }
        return new WavAudio(Set.SampleRate, 1, [.. samples]);
    }
}
