using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>What the machine is.</summary>
internal static class Facts
{
    public static Machine Of(IEnumerable<Device> devices, string command)
    {
        string version = typeof(Facts).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";
        string ilgpu = typeof(ILGPU.Context).Assembly.GetName().Version?.ToString(3) ?? "unknown";
        string memory = $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1e9:F0} GB";
        string commit = version.Split('+') is [_, { Length: > 7 } hash] ? hash[..8] : "unknown";
        string date = DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        return new Machine(Processor(), Environment.ProcessorCount, memory, RuntimeInformation.OSDescription, RuntimeInformation.FrameworkDescription,
            ilgpu, commit, date, command, [.. devices.Select(d => new DeviceFacts(d.Name, d.Description, ((ComputeDevice)d).Driver))]);
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
        string name = line?.Split(':')[1].Trim()
            ?? Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER")
            ?? RuntimeInformation.ProcessArchitecture.ToString();
        return name + Generation();
    }

    // Virtual machines have names like AMD EPYC for cores of which one does twice as much as another.
    static string Generation()
    {
        if (!X86Base.IsSupported)
            return "";
        int bits = X86Base.CpuId(1, 0).Eax, family = bits >> 8 & 15, model = bits >> 4 & 15;
        if (family is 6 or 15)
            model |= bits >> 12 & 0xf0;
        if (family == 15)
            family += bits >> 20 & 255;
        return string.Create(CultureInfo.InvariantCulture, $", family {family} model {model}");
    }
}
