using System.CommandLine;

namespace Mamba.Cli;

/// <summary><c>mamba eval RUN</c>: accuracy of a trained model at every length.</summary>
internal static class EvalCommand
{
    static readonly Argument<string> Folder = new Argument<string>("run") { Description = "A run folder that mamba train made." }.NoOption();
    static readonly Option<int?> MaxEvalLength = Option.Int("--max-eval-length", "The longest sequences, 64 or more; by default what the run says.");
    static readonly Option<int?> Sequences = Option.Int("--sequences", "Sequences for each length; by default 64 of short ones, down to 4 of the longest.");

    public static Command Create()
    {
        var command = new Command("eval", "Show the accuracy of a trained model at every length.") { Folder, MaxEvalLength, Sequences };
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
        options.Validate(config);
        if (parsed.GetValue(MaxEvalLength) is { } longest)
            options = options with { MaxEvalLength = longest };
        if (parsed.GetValue(Sequences) is { } sequences and (< 1 or > 65536))
            throw new MambaException($"--sequences is {sequences}; expected 1 to 65536.");
        if (options.Sequence is not null)
            return OfExamples(parsed, deviceOptions, folder, options, config);
        if (TrainingTask.Named(options.Task).NeedsData)
            return OfText(parsed, deviceOptions, folder, options, config);
        SequenceTask task = options.OpenTask();
        if (options.MaxEvalLength < Evaluation.Shortest(task))
        {
            string whose = parsed.GetValue(MaxEvalLength) is null ? $"the run's max-eval-length is {options.MaxEvalLength}; give --max-eval-length, "
                : $"--max-eval-length is {options.MaxEvalLength}; expected ";
            throw new MambaException($"{whose}at least {Evaluation.Shortest(task)}.");
        }
        using Device device = deviceOptions.Open(parsed);
        using MambaLM model = Weights.Load(folder.Model, config, device, options.DType);
        Display display = Display.Create();
        display.Say($"{options.Task} on {device.Name} ({device.Description}), {model.Parameters.ElementCount:N0} weights of {folder.Path}");
        using var interrupt = new Interrupt();
        return Evaluation.Run(display, folder, model, task, options, interrupt.Token, parsed.GetValue(Sequences));
    }

    static int OfExamples(ParseResult parsed, DeviceOptions deviceOptions, RunFolder folder, TrainOptions options, MambaConfig config)
    {
        if (parsed.GetValue(MaxEvalLength) is not null || parsed.GetValue(Sequences) is not null)
            throw new MambaException($"--max-eval-length and --sequences are for tasks; a run of {options.Task} is measured on its test part.");
        var data = (SplitData)folder.OpenData();
        using Device device = deviceOptions.Open(parsed);
        using MambaModel model = Weights.LoadAny(folder.Model, config, device, options.DType);
        Display display = Display.Create();
        display.Say($"{options.Task} on {device.Name} ({device.Description}), {model.Parameters.ElementCount:N0} weights of {folder.Path}");
        using var interrupt = new Interrupt();
        return Examples.Run(display, folder, model, data, options, interrupt.Token);
    }

    static int OfText(ParseResult parsed, DeviceOptions deviceOptions, RunFolder folder, TrainOptions options, MambaConfig config)
    {
        if (parsed.GetValue(MaxEvalLength) is not null || parsed.GetValue(Sequences) is not null)
            throw new MambaException($"--max-eval-length and --sequences are for tasks; a run of {options.Task} is measured on all that was held out.");
        TrainingData data = options.OpenData();
        data.Prepare();
        using Device device = deviceOptions.Open(parsed);
        using MambaLM model = Weights.Load(folder.Model, config, device, options.DType);
        Display display = Display.Create();
        display.Say($"{options.Task} on {device.Name} ({device.Description}), {model.Parameters.ElementCount:N0} weights of {folder.Path}");
        using var interrupt = new Interrupt();
        return HeldOutText.Run(display, folder, model, data, options, interrupt.Token);
    }
}
