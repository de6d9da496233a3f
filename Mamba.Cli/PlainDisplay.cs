using System.Diagnostics;

namespace Mamba.Cli;

/// <summary>A line a second, for logs and pipes.</summary>
internal sealed class PlainDisplay : Display
{
    public override void Say(string line) => Console.WriteLine(line);

    public override ITrainingView Watch(TrainingRun run) => new TrainingView(run);

    public override IEvaluationView Watch() => new EvaluationView();

    sealed class TrainingView(TrainingRun run) : ITrainingView
    {
        readonly Stopwatch total = Stopwatch.StartNew();
        TimeSpan last = TimeSpan.Zero;
        StepReport latest;
        bool shown = true;

        public void Show(StepReport step)
        {
            (latest, shown) = (step, false);
            if (total.Elapsed - last > TimeSpan.FromSeconds(1))
                Write();
        }

        public void Show(ValidationReport validation, string sample)
        {
            if (!shown)
                Write();
            Console.WriteLine($"step {validation.Step,6}  held out: {Measured(run.Trainer.Data, validation)}{(validation.IsBest ? ", the best so far" : "")}");
            foreach (string line in sample.Length > 0 ? LinesOf(sample) : [])
                Console.WriteLine($"    {line}");
            last = total.Elapsed;
        }

        void Write()
        {
            string accuracy = run.Trainer.Data.HasAccuracy ? $"accuracy {Percent(run.Accuracy),7}  " : "";
            Console.WriteLine($"step {latest.Step,6}  length {latest.Length,5}  loss {latest.Loss:0.0000}  {accuracy}"
                + $"{run.TokensPerSecond,9:N0} tokens/s  at most {TimeLeft(run.Trainer.TokensLeft, run.TokensPerSecond)} left");
            (last, shown) = (total.Elapsed, true);
        }

        public void Dispose()
        {
            if (!shown)
                Write();
            Console.WriteLine($"{run.Trainer.State.Step:N0} steps, {run.Trainer.State.Tokens:N0} tokens; this took {total.Elapsed.TotalSeconds:0.0} s");
        }
    }

    sealed class EvaluationView : IEvaluationView
    {
        readonly Stopwatch time = Stopwatch.StartNew();

        public EvaluationView() => Console.WriteLine($"{"length",10}{"accuracy",12}{"sequences",12}{"seconds",10}");

        public void Begin(int length) => time.Restart();

        public void Progress(double share)
        {
        }

        public void Show(EvalRow row) => Console.WriteLine($"{row.Length,10:N0}{Percent(row.Accuracy),12}{row.Sequences,12}{time.Elapsed.TotalSeconds,10:0.0}");

        public void Dispose()
        {
        }
    }
}
