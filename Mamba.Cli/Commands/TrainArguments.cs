using System.CommandLine;
using System.Text.Json.Nodes;

namespace Mamba.Cli;

/// <summary>What can be said to <c>mamba train</c>, and how it changes a preset or the options of a run to be resumed.</summary>
internal sealed class TrainArguments
{
    static readonly TrainingTask Default = InductionHeads.Task;

    readonly Argument<string?> task = new Argument<string?>("task")
    {
        Description = string.Join("; ", TrainingTask.All.Select(task => $"{task.Name}{(task == Default ? " (default)" : "")}: {task.Summary}")) + ".",
        Arity = ArgumentArity.ZeroOrOne,
    }.NoOption();
    readonly Option<string?> preset = Option.Text("--preset", "quick|paper|long",
        "Where the other options start from. quick: minutes on two cores (default). paper: the full hyper-parameters of the paper. "
        + "long, of text: half an hour.");
    readonly Option<string?> @out = Option.Text("--out", "FOLDER", "The run folder; by default a new one under runs/.");
    readonly Option<string?> resume = Option.Text("--resume", "FOLDER",
        "Go on with the run in FOLDER, from its last checkpoint. FOLDER may be left out: --out, or else the newest run under runs/.", valueOptional: true);
    readonly Option<bool> force = Option.Flag("--force", "Overwrite the run that is in --out, if there is one.");

    readonly Option<string?> data = Option.Text("--data", "PATH",
        "For text: a file, or a folder of files; its last tenth is held out. For dna: FASTA, likewise. For classify: CSV or FASTA. For audio: a folder or an "
        + "archive of WAV files. For forecast: CSV. For tokens: safetensors with an int64 tensor 'batches' (steps, batch, length).");
    readonly Option<string?> tokenizer = Option.Text("--tokenizer", "FILE",
        "For text: a tokenizer.json, or a model that has one (that of --init); by default each byte is a token.");
    readonly Option<bool> tbptt = Option.Flag("--tbptt",
        "For text: read it from start to end in --batch stretches, the state carried from step to step, instead of windows from anywhere.");
    readonly Option<int?> context = Option.Int("--context",
        "For text and dna: windows of so many tokens, read in pieces of --length, one a step, the state carried between (as --length).");
    readonly SequenceArguments sequence = new();
    readonly Option<string?> init = Option.Text("--init", "MODEL",
        "Start from this model: its folder, state-spaces' or Hugging Face's, a run folder, weights with config.json beside them, or a GGUF file.");

    readonly Option<ulong?> seed = Option.Seed("--seed", "Seed of the weights and the data (0).");
    readonly Option<long?> steps = Option.Long("--steps", "Steps in all: cuts or stretches the last stage of the curriculum (the preset's).");
    readonly Option<int?> batch = Option.Int("--batch", "Sequences a step (the preset's).");
    readonly Option<int?> length = Option.Int("--length", "Length of the sequences, instead of the preset's curriculum.");
    readonly Option<int?> dataTokens = Option.Int("--data-tokens", "Tokens to remember in selective copying (the preset's).");
    readonly Option<double?> lr = Option.Real("--lr", "Learning rate (the preset's; tokens: 1e-3).");
    readonly Option<double?> beta1 = Option.Real("--beta1", "Adam: decay of the mean gradient (0.9).");
    readonly Option<double?> beta2 = Option.Real("--beta2", "Adam: decay of the mean squared gradient (the preset's; tokens: 0.999).");
    readonly Option<double?> eps = Option.Real("--eps", "Adam: added to the root of the mean squared gradient (the preset's; tokens: 1e-8).");
    readonly Option<string?> schedule = Option.Text("--schedule", "constant|cosine",
        "Learning rate after the warmup: constant, or down half a cosine to --final-rate at the last step (the preset's; tokens: constant).");
    readonly Option<double?> finalRate = Option.Real("--final-rate", "Where the cosine ends, as a part of --lr: 0 to 1 (0).");
    readonly Option<double?> dropout = Option.Real("--dropout",
        "Part of the embedding, and of what each block adds to the residual stream, that is dropped: 0 to below 1 (the preset's).");
    readonly Option<long?> evalEvery = Option.Long("--eval-every",
        "Of what has something held out: steps between measurements on it, the best weights being kept; 0: none (the preset's).");
    readonly Option<long?> warmup = Option.Long("--warmup",
        "Steps in which the learning rate rises: the first has lr/N, the N-th lr (the preset's; tokens: 0).");
    readonly Option<double?> weightDecay = Option.Real("--weight-decay", "Decoupled weight decay; none on biases, norms, A_log and D (0).");
    readonly Option<bool> decayAll = Option.Flag("--decay-all", "Weight decay on every parameter, those too.");
    readonly Option<double?> clip = Option.Real("--clip", "Scale gradients down to this norm; 0: never (the preset's; tokens: 0).");
    readonly Option<string?> dtype = Option.Text("--dtype", "float32|float64", "Element type (float32).");
    readonly Option<long?> checkpointEvery = Option.Long("--checkpoint-every", "Steps between checkpoints; 0 (default): one every ten seconds.");
    readonly Option<int?> maxEvalLength = Option.Int("--max-eval-length",
        "The longest sequences of the evaluation at the end, 64 or more; 0: no evaluation (the preset's).");

