using System.CommandLine;
using System.Globalization;

namespace Mamba.Cli;

/// <summary><c>mamba predict RUN</c>: what a trained model says of new sequences, as CSV; or a new recording.</summary>
internal static class PredictCommand
{
    const double UsualTemperature = 0.9, LongestSeconds = 2;

    static readonly Argument<string> Folder = new Argument<string>("run") { Description = "A run folder of classify, audio or forecast." }.NoOption();
    static readonly Option<string?> Data = Option.Text("--data", "PATH", "New data of the kind that the run was trained on; labels may be missing.");
    static readonly Option<string?> Out = Option.Text("--out", "FILE", "Where it is written: CSV, or a WAV file; on the screen if it is left out.");
    static readonly Option<string?> Label = Option.Text("--label", "NAME", "Of a run with --generate: the label that a new recording shall have.");
    static readonly Option<double?> Temperature = Option.Real("--temperature",
        $"Of a new recording: below 1 the likelier samples come more often ({UsualTemperature}).");
    static readonly Option<ulong?> Seed = Option.Seed("--seed", "Of a new recording: the same seed, the same sound (0).");

    public static Command Create()
    {
        var command = new Command("predict", "Say of new sequences what a trained model makes of them: CSV with the class and its probabilities, or the rows "
            + "that follow; or make a new recording.")
        {
            Folder, Data, Out, Label, Temperature, Seed,
        };
        var device = new DeviceOptions();
        device.AddTo(command);
        command.SetAction(parsed => Run(parsed, device));
        return command;
    }

    static int Run(ParseResult parsed, DeviceOptions deviceOptions)
    {
        RunFolder folder = Runs.Existing(parsed.GetValue(Folder)!);
        TrainOptions options = folder.ReadOptions();
        MambaConfig config = folder.ReadConfig();
        if (options.Sequence is not { } sequence)
            throw new MambaException($"{folder.Path}: this is a run of {options.Task}; mamba predict is for classify, audio and forecast, "
                + "mamba generate for text.");
        using var interrupt = new Interrupt();
        try
        {
            return sequence.Generate ? Generate(parsed, deviceOptions, folder, options, config, interrupt.Token)
                : Say(parsed, deviceOptions, folder, options, sequence, config, interrupt.Token);
        }
        catch (OperationCanceledException)
        {
            return Interrupt.Stopped(parsed, "nothing: what was found is not written");
        }
    }

    static int Say(ParseResult parsed, DeviceOptions deviceOptions, RunFolder folder, TrainOptions options, SequenceOptions sequence, MambaConfig config,
        CancellationToken stop)
    {
        string path = parsed.GetValue(Data) ?? throw new MambaException("mamba predict: --data is missing; expected new data of the run's kind.");
        if (parsed.GetValue(Label) is not null)
            throw new MambaException($"--label was given; it is for a run of audio --generate, and this is one of {options.Task}.");
        SplitData data = Open();
        using Device device = deviceOptions.Open(parsed);
        using MambaModel model = Weights.LoadAny(folder.Model, config, device, options.DType);
        (string[] columns, IEnumerable<string[]> rows) = data is ForecastData series ? Rows(series, model) : Rows((LabeledData)data, model, stop);
        if (parsed.GetValue(Out) is { } file)
            CsvWriter.Save(file, columns, rows);
        else
            CsvWriter.Write(Console.Out, columns, rows);
        return 0;

        SplitData Open() => options.Task == "forecast"
            ? ForecastData.ToPredict(path, sequence)
            : LabeledData.ToPredict(options.Task, SequenceSet.Read(path, sequence with { SplitColumn = null, Labels = null }, config.Head!.Labels), sequence);
    }

    static (string[], IEnumerable<string[]>) Rows(ForecastData series, MambaModel model)
    {
        double[,] steps = series.Predict(model);
        return (["step", .. series.Columns], Enumerable.Range(0, steps.GetLength(0)).Select(t => (string[])
            [Text(t + 1), .. Enumerable.Range(0, steps.GetLength(1)).Select(c => Text(steps[t, c]))]));
    }

    static (string[], IEnumerable<string[]>) Rows(LabeledData data, MambaModel model, CancellationToken stop)
    {
        IReadOnlyList<string> classes = data.Set.Classes;
        Prediction[] predictions = data.Predict(model, stop: stop);
        return (["id", "label", "predicted", .. classes.Select(name => $"p({name})")], predictions.Select(p => (string[])
        [
            p.Id, p.Label < 0 ? "" : classes[p.Label], p.Class is { } best ? classes[best] : "", .. p.Values.Select(value => Text(Math.Exp(value))),
        ]));
    }

    static string Text(double value) => value.ToString("G7", CultureInfo.InvariantCulture);

    static int Generate(ParseResult parsed, DeviceOptions deviceOptions, RunFolder folder, TrainOptions options, MambaConfig config, CancellationToken stop)
    {
        if (parsed.GetValue(Data) is not null)
            throw new MambaException("--data was given; a run of audio --generate makes new recordings: --label says of what.");
        string file = parsed.GetValue(Out) ?? throw new MambaException("mamba predict: --out is missing; expected the name of a WAV file.");
        var data = (RecordingTokens)folder.OpenData();
        string label = parsed.GetValue(Label)
            ?? throw new MambaException($"mamba predict: --label is missing; expected one of {string.Join(", ", data.Set.Classes)}.");
        int index = data.Set.Classes.ToList().IndexOf(label);
        if (index < 0)
            throw new MambaException($"--label is '{label}'; expected one of {string.Join(", ", data.Set.Classes)}.");
        using Device device = deviceOptions.Open(parsed);
        using MambaModel model = Weights.LoadAny(folder.Model, config, device, options.DType);
        WavAudio sound = data.Generate((MambaLM)model, index, (int)(LongestSeconds * data.Set.SampleRate), parsed.GetValue(Temperature) ?? UsualTemperature,
            parsed.GetValue(Seed) ?? 0, stop);
        sound.Save(file);
        Display display = Display.Create();
        display.Say($"{file}: '{label}', {sound.Frames:N0} samples, {(double)sound.Frames / sound.SampleRate:0.00} s");
        Plots.Try(display, () => Plots.Sound(Path.ChangeExtension(file, ".png"), $"a generated '{label}'", sound));
        return 0;
    }
}
