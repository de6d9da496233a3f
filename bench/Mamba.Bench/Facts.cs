using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>What the machine is.</summary>
internal static class Facts
{
    public static Machine Of(IEnumerable<Device> devices, string command)
    {
        string version = typeof(Facts).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";
        string ilgpu = typeof(ILGPU.Context).Assembly.GetName().Version?.ToString(3) ?? "unknown";
        return new Machine(Processor(), Environment.ProcessorCount, $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1e9:F0} GB", RuntimeInformation.OSDescription, RuntimeInformation.FrameworkDescription, ilgpu,
            version.Split('+') is [_, { Length: > 7 } hash] ? hash[..8] : "unknown", DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture), command,
            [.. devices.Select(d => new DeviceFacts(d.Name, d.Description, ((ComputeDevice)d).Driver))]);
    }

    /// <summary>The folder of a machine under bench/results: its processor and cores, and a GPU if one was measured.</summary>
    public static string FolderName(Machine m)
    {
        string gpu = string.Concat(m.Devices.Where(d => d.Name.StartsWith("cuda", StringComparison.Ordinal)).Take(1).Select(d => "-" + d.Description));
        string name = $"{m.Processor}-{m.Cores}-core{gpu}".ToLowerInvariant();
        return string.Join('-', string.Concat(name.Select(c => char.IsAsciiLetterOrDigit(c) ? c : ' ')).Split(' ', StringSplitOptions.RemoveEmptyEntries));
    }

    static string Processor()
    {
        const string Cpus = "/proc/cpuinfo";
        string? line = File.Exists(Cpus) ? File.ReadLines(Cpus).FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal)) : null;
        return line?.Split(':')[1].Trim() ?? Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? RuntimeInformation.ProcessArchitecture.ToString();
    }
}
