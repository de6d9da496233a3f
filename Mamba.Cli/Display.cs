namespace Mamba.Cli;

/// <summary>Shows how training and evaluation go: live on a terminal, in plain lines when the output goes elsewhere. It is told; it drives nothing.</summary>
internal abstract class Display
{
    public static Display Create() => Console.IsOutputRedirected ? new PlainDisplay() : new LiveDisplay();

    /// <summary>One line.</summary>
    public abstract void Say(string line);

    /// <summary>Opens a view of a training.</summary>
    public abstract ITrainingView Watch(TrainingRun run);

    /// <summary>Opens a view of an evaluation.</summary>
    public abstract IEvaluationView Watch();

    /// <summary>Time for the tokens left, at most, at the rate of now.</summary>
    protected static string TimeLeft(long tokens, double tokensPerSecond) =>
        Duration(TimeSpan.FromSeconds(Math.Min(tokens / Math.Max(1, tokensPerSecond), 1e9)));

    protected static string Duration(TimeSpan time) => time.TotalHours >= 1
        ? $"{(int)time.TotalHours}:{time.Minutes:00}:{time.Seconds:00}"
        : $"{time.Minutes}:{time.Seconds:00}";

    protected static string Measured(TrainingData data, ValidationReport validation) => $"{validation.Loss:0.0000} {data.LossUnit}"
        + (validation.BitsPerByte is { } bits ? $", {bits:0.000} bits a {data.ByteName}" : "")
        + (validation.Accuracy is { } accuracy ? $", accuracy {Percent(accuracy)}" : "");

    /// <summary>The lines of a text that a model wrote, fit for a terminal.</summary>
    protected static IEnumerable<string> LinesOf(string text) =>
        text.Trim().Split('\n').Select(line => string.Concat(line.Select(c => char.IsControl(c) ? ' ' : c)));

    protected static string Percent(double share) => $"{100 * share:0.0} %";
}
