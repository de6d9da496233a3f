using Mamba.Gpu;
using NUnit.Framework;

[assembly: Parallelizable(ParallelScope.Fixtures)]

namespace Mamba.Tests;

/// <summary>
/// The devices tests run on, opened once. A device named in MAMBA_REQUIRE_DEVICES (comma separated) must be there; another
/// that is absent is ignored. <c>cpu-128</c>, <c>cpu-256</c> and <c>cpu-512</c> are the host with vectors of that width
/// (.NET emulates those the processor lacks).
/// </summary>
internal static class TestDevices
{
    static readonly Dictionary<string, ComputeDevice> Opened = [];
    static readonly string[] Required = (Environment.GetEnvironmentVariable("MAMBA_REQUIRE_DEVICES") ?? "")
        .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>Every device a kernel is tested on.</summary>
    public static readonly string[] All = ["cpu-128", "cpu-256", "cpu-512", "opencl:0", "ilgpu-cpu", "cuda:0"];

    /// <summary>The devices that can do more than tiny shapes in a test's time.</summary>
    public static readonly string[] Fast = ["cpu", "opencl:0", "cuda:0"];

    public static ComputeDevice Open(string name)
    {
        lock (Opened)
        {
            if (Opened.TryGetValue(name, out ComputeDevice? device))
                return device;
            try
            {
                return Opened[name] = Make(name);
            }
            catch (MambaException e) when (!Required.Contains(name) && !Required.Contains(name.Split(':')[0]))
            {
                Assert.Ignore(e.Message);
                throw;
            }
        }
    }

    /// <summary>One of a test's own, on which nothing else runs; ignored as <see cref="Open"/> where there is none.</summary>
    public static ComputeDevice OpenAnother(string name)
    {
        Open(name);
        return Make(name);
    }

    static ComputeDevice Make(string name) => name.StartsWith("cpu-", StringComparison.Ordinal)
        ? new HostDevice(threads: 2, bits: int.Parse(name[4..]))
        : (ComputeDevice)Device.Open(name);
}
