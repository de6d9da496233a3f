namespace Mamba;

/// <summary>The files of one training run. A folder is a run once <c>train.json</c>, the last of its first files, is there.</summary>
/// <param name="path">Where it is or will be.</param>
public sealed class RunFolder(string path)
{
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

    public string LossPlot => In("loss.png");

    /// <summary>Rows of <see cref="EvalRow"/>.</summary>
    public string Eval => In("eval.json");

    public string EvalPlot => In("eval.png");

    string In(string name) => System.IO.Path.Combine(Path, name);

    public bool IsRun => File.Exists(Train);

    /// <summary>
    /// Nothing is there that a run could overwrite: no folder, an empty one, or what a run leaves that was killed before it
    /// had written its first files.
    /// </summary>
    public bool IsFree(MambaConfig config)
    {
        if (File.Exists(Path))
            return false;
        return !Directory.Exists(Path) || Directory.EnumerateFileSystemEntries(Path).All(entry =>
            RunLock.IsLock(entry) || AtomicFile.IsLeftover(entry) || (entry == Config && InputFile.ReadText(Config) == config.ToJson()));
    }

    /// <summary>Makes the folder a run that has not begun. Files of an earlier run in it are deleted, others are left alone.</summary>
    public void Create(MambaConfig config, TrainOptions options)
    {
        try
        {
            Directory.CreateDirectory(Path);
            using var mine = new RunLock(this);
            foreach (string file in (string[])[Train, Checkpoint, Model, Log, LossPlot, Eval, EvalPlot])
                File.Delete(file);
        }
        catch (Exception e) when (InputFile.IsOfFiles(e))
        {
            throw new MambaException($"{Path}: cannot be written: {InputFile.Sentence(e)}", e);
        }
        AtomicFile.WriteText(Config, config.ToJson());
        Write(options);
    }

    /// <summary>Replaces the options.</summary>
    public void Write(TrainOptions options) => AtomicFile.WriteText(Train, options.ToJson());

    /// <summary>The options it was made with.</summary>
    public TrainOptions ReadOptions() => TrainOptions.FromJson(InputFile.ReadText(Train), Train);

    /// <summary>The model's dimensions.</summary>
    public MambaConfig ReadConfig() => ModelFolder.ReadConfig(Path);

    /// <summary>The loss and accuracy of every step so far.</summary>
    public IReadOnlyList<StepReport> ReadLog() => File.Exists(Log) ? TrainLog.Read(Log) : [];
}
