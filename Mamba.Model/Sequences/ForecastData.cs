using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Mamba;

/// <summary>
/// Series to be foretold: from <see cref="SequenceOptions.LookBack"/> steps the next <see cref="SequenceOptions.Horizon"/>, of each channel by itself with
/// one set of weights (Nie et al. 2023, arXiv 2211.14730, §3). Channels are brought to mean 0 and deviation 1 over the rows that are trained on, and errors are
/// measured so, as the field does. The model sees each window with its own mean and deviation taken out, and what it says gets them back (Kim et al. 2022,
/// "Reversible Instance Normalization").
/// </summary>
public sealed class ForecastData : SplitData
{
    const int MostPositions = 1 << 14;
    const double LeastDeviation = 1e-5;

    readonly string source;
    readonly SequenceOptions options;
    readonly float[] rows;          // (rows, channels)
    readonly int channels;
    readonly int[] ends;            // of the three parts, in rows
    double[] mean = [], deviation = [];
    Epochs? training;

    /// <param name="path">A CSV file: a row for each step, in order of time.</param>
    /// <param name="options">Columns, rows of the parts, steps read and foretold.</param>
    /// <exception cref="MambaException">The file is broken, or has fewer rows than were asked for.</exception>
    public ForecastData(string path, SequenceOptions options)
    {
        options.Validate();
        (source, this.options) = (path, options);
        using CsvTable table = CsvTable.Open(path);
        var lines = new List<string>();
        var values = new List<float>();
        Columns = [];
        foreach (CsvRow row in table.Rows())
        {
            if (lines.Count == 0)
                Columns = options.Columns is { } named ? [.. named] : [.. table.Columns.Where(column => IsNumber(row[column]))];
            if (Columns.Count == 0)
                throw new MambaException($"{path}: there is no column of numbers in it; there are {string.Join(", ", table.Columns)}.");
            foreach (string column in Columns)
                values.Add(row.Single(column));
            ReadOnlySpan<byte> numbers = MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(values)[^Columns.Count..]);
            lines.Add($"{row.Line}:{Convert.ToHexStringLower(SHA256.HashData(numbers))[..8]}");
        }
        (rows, channels) = ([.. values], Columns.Count);
        int count = lines.Count, test = (int)(count * options.Test), validation = (int)(count * options.Validation);
        int[] counts = options.Rows is { } given ? [.. given] : [count - validation - test, validation, test];
        if (counts.Sum(part => (long)part) > count)
            throw new MambaException($"{path}: there are {count} rows; {string.Join(" + ", counts)} were asked for.");
        ends = [counts[0], counts[0] + counts[1], counts[0] + counts[1] + counts[2]];
        Ids = lines[..ends[2]];
        Split = DataSplit.ByNames(Ids, [.. Enumerable.Range(0, ends[2]).Select(i => i < ends[0] ? "train" : i < ends[1] ? "validation" : "test")]);

