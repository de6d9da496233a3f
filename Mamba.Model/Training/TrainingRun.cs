using System.Diagnostics;

namespace Mamba;

/// <summary>
/// Trains into a run folder: steps, a log line for each, checkpoints. Killed at any moment, it goes on from its last
/// checkpoint as if nothing had happened: the log is forced to the disk before the checkpoint that vouches for it takes its
/// name, and is cut back to that checkpoint when the run is resumed.
/// </summary>
public sealed class TrainingRun : IDisposable
{
    static readonly TimeSpan BetweenCheckpoints = TimeSpan.FromSeconds(10);

    readonly RunFolder folder;
    readonly RunLock mine;
    readonly TrainLog log;
    long savedStep = -1;

    /// <summary>Opens the folder for a trainer; with a checkpoint in it, the trainer is put where that was made.</summary>
    /// <param name="folder">A run, just made or to be resumed.</param>
    /// <param name="trainer">A trainer of the folder's config and options, at its start. It stays the caller's, who disposes it.</param>
    /// <exception cref="MambaException">Another process trains there, or the checkpoint or the log cannot be read.</exception>
    public TrainingRun(RunFolder folder, Trainer trainer)
    {
        this.folder = folder;
        Trainer = trainer;
        mine = new RunLock(folder);
        try
        {
            if (trainer.Data is SplitData data)
                folder.Keep(data);
            if (File.Exists(folder.Checkpoint))
            {
                Checkpoint.Load(folder.Checkpoint, trainer);
                savedStep = trainer.State.Step;
            }
            log = new TrainLog(folder.Log, trainer.State.Step);
        }
        catch
        {
            mine.Dispose();
            throw;
        }
    }

    /// <summary>What is trained.</summary>
    public Trainer Trainer { get; }

    /// <summary>Tokens a second, over the last twenty steps or so.</summary>
    public double TokensPerSecond { get; private set; }

    /// <summary>Running mean of the training accuracy, 0 to 1, over the last twenty steps or so of a stage.</summary>
    public double Accuracy { get; private set; }

    /// <summary>
    /// Trains until it is done or told to stop; either way the folder then holds where it is. Checkpoint, weights and log are there before
    /// the first step, and stay when one fails: what is infinite or NaN is never written over them.
    /// </summary>
    /// <param name="report">Called after every step.</param>
    /// <param name="stop">Asks to stop after the step under way.</param>
    /// <param name="validated">Called after every measurement on what is held out; the best weights so far are in the folder then.</param>
    /// <returns>Whether training is done.</returns>
    /// <exception cref="MambaException">Training diverged: the loss, a gradient or a weight is infinite or NaN.</exception>
    public bool Run(Action<StepReport> report, CancellationToken stop, Action<ValidationReport>? validated = null)
    {
        Save();
        var sinceCheckpoint = Stopwatch.StartNew();
        while (!Trainer.IsDone && !stop.IsCancellationRequested)
        {
            long start = Stopwatch.GetTimestamp();
            TrainState before = Trainer.State;
            StepReport step = Trainer.Step();
            double rate = step.Tokens / Stopwatch.GetElapsedTime(start).TotalSeconds;
            TokensPerSecond = TokensPerSecond == 0 ? rate : 0.95 * TokensPerSecond + 0.05 * rate;
            Accuracy = before.AccuracyWith(step.Accuracy);
            log.Write(step, rate);
            report(step);
            if (Trainer.Options.EvalEvery is > 0 and var every && (step.Step % every == 0 || Trainer.IsDone) && Validate() is { } validation)
                validated?.Invoke(validation);
            bool due = Trainer.Options.CheckpointEvery > 0
                ? step.Step % Trainer.Options.CheckpointEvery == 0
                : sinceCheckpoint.Elapsed > BetweenCheckpoints;
            if (due)
            {
                Save();
                sinceCheckpoint.Restart();
            }
        }
        Save();
        return Trainer.IsDone;
    }

    ValidationReport? Validate()
    {
        Trainer.ExpectFinite();
        if (Trainer.Validate() is not { } validation)
            return null;
        log.Write(validation);
        if (validation.IsBest)
            Weights.Save(folder.Model, Trainer.Network, validation.Step);
        return validation;
    }

    void Save()
    {
        Trainer.ExpectFinite();
        if (savedStep != Trainer.State.Step)
        {
            log.Flush();
            Checkpoint.Save(folder.Checkpoint, Trainer);
            savedStep = Trainer.State.Step;
        }
        if (Trainer.State.BestLoss is null)                                         // or else the best weights are there
            Weights.Save(folder.Model, Trainer.Network, Trainer.State.Step);          // for people; resuming does not read it
    }

    /// <summary>Closes the log and lets others train in the folder.</summary>
    public void Dispose()
    {
        log.Dispose();
        mine.Dispose();
    }
}
