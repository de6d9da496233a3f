namespace Mamba;

/// <summary>
/// A task with a name: what <c>mamba train NAME</c> trains, and <c>task</c> in train.json. All of them are in <see cref="All"/>, the one place a task
/// is registered in; <see cref="Register"/> adds one of your own.
/// </summary>
/// <param name="Name">On the command line: <c>induction-heads</c>.</param>
/// <param name="Summary">A sentence for the help.</param>
/// <param name="Open">From the options of a run to its data.</param>
public sealed record TrainingTask(string Name, string Summary, Func<TrainOptions, TrainingData> Open)
{
    // made when it is asked for: the tasks are themselves of this type
    static readonly Lazy<Choices<TrainingTask>> Choices =
        new(() => new("Task",
        [
            InductionHeads.Task, SelectiveCopying.Task, TextData.Task, TextData.Dna, SequenceTasks.Classify, SequenceTasks.Audio, SequenceTasks.Forecast,
            TokenBatches.Task,
        ], task => task.Name));

    /// <summary>Options that are known to work, by name; the first is what a run takes that names none.</summary>
    public IReadOnlyList<TrainOptions> Presets { get; init; } = [];

    /// <summary>From the file given by <c>--data</c> to options, for a task that trains on what is in a file; null for one that makes its own.</summary>
    public Func<string, TrainOptions>? FromFile { get; init; }

    /// <summary>Whether the presets train on what is in <see cref="TrainOptions.Data"/>.</summary>
    public bool NeedsData { get; init; }

    /// <summary>Whether <see cref="TrainOptions.DataTokens"/> says something about it.</summary>
    public bool HasDataTokens { get; init; }

    /// <summary>The model it is trained with unless options say otherwise: the paper's for its synthetic tasks, two layers of 64.</summary>
    public MambaConfig Model { get; init; } = new() { DModel = 64, NLayer = 2, VocabSize = 16 };

    /// <summary>From options to the model, for a task whose presets have models of their own; null: always <see cref="Model"/>.</summary>
    public Func<TrainOptions, MambaConfig>? ModelOf { get; init; }

    /// <summary>Every task, in the order they were registered in.</summary>
    public static IReadOnlyList<TrainingTask> All => Choices.Value.All;

    /// <summary>Makes a task known under its name.</summary>
    /// <param name="task">The task.</param>
    /// <exception cref="MambaException">Another has its name.</exception>
    public static void Register(TrainingTask task) => Choices.Value.Add(task);

    /// <summary>The task of that name.</summary>
    /// <param name="name">On the command line.</param>
    /// <exception cref="MambaException">There is none.</exception>
    public static TrainingTask Named(string name) => Choices.Value.Find(name);

    /// <summary>The options of a preset.</summary>
    /// <param name="name">Its name; null: the first.</param>
    /// <exception cref="MambaException">There is none.</exception>
    public TrainOptions Preset(string? name = null) => Presets.FirstOrDefault(options => name is null || options.Preset == name)
        ?? throw new MambaException(Presets.Count == 0
            ? $"{Name} has no presets."
            : $"Preset '{name}' is unknown; there are {string.Join(" and ", Presets.Select(options => options.Preset))}.");
}
