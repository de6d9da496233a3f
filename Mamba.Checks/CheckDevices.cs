using Mamba.Gpu;

namespace Mamba.Checks;

/// <summary>
/// Devices by name; <c>cpu-128</c>, <c>cpu-256</c> and <c>cpu-512</c> are the host with vectors of that width, which .NET emulates where the processor lacks
/// them.
/// </summary>
public static class CheckDevices
{
    /// <summary>Opens a device for checks.</summary>
    /// <param name="name">As for Device.Open, or one of those above.</param>
    /// <param name="threads">Threads of the host; 0 for all.</param>
    public static Device Open(string name, int threads = 0) => name switch
    {
        "cpu" when threads > 0 => new HostDevice(threads),
        "cpu-128" or "cpu-256" or "cpu-512" => new HostDevice(threads, Numbers.Index(name.AsSpan(4))!.Value),
        _ => Device.Open(name),
    };

    /// <summary>
    /// What a list of names separated by commas stands for: <c>all</c> is the host in every width, every GPU, every OpenCL device, and
    /// ILGPU's simulator; <c>fast</c> leaves the last two out.
    /// </summary>
    public static IReadOnlyList<string> Parse(string list)
    {
        string[] names = list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return [.. names.SelectMany(name => name == "all" ? Everything() : name == "fast"
            ? Everything().Where(n => n.StartsWith("cpu", StringComparison.Ordinal) || n.StartsWith("cuda", StringComparison.Ordinal))
            : [name]).Distinct(StringComparer.Ordinal)];
    }

    static IEnumerable<string> Everything() => Devices.List().SelectMany(d => d.Name == "cpu" ? ["cpu-128", "cpu-256", "cpu-512"] : new[] { d.Name });
}
