using System.Reflection;
using Mamba.Gpu;

namespace Mamba.Checks;

/// <summary>A kernel as a device compiles it: closed for one element type, with the entry point it is launched through.</summary>
internal sealed class DeviceKernel
{
    internal DeviceKernel(string name, DType dtype, MethodInfo entry, bool grouped)
    {
        Name = name;
        DType = dtype;
        Entry = entry;
        Grouped = grouped;
    }

    /// <summary>The kernel's name and what closes it: <c>UnaryForward&lt;Silu&gt;</c>, <c>SelectiveScanForward&lt;16, PerToken, PerToken&gt;</c>.</summary>
    public string Name { get; }

    /// <summary>The name without what closes it: <c>UnaryForward</c>.</summary>
    public string Family => Name.Split('<')[0];

    /// <summary>float32 or float64.</summary>
    public DType DType { get; }

    /// <summary>Whether most of the time is spent here: see <see cref="KernelCatalog.Hot"/>.</summary>
    public bool IsHot => KernelCatalog.Hot.Any(word => Family.Contains(word, StringComparison.Ordinal));

    /// <summary>The oldest GPU that has the instructions it names; null where it names none, and compiles for all.</summary>
    public string? OldestGpu { get; internal init; }

    /// <summary>Whether it is for CUDA alone.</summary>
    public bool IsCudaOnly => OldestGpu is not null;

    /// <summary>Whether a GPU of <paramref name="architecture"/> can run it.</summary>
    /// <exception cref="MambaException">The architecture is none.</exception>
    public bool RunsOn(string architecture) => OldestGpu is null || KernelCompiler.Architecture(architecture) >= KernelCompiler.Architecture(OldestGpu);

    /// <summary>The closed entry point.</summary>
    internal MethodInfo Entry { get; }

    /// <summary>Whether the entry point is launched in groups of threads whose size the launcher says, or in groups ILGPU makes.</summary>
    internal bool Grouped { get; }

    public override string ToString() => $"{Name} in {DType.Name()}";
}