    readonly Option<int?> dModel = Option.Int("--d-model", "Width of the residual stream (64).");
    readonly Option<int?> nLayer = Option.Int("--n-layer", "Blocks (2).");
    readonly Option<int?> vocabSize = Option.Int("--vocab-size", "Tokens the model knows (16).");
    readonly Option<int?> dState = Option.Int("--d-state", "Size of the state of each channel, N (16).");
    readonly Option<int?> dConv = Option.Int("--d-conv", "Width of the causal convolution, 1 to 8 (4).");
    readonly Option<int?> expand = Option.Int("--expand", "Channels of a block over d-model, E (2).");
    readonly Option<int?> dtRank = Option.Int("--dt-rank", "Rank of the projection to delta (d-model / 16).");
    readonly Option<int?> dIntermediate = Option.Int("--d-intermediate", "Hidden width of a gated MLP after each block; 0 (default): none.");
    readonly Option<string?> discretization = Option.Text("--discretization", "NAME",
        $"How steps are made of the continuous system: {string.Join(", ", Discretization.All.Select(d => d.Name))} (exponential-euler, as the released code).");
    readonly Option<string?> scanAlgorithm = Option.Text("--scan-algorithm", "NAME",
        $"How the scan is computed, all the same to rounding: {string.Join(", ", ScanAlgorithm.All.Select(a => a.Name))} (chunked, the fused kernel).");

    public void AddTo(Command command)
    {
        command.Add(task);
        System.CommandLine.Option[] options =
        [
            preset, @out, resume, force, seed, steps, batch, length, dataTokens, data, tokenizer, tbptt, context, init, .. sequence.All,
            lr, beta1, beta2, eps, schedule, warmup, finalRate, weightDecay, decayAll, clip, dropout, dtype,
            dModel, nLayer, vocabSize, dState, dConv, expand, dtRank, dIntermediate, discretization, scanAlgorithm,
            evalEvery, checkpointEvery, maxEvalLength,
        ];
        foreach (System.CommandLine.Option option in options)
            command.Add(option);
    }

