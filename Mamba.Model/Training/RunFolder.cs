namespace Mamba;

/// <summary>The files of one training run. A folder is a run once <c>train.json</c>, the last of its first files, is there.</summary>
/// <param name="path">Where it is or will be.</param>
public sealed class RunFolder(string path)
{
    /// <summary>Where it is or will be.</summary>
    public string Path { get; } = path;

    /// <summary>The model's dimensions: <see cref="MambaConfig"/>.</summary>
    public string Config => In("config.json");

    /// <summary>How it is trained: <see cref="TrainOptions"/>.</summary>
    public string Train => In("train.json");

    /// <summary>The weights under their official names.</summary>
    public string Model => In("model.safetensors");

    /// <summary>What resuming needs: weights, moments of the optimizer, place in the curriculum.</summary>
    public string Checkpoint => In("checkpoint.safetensors");

    /// <summary>A line for each step.</summary>
    public string Log => In("log.jsonl");

    /// <summary>The tokenizer, where the training has one: a model's folder holds its own.</summary>
    public string Tokenizer => In(TokenizerJson.FileName);

    /// <summary>Which examples are trained on, held out, and the test, where the data are <see cref="SplitData"/>: <see cref="DataSplit"/>.</summary>
    public string Split => In("split.csv");

    /// <summary>Loss and accuracy over the steps, as a picture.</summary>
    public string LossPlot => In("loss.png");

    /// <summary>Accuracy by length: <see cref="EvalRow"/>s.</summary>
    public string Eval => In("eval.json");

    /// <summary>Accuracy by length, as a picture.</summary>
    public string EvalPlot => In("eval.png");

    /// <summary>Which class was taken for which, as a picture.</summary>
    public string ConfusionPlot => In("confusion.png");

    /// <summary>Of two classes: true against false positives, as a picture.</summary>
    public string RocPlot => In("roc.png");

    /// <summary>Of a series: the first window of the test and what was foretold, as a picture.</summary>
    public string ForecastPlot => In("forecast.png");

    string In(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Whether there is a run in it, begun or not.</summary>
    public bool IsRun => File.Exists(Train);

    /// <summary>
    /// Nothing is there that a run could overwrite: no folder, an empty one, or what a run leaves that was killed before it
    /// had written its first files.
    /// </summary>
    /// <param name="config">The model the run is to be of: what was killed left the same config.json.</param>
    public bool IsFree(MambaConfig config)
    {
        if (File.Exists(Path))
            return false;
        return !Directory.Exists(Path) || Directory.EnumerateFileSystemEntries(Path).All(entry =>
            RunLock.IsLock(entry) || AtomicFile.IsLeftover(entry) || (entry == Config && InputFile.ReadText(Config) == config.ToJson()));
    }

    /// <summary>Makes the folder a run that has not begun. Files of an earlier run in it are deleted, others are left alone.</summary>
    /// <param name="config">The model's dimensions.</param>
    /// <param name="options">How it is to be trained.</param>
    /// <exception cref="MambaException">Another process trains there, or a file cannot be written.</exception>
    public void Create(MambaConfig config, TrainOptions options)
    {
        try
        {
            Directory.CreateDirectory(Path);
            using var mine = new RunLock(this);
            foreach (string file in (string[])[Train, Checkpoint, Model, Tokenizer, Split, Log, LossPlot, Eval, EvalPlot, ConfusionPlot, RocPlot, ForecastPlot])
                File.Delete(file);
        }
        catch (Exception e) when (InputFile.IsOfFiles(e))
        {
            throw new MambaException($"{Path}: cannot be written: {InputFile.Sentence(e)}", e);
        }
        AtomicFile.WriteText(Config, config.ToJson());
        if (options.Tokenizer is { } tokenizer && TokenizerJson.FileOf(tokenizer) is { } its)
            AtomicFile.WriteText(Tokenizer, InputFile.ReadText(its));
        Write(options);
    }

    /// <summary>Replaces the options, to train on with others.</summary>
    /// <param name="options">How it is to be trained from now on.</param>
    /// <exception cref="MambaException">The file cannot be written.</exception>
    public void Write(TrainOptions options) => AtomicFile.WriteText(Train, options.ToJson());

    /// <summary>The options it is trained with.</summary>
    /// <exception cref="MambaException">There are none, or they cannot be read.</exception>
    public TrainOptions ReadOptions() => TrainOptions.FromJson(InputFile.ReadText(Train), Train);

    /// <summary>The model's dimensions.</summary>
    /// <exception cref="MambaException">There is no config.json, or no model can be built from it.</exception>
    public MambaConfig ReadConfig() => ModelFolder.ReadConfig(Path);

    /// <summary>What it is trained on, with the split of the run.</summary>
    /// <exception cref="MambaException">The data are not there, broken, or not those that the run was begun with.</exception>
    public TrainingData OpenData()
    {
        TrainingData data = ReadOptions().OpenData();
        if (data is SplitData split)
            Keep(split);
        return data;
    }

    /// <summary>The run's split becomes that of the data; if it has none yet, the data's becomes its.</summary>
    internal void Keep(SplitData data)
    {
        if (File.Exists(Split))
            data.Split = DataSplit.Load(Split, data.Ids);
        else
            data.Split.Save(Split);
    }

    /// <summary>The loss and accuracy of every step so far; none before training began. Lines that are broken are passed over.</summary>
    /// <exception cref="MambaException">The log cannot be read.</exception>
    public IReadOnlyList<StepReport> ReadLog() => File.Exists(Log) ? TrainLog.Read(Log).Steps : [];

    /// <summary>Every measurement on what is held out so far.</summary>
    /// <exception cref="MambaException">The log cannot be read.</exception>
    public IReadOnlyList<ValidationReport> ReadValidations() => File.Exists(Log) ? TrainLog.Read(Log).Validations : [];
}
