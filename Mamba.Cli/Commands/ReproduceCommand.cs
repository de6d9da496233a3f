using System.CommandLine;
using Mamba.Reproductions;

namespace Mamba.Cli;

/// <summary><c>mamba reproduce NAME</c>: one of the paper's small results again, the paper's figures beside ours.</summary>
internal static class ReproduceCommand
{
    static readonly Argument<string?> Name = new Argument<string?>("name")
    {
        Description = $"What to reproduce: {string.Join(", ", Reproduce.Names)}; without it, all are listed.",
        Arity = ArgumentArity.ZeroOrOne,
    }.NoOption();

    static readonly Option<int?> Seeds = Option.Int("--seeds", "Trainings of each kind, each from another seed; by default what the list says.");
    static readonly Option<bool> Quick = Option.Flag("--quick", "Runs through in seconds; what it claims need not hold.");
    static readonly Option<bool> Full = Option.Flag("--full", "The paper's own size: hours, for a GPU.");
    static readonly Option<string?> Data = Option.Text("--data", "PATH", "What it is trained on, where the list says so.");
    static readonly Option<string?> Out = Option.Text("--out", "FOLDER", "Where results.json, results.md and the pictures go (runs/reproduce-NAME).");

    public static Command Create()
    {
        var command = new Command("reproduce", "Reproduce one of the paper's small results, its figures beside ours.") { Name, Seeds, Quick, Full, Data, Out };
        var device = new DeviceOptions();
        device.AddTo(command);
        command.SetAction(parsed => Run(parsed, device));
        return command;
    }

    static int Run(ParseResult parsed, DeviceOptions deviceOptions)
    {
        if (parsed.GetValue(Name) is not { } name)
        {
            List();
            return 0;
        }
        (bool quick, bool full) = (parsed.GetValue(Quick), parsed.GetValue(Full));
        if (quick && full)
            throw new MambaException("--quick and --full are two sizes: give one of them.");
        string folder = parsed.GetValue(Out) ?? Path.Combine("runs", $"reproduce-{name}");
        (int? seeds, string? data) = (parsed.GetValue(Seeds), parsed.GetValue(Data));
        Reproduce.Expect(Reproduce.Named(name), folder, seeds, data);
        using Device device = deviceOptions.Open(parsed);
        using var interrupt = new Interrupt();
        try
        {
            return Reproduce.Run(name, device, folder, quick ? Size.Quick : full ? Size.Full : Size.Reduced, seeds, data, interrupt.Token) ? 0 : 1;
        }
        catch (OperationCanceledException e) when (interrupt.Token.IsCancellationRequested)
        {
            return Interrupt.Stopped(parsed, e.Message);
        }
    }

    static void List()
    {
        Console.WriteLine("mamba reproduce NAME makes one of these again:");
        foreach (Reproduction known in Reproduce.All)
        {
            Console.WriteLine($"\n  {known.Name,-12}{known.Table}: {known.Summary}");
            string seeds = known.Seeds > 1 ? $", {known.Seeds} seeds" : "", data = known.Data is { } file ? $"; --data: {file}" : "";
            Console.WriteLine($"{"",14}{known.Minutes}{seeds}{data}");
            Console.WriteLine($"{"",14}--full: {known.Full}");
        }
    }
}