        static bool IsNumber(string text) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out _);
    }

    /// <summary>Rows that a trained model is asked to go on from: none need be kept for a test.</summary>
    /// <param name="path">A CSV file.</param>
    /// <param name="options">Those of the training.</param>
    /// <exception cref="MambaException">The file is broken.</exception>
    public static ForecastData ToPredict(string path, SequenceOptions options) => new(path, options with { Rows = null, Validation = 0, Test = 0 });

    /// <summary>The columns, as they are foretold.</summary>
    public IReadOnlyList<string> Columns { get; }

    /// <summary>Steps that are read.</summary>
    internal int LookBack => options.LookBack;

    /// <summary>Steps that are foretold.</summary>
    internal int Horizon => options.Horizon;

    /// <inheritdoc/>
    public override string Name => "forecast";

    /// <summary>The rows, by their lines, with a hash of their numbers.</summary>
    public override IReadOnlyList<string> Ids { get; }

    /// <inheritdoc/>
    public override DataSplit Split
    {
        get;
        set
        {
            for (int i = 0; i < value.Count; i++)
                if (value[i] != (i < ends[0] ? DataPart.Train : i < ends[1] ? DataPart.Validation : DataPart.Test))
                    throw new MambaException($"{source}: line {Ids[i].Split(':')[0]} is in the {value[i].ToString().ToLowerInvariant()} part of the split; "
                        + "a series is split by time: rows to train on, then those held out, then the test.");
            field = value;
            int train = value.Indices(DataPart.Train).Count;
            (mean, deviation) = (new double[channels], new double[channels]);
            for (int c = 0; c < channels; c++)
            {
                double[] column = [.. Enumerable.Range(0, train).Select(row => (double)rows[row * channels + c])];
                double m = column.Average(), d = Math.Sqrt(column.Average(x => (x - m) * (x - m)));
                (mean[c], deviation[c]) = (m, d > 0 ? d : 1);
            }
            int[] windows = [.. Starts(DataPart.Train)];
            training = windows.Length == 0 ? null : new Epochs(windows);
        }
    }

    /// <summary>1: numbers are read.</summary>
    public override int VocabSize => 1;

    /// <summary>One for each window.</summary>
    public override int Answers => 1;

    /// <summary>1.</summary>
    public override int MinLength => 1;

    /// <inheritdoc/>
    public override string LossUnit => "mean squared error";

    /// <inheritdoc/>
    public override bool HasAccuracy => false;

    /// <summary>Steps of a window, of all channels.</summary>
    /// <param name="length">Not looked at.</param>
    public override int Tokens(int length) => channels * options.LookBack;

    // first rows of the windows whose foretold steps are all in a part; what is read may be of the part before
    IEnumerable<int> Starts(DataPart part)
    {
        (int start, int end) = part switch
        {
            DataPart.Train => (0, ends[0]),
            DataPart.Validation => (ends[0] - options.LookBack, ends[1]),
            _ => (ends[1] - options.LookBack, ends[2]),
        };
        start = Math.Max(start, 0);
        return Enumerable.Range(start, Math.Max(0, end - start - options.LookBack - options.Horizon + 1));
    }

    /// <summary>Looks whether there is a window in each part that has rows.</summary>
    /// <exception cref="MambaException">There is none.</exception>
    public override void Prepare()
    {
        if (training is null)
            throw new MambaException($"{source}: there are {ends[0]} rows to train on; a window needs {options.LookBack} + {options.Horizon}.");
        foreach (DataPart part in (DataPart[])[DataPart.Validation, DataPart.Test])
            if (Split.Indices(part) is { Count: > 0 and int count } && !Starts(part).Any())
                throw new MambaException($"{source}: the {part.ToString().ToLowerInvariant()} part has {count} rows; "
                    + $"{options.Horizon} are to be foretold of it.");
    }

    /// <inheritdoc/>
    public override MambaConfig ModelOf(MambaConfig sizes) => sizes with
    {
        Mixer = options.MixerOf(sizes.Mixer),
        VocabSize = 1,
        Input = new InputConfig { Channels = 1, Patch = options.Patch },
        Head = new HeadConfig { Kind = HeadConfig.Regression, Outputs = options.Horizon, Pool = options.Pool },
    };

    /// <inheritdoc/>
    public override Batch BatchOf(ulong seed, long step, Stage stage)
    {
        if (training is null)
            Prepare();
        int[] windows = [.. Enumerable.Range(0, stage.Batch).Select(i => training![seed, step * stage.Batch + i])];
        return new SequenceBatch(windows, (long)windows.Length * channels * options.LookBack);
    }

    /// <inheritdoc/>
    public override TrainingLoss LossOf(MambaModel model, Batch batch)
    {
        int[] windows = ((SequenceBatch)batch).Examples;
        Tensor foretold = Foretell(Of(model), windows, batch.Dropout);
        float[] expected = [.. Pairs(windows).SelectMany(pair => Values(pair.Window + options.LookBack, options.Horizon, pair.Channel)).Select(x => (float)x)];
        return new(Ops.MeanSquaredError(foretold, Constant(expected, foretold.Shape, foretold)));
    }

    // the model, if it foretells as many steps
    SequenceModel Of(MambaModel model)
    {
        HeadConfig? head = model.Config.Head;
        return model is SequenceModel foreteller && head!.Kind == HeadConfig.Regression && head.Outputs == options.Horizon ? foreteller
            : throw new MambaException($"{Name}: the model {(head is null ? "is a language model" : $"has a head for {head.Kind} of {head.Outputs}")}; "
                + $"expected one with a head for {HeadConfig.Regression} of {options.Horizon}.");
    }

    IEnumerable<(int Window, int Channel)> Pairs(int[] windows) => windows.SelectMany(window => Enumerable.Range(0, channels).Select(c => (window, c)));

    // standardized
    IEnumerable<double> Values(int row, int count, int channel) =>
        Enumerable.Range(row, count).Select(i => (rows[i * channels + channel] - mean[channel]) / deviation[channel]);

    // (windows · channels, horizon), standardized as the rows are
    Tensor Foretell(SequenceModel model, int[] windows, Dropout? dropout = null)
    {
        int l = options.LookBack, patch = model.Patch, padding = (patch - l % patch) % patch, n = windows.Length * channels;
        float[] read = new float[n * (l + padding)], level = new float[n], scale = new float[n];
        int i = 0;
        foreach ((int window, int channel) in Pairs(windows))
        {
            double[] values = [.. Values(window, l, channel)];
            double m = values.Average(), d = Math.Sqrt(values.Average(x => (x - m) * (x - m)) + LeastDeviation);
            (level[i], scale[i]) = ((float)m, (float)d);
            for (int t = 0; t < l; t++)
                read[i * (l + padding) + padding + t] = (float)((values[t] - m) / d);
            i++;
        }
        Tensor x = Constant(read, (n, l + padding, 1), model.Parameters.Flat);
        Tensor said = model.Forward(x, dropout: dropout);
        return said * Constant(scale, (n, 1), said) + Constant(level, (n, 1), said);
    }

    static Tensor Constant(float[] values, Shape shape, Tensor like) => like.DType == DType.Float32
        ? Tensor.From(values, shape, like.Device)
        : Tensor.From(Array.ConvertAll(values, value => (double)value), shape, like.Device);

    /// <inheritdoc/>
    public override HeldOutScore? Score(MambaModel model, int? window, CancellationToken stop = default) =>
        Starts(DataPart.Validation).Any() ? new(Evaluate(model, DataPart.Validation, null, stop).Loss) : null;

    /// <inheritdoc/>
    public override SplitReport Evaluate(MambaModel model, DataPart part, Action<double>? progress = null, CancellationToken stop = default)
    {
        int[] windows = [.. Starts(part)];
        if (windows.Length == 0)
            throw new MambaException($"{source}: the {part.ToString().ToLowerInvariant()} part has no window of {options.LookBack} + {options.Horizon} rows.");
        var report = new RegressionReport();
        var last = new RegressionReport();
        using IDisposable plain = Tape.NoGrad();
        int most = Math.Max(1, MostPositions / (channels * options.LookBack));
        for (int first = 0; first < windows.Length; first += most)
        {
            stop.ThrowIfCancellationRequested();
            using var scope = new TensorScope();
            int[] batch = windows[first..Math.Min(first + most, windows.Length)];
            double[] said = Foretell(Of(model), batch).ToDoubles();
            int i = 0;
            foreach ((int window, int channel) in Pairs(batch))
            {
                double level = Values(window + options.LookBack - 1, 1, channel).First();
                foreach (double truth in Values(window + options.LookBack, options.Horizon, channel))
                {
                    report.Add(said[i++], truth);
                    last.Add(level, truth);
                }
            }
            progress?.Invoke((double)(first + batch.Length) / windows.Length);
        }
        return new SplitReport { Regression = report, LastValue = last };
    }

    /// <summary>What is read and what follows, standardized, of each window of a part and each channel.</summary>
    /// <param name="part">Which.</param>
    /// <param name="every">1: all windows; 2: every other.</param>
    internal IEnumerable<(double[] Read, double[] Next)> Windows(DataPart part, int every) =>
        Pairs([.. Starts(part).Where(start => start % every == 0)]).Select(pair =>
            (Values(pair.Window, options.LookBack, pair.Channel).ToArray(), Values(pair.Window + options.LookBack, options.Horizon, pair.Channel).ToArray()));

    /// <summary>The first window of the test, in the units of the file: what is read, what follows, and what a model says.</summary>
    internal (double[] Read, double[] Next, double[] Said) Example(MambaModel model, int column)
    {
        int start = Starts(DataPart.Test).First();
        double[,] said = Predict(model, start + options.LookBack - 1);
        double[] ours = [.. Enumerable.Range(0, options.Horizon).Select(t => said[t, column])];
        return (Raw(start, options.LookBack), Raw(start + options.LookBack, options.Horizon), ours);

        double[] Raw(int row, int count) => [.. Enumerable.Range(row, count).Select(i => (double)rows[i * channels + column])];
    }

    /// <summary>The steps after the last row, in the units of the file: (horizon, channels).</summary>
    /// <param name="model">A model of these data.</param>
    /// <param name="after">The row that they follow; null: the last.</param>
    /// <exception cref="MambaException">There are too few rows before it.</exception>
    public double[,] Predict(MambaModel model, int? after = null)
    {
        int end = after + 1 ?? rows.Length / channels;
        if (end < options.LookBack || end > rows.Length / channels)
            throw new MambaException($"{source}: row {end} was asked for; the model reads {options.LookBack} rows, of {rows.Length / channels}.");
        using IDisposable plain = Tape.NoGrad();
        using var scope = new TensorScope();
        double[] said = Foretell(Of(model), [end - options.LookBack]).ToDoubles();
        double[,] steps = new double[options.Horizon, channels];
        for (int t = 0; t < options.Horizon; t++)
            for (int c = 0; c < channels; c++)
                steps[t, c] = said[c * options.Horizon + t] * deviation[c] + mean[c];
        return steps;
    }
}
