using System.Text.Json;

namespace Mamba.Cli;

/// <summary>What ends a training on examples: how the best weights do on the test part, with its files and pictures.</summary>
internal static class Examples
{
    /// <summary>Evaluates the test part.</summary>
    public static int Run(Display display, RunFolder folder, MambaModel model, SplitData data, TrainOptions options, CancellationToken stop)
    {
        if (data.Split.Indices(DataPart.Test).Count == 0)
        {
            display.Say("no test: the split has put nothing aside for one");
            Evaluation.SayFiles(display, folder);
            return 0;
        }
        SplitReport report = new();
        try
        {
            Rows.While(quiet: false, say => report = data.Evaluate(model, DataPart.Test, share => say($"{100 * share:0} % of the test"), stop));
        }
        catch (OperationCanceledException)
        {
            display.Say($"evaluation stopped, nothing of it is saved; to have it again: mamba eval {folder.Path}");
            return CommandLine.Interrupted;
        }
        int train = data.Split.Indices(DataPart.Train).Count, held = data.Split.Indices(DataPart.Validation).Count;
        string parts = $"{train:N0} to train on, {held:N0} held out, {data.Split.Indices(DataPart.Test).Count:N0} in the test";
        display.Say($"{(data is ForecastData ? "rows" : "examples")}: {parts}; {folder.Split} names them");
        if (report.Classification is { } classes)
            Say(display, folder, options, report, classes);
        if (report.Regression is { } numbers)
        {
            AtomicFile.WriteText(folder.Eval, numbers.ToJson());
            display.Say($"test: MSE {numbers.Mse:0.0000}, MAE {numbers.Mae:0.0000} over {numbers.Count:N0} numbers, standardized by the training rows");
            if (report.LastValue is { } last)
                display.Say($"      MSE {last.Mse:0.0000}, MAE {last.Mae:0.0000} for repeating the last value");
            if (data is ForecastData series)
                Plots.Try(display, () => Plots.Forecast(folder.ForecastPlot, series, model));
        }
        if (report.NatsPerToken is { } nats)
        {
            double? finite = double.IsFinite(nats) ? nats : null;
            AtomicFile.WriteText(folder.Eval, JsonSerializer.Serialize(new { nats_per_token = finite, tokens = report.Tokens }) + "\n");
            display.Say($"test: {nats:0.0000} nats ({nats / Math.Log(2):0.000} bits) a sample, over {report.Tokens:N0}");
        }
        Evaluation.SayFiles(display, folder);
        return 0;
    }

    static void Say(Display display, RunFolder folder, TrainOptions options, SplitReport all, ClassificationReport report)
    {
        AtomicFile.WriteText(folder.Eval, report.ToJson());
        string auc = report.Auc is { } area ? $"{area:0.0000}" : "none, there being one class";
        display.Say($"test: accuracy {100 * report.Accuracy:0.00} % of {report.Count:N0}, AUC {auc}, Matthews {report.Matthews:0.0000}, "
            + $"NLL {report.Nll:0.0000} nats");
        if (report.NotNumbers > 0)
            display.Say($"NaN: of {report.NotNumbers:N0} examples the model said nothing, its scores being infinite or NaN; they count as wrong");
        Plots.Try(display, () => Plots.Confusion(folder.ConfusionPlot, options, report));
        if (report.Classes.Count == 2 && report.Auc is not null)
            Plots.Try(display, () => Plots.Roc(folder.RocPlot, options, all));
    }
}
