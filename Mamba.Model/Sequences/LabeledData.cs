using System.Text.RegularExpressions;

namespace Mamba;

/// <summary>
/// Sequences with labels to be told apart: <c>classify</c> and <c>audio</c>. Sequences of a batch are packed into rows. Examples come in another order in each
/// epoch, each once.
/// </summary>
public sealed class LabeledData : SplitData
{
    // positions of one batch of an evaluation, and the longest sequence that is read at once
    const int MostPositions = 1 << 13, LongestPiece = 1 << 14;

    readonly SequenceSet set;
    readonly SequenceOptions options;
    Epochs? training;

    /// <param name="name">The task's.</param>
    /// <param name="set">The examples.</param>
    /// <param name="options">What is asked of them.</param>
    /// <param name="seed">Splits them, unless the options say otherwise.</param>
    /// <exception cref="MambaException">They cannot be split as asked.</exception>
    public LabeledData(string name, SequenceSet set, SequenceOptions options, ulong seed)
    {
        (Name, this.set, this.options) = (name, set, options);
        Ids = set.Keys;
        string[] labels = [.. set.Examples.Select(example => example.Label < 0 ? "" : set.Classes[example.Label])];
        ulong splitSeed = options.SplitSeed ?? seed;
        Split = set.Parts is { } parts ? DataSplit.ByNames(Ids, parts, set.PlaceOf)
            : options.TestPattern is { } pattern ? OfPattern(pattern)
            : DataSplit.Stratified(Ids, labels, splitSeed, options.Validation, options.Test);

        DataSplit OfPattern(string text)
        {
            Regex test = SequenceSet.Pattern(text);
            bool[] isTest = [.. set.Examples.Select(example => test.IsMatch(example.Id))];
            if (!Array.Exists(isTest, one => one) || Array.TrueForAll(isTest, one => one))
                throw new MambaException($"{set.Source}: {(isTest[0] ? "all" : "none")} of the {isTest.Length} names match the test pattern '{text}'.");
            // what is not test is split again: a part of it is held out
            int[] others = [.. Enumerable.Range(0, isTest.Length).Where(i => !isTest[i])];
            DataSplit rest = DataSplit.Stratified([.. others.Select(i => Ids[i])], [.. others.Select(i => labels[i])], splitSeed, options.Validation, 0);
            string[] named = [.. isTest.Select(_ => "test")];
            for (int k = 0; k < others.Length; k++)
                named[others[k]] = rest[k] == DataPart.Validation ? "validation" : "train";
            return DataSplit.ByNames(Ids, named, set.PlaceOf);
        }
    }

    LabeledData(string name, SequenceSet set, SequenceOptions options)
    {
        (Name, this.set, this.options) = (name, set, options);
        Ids = set.Keys;
        Split = DataSplit.ByNames(Ids, [.. Ids.Select(_ => "test")]);
    }

    /// <summary>Sequences that a trained model is asked of: all are the test, and labels may be missing.</summary>
    /// <param name="name">The task's.</param>
    /// <param name="set">The examples, read with the model's classes.</param>
    /// <param name="options">Those of the training.</param>
    public static LabeledData ToPredict(string name, SequenceSet set, SequenceOptions options) => new(name, set, options);

    /// <summary>The examples.</summary>
    public SequenceSet Set => set;

