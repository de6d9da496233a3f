namespace Mamba.Cli;

/// <summary>The table of accuracy against length that ends a training, and its files.</summary>
internal static class Evaluation
{
    public static int Run(Display display, RunFolder folder, MambaLM model, SequenceTask task, TrainOptions options, CancellationToken stop,
        int? sequences = null)
    {
        Evaluator evaluator = sequences is { } n
            ? new Evaluator(model, task) { FewestSequences = n, MostSequences = n }
            : new Evaluator(model, task);
        int[] lengths = [.. evaluator.Lengths(options.MaxEvalLength)];
        if (lengths.Length > 0)
        {
            var rows = new List<EvalRow>();
            try
            {
                using IEvaluationView view = display.Watch();
                foreach (int length in lengths)
                {
                    view.Begin(length);
                    rows.Add(evaluator.Run(length, view.Progress, stop));
                    view.Show(rows[^1]);
                }
            }
            catch (OperationCanceledException)
            {
                display.Say($"evaluation stopped, nothing of it is saved; to have it again: mamba eval {folder.Path}");
                return CommandLine.Interrupted;
            }
            EvalRow.Save(folder.Eval, rows);
            if (rows.Any(row => double.IsNaN(row.Accuracy)))
                display.Say("NaN: the model gave no answer, the largest of its logits being infinite or NaN");
            Plots.Try(display, () => Plots.Accuracy(folder.EvalPlot, options, task, rows));
        }
        else if (options.MaxEvalLength > 0)
        {
            display.Say($"no evaluation: it begins with sequences of length {Shortest(task):N0}, and --max-eval-length is {options.MaxEvalLength:N0}");
        }
        SayFiles(display, folder);
        return 0;
    }

    /// <summary>The length that evaluations begin with.</summary>
    public static int Shortest(TrainingData task)
    {
        int length = 64;
        while (length < task.MinLength)
            length *= 2;
        return length;
    }

    /// <summary>What there is now in the run folder.</summary>
    public static void SayFiles(Display display, RunFolder folder) => display.Say($"{folder.Path} holds {string.Join(", ", Files(folder))}");

    static IEnumerable<string> Files(RunFolder folder) =>
        Directory.EnumerateFiles(folder.Path).Select(path => Path.GetFileName(path)).Where(name => name[0] != '.').Order(StringComparer.Ordinal);
}
