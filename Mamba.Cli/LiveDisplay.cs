using System.Diagnostics;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Mamba.Cli;

/// <summary>A panel that redraws itself ten times a second.</summary>
internal sealed class LiveDisplay : Display
{
    static readonly TimeSpan Redraw = TimeSpan.FromMilliseconds(100);

    /// <summary>Characters of a bar; what stands around it takes 30.</summary>
    static int BarWidth => Math.Clamp(AnsiConsole.Profile.Width - 30, 10, 60);

    public override void Say(string line) => AnsiConsole.MarkupLineInterpolated($"[grey]{line}[/]");

    public override bool Train(TrainingRun run, CancellationToken stop)
    {
        var curve = new Sparkline(BarWidth);
        var total = Stopwatch.StartNew();
        long tokensBefore = run.Trainer.State.Tokens;
        TimeSpan last = TimeSpan.MinValue;
        return AnsiConsole.Live(new Text("")).Start(context =>
        {
            StepReport latest = default;
            void Draw()
            {
                last = total.Elapsed;
                if (latest.Step > 0)
                    context.UpdateTarget(Panel(run, latest, curve, total.Elapsed));
            }
            bool done = run.Run(step =>
            {
                latest = step;
                curve.Add(step.Loss);
                if (total.Elapsed - Redraw > last)
                    Draw();
            }, stop);
            Draw();
            return done;
        });
    }

    static Panel Panel(TrainingRun run, StepReport step, Sparkline curve, TimeSpan elapsed)
    {
        TrainOptions options = run.Trainer.Options;
        TrainState state = run.Trainer.State;
        long left = options.TokensLeft(state);
        double share = (double)state.Tokens / Math.Max(1, state.Tokens + left);
        Grid grid = new Grid().AddColumn(new GridColumn().NoWrap().PadRight(2)).AddColumn(new GridColumn().NoWrap());
        string stage = options.Stages.Count > 1 ? $"   stage {step.Stage + 1} of {options.Stages.Count}: length {step.Length}, batch {step.Batch}" : "";
        grid.AddRow(new Markup("[grey]step[/]"), new Markup($"{step.Step:N0}[grey]{stage}[/]"));
        grid.AddRow(new Markup("[grey]loss[/]"), new Markup($"[yellow]{curve.Render()}[/] {curve.Latest:0.0000}"));
        grid.AddRow(new Markup("[grey]accuracy[/]"), new Markup($"{Bar(run.Accuracy, BarWidth, "green")} {Percent(run.Accuracy)}"));
        grid.AddRow(new Markup("[grey]done[/]"), new Markup($"{Bar(share, BarWidth, "blue")} {Percent(share)}"));
        grid.AddRow(new Markup("[grey]speed[/]"), new Markup($"{run.TokensPerSecond:N0} tokens/s   {Duration(elapsed)} gone, at most {TimeLeft(run)} left"));
        return new Panel(grid).Header($" {options.Task} ").Border(BoxBorder.Rounded).BorderStyle(new Style(Color.Grey));
    }

    static string Bar(double share, int width, string color)
    {
        int full = (int)Math.Round(Math.Clamp(share, 0, 1) * width);
        return $"[{color}]{new string('━', full)}[/][grey]{new string('━', width - full)}[/]";
    }

    public override IReadOnlyList<EvalRow> Evaluate(int[] lengths, Func<int, Action<double>, EvalRow> evaluate)
    {
        var rows = new List<EvalRow>();
        var total = Stopwatch.StartNew();
        AnsiConsole.Live(new Text("")).Start(context =>
        {
            TimeSpan last = TimeSpan.MinValue;
            foreach (int length in lengths)
            {
                rows.Add(evaluate(length, share =>
                {
                    if (total.Elapsed - Redraw > last)
                    {
                        last = total.Elapsed;
                        context.UpdateTarget(EvalTable(rows, length, share));
                    }
                }));
                context.UpdateTarget(EvalTable(rows));
            }
        });
        return rows;
    }

    static Table EvalTable(List<EvalRow> rows, int current = 0, double share = 0)
    {
        Table table = new Table().Border(TableBorder.Rounded).BorderColor(Color.Grey)
            .AddColumn(new TableColumn("length").RightAligned()).AddColumn(new TableColumn("accuracy").RightAligned())
            .AddColumn(new TableColumn("").Width(30)).AddColumn(new TableColumn("sequences").RightAligned());
        foreach (EvalRow row in rows)
        {
            string color = row.Accuracy >= 0.995 ? "green" : row.Accuracy >= 0.9 ? "yellow" : "red";
            table.AddRow(new Markup($"{row.Length:N0}"), new Markup($"[{color}]{Percent(row.Accuracy)}[/]"), new Markup(Bar(row.Accuracy, 30, color)), new Markup($"[grey]{row.Sequences}[/]"));
        }
        if (current > 0)
            table.AddRow(new Markup($"{current:N0}"), new Markup("[grey]…[/]"), new Markup(Bar(share, 30, "grey")), new Markup(""));
        return table;
    }
}

/// <summary>A curve of any number of values in one line of blocks: neighbours are averaged when it becomes too long.</summary>
internal sealed class Sparkline(int width)
{
    const string Blocks = "▁▂▃▄▅▆▇█";

    readonly List<double> means = [];
    double sum;
    int count, each = 1;

    /// <summary>The mean of the newest values.</summary>
    public double Latest => count > 0 ? sum / count : means.Count > 0 ? means[^1] : 0;

    public void Add(double value)
    {
        sum += value;
        if (++count < each)
            return;
        means.Add(sum / count);
        (sum, count) = (0, 0);
        if (means.Count < 2 * width)
            return;
        for (int i = 0; i < width; i++)
            means[i] = (means[2 * i] + means[2 * i + 1]) / 2;
        means.RemoveRange(width, width);
        each *= 2;
    }

    public string Render()
    {
        if (means.Count == 0)
            return new string(' ', width);
        double top = Math.Max(1e-12, means.Max());
        return string.Concat(Enumerable.Range(0, width).Select(i => Blocks[(int)Math.Clamp(means[i * means.Count / width] / top * (Blocks.Length - 1), 0, Blocks.Length - 1)]));
    }
}