    /// <inheritdoc/>
    public override string Name { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Ids { get; }

    /// <inheritdoc/>
    public override DataSplit Split
    {
        get;
        set
        {
            field = value;
            int[] train = [.. value.Indices(DataPart.Train)];
            training = train.Length == 0 ? null : new Epochs(train);
        }
    }

    /// <summary>Letters, or mu-law levels; 1 where there are numbers.</summary>
    public override int VocabSize => Math.Max(1, set.VocabSize);

    /// <summary>One for each sequence.</summary>
    public override int Answers => 1;

    /// <summary>1.</summary>
    public override int MinLength => 1;

    /// <inheritdoc/>
    public override string LossUnit => "nats an example";

    /// <summary>The mean of the examples, for how much there is to do.</summary>
    /// <param name="length">The longest that are read.</param>
    public override int Tokens(int length) => (int)Enumerable.Range(0, set.Examples.Count).Average(i => Math.Min(LengthOf(i), length));

    /// <summary>Looks whether there is something to learn from, and whether what is asked in the test can be learned.</summary>
    /// <exception cref="MambaException">A part is empty, or has a label that is not trained on.</exception>
    public override void Prepare()
    {
        if (training is null)
            throw new MambaException($"{set.Source}: there are no examples to train on.");
        if (set.Classes.Count < 2)
            throw new MambaException($"{set.Source}: every label is '{set.Classes[0]}'; expected two classes or more.");
        if (options.Patch > 1 && set.VocabSize > 0)
            throw new MambaException($"patch is {options.Patch}, but {set.Source} has tokens; a patch is of numbers.");
        var known = Split.Indices(DataPart.Train).Select(i => set.Examples[i].Label).ToHashSet();
        foreach (DataPart part in (DataPart[])[DataPart.Validation, DataPart.Test])
            foreach (int i in Split.Indices(part))
                if (!known.Contains(set.Examples[i].Label))
                    throw new MambaException($"{set.PlaceOf(i)}: the label '{set.Classes[set.Examples[i].Label]}' is only in the "
                        + $"{(part == DataPart.Test ? "test" : "validation")} part; no example of it is trained on.");
    }

    /// <inheritdoc/>
    public override MambaConfig ModelOf(MambaConfig sizes) => sizes with
    {
        Mixer = options.MixerOf(sizes.Mixer),
        VocabSize = VocabSize,
        Input = set.VocabSize > 0 ? null : Standardized(),
        Head = new HeadConfig { Kind = HeadConfig.Classes, Outputs = set.Classes.Count, Pool = options.Pool, Labels = set.Classes },
    };

    // mean 0 and deviation 1 over the numbers that are trained on
    InputConfig Standardized()
    {
        double sum = 0, squares = 0, count = 0;
        foreach (int i in Split.Indices(DataPart.Train))
            foreach (float value in set.Examples[i].Values!)
                (sum, squares, count) = (sum + value, squares + (double)value * value, count + 1);
        double mean = sum / count, deviation = Math.Sqrt(Math.Max(squares / count - mean * mean, 0));
        return new InputConfig { Channels = 1, Patch = options.Patch, Mean = [mean], Deviation = [deviation > 0 ? deviation : 1] };
    }

    /// <inheritdoc/>
    public override Batch BatchOf(ulong seed, long step, Stage stage)
    {
        if (training is null)
            Prepare();
        int[] examples = [.. Enumerable.Range(0, stage.Batch).Select(i => training![seed, step * stage.Batch + i])];
        return new SequenceBatch(examples, examples.Sum(i => (long)Math.Min(LengthOf(i), stage.Length))) { Longest = stage.Length };
    }

    int LengthOf(int i) => set.Examples[i].Tokens?.Length ?? set.Examples[i].Values!.Length;

    /// <inheritdoc/>
    public override TrainingLoss LossOf(MambaModel model, Batch batch)
    {
        var examples = (SequenceBatch)batch;
        Tensor scores = Scores(Of(model), examples.Examples, examples.Longest, batch.Dropout);
        Tensor labels = Tensor.From([.. examples.Examples.Select(i => set.Examples[i].Label)], examples.Examples.Length, scores.Device);
        return new(Ops.CrossEntropy(scores, labels), () => Ops.CountCorrect(scores, labels).Accuracy);
    }

    // the model, if it is one of these classes
    SequenceModel Of(MambaModel model)
    {
        if (model is not SequenceModel { Config.Head: { Kind: HeadConfig.Classes } head } classifier)
            throw new MambaException($"{Name}: the model {(model.Config.Head is { } other ? $"has a head for {other.Kind}" : "is a language model")}; "
                + $"expected one with a head for {HeadConfig.Classes}.");
        if (head.Outputs != set.Classes.Count || (head.Labels is { } labels && !labels.SequenceEqual(set.Classes, StringComparer.Ordinal)))
            throw new MambaException($"{Name}: the model tells {(head.Labels is { } names ? string.Join(", ", names) : $"{head.Outputs} classes")} apart; "
                + $"{set.Source} has {string.Join(", ", set.Classes)}.");
        return classifier;
    }

    // (examples, classes); of a sequence that is too long, its first steps
    Tensor Scores(SequenceModel model, int[] examples, int longest = int.MaxValue, Dropout? dropout = null)
    {
        Device device = model.Parameters.Device;
        Segments segments = Segments.Packed([.. examples.Select(i => Math.Min(LengthOf(i), longest))], patch: model.Patch);
        Tensor x = set.VocabSize > 0
            ? segments.Tokens([.. examples.Select(i => Array.ConvertAll(First(set.Examples[i].Tokens!), token => (int)token))], device)
            : segments.Values([.. examples.Select(i => First(set.Examples[i].Values!))], 1, device, model.Parameters.DType);
        return model.Forward(x, segments, dropout: dropout);

        T[] First<T>(T[] all) => all.Length <= longest ? all : all[..longest];
    }

    /// <inheritdoc/>
    public override HeldOutScore? Score(MambaModel model, int? window, CancellationToken stop = default)
    {
        if (Split.Indices(DataPart.Validation).Count == 0)
            return null;
        ClassificationReport report = Evaluate(model, DataPart.Validation, null, stop).Classification!;
        return new(report.Nll, null, report.Accuracy);
    }

    /// <inheritdoc/>
    public override SplitReport Evaluate(MambaModel model, DataPart part, Action<double>? progress = null, CancellationToken stop = default)
    {
        IReadOnlyList<int> examples = Split.Indices(part);
        if (examples.Count == 0)
            throw new MambaException($"{set.Source}: there are no examples in the {part.ToString().ToLowerInvariant()} part.");
        Prediction[] predictions = Predict(model, examples, progress, stop);
        return new SplitReport
        {
            Classification = ClassificationReport.Of([.. predictions.Select(p => p.Label)], [.. predictions.Select(p => p.Values)], set.Classes),
            Predictions = predictions,
        };
    }

    /// <summary>
    /// What a model says of some of the examples. A sequence of more than 16,384 positions is read in pieces, unless the model reads both ways.
    /// </summary>
    /// <param name="model">With a head for these classes.</param>
    /// <param name="examples">Which; null: all.</param>
    /// <param name="progress">Told the share that is done.</param>
    /// <param name="stop">Ends the work with an <see cref="OperationCanceledException"/>.</param>
    public Prediction[] Predict(MambaModel model, IReadOnlyList<int>? examples = null, Action<double>? progress = null, CancellationToken stop = default)
    {
        SequenceModel classifier = Of(model);
        examples ??= [.. Enumerable.Range(0, set.Examples.Count)];
        var found = new Prediction[examples.Count];
        using IDisposable plain = Tape.NoGrad();
        int[] order = [.. Enumerable.Range(0, examples.Count).OrderBy(k => LengthOf(examples[k]))];
        for (int first = 0; first < order.Length;)
        {
            stop.ThrowIfCancellationRequested();
            int count = 1, longest;
            while (first + count < order.Length && (count + 1L) * LengthOf(examples[order[first + count]]) / classifier.Patch <= MostPositions)
                count++;
            longest = LengthOf(examples[order[first + count - 1]]);
            using var scope = new TensorScope();
            int[] batch = [.. order.AsSpan(first, count).ToArray().Select(k => examples[k])];
            // such a one is alone in its batch
            bool inPieces = longest > (long)LongestPiece * classifier.Patch && !classifier.Blocks.Any(block => block is StatelessMixer);
            Tensor scores = inPieces ? InPieces(classifier, batch[0]) : Scores(classifier, batch);
            double[] logs = Ops.LogSoftmax(scores).ToDoubles();
            int classes = (int)scores.Shape[1];
            for (int k = 0; k < count; k++)
            {
                SequenceExample example = set.Examples[batch[k]];
                found[order[first + k]] = new Prediction(example.Id, logs[(k * classes)..((k + 1) * classes)], example.Label);
            }
            first += count;
            progress?.Invoke((double)first / order.Length);
        }
        return found;
    }

    Tensor InPieces(SequenceModel model, int i)
    {
        SequenceExample example = set.Examples[i];
        Device device = model.Parameters.Device;
        return model.Forward(new SequencePieces(1, LengthOf(i), LongestPiece * model.Patch, (start, count) =>
        {
            Range piece = (int)start..(int)(start + count);
            return example.Tokens is { } tokens
                ? Tensor.From(Array.ConvertAll(tokens[piece], token => (int)token), (1, count), device)
                : Segments.Padded([count]).Values([example.Values![piece]], 1, device, model.Parameters.DType);
        }));
    }
}