    /// <summary>What to do: the folder, whether it holds a run to go on with, and the options, all checked.</summary>
    public (RunFolder Folder, bool Resuming, TrainOptions Options, MambaConfig Config) Read(ParseResult parsed)
    {
        string? taskName = parsed.GetValue(task), resumeFolder = parsed.GetValue(resume), outFolder = parsed.GetValue(@out);
        bool wantsResume = parsed.GetResult(resume) is { Implicit: false }, overwrites = parsed.GetValue(force);
        if (TrainingTask.All.Any(known => known.Name == resumeFolder) && taskName is null && !Directory.Exists(resumeFolder))
            (taskName, resumeFolder) = (resumeFolder, null);            // train --resume induction-heads
        if (wantsResume && overwrites)
            throw new MambaException("--resume goes on with a run and --force overwrites it: give one of them.");
        if (resumeFolder is not null && outFolder is not null && Path.GetFullPath(resumeFolder) != Path.GetFullPath(outFolder))
            throw new MambaException($"--resume {resumeFolder} and --out {outFolder} are different folders.");
        if (wantsResume)
        {
            RunFolder run = Runs.ToResume(resumeFolder ?? outFolder ?? Runs.Newest(taskName));
            (TrainOptions stored, MambaConfig storedConfig) = (run.ReadOptions(), run.ReadConfig());
            TrainOptions asked = Apply(parsed, stored) with { Task = taskName ?? stored.Task, Preset = parsed.GetValue(preset) ?? stored.Preset };
            MambaConfig askedConfig = Apply(parsed, storedConfig);
            TrainOptions mayDiffer = asked with { Steps = stored.Steps, CheckpointEvery = stored.CheckpointEvery, MaxEvalLength = stored.MaxEvalLength };
            ExpectSame(run.Train, stored.ToJson(), mayDiffer.ToJson());
            ExpectSame(run.Config, storedConfig.ToJson(), askedConfig.ToJson());
            asked.Validate(storedConfig);
            ExpectEvaluation(parsed, asked);
            return (run, true, asked, storedConfig);
        }

        TrainingTask kind = taskName is null ? Default : TrainingTask.Named(taskName);
        TrainOptions options = Apply(parsed, kind.FromFile is null ? kind.Preset(parsed.GetValue(preset)) : OfFile(parsed, kind));
        if (options.Data is not null && kind is { FromFile: null, NeedsData: false })
            throw new MambaException($"--data was given; {options.Task} makes its own.");
        if (options.Data is null && kind.NeedsData)
            throw new MambaException($"train {kind.Name}: --data is missing; expected {Expected(kind)}.");
        if (!kind.NeedsData && IsGiven(parsed, evalEvery))
            throw new MambaException($"{evalEvery.Name} was given; {kind.Name} makes its own sequences, of which none is held out.");
        bool isText = kind == TextData.Task, isDna = kind == TextData.Dna;
        if (!isText && IsGiven(parsed, tokenizer))
            throw new MambaException($"{tokenizer.Name} was given; it is for text.");
        if (!(isText || isDna) && ((System.CommandLine.Option[])[tbptt, context]).FirstOrDefault(option => IsGiven(parsed, option)) is { } ofText)
            throw new MambaException($"{ofText.Name} was given; it is for text and dna.");
        sequence.Expect(parsed, kind.Name);
        if (isText && options is { Init: { } start, Tokenizer: null } && Tokenizer.Of(start) is not ByteTokenizer)
            options = options with { Tokenizer = start };
        if (parsed.GetValue(dataTokens) is not null && !kind.HasDataTokens)
        {
            IEnumerable<string> with = TrainingTask.All.Where(known => known.HasDataTokens).Select(known => known.Name);
            throw new MambaException($"--data-tokens was given; only {string.Join(", ", with)} has tokens to remember.");
        }
        MambaConfig first = options.Init is { } model ? ModelFolder.ReadConfig(model) : kind.ModelOf?.Invoke(options) ?? kind.Model;
        MambaConfig config = Apply(parsed, first);
        if (options.Init is not null && config != first)
            throw new MambaException("--init says what the model's dimensions are: no option may change them.");
        options.Validate(config);
        ExpectEvaluation(parsed, options);
        var folder = new RunFolder(outFolder ?? Runs.Unused(options.Task));
        if (File.Exists(folder.Path))
            throw new MambaException($"{folder.Path} is a file; expected the name of a folder.");
        if (!folder.IsFree(config) && !(overwrites && folder.IsRun))
            throw new MambaException(!folder.IsRun
                ? $"{folder.Path} is not empty, and not a run: nothing is written there."
                : $"{folder.Path} holds a run: --resume goes on with it, --force overwrites it, --out names another folder.");
        return (folder, false, options, config);
    }

    // What was asked for and would not be done.
    void ExpectEvaluation(ParseResult parsed, TrainOptions options)
    {
        if (parsed.GetValue(maxEvalLength) is not > 0)
            return;
        if (options.OpenData() is not SequenceTask data)
            throw new MambaException($"--max-eval-length was given; there is no evaluation after a training on {options.Task}.");
        if (options.MaxEvalLength < Evaluation.Shortest(data))
            throw new MambaException($"--max-eval-length is {options.MaxEvalLength}; expected at least {Evaluation.Shortest(data)}, or 0 for no evaluation.");
    }

