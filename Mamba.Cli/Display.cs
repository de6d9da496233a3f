using System.Diagnostics;

namespace Mamba.Cli;

/// <summary>Shows how training and evaluation go: live on a terminal, in plain lines when the output goes elsewhere.</summary>
internal abstract class Display
{
    public static Display Create() => Console.IsOutputRedirected ? new PlainDisplay() : new LiveDisplay();

    /// <summary>One line.</summary>
    public abstract void Say(string line);

    /// <summary>Trains until done or told to stop; says whether it is done.</summary>
    public abstract bool Train(TrainingRun run, CancellationToken stop);

    /// <summary>Evaluates at each length.</summary>
    public abstract IReadOnlyList<EvalRow> Evaluate(int[] lengths, Func<int, Action<double>, EvalRow> evaluate);

    /// <summary>Time for the tokens left, at most, at the rate of now.</summary>
    protected static string TimeLeft(TrainingRun run)
    {
        double seconds = run.Trainer.Options.TokensLeft(run.Trainer.State) / Math.Max(1, run.TokensPerSecond);
        return Duration(TimeSpan.FromSeconds(Math.Min(seconds, 1e9)));
    }

    protected static string Duration(TimeSpan time) => time.TotalHours >= 1
        ? $"{(int)time.TotalHours}:{time.Minutes:00}:{time.Seconds:00}"
        : $"{time.Minutes}:{time.Seconds:00}";

    protected static string Percent(double share) => $"{100 * share:0.0} %";
}

/// <summary>A line a second, for logs and pipes.</summary>
internal sealed class PlainDisplay : Display
{
    public override void Say(string line) => Console.WriteLine(line);

    public override bool Train(TrainingRun run, CancellationToken stop)
    {
        var total = Stopwatch.StartNew();
        TimeSpan last = TimeSpan.Zero;
        StepReport latest = default;
        bool shown = true;
        void Show(StepReport step)
        {
            Console.WriteLine($"step {step.Step,6}  length {step.Length,5}  loss {step.Loss:0.0000}  accuracy {Percent(run.Accuracy),7}  {run.TokensPerSecond,9:N0} tokens/s  at most {TimeLeft(run)} left");
            (last, shown) = (total.Elapsed, true);
        }
        bool done = run.Run(step =>
        {
            (latest, shown) = (step, false);
            if (total.Elapsed - last > TimeSpan.FromSeconds(1))
                Show(step);
        }, stop);
        if (!shown)
            Show(latest);
        Console.WriteLine($"{run.Trainer.State.Step:N0} steps, {run.Trainer.State.Tokens:N0} tokens; this took {total.Elapsed.TotalSeconds:0.0} s");
        return done;
    }

    public override IReadOnlyList<EvalRow> Evaluate(int[] lengths, Func<int, Action<double>, EvalRow> evaluate)
    {
        var rows = new List<EvalRow>();
        Console.WriteLine($"{"length",10}{"accuracy",12}{"sequences",12}{"seconds",10}");
        foreach (int length in lengths)
        {
            var time = Stopwatch.StartNew();
            EvalRow row = evaluate(length, _ => { });
            rows.Add(row);
            Console.WriteLine($"{row.Length,10:N0}{Percent(row.Accuracy),12}{row.Sequences,12}{time.Elapsed.TotalSeconds,10:0.0}");
        }
        return rows;
    }
}
