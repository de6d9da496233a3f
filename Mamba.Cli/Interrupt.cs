using System.CommandLine;
using System.Runtime.InteropServices;

namespace Mamba.Cli;

/// <summary>Ctrl-C, or a polite request to end: the first one is a wish, the second one ends the process.</summary>
internal sealed class Interrupt : IDisposable
{
    readonly CancellationTokenSource source = new();
    readonly PosixSignalRegistration[] registrations;

    public Interrupt() => registrations =
    [
        PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
    ];

    public CancellationToken Token => source.Token;

    /// <summary>Says, on standard error, what was done until then.</summary>
    /// <returns>The exit code.</returns>
    public static int Stopped(ParseResult parsed, string done)
    {
        Console.Error.WriteLine($"{parsed.CommandResult.Command.Name}: stopped after {done}");
        return CommandLine.Interrupted;
    }

    void Handle(PosixSignalContext context)
    {
        context.Cancel = !source.IsCancellationRequested;
        source.Cancel();
    }

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in registrations)
            registration.Dispose();
        source.Dispose();
    }
}
