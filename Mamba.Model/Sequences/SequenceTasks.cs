namespace Mamba;

/// <summary>Trainings on examples of one's own: <c>mamba train classify</c>, <c>audio</c> and <c>forecast</c>.</summary>
internal static class SequenceTasks
{
    const string ClassifyName = "classify", AudioName = "audio", ForecastName = "forecast";

    /// <summary>Labelled sequences in a CSV or FASTA file.</summary>
    public static TrainingTask Classify { get; } = new(ClassifyName, "the label of each sequence of --data, CSV or FASTA", options =>
        new LabeledData(ClassifyName, SequenceSet.Read(DataOf(options), Of(options)), Of(options), options.Seed))
    {
        NeedsData = true,
        Presets =
        [
            new TrainOptions
            {
                Task = ClassifyName,
                Preset = "quick",
                Stages = [new(1 << 14, 32, 1500)],
                LearningRate = 3e-3,
                Warmup = 50,
                Schedule = "cosine",
                Clip = 1,
                Dropout = 0.1,
                EvalEvery = 250,
                Sequence = new SequenceOptions { Bidirectional = "tied" },
            },
        ],
        Model = new MambaConfig { DModel = 64, NLayer = 2, VocabSize = 1 },
        ModelOf = FitsData,
    };

    /// <summary>Recordings: their labels, or their next samples.</summary>
    public static TrainingTask Audio { get; } = new(AudioName, "the label of each recording of --data, or with --generate its next samples", options =>
        Of(options).Generate
            ? new RecordingTokens(SequenceSet.Read(DataOf(options), Of(options) with { MuLaw = true }), Of(options), options.Seed)
            : new LabeledData(AudioName, SequenceSet.Read(DataOf(options), Of(options)), Of(options), options.Seed))
    {
        NeedsData = true,
        Presets =
        [
            new TrainOptions
            {
                Task = AudioName,
                Preset = "quick",
                Stages = [new(1 << 15, 16, 1200)],
                LearningRate = 3e-3,
                Warmup = 50,
                Schedule = "cosine",
                Clip = 1,
                Dropout = 0.1,
                EvalEvery = 200,
                Sequence = new SequenceOptions { Patch = 8 },
            },
        ],
        Model = new MambaConfig { DModel = 64, NLayer = 4, VocabSize = 1 },
        ModelOf = FitsData,
    };

    /// <summary>Series of numbers in a CSV file.</summary>
    public static TrainingTask Forecast { get; } = new(ForecastName, "the next rows of numbers of --data, a CSV file, from those before them", options =>
        new ForecastData(DataOf(options), Of(options)))
    {
        NeedsData = true,
        Presets =
        [
            new TrainOptions
            {
                Task = ForecastName,
                Preset = "quick",
                Stages = [new(1 << 14, 32, 800)],
                LearningRate = 1e-3,
                Warmup = 50,
                Schedule = "cosine",
                Clip = 1,
                Dropout = 0.2,
                EvalEvery = 100,
                Sequence = new SequenceOptions { Patch = 8, Pool = Pooling.Last },
            },
        ],
        Model = new MambaConfig { DModel = 64, NLayer = 2, VocabSize = 1 },
        ModelOf = FitsData,
    };

    static string DataOf(TrainOptions options) => options.Data ?? throw new MambaException($"{options.Task}: data is missing; expected a file of examples.");

    static SequenceOptions Of(TrainOptions options) => options.Sequence ?? new SequenceOptions();

    static MambaConfig FitsData(TrainOptions options) => ((SplitData)options.OpenData()).ModelOf(TrainingTask.Named(options.Task).Model);
}
