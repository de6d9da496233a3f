using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>
/// Everything a training depends on, besides the model's own <see cref="MambaConfig"/>: <c>train.json</c> in a run folder. What is said of the optimizer by
/// default is what <see cref="AdamW"/> takes by default; the presets of a task say their own.
/// </summary>
public sealed record TrainOptions
{
    static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        AllowDuplicateProperties = false,
    };

    /// <summary>A <see cref="TrainingTask"/>: <c>induction-heads</c>, <c>selective-copying</c>, <c>tokens</c> or one of your own.</summary>
    public required string Task { get; init; }

    /// <summary>The preset that these options started from.</summary>
    public string Preset { get; init; } = "quick";

    /// <summary>Seed of the initial weights and of the data.</summary>
    public ulong Seed { get; init; }

    /// <summary>Where to train: what <c>Device.Open</c> takes.</summary>
    public string Device { get; init; } = "auto";

    /// <summary><c>float32</c> or <c>float64</c>.</summary>
    public string Dtype { get; init; } = "float32";

    /// <summary>Tokens to remember in selective copying: 1 to 65536.</summary>
    public int DataTokens { get; init; } = 16;

    /// <summary>The file of a task that trains on one, as <c>tokens</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Data { get; init; }

    /// <summary>For <c>text</c>: what makes tokens of it, as <see cref="Mamba.Tokenizer.Open"/> takes it; null: bytes.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Tokenizer { get; init; }

    /// <summary>
    /// For <c>text</c>: each sequence of a batch reads a stretch of the text from its start to its end, the state being carried from step to step; gradients
    /// reach back to the start of the step. Off: windows from anywhere.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Tbptt { get; init; }

    /// <summary>
    /// For <c>text</c> and <c>dna</c>: windows of so many tokens, a multiple of the stage's length, are read in pieces as long as that, one piece a step, the
    /// state being carried from piece to piece; gradients reach back to the start of a piece. Null: a window is as long as the stage says.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Context { get; init; }

    /// <summary>For <c>classify</c>, <c>audio</c> and <c>forecast</c>: what is read of the data, and what is asked of it; null: as usual.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SequenceOptions? Sequence { get; init; }

    /// <summary>A <see cref="ModelFolder"/> that the weights start from; null: fresh ones.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Init { get; init; }

    /// <summary>The curriculum: one stage after another.</summary>
    public required IReadOnlyList<Stage> Stages { get; init; }

    /// <summary>Steps in all: the last stage is cut or stretched to it. Null: the stages say.</summary>
    public long? Steps { get; init; }

    /// <summary>Peak learning rate: above 0.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Steps over which the learning rate rises from 0.</summary>
    public long Warmup { get; init; }

    /// <summary><c>constant</c>, or <c>cosine</c>: down to <see cref="FinalRate"/> at the last step.</summary>
    public string Schedule { get; init; } = "constant";

    /// <summary>Where the cosine ends, as a part of the peak: 0 to 1.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public double FinalRate { get; init; }

    /// <summary>How much of the mean of gradients a step keeps: 0 to below 1. Kingma and Ba 2015, β₁.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>How much of the mean of squared gradients a step keeps: 0 to below 1. Kingma and Ba 2015, β₂.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>Added to the root of the squared gradients: above 0. Kingma and Ba 2015, ε.</summary>
    public double Eps { get; init; } = 1e-8;

    /// <summary>Decoupled weight decay, 0 or more; biases, norms, A_log and D have none. Loshchilov and Hutter 2019.</summary>
    public double WeightDecay { get; init; } = 0.1;

    /// <summary>Whether biases, norms, A_log and D decay, too.</summary>
    public bool DecayAll { get; init; }

    /// <summary>Gradients are scaled down to this norm; 0: never.</summary>
    public double Clip { get; init; }

    /// <summary>The part of activations that is dropped: 0 to below 1. <see cref="Mamba.Dropout"/>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public double Dropout { get; init; }

    /// <summary>
    /// The loss on what is held out is measured every so many steps, and after the last; the weights that were best are the run's model. 0: never, where
    /// nothing is held out.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long EvalEvery { get; init; }

    /// <summary>A checkpoint every so many steps; 0: every ten seconds.</summary>
    public long CheckpointEvery { get; init; }

    /// <summary>The longest sequences the final evaluation takes.</summary>
    public int MaxEvalLength { get; init; }

    /// <summary>The element type of the weights.</summary>
    [JsonIgnore]
    public DType DType => Dtype == "float64" ? DType.Float64 : DType.Float32;

    /// <summary>What is trained on: the task of that name, opened with these options.</summary>
    /// <exception cref="MambaException">No task has the name, or its file is missing or broken.</exception>
    public TrainingData OpenData() => TrainingTask.Named(Task).Open(this);

    /// <summary>The task, ready to draw sequences of any length from.</summary>
    /// <exception cref="MambaException">The training is on something else.</exception>
    public SequenceTask OpenTask() => OpenData() as SequenceTask
        ?? throw new MambaException($"This training was on given {Task}, not on a task that can be asked at other lengths.");

    /// <summary>The stage that the step after <paramref name="state"/> belongs to.</summary>
    internal Stage StageOf(TrainState state) => Stages[Math.Min(state.Stage, Stages.Count - 1)];

    /// <summary>Whether there is nothing more to do.</summary>
    internal bool IsDone(TrainState state) => Steps is { } steps ? state.Step >= steps : state.Stage >= Stages.Count;

    /// <summary>The learning rate of the step after <paramref name="state"/>.</summary>
    internal double LearningRateOf(TrainState state) => StageOf(state).Rate * (Schedule == "cosine"
        ? new Mamba.Schedule.WarmupCosine(Warmup, Steps ?? Stages.Sum(stage => stage.Steps), LearningRate, FinalRate * LearningRate).LearningRate(state.Step)
        : LearningRate * Math.Min(1, (state.Step + 1.0) / Math.Max(1, Warmup)));

    /// <summary>Tokens still to read, at most: a stage may end early.</summary>
    /// <param name="state">How far it is.</param>
    /// <param name="data">What is trained on; null: what <see cref="Task"/> names.</param>
    internal long TokensLeft(TrainState state, TrainingData? data = null)
    {
        data ??= OpenData();
        Int128 left = 0;
        long steps = Steps - state.Step ?? long.MaxValue;
        for (int i = state.Stage; i < Stages.Count && steps > 0; i++)
        {
            bool stretched = Steps is not null && i == Stages.Count - 1;
            long here = stretched ? steps : Math.Min(steps, Math.Max(0, Stages[i].Steps - (i == state.Stage ? state.StageStep : 0)));
            left += (Int128)here * Stages[i].Batch * data.Tokens(Stages[i].Length);
            steps -= here;
        }
        return (long)Int128.Min(left, long.MaxValue / 2);
    }

    /// <summary>Throws one clear line unless these options make sense and the model can say every token of the task.</summary>
    /// <param name="config">The model's.</param>
    /// <param name="data">What is trained on; null: what <see cref="Task"/> names.</param>
    /// <exception cref="MambaException">They do not: the line says which, what it is and what was expected.</exception>
    public void Validate(MambaConfig config, TrainingData? data = null)
    {
        if (DataTokens is < 1 or > 65536)
            throw new MambaException($"data-tokens is {DataTokens}; expected 1 to 65536.");
        TrainingData task = data ?? OpenData();
        if (task.Classes(config) < task.VocabSize)
            throw new MambaException($"vocab-size is {task.Classes(config)}; {task.Name} needs {task.VocabSize}.");
        if (Dtype is not ("float32" or "float64"))
            throw new MambaException($"dtype is '{Dtype}'; expected float32 or float64.");
        ExpectStages("");
        foreach (Stage stage in Stages)
        {
            if (stage.Length < task.MinLength)
                throw new MambaException($"length is {stage.Length}; {task.Name} needs at least {task.MinLength}.");
            Expect("batch", stage.Batch, 1, 1 << 20);
            Expect("steps", stage.Steps, 0, long.MaxValue / 2);
            if (!(stage.Rate > 0 && double.IsFinite(stage.Rate)))
                throw new MambaException($"a stage's rate is {stage.Rate}; expected a number above 0.");
            if (stage.UntilAccuracy is { } until && !(until > 0 && double.IsFinite(until)))
                throw new MambaException($"a stage's until_accuracy is {until}; expected a number above 0.");
            if ((stage.Length + (long)Math.Min(task.Answers, stage.Length)) * stage.Batch > int.MaxValue)
                throw new MambaException($"a batch of {stage.Batch} sequences of length {stage.Length} is too large: at most {int.MaxValue} tokens in all.");
        }
        Expect("steps", Steps ?? 0, 0, long.MaxValue / 2);
        if (Stages.Aggregate((Int128)0, (sum, stage) => sum + stage.Steps) > long.MaxValue / 2)
            throw new MambaException("the steps of all stages together are more than can be counted.");
        if (task.MostSteps is { } most && (Steps ?? Stages.Sum(stage => stage.Steps)) > most)
            throw new MambaException($"steps is {Steps ?? Stages.Sum(stage => stage.Steps)}; {Data} has batches for {most}.");
        foreach (Stage stage in Context is null ? [] : Stages)
            if (Context % stage.Length != 0 || Context < 1)
                throw new MambaException($"context is {Context}; expected a multiple of the length, {stage.Length}, which is what a step reads of it.");
        if (Context is not null && Tbptt)
            throw new MambaException("context and tbptt are both given; tbptt carries the state from the start to the end of a stretch.");
        Expect("warmup", Warmup, 0, long.MaxValue / 2);
        Expect("eval-every", EvalEvery, 0, long.MaxValue / 2);
        Expect("checkpoint-every", CheckpointEvery, 0, long.MaxValue / 2);
        Expect("max-eval-length", MaxEvalLength, 0, int.MaxValue);
        if (Schedule is not ("constant" or "cosine"))
            throw new MambaException($"schedule is '{Schedule}'; expected constant or cosine.");
        if (!(FinalRate is >= 0 and <= 1))
            throw new MambaException($"final-rate is {FinalRate}; expected 0 to 1, a part of the learning rate.");
        if (!(Dropout is >= 0 and < 1))
            throw new MambaException($"dropout is {Dropout}; expected a number from 0 to below 1.");
        if (!(LearningRate > 0 && double.IsFinite(LearningRate)))
            throw new MambaException($"lr is {LearningRate}; expected a number above 0.");
        if (!(WeightDecay >= 0 && double.IsFinite(WeightDecay)))
            throw new MambaException($"weight-decay is {WeightDecay}; expected a number from 0.");
        if (!(Clip >= 0 && double.IsFinite(Clip)))
            throw new MambaException($"clip is {Clip}; expected a number from 0 (0: no clipping).");
        if (!(Beta1 is >= 0 and < 1 && Beta2 is >= 0 and < 1 && Eps > 0 && double.IsFinite(Eps)))
            throw new MambaException($"beta1, beta2 and eps are {Beta1}, {Beta2} and {Eps}; expected betas from 0 to below 1 and an eps above 0.");
        Expect("d-model", config.DModel, 1, 1 << 16);
        Expect("n-layer", config.NLayer, 1, 1 << 12);
        Expect("vocab-size", config.VocabSize, 1, 1 << 24);
        if (config.Mixer is SsmConfig ssm)
        {
            Expect("d-state", ssm.DState, 1, 256);
            Expect("d-conv", ssm.DConv, 1, 8);
            Expect("expand", ssm.Expand, 1, 64);
            Expect("dt-rank", config.DtRank, 1, 1 << 16);
        }
        config.Validate();
    }

    // Everything else that asks for them takes it that they are there.
    void ExpectStages(string source)
    {
        if (Stages.Count == 0 || Stages.Any(stage => stage is null))
            throw new MambaException($"{source}stages is empty, or one of them is; expected at least one stage with a length, a batch and steps.");
    }

    static void Expect(string name, long value, long low, long high)
    {
        if (value < low || value > high)
            throw new MambaException($"{name} is {value}; expected {low}{(high > 1 << 24 ? " or more" : $" to {high}")}.");
    }

    /// <summary>train.json: names in snake case.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Json) + "\n";

    /// <summary>Reads what <see cref="ToJson"/> wrote.</summary>
    /// <param name="json">The text.</param>
    /// <param name="source">Where it came from, for the message.</param>
    /// <exception cref="MambaException">It is no JSON, or a name or a value is not known.</exception>
    public static TrainOptions FromJson(string json, string source = "train.json")
    {
        try
        {
            TrainOptions options = JsonSerializer.Deserialize<TrainOptions>(json, Json) ?? throw new JsonException("it is null");
            options.ExpectStages($"{source}: ");
            return options;
        }
        catch (Exception e) when (JsonText.IsMalformed(e))
        {
            throw new MambaException($"{source}: these are not training options: {InputFile.Sentence(e)}", e);
        }
    }
}
