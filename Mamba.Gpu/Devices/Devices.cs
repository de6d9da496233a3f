using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using Mamba.Gpu;

namespace Mamba;

/// <summary>Opens devices by name.</summary>
public static class Devices
{
    static Devices()
    {
        try
        {
            NativeLibrary.SetDllImportResolver(typeof(Context).Assembly, Driver);
        }
        catch (InvalidOperationException)
        {
            // the program has a resolver of its own
        }
    }

    // ILGPU asks for libcuda.so and libOpenCL.so, names that only the packages for developers bring; the drivers' own end in .so.1.
    static nint Driver(string name, Assembly assembly, DllImportSearchPath? path) =>
        NativeLibrary.TryLoad(name, assembly, path, out nint library)
            || (OperatingSystem.IsLinux() && NativeLibrary.TryLoad($"lib{name}.so.1", assembly, path, out library)) ? library : 0;

    extension(Device)
    {
        /// <summary>
        /// Opens a device: <c>cpu</c> (all cores), <c>cuda:i</c>, <c>opencl:i</c>, <c>ilgpu-cpu</c> (ILGPU's simulator: small
        /// shapes only, finds races and out-of-range indices), or <c>auto</c>: the first CUDA GPU, else the first OpenCL GPU, else <c>cpu</c>.
        /// </summary>
        /// <exception cref="MambaException">No such device; the message lists those there are.</exception>
        public static Device Open(string name) => name switch
        {
            "auto" => OpenFastest(),
            "cpu" => new HostDevice(),
            "ilgpu-cpu" => OpenSimulator(),
            "cuda" => OpenCuda(0),
            "opencl" => OpenOpenCL(0),
            _ when name.StartsWith("cuda:", StringComparison.Ordinal) && Numbers.Index(name.AsSpan(5)) is { } i => OpenCuda(i),
            _ when name.StartsWith("opencl:", StringComparison.Ordinal) && Numbers.Index(name.AsSpan(7)) is { } i => OpenOpenCL(i),
            _ => throw new MambaException($"Device '{name}' is unknown; {Known()}"),
        };
    }

    extension(Device device)
    {
        /// <summary>How float32 matrices are multiplied on the device, forward and backward, from now on; in full by default.</summary>
        /// <exception cref="MambaException">The device has no such form.</exception>
        public MatMulPrecision MatMulPrecision
        {
            get => ((ComputeDevice)device).MatMulPrecision;
            set => ((ComputeDevice)device).MatMulPrecision = value;
        }

        /// <summary>
        /// Whether kernels compute with subnormal numbers from now on; where they do not, such inputs and results count as zero. <c>cpu</c> does not
        /// unless told to, and is then up to tens of times slower on values that small; other devices cannot be told. docs/subnormals.md.
        /// </summary>
        /// <exception cref="MambaException">The device cannot.</exception>
        public bool KeepSubnormals
        {
            get => ((ComputeDevice)device).KeepSubnormals;
            set => ((ComputeDevice)device).KeepSubnormals = value;
        }
    }

    /// <summary>What there is on this machine.</summary>
    public static IEnumerable<DeviceInfo> List()
    {
        using (var host = new HostDevice())
            yield return new(host.Name, host.Description, host.SupportsFloat64) { KeepsSubnormals = host.KeepSubnormals };
        using (Context? cuda = CudaContext())
            for (int i = 0; i < (cuda?.GetCudaDevices().Count ?? 0); i++)
                yield return new($"cuda:{i}", cuda!.GetCudaDevice(i).Name, true) { KeepsSubnormals = IlgpuDevice.Keeps(cuda!.GetCudaDevice(i)) };
        using (Context? opencl = OpenCLContext())
            for (int i = 0; i < (opencl?.GetCLDevices().Count ?? 0); i++)
                yield return new($"opencl:{i}", opencl!.GetCLDevice(i).Name,
                    opencl!.GetCLDevice(i).Capabilities.Float64)
                { KeepsSubnormals = IlgpuDevice.Keeps(opencl!.GetCLDevice(i)) };
        yield return new("ilgpu-cpu", "ILGPU's simulator of a device: a checker, thousands of times slower", true) { KeepsSubnormals = true };
    }

    /// <summary>Whether devices opened from now on keep events that time their work; the benchmarks want that.</summary>
    internal static bool Events { get; set; }

    static string Known() => $"there are: auto, {string.Join(", ", List().Select(d => d.Name))}.";

    static Device OpenFastest()
    {
        if (CudaContext() is { } cuda)
        {
            if (cuda.GetCudaDevices().Count > 0)
                return new IlgpuDevice("cuda:0", cuda, cuda.GetCudaDevice(0), supportsFloat64: true);
            cuda.Dispose();
        }
        if (OpenCLContext() is { } opencl)
        {
            for (int i = 0; i < opencl.GetCLDevices().Count; i++)
                if (opencl.GetCLDevice(i) is { DeviceType: CLDeviceType.CL_DEVICE_TYPE_GPU } gpu)
                    return new IlgpuDevice($"opencl:{i}", opencl, gpu, gpu.Capabilities.Float64);
            opencl.Dispose();
        }
        return new HostDevice();
    }

    static IlgpuDevice OpenCuda(int i)
    {
        Context? context = CudaContext();
        if (context is not null && i >= 0 && i < context.GetCudaDevices().Count)
            return new IlgpuDevice($"cuda:{i}", context, context.GetCudaDevice(i), supportsFloat64: true);
        context?.Dispose();
        throw new MambaException($"Device 'cuda:{i}' is not on this machine; {Known()}");
    }

    static IlgpuDevice OpenOpenCL(int i)
    {
        Context? context = OpenCLContext();
        if (context is not null && i >= 0 && i < context.GetCLDevices().Count)
            return new IlgpuDevice($"opencl:{i}", context, context.GetCLDevice(i), context.GetCLDevice(i).Capabilities.Float64);
        context?.Dispose();
        throw new MambaException($"Device 'opencl:{i}' is not on this machine; {Known()}");
    }

    static IlgpuDevice OpenSimulator()
    {
        Context context = Context.Create(b => b.CPU().EnableAlgorithms());
        return new IlgpuDevice("ilgpu-cpu", context, context.GetCPUDevice(0), supportsFloat64: true);
    }

    static Context? CudaContext() => TryCreate(b => b.Cuda().OptimizeForPtx());

    // PoCL 3.1 leaves the generic address space out of its feature list, and ILGPU then refuses the device; at O2 the
    // kernels do not need it. No other device is let in this way.
    static Context? OpenCLContext() => TryCreate(b => b.EnableAlgorithms().Optimize(OptimizationLevel.O2).OpenCL(device =>
    {
        if (device.Name.StartsWith("pthread-", StringComparison.Ordinal) || device.Name.StartsWith("cpu-", StringComparison.Ordinal))      // PoCL's names
            AllowGenericAddressSpace(device.Capabilities, true);
        return device.Capabilities.GenericAddressSpace;
    }));

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "set_GenericAddressSpace")]
    static extern void AllowGenericAddressSpace(CLCapabilityContext capabilities, bool value);

    // A machine without the driver has no such devices; that is not an error.
    static Context? TryCreate(Action<Context.Builder> build)
    {
        try
        {
            return Context.Create(b => build(Events ? b.Profiling() : b));
        }
        catch (Exception e) when (e is DllNotFoundException or TypeInitializationException or NotSupportedException or EntryPointNotFoundException
            or ILGPU.Runtime.AcceleratorException)
        {
            return null;
        }
    }
}
