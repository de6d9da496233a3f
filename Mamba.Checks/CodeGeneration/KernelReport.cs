using System.Globalization;
using System.Text.RegularExpressions;
using Mamba.Gpu;

namespace Mamba.Checks;

/// <summary>A kernel's code, and what can be said about it without a GPU.</summary>
internal sealed partial record KernelReport
{
    /// <summary>The kernel.</summary>
    public required DeviceKernel Kernel { get; init; }

    /// <summary>Its PTX; null when it does not compile.</summary>
    public string? Ptx { get; init; }

    /// <summary>Its OpenCL C; null when it does not compile, or is for CUDA alone.</summary>
    public string? OpenCL { get; init; }

    /// <summary>What ptxas says; null without ptxas, or when it refuses the PTX.</summary>
    public KernelResources? Resources { get; init; }

    /// <summary>Why it does not compile or assemble, in one line; null when it does.</summary>
    public string? Error { get; init; }

    /// <summary>Whether the PTX declares local memory: an array that is indexed in a loop, which lies in global memory and is slow.</summary>
    public bool LocalMemory => Ptx?.Contains(".local ", StringComparison.Ordinal) ?? false;

    /// <summary>Bytes of shared memory a group that the PTX declares. What the launcher adds is not in it.</summary>
    public int SharedBytes => Ptx is null ? 0 : SharedArray().Matches(Ptx).Sum(m => int.Parse(m.Groups["bytes"].ValueSpan, CultureInfo.InvariantCulture));

    /// <summary>What is wrong with the kernel: it does not compile, or it is hot and uses local memory; null when all is well.</summary>
    public string? Problem => Error
        ?? (!Kernel.IsHot ? null
        : LocalMemory ? "a hot kernel uses local memory"
        : Resources is { SpillStores: > 0 } or { SpillLoads: > 0 } ? "a hot kernel spills registers"
        : Resources is { Stack: > 0 } ? "a hot kernel has a stack"
        : null);

    /// <summary>
    /// Compiles <paramref name="kernel"/> and has <paramref name="ptxas"/>, if there is one, assemble it. Failures end up in <see cref="Error"/>.
    /// </summary>
    public static KernelReport Of(DeviceKernel kernel, string architecture = "sm_80", Ptxas? ptxas = null)
    {
        var report = new KernelReport { Kernel = kernel };
        try
        {
            report = report with { Ptx = KernelCompiler.CompilePtx(kernel, architecture) };
            report = report with { OpenCL = kernel.IsCudaOnly ? null : KernelCompiler.CompileOpenCL(kernel) };
            return report with { Resources = ptxas?.Assemble(report.Ptx) };
        }
        catch (MambaException e)
        {
            return report with { Error = e.Message.Replace($"{kernel} ", "", StringComparison.Ordinal).ReplaceLineEndings(" ") };
        }
    }

    [GeneratedRegex(@"\.shared \.align \d+ \.b8 \w+\[(?<bytes>\d+)\]", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex SharedArray();
}
