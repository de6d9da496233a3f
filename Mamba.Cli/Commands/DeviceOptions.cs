using System.CommandLine;
using System.Globalization;
using Mamba.Checks;
using Mamba.Gpu;

namespace Mamba.Cli;

/// <summary><c>--device</c> and <c>--threads</c>.</summary>
internal sealed class DeviceOptions
{
    public Option<string?> Name { get; } = Option.Text("--device", "NAME", "cpu, cuda:0, opencl:0, ilgpu-cpu, or auto: the fastest there is (default); "
        + "cpu-128, cpu-256 or cpu-512: the host with vectors of that width.");
    public Option<int?> Threads { get; } = Option.Int("--threads",
        "Threads of the device cpu; by default one on each core. More than that take turns. The result does not depend on it.");

    public void AddTo(Command command)
    {
        command.Add(Name);
        command.Add(Threads);
    }

    /// <summary>Opens the device asked for, or else <paramref name="otherwise"/>.</summary>
    public Device Open(ParseResult parsed, string otherwise = "auto")
    {
        if (parsed.GetValue(Threads) is { } threads)
        {
            if (threads is < 1 or > HostDevice.MostThreads)
                throw new MambaException($"--threads is {threads}; expected 1 to {HostDevice.MostThreads}.");
            Environment.SetEnvironmentVariable("MAMBA_THREADS", threads.ToString(CultureInfo.InvariantCulture));
        }
        return CheckDevices.Open(parsed.GetValue(Name) ?? otherwise);
    }
}
