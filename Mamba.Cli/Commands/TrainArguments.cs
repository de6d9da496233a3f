using System.CommandLine;
using System.Text.Json.Nodes;

namespace Mamba.Cli;

/// <summary>What can be said to <c>mamba train</c>, and how it changes a preset or the options of a run to be resumed.</summary>
internal sealed class TrainArguments
{
    readonly Argument<string?> task = new Argument<string?>("task") { Description = "induction-heads (default) or selective-copying.", Arity = ArgumentArity.ZeroOrOne }.NoOption();
    readonly Option<string?> preset = Option.Text("--preset", "quick|paper", "quick: a minute or two on two cores (default). paper: its full hyper-parameters.");
    readonly Option<string?> @out = Option.Text("--out", "FOLDER", "The run folder; by default a new one under runs/.");
    readonly Option<string?> resume = Option.Text("--resume", "FOLDER", "Go on from the last checkpoint of FOLDER, of --out, or else of the newest run.", valueOptional: true);
    readonly Option<bool> force = Option.Flag("--force", "Overwrite the run that is in --out.");

    readonly Option<ulong?> seed = Option.Seed("--seed", "Seed of the weights and the data (0).");
    readonly Option<long?> steps = Option.Long("--steps", "Steps in all: cuts or stretches the last stage of the curriculum.");
    readonly Option<int?> batch = Option.Int("--batch", "Sequences a step.");
    readonly Option<int?> length = Option.Int("--length", "Length of the sequences, instead of a curriculum.");
    readonly Option<int?> dataTokens = Option.Int("--data-tokens", "Tokens to remember in selective copying.");
    readonly Option<double?> lr = Option.Real("--lr", "Learning rate.");
    readonly Option<string?> schedule = Option.Text("--schedule", "constant|cosine", "Learning rate after the warmup (constant).");
    readonly Option<long?> warmup = Option.Long("--warmup", "Steps over which the learning rate rises from 0.");
    readonly Option<double?> weightDecay = Option.Real("--weight-decay", "Decoupled weight decay; none on biases, norms, A_log and D.");
    readonly Option<double?> clip = Option.Real("--clip", "Scale gradients down to this norm; 0: never.");
    readonly Option<string?> dtype = Option.Text("--dtype", "float32|float64", "Element type (float32).");
    readonly Option<long?> checkpointEvery = Option.Long("--checkpoint-every", "Steps between checkpoints; 0 (default): one every ten seconds.");
    readonly Option<int?> maxEvalLength = Option.Int("--max-eval-length", "The longest sequences of the evaluation at the end; 0: none.");

    readonly Option<int?> dModel = Option.Int("--d-model", "Width of the residual stream (64).");
    readonly Option<int?> nLayer = Option.Int("--n-layer", "Blocks (2).");
    readonly Option<int?> vocabSize = Option.Int("--vocab-size", "Tokens the model knows (16).");
    readonly Option<int?> dState = Option.Int("--d-state", "Size of the state of each channel, N (16).");
    readonly Option<int?> dConv = Option.Int("--d-conv", "Width of the causal convolution, 1 to 8 (4).");
    readonly Option<int?> expand = Option.Int("--expand", "Channels of a block over d-model, E (2).");
    readonly Option<int?> dtRank = Option.Int("--dt-rank", "Rank of the projection to delta (d-model / 16).");

    public void AddTo(Command command)
    {
        command.Add(task);
        foreach (System.CommandLine.Option option in (System.CommandLine.Option[])[preset, @out, resume, force, seed, steps, batch, length, dataTokens, lr, schedule, warmup, weightDecay, clip,
            dtype, dModel, nLayer, vocabSize, dState, dConv, expand, dtRank, checkpointEvery, maxEvalLength])
            command.Add(option);
    }

