using System.CommandLine;

namespace Mamba.Cli;

/// <summary><c>mamba train</c>: learns a task and shows at which lengths it holds.</summary>
internal static class TrainCommand
{
    public static Command Create()
    {
        var command = new Command("train", "Train a model on one of the paper's tasks, then show its accuracy at every length; or on text, "
            + "DNA, labelled sequences, sound, series, or given tokens.");
        var arguments = new TrainArguments();
        var device = new DeviceOptions();
        arguments.AddTo(command);
        device.AddTo(command);
        command.SetAction(parsed => Run(parsed, arguments, device));
        return command;
    }

    static int Run(ParseResult parsed, TrainArguments arguments, DeviceOptions deviceOptions)
    {
        (RunFolder folder, bool resuming, TrainOptions options, MambaConfig config) = arguments.Read(parsed);
        using Device device = deviceOptions.Open(parsed, resuming ? options.Device : "auto");
        string? checkpoint = resuming && File.Exists(folder.Checkpoint) ? folder.Checkpoint : null;
        using var trainer = new Trainer(options with { Device = device.Name }, config, device, checkpoint: checkpoint);
        if (!resuming)
            folder.Create(config, trainer.Options);
        using var run = new TrainingRun(folder, trainer);
        if (resuming)
            folder.Write(trainer.Options);

        Display display = Display.Create();
        display.Say($"{options.Task} on {device.Name} ({device.Description}), {trainer.Network.Parameters.ElementCount:N0} weights, into {folder.Path}");
        if (trainer.State.Step > 0)
            display.Say($"going on from step {trainer.State.Step:N0}");
        using var interrupt = new Interrupt();
        bool done;
        using (ITrainingView view = display.Watch(run))
            done = run.Run(view.Show, interrupt.Token, validation => view.Show(validation, HeldOutText.Sample(trainer.Network, trainer.Data)));
        Plots.Try(display, () => Plots.Loss(folder.LossPlot, options, folder.ReadLog(), folder.ReadValidations(), trainer.Data.LossUnit));
        if (!done)
        {
            display.Say($"stopped at step {trainer.State.Step:N0}, which is saved; to go on: mamba train --resume {folder.Path}");
            return CommandLine.Interrupted;
        }
        if (trainer.Data is SequenceTask task)
            return Evaluation.Run(display, folder, trainer.Model, task, options, interrupt.Token);
        if (trainer.Data is SplitData examples)
        {
            if (trainer.State.BestLoss is not null)
                Weights.Load(folder.Model, trainer.Network);
            return Examples.Run(display, folder, trainer.Network, examples, options, interrupt.Token);
        }
        if (trainer.Data is TextData && trainer.State.BestLoss is not null)
        {
            Weights.Load(folder.Model, trainer.Model);
            return HeldOutText.Run(display, folder, trainer.Model, trainer.Data, options, interrupt.Token);
        }
        Evaluation.SayFiles(display, folder);
        return 0;
    }
}
