using System.Text.RegularExpressions;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.OpenCL;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using Mamba.Gpu;

namespace Mamba.Checks;

/// <summary>Compiles kernels as a device would, without one: to PTX for CUDA, and to OpenCL C. It may be called from many threads.</summary>
internal static partial class KernelCompiler
{
    /// <summary>
    /// The kernel in PTX. A GPU of <paramref name="architecture"/> (sm_80, sm_90, …) gets this code from us; for one newer
    /// than sm_80 ILGPU writes sm_80, and the driver, or ptxas, does the rest.
    /// </summary>
    /// <exception cref="MambaException">ILGPU cannot compile the kernel, or the architecture is none.</exception>
    public static string CompilePtx(DeviceKernel kernel, string architecture = "sm_80")
    {
        CudaArchitecture target = Architecture(architecture);
        // ISA 7.8 is what CUDA 11.8 takes; nothing here needs a newer one.
        return Renumbered(((PTXCompiledKernel)Compile(kernel, context => new PTXBackend(context, target, new CudaInstructionSet(7, 8), null!))).PTXAssembly);
    }

    /// <summary>The kernel in OpenCL C 2.0, for a device that has what our kernels may ask for: double precision, and nothing else.</summary>
    /// <exception cref="MambaException">ILGPU cannot compile the kernel.</exception>
    public static string CompileOpenCL(DeviceKernel kernel)
    {
        var capabilities = new CLCapabilityContext(float16: false, float64: true, genericAddressSpace: true, int64_Atomics: false, subGroups: false);
        return Renumbered(((CLCompiledKernel)Compile(kernel, context => new CLBackend(context, capabilities, CLDeviceVendor.Other, CLCVersion.CL20))).Source);
    }

    // ILGPU numbers types, labels and parameters on through the life of the process: type_3103979. Counted from 1000 in each
    // kernel instead, the same kernel is the same text whenever it is compiled, and two versions of it can be compared.
    static string Renumbered(string code)
    {
        var numbers = new Dictionary<string, string>(StringComparer.Ordinal);
        return Identity().Replace(code, match =>
        {
            if (!numbers.TryGetValue(match.Value, out string? number))
                numbers.Add(match.Value, number = $"_{1000 + numbers.Count}");
            return number;
        });
    }

    [GeneratedRegex(@"(?<=\w)_\d{3,}", RegexOptions.ExplicitCapture, 10_000)]
    private static partial Regex Identity();

    static CompiledKernel Compile(DeviceKernel kernel, Func<Context, Backend> open)
    {
        try
        {
            // A failed compilation spoils its context for all that follow, so each kernel has its own.
            using Context context = Context.Create(b => b.OptimizeForPtx());
            using Backend backend = open(context);
            if (backend is PTXBackend)
                context.MayDiverge();
            return backend.Compile(
                kernel.Grouped ? EntryPointDescription.FromExplicitlyGroupedKernel(kernel.Entry)
                    : EntryPointDescription.FromImplicitlyGroupedKernel(kernel.Entry),
                new KernelSpecialization());
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            throw new MambaException($"{kernel} does not compile: {e.GetBaseException().Message}", e);
        }
    }

    /// <summary>The architecture ILGPU writes into the PTX it makes for a GPU of <paramref name="architecture"/>.</summary>
    public static string Target(string architecture) => new CudaCapabilityContext(Architecture(architecture)).TargetArchitecture.ToString().ToLowerInvariant();

    // sm_90a is sm_90 with instructions ILGPU knows nothing of.
    internal static CudaArchitecture Architecture(string name) =>
        name.StartsWith("sm_", StringComparison.Ordinal) && Numbers.Index(name.AsSpan(3).TrimEnd("af")) is >= 50 and < 1000 and int number
            ? new CudaArchitecture(number / 10, number % 10)
            : throw new MambaException($"'{name}' is no GPU architecture; expected sm_50 or newer: sm_80, sm_90, …");
}
