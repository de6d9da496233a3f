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

    /// <summary>Characters beside the names in the panel of a training: the longest is "accuracy", and 6 are around and between.</summary>
    static int Room => AnsiConsole.Profile.Width - 14;

    /// <summary>Lines of what the model writes that there is room for.</summary>
    const int SampleLines = 5;

    /// <summary>The first of some texts, each shorter than the one before, that has room; or else the last.</summary>
    internal static string Longest(int room, params ReadOnlySpan<string> texts)
    {
        foreach (string text in texts)
            if (text.Length <= room)
                return text;
        return texts[^1];
    }

    public override void Say(string line) => AnsiConsole.MarkupLineInterpolated($"[grey]{line}[/]");

    public override ITrainingView Watch(TrainingRun run) => new TrainingView(run);

    public override IEvaluationView Watch() => new EvaluationView();

    static string Bar(double share, int width, string color)
    {
        width = Math.Max(width, 0);
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
        ValidationReport validation;
        string sample = "";

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

        public void Show(ValidationReport report, string text)
        {
            lock (Gate)
                (validation, sample) = (report, text);
        }

        protected override IRenderable? Picture()
        {
            if (step.Step == 0)
                return null;
            double share = (double)at.Tokens / Math.Max(1, at.Tokens + at.Left);
            Grid grid = new Grid().AddColumn(new GridColumn().NoWrap().PadRight(2)).AddColumn(new GridColumn().NoWrap());
            string steps = $"{step.Step:N0}", stage = $"   stage {step.Stage + 1} of {options.Stages.Count}";
            string length = $": length {step.Length}, batch {step.Batch}";
            stage = options.Stages.Count == 1 ? "" : Longest(Room - steps.Length, $"{stage}{length}", stage, "");
            grid.AddRow(new Markup("[grey]step[/]"), new Markup($"{steps}[grey]{stage}[/]"));
            grid.AddRow(new Markup("[grey]loss[/]"), new Markup($"[yellow]{curve.Render()}[/] {curve.Latest:0.0000}"));
            if (validation.Step > 0)
            {
                string measured = Measured(run.Trainer.Data, validation), best = $"best {run.Trainer.State.BestLoss:0.0000}";
                grid.AddRow(new Markup("[grey]held out[/]"), new Text(Longest(Room, $"{measured}; {best}", measured, $"{validation.Loss:0.0000}")));
            }
            if (run.Trainer.Data.HasAccuracy)
                grid.AddRow(new Markup("[grey]accuracy[/]"), new Markup($"{Bar(at.Accuracy, BarWidth, "green")} {Percent(at.Accuracy)}"));
            grid.AddRow(new Markup("[grey]done[/]"), new Markup($"{Bar(share, BarWidth, "blue")} {Percent(share)}"));
            string speed = $"{at.Rate:N0} tokens/s", left = $"at most {TimeLeft(at.Left, at.Rate)} left", gone = $"{Duration(total.Elapsed)} gone";
            grid.AddRow(new Markup("[grey]speed[/]"), new Markup(Longest(Room, $"{speed}   {gone}, {left}", $"{speed}   {left}", speed)));
            foreach ((string line, int i) in LinesOf(sample).Take(SampleLines).Select((line, i) => (line, i)))
                grid.AddRow(new Markup(i == 0 && sample.Length > 0 ? "[grey]writes[/]" : ""), new Text(Column.Cut(line, Room), new Style(Color.Aqua)));
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

        protected override IRenderable Picture() => TableOf(rows, current, share, AnsiConsole.Profile.Width);
    }

    /// <summary>The table of an evaluation, on a terminal of so many characters.</summary>
    /// <param name="rows">What is done.</param>
    /// <param name="current">The length that is under way; 0: none.</param>
    /// <param name="share">How much of it is done.</param>
    /// <param name="width">Characters of a line.</param>
    internal static Table TableOf(IReadOnlyList<EvalRow> rows, int current, double share, int width)
    {
        const int Others = 9 + 8 + 9 + 13;      // 1,048,576; accuracy; sequences; what is between
        int bar = Math.Min(30, width - Others);
        bool drawn = bar >= 8;
        Table table = new Table().Border(TableBorder.Rounded).BorderColor(Color.Grey)
            .AddColumn(new TableColumn("length").RightAligned().NoWrap()).AddColumn(new TableColumn("accuracy").RightAligned().NoWrap());
        if (drawn)
            table.AddColumn(new TableColumn("").Width(bar));
        table.AddColumn(new TableColumn("sequences").RightAligned().NoWrap());
        foreach (EvalRow row in rows)
        {
            string color = row.Accuracy >= 0.995 ? "green" : row.Accuracy >= 0.9 ? "yellow" : "red";
            Add($"{row.Length:N0}", $"[{color}]{Percent(row.Accuracy)}[/]", Bar(row.Accuracy, bar, color), $"[grey]{row.Sequences}[/]");
        }
        if (current > 0)
            Add($"{current:N0}", "[grey]…[/]", Bar(share, bar, "grey"), "");
        return table;

        void Add(string length, string accuracy, string picture, string sequences) =>
            table.AddRow(drawn ? [length, accuracy, picture, sequences] : [length, accuracy, sequences]);
    }
}