    /// <summary>What to do: the folder, whether it holds a run to go on with, and the options, all checked.</summary>
    public (RunFolder Folder, bool Resuming, TrainOptions Options, MambaConfig Config) Read(ParseResult parsed)
    {
        string? taskName = parsed.GetValue(task), resumeFolder = parsed.GetValue(resume), outFolder = parsed.GetValue(@out);
        bool wantsResume = parsed.GetResult(resume) is { Implicit: false }, overwrites = parsed.GetValue(force);
        if (resumeFolder is "induction-heads" or "selective-copying" && taskName is null && !Directory.Exists(resumeFolder))
            (taskName, resumeFolder) = (resumeFolder, null);            // train --resume induction-heads
        if (wantsResume && overwrites)
            throw new MambaException("--resume goes on with a run and --force overwrites it: give one of them.");
        if (resumeFolder is not null && outFolder is not null && Path.GetFullPath(resumeFolder) != Path.GetFullPath(outFolder))
            throw new MambaException($"--resume {resumeFolder} and --out {outFolder} are different folders.");
        string? path = resumeFolder ?? outFolder ?? (wantsResume ? Newest(taskName) : null);
        if (wantsResume && path is null)
            throw new MambaException("There is no run to resume under runs/; --out names another folder.");
        if (wantsResume && new RunFolder(path!) is { IsRun: true } run)
        {
            (TrainOptions stored, MambaConfig storedConfig) = (run.ReadOptions(), run.ReadConfig());
            TrainOptions asked = Apply(parsed, stored) with { Task = taskName ?? stored.Task, Preset = parsed.GetValue(preset) ?? stored.Preset };
            MambaConfig askedConfig = Apply(parsed, storedConfig);
            ExpectSame(run.Train, stored.ToJson(), (asked with { Steps = stored.Steps, CheckpointEvery = stored.CheckpointEvery, MaxEvalLength = stored.MaxEvalLength }).ToJson());
            ExpectSame(run.Config, storedConfig.ToJson(), askedConfig.ToJson());
            asked.Validate(storedConfig);
            return (run, true, asked, storedConfig);
        }

        TrainOptions options = Apply(parsed, Presets.Named(taskName ?? "induction-heads", parsed.GetValue(preset) ?? "quick"));
        MambaConfig config = Apply(parsed, Presets.Model);
        options.Validate(config);
        var folder = new RunFolder(path ?? Unused(options.Task));
        if (File.Exists(folder.Path))
            throw new MambaException($"{folder.Path} is a file; expected the name of a folder.");
        if (!folder.IsFree(config) && !(overwrites && folder.IsRun))
            throw new MambaException(!folder.IsRun
                ? $"{folder.Path} is not empty, and not a run: nothing is written there."
                : $"{folder.Path} holds a run: --resume goes on with it, --force overwrites it, --out names another folder.");
        return (folder, false, options, config);
    }

    TrainOptions Apply(ParseResult parsed, TrainOptions options)
    {
        IReadOnlyList<Stage> stages = options.Stages;
        if (parsed.GetValue(length) is { } l)
            stages = [new Stage(l, stages[^1].Batch, stages.Sum(stage => stage.Steps))];
        if (parsed.GetValue(batch) is { } b)
            stages = [.. stages.Select(stage => stage with { Batch = b })];
        return options with
        {
            Stages = stages,
            Seed = parsed.GetValue(seed) ?? options.Seed,
            Steps = parsed.GetValue(steps) ?? options.Steps,
            DataTokens = parsed.GetValue(dataTokens) ?? options.DataTokens,
            LearningRate = parsed.GetValue(lr) ?? options.LearningRate,
            Schedule = parsed.GetValue(schedule) ?? options.Schedule,
            Warmup = parsed.GetValue(warmup) ?? options.Warmup,
            WeightDecay = parsed.GetValue(weightDecay) ?? options.WeightDecay,
            Clip = parsed.GetValue(clip) ?? options.Clip,
            Dtype = parsed.GetValue(dtype) ?? options.Dtype,
            CheckpointEvery = parsed.GetValue(checkpointEvery) ?? options.CheckpointEvery,
            MaxEvalLength = parsed.GetValue(maxEvalLength) ?? options.MaxEvalLength,
        };
    }

    MambaConfig Apply(ParseResult parsed, MambaConfig config) => config with
    {
        DModel = parsed.GetValue(dModel) ?? config.DModel,
        NLayer = parsed.GetValue(nLayer) ?? config.NLayer,
        VocabSize = parsed.GetValue(vocabSize) ?? config.VocabSize,
        SsmCfg = config.SsmCfg with
        {
            DState = parsed.GetValue(dState) ?? config.SsmCfg.DState,
            DConv = parsed.GetValue(dConv) ?? config.SsmCfg.DConv,
            Expand = parsed.GetValue(expand) ?? config.SsmCfg.Expand,
            DtRank = parsed.GetValue(dtRank) ?? config.SsmCfg.DtRank,
        },
    };

    // A run goes on as it began, or its bits would be those of no run at all.
    static void ExpectSame(string file, string stored, string asked)
    {
        if (stored == asked)
            return;
        JsonObject there = JsonNode.Parse(stored)!.AsObject(), here = JsonNode.Parse(asked)!.AsObject();
        string name = there.Concat(here).Select(pair => pair.Key).First(key => there[key]?.ToJsonString() != here[key]?.ToJsonString());
        throw new MambaException($"{file} has {name} {there[name]?.ToJsonString() ?? "null"}, the command line {here[name]?.ToJsonString() ?? "null"}: "
            + "a resumed run goes on as it began; only --steps, --checkpoint-every, --max-eval-length, --device and --threads may differ.");
    }

    static string Unused(string task)
    {
        string first = Path.Combine("runs", task);
        for (int i = 1; ; i++)
        {
            string path = i == 1 ? first : $"{first}-{i}";
            if (!Directory.Exists(path) && !File.Exists(path))
                return path;
        }
    }

    static string? Newest(string? task) => !Directory.Exists("runs") ? null : Directory.GetDirectories("runs", (task ?? "") + "*")
        .Where(path => new RunFolder(path).IsRun)
        .MaxBy(path => File.GetLastWriteTimeUtc(new RunFolder(path).Log));
}
