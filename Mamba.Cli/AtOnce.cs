using System.Runtime.InteropServices;

namespace Mamba.Cli;

/// <summary>
/// For commands whose one result is a file: Ctrl-C, or a polite request to end, ends them at once, but while the file is written after that. A second one
/// does not wait.
/// </summary>
internal sealed class AtOnce : IDisposable
{
    readonly Lock gate = new();
    readonly PosixSignalRegistration[] registrations;
    bool written, asked;

    public AtOnce() => registrations =
    [
        PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
    ];

    /// <summary>Writes the file, whole.</summary>
    public void Write(Action write)
    {
        lock (gate)
        {
            write();
            written = true;
        }
    }

    void Handle(PosixSignalContext context)
    {
        context.Cancel = !Interlocked.Exchange(ref asked, true);
        if (!context.Cancel)
            return;
        lock (gate)
        {
            if (!written)
                Console.Error.WriteLine("stopped; nothing was written");
            Environment.Exit(CommandLine.Interrupted);
        }
    }

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in registrations)
            registration.Dispose();
    }
}
