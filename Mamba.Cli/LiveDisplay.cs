using System.Diagnostics;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Mamba.Cli;

/// <summary>A panel that redraws itself ten times a second, on a thread of its own.</summary>
internal sealed class LiveDisplay : Display
{
    static readonly TimeSpan Redraw = TimeSpan.FromMilliseconds(100);

    /// <summary>Characters of a bar; what stands around it takes 30.</summary>
    static int BarWidth => Math.Clamp(AnsiConsole.Profile.Width - 30, 10, 60);

    public override void Say(string line) => AnsiConsole.MarkupLineInterpolated($"[grey]{line}[/]");

    public override ITrainingView Watch(TrainingRun run) => new TrainingView(run);

    public override IEvaluationView Watch() => new EvaluationView();

    static string Bar(double share, int width, string color)
    {
        int full = (int)Math.Round(Math.Clamp(share, 0, 1) * width);
        return $"[{color}]{new string('━', full)}[/][grey]{new string('━', width - full)}[/]";
    }

    /// <summary>Draws what there is to see until it is closed, and then once more.</summary>
    abstract class View : IDisposable
    {
        readonly ManualResetEventSlim closed = new();
        readonly Thread drawing;

        /// <summary>Held while what is drawn changes.</summary>
        protected Lock Gate { get; } = new();

        protected View()
        {
            drawing = new Thread(() => AnsiConsole.Live(new Text("")).Start(context =>
            {
                bool last;
                do
                {
                    last = closed.Wait(Redraw);
                    lock (Gate)
                        if (Picture() is { } picture)
                            context.UpdateTarget(picture);
                }
                while (!last);
            }))
            { IsBackground = true, Name = "display" };
        }

        protected void Open() => drawing.Start();

        /// <summary>What to draw now; null: nothing yet.</summary>
        protected abstract IRenderable? Picture();

        public void Dispose()
        {
            closed.Set();
            drawing.Join();
            closed.Dispose();
        }
    }

    sealed class TrainingView : View, ITrainingView
    {
        readonly TrainOptions options;
        readonly TrainingRun run;
        readonly Sparkline curve = new(BarWidth);
        readonly Stopwatch total = Stopwatch.StartNew();
        StepReport step;
        (double Accuracy, double Rate, long Tokens, long Left) at;

        public TrainingView(TrainingRun run)
        {
            (this.run, options) = (run, run.Trainer.Options);
            Open();
        }

        public void Show(StepReport report)
        {
            lock (Gate)
            {
                step = report;
                curve.Add(report.Loss);
                at = (run.Accuracy, run.TokensPerSecond, run.Trainer.State.Tokens, run.Trainer.TokensLeft);
            }
        }

        protected override IRenderable? Picture()
        {
            if (step.Step == 0)
                return null;
            double share = (double)at.Tokens / Math.Max(1, at.Tokens + at.Left);
            Grid grid = new Grid().AddColumn(new GridColumn().NoWrap().PadRight(2)).AddColumn(new GridColumn().NoWrap());
            string stage = options.Stages.Count > 1 ? $"   stage {step.Stage + 1} of {options.Stages.Count}: length {step.Length}, batch {step.Batch}" : "";
            grid.AddRow(new Markup("[grey]step[/]"), new Markup($"{step.Step:N0}[grey]{stage}[/]"));
            grid.AddRow(new Markup("[grey]loss[/]"), new Markup($"[yellow]{curve.Render()}[/] {curve.Latest:0.0000}"));
            grid.AddRow(new Markup("[grey]accuracy[/]"), new Markup($"{Bar(at.Accuracy, BarWidth, "green")} {Percent(at.Accuracy)}"));
            grid.AddRow(new Markup("[grey]done[/]"), new Markup($"{Bar(share, BarWidth, "blue")} {Percent(share)}"));
            string time = $"{Duration(total.Elapsed)} gone, at most {TimeLeft(at.Left, at.Rate)} left";
            grid.AddRow(new Markup("[grey]speed[/]"), new Markup($"{at.Rate:N0} tokens/s   {time}"));
            return new Panel(grid).Header($" {options.Task} ").Border(BoxBorder.Rounded).BorderStyle(new Style(Color.Grey));
        }
    }

    sealed class EvaluationView : View, IEvaluationView
    {
        readonly List<EvalRow> rows = [];
        int current;
        double share;

        public EvaluationView() => Open();

        public void Begin(int length)
        {
            lock (Gate)
                (current, share) = (length, 0);
        }

        public void Progress(double share)
        {
            lock (Gate)
                this.share = share;
        }

        public void Show(EvalRow row)
        {
            lock (Gate)
            {
                rows.Add(row);
                current = 0;
            }
        }

        protected override IRenderable Picture()
        {
            Table table = new Table().Border(TableBorder.Rounded).BorderColor(Color.Grey)
                .AddColumn(new TableColumn("length").RightAligned()).AddColumn(new TableColumn("accuracy").RightAligned())
                .AddColumn(new TableColumn("").Width(30)).AddColumn(new TableColumn("sequences").RightAligned());
            foreach (EvalRow row in rows)
            {
                string color = row.Accuracy >= 0.995 ? "green" : row.Accuracy >= 0.9 ? "yellow" : "red";
                table.AddRow(new Markup($"{row.Length:N0}"), new Markup($"[{color}]{Percent(row.Accuracy)}[/]"),
                    new Markup(Bar(row.Accuracy, 30, color)), new Markup($"[grey]{row.Sequences}[/]"));
            }
            if (current > 0)
                table.AddRow(new Markup($"{current:N0}"), new Markup("[grey]…[/]"), new Markup(Bar(share, 30, "grey")), new Markup(""));
            return table;
        }
    }
}