    static string Expected(TrainingTask kind) => kind.Name switch
    {
        "text" => "a file or a folder of text",
        "dna" => "a FASTA file",
        "audio" => "a folder or an archive of WAV files",
        "forecast" => "a CSV file, a row for each step",
        "classify" => "a CSV or FASTA file of sequences with labels",
        _ => "a file",
    };

    static bool IsGiven(ParseResult parsed, System.CommandLine.Option option) => parsed.GetResult(option) is { Implicit: false };

    TrainOptions OfFile(ParseResult parsed, TrainingTask kind)
    {
        if (parsed.GetValue(data) is not { } file)
            throw new MambaException($"train {kind.Name}: --data is missing; "
                + "expected a safetensors file with an int64 tensor 'batches' (steps, batch, length).");
        if (((System.CommandLine.Option[])[batch, length, preset]).FirstOrDefault(option => IsGiven(parsed, option)) is { } other)
            throw new MambaException($"train {kind.Name}: {other.Name} was given; --data says what is trained on.");
        return kind.FromFile!(file);
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
            Data = parsed.GetValue(data) is { } file ? Path.GetFullPath(file) : options.Data,
            Tokenizer = parsed.GetValue(tokenizer) is { } words ? Path.Exists(words) ? Path.GetFullPath(words) : words : options.Tokenizer,
            Tbptt = parsed.GetValue(tbptt) || options.Tbptt,
            Context = parsed.GetValue(context) ?? options.Context,
            Sequence = options.Sequence is { } examples ? sequence.Apply(parsed, examples) : null,
            Init = parsed.GetValue(init) is { } model ? Path.GetFullPath(model) : options.Init,
            LearningRate = parsed.GetValue(lr) ?? options.LearningRate,
            Beta1 = parsed.GetValue(beta1) ?? options.Beta1,
            Beta2 = parsed.GetValue(beta2) ?? options.Beta2,
            Eps = parsed.GetValue(eps) ?? options.Eps,
            Schedule = parsed.GetValue(schedule) ?? options.Schedule,
            Warmup = parsed.GetValue(warmup) ?? options.Warmup,
            WeightDecay = parsed.GetValue(weightDecay) ?? options.WeightDecay,
            DecayAll = parsed.GetValue(decayAll) || options.DecayAll,
            Clip = parsed.GetValue(clip) ?? options.Clip,
            Dtype = parsed.GetValue(dtype) ?? options.Dtype,
            FinalRate = parsed.GetValue(finalRate) ?? options.FinalRate,
            Dropout = parsed.GetValue(dropout) ?? options.Dropout,
            EvalEvery = parsed.GetValue(evalEvery) ?? options.EvalEvery,
            CheckpointEvery = parsed.GetValue(checkpointEvery) ?? options.CheckpointEvery,
            MaxEvalLength = parsed.GetValue(maxEvalLength) ?? options.MaxEvalLength,
        };
    }

    MambaConfig Apply(ParseResult parsed, MambaConfig config)
    {
        config = config with
        {
            DModel = parsed.GetValue(dModel) ?? config.DModel,
            NLayer = parsed.GetValue(nLayer) ?? config.NLayer,
            VocabSize = parsed.GetValue(vocabSize) ?? config.VocabSize,
            DIntermediate = parsed.GetValue(dIntermediate) ?? config.DIntermediate,
            Discretization = parsed.GetValue(discretization) is { } scheme ? Discretization.Named(scheme) : config.Discretization,
            ScanAlgorithm = parsed.GetValue(scanAlgorithm) is { } algorithm ? ScanAlgorithm.Named(algorithm) : config.ScanAlgorithm,
        };
        System.CommandLine.Option[] ofBlock = [dState, dConv, expand, dtRank];
        if (!Array.Exists(ofBlock, option => IsGiven(parsed, option)))
            return config;
        return config.Mixer is BidirectionalConfig both
            ? config with { Mixer = both with { Inner = Block((config with { Mixer = both.Inner }).SsmCfg) } }
            : config with { SsmCfg = Block(config.SsmCfg) };

        SsmConfig Block(SsmConfig ssm) => ssm with
        {
            DState = parsed.GetValue(dState) ?? ssm.DState,
            DConv = parsed.GetValue(dConv) ?? ssm.DConv,
            Expand = parsed.GetValue(expand) ?? ssm.Expand,
            DtRank = parsed.GetValue(dtRank) ?? ssm.DtRank,
        };
    }

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
}
