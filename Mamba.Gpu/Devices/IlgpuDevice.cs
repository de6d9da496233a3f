using System.Collections.Concurrent;
using System.Numerics;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Mamba.Gpu;

/// <summary>A device ILGPU drives: CUDA, OpenCL, or ILGPU's own simulator of one.</summary>
internal sealed class IlgpuDevice : ComputeDevice
{
    readonly Context context;
    readonly Accelerator accelerator;
    readonly ConcurrentDictionary<Type, Delegate> kernels = new();
    readonly Lock gate = new();
    readonly bool hasTensorCores, keepsSubnormals;
    MatMulPrecision precision;
    readonly MemoryBuffer1D<byte, Stride1D.Dense> nothing;      // what an absent tensor points to

    public IlgpuDevice(string name, Context context, ILGPU.Runtime.Device device, bool supportsFloat64)
    {
        Name = name;
        this.context = context;
        accelerator = device.CreateAccelerator(context);
        if (accelerator is CudaAccelerator)
            context.MayDiverge();
        Description = accelerator.Name;
        SupportsFloat64 = supportsFloat64;
        hasTensorCores = accelerator is CudaAccelerator { Architecture: var architecture } && architecture >= CudaArchitecture.SM_80;
        IsProcessor = device is CLDevice { DeviceType: CLDeviceType.CL_DEVICE_TYPE_CPU };
        keepsSubnormals = Keeps(device);
        nothing = accelerator.Allocate1D<byte>(256);
    }

    public override string Name { get; }
    public override string Description { get; }
    public override bool SupportsFloat64 { get; }

    /// <summary>Whether it is a processor behind OpenCL.</summary>
    internal bool IsProcessor { get; }

    public override void Synchronize() => accelerator.Synchronize();

    internal override string Driver => accelerator switch
    {
        CudaAccelerator cuda => $"CUDA {cuda.DriverVersion}, {cuda.Architecture}, PTX {cuda.InstructionSet}",
        CLAccelerator cl => $"{cl.PlatformName}, OpenCL {cl.PlatformVersion}",
        _ => "",
    };

    internal override Mark Mark()
    {
        if (context.Properties.EnableProfiling)
            return new EventMark(accelerator.DefaultStream.AddProfilingMarker());
        accelerator.Synchronize();
        return new ClockMark();
    }

    public override void Launch<L>(DType dtype, L launch)
    {
        lock (gate)
        {
            if (dtype == DType.Float32)
                launch.On<Scalar32, DeviceMemory<float>, float, DeviceMemory<int>, GroupTeam<Scalar32, float>>(new Launcher<Scalar32, float>(this));
            else if (dtype == DType.Float64)
                launch.On<Scalar64, DeviceMemory<double>, double, DeviceMemory<int>, GroupTeam<Scalar64, double>>(new Launcher<Scalar64, double>(this));
            else
                throw new MambaException($"{typeof(L).Name}: no kernel for {dtype.Name()}.");
        }
    }

    public override MatMulPrecision MatMulPrecision
    {
        get => precision;
        set
        {
            if (!hasTensorCores)
                base.MatMulPrecision = value;
            precision = value;
        }
    }

    /// <summary>What the device's own instructions do: nobody but its driver can tell them otherwise.</summary>
    public override bool KeepSubnormals
    {
        get => keepsSubnormals;
        set
        {
            if (value != keepsSubnormals)
                throw new MambaException($"{Name}: its float32 kernels {(keepsSubnormals ? "compute with" : "flush")} subnormal numbers; only cpu can be "
                    + $"told what to do with them.");
        }
    }

    // The PTX that ILGPU writes has no .ftz, and float64 on CUDA no such form; the simulator is ordinary .NET. OpenCL drivers say what they do (CL_FP_DENORM).
    internal static bool Keeps(ILGPU.Runtime.Device device) =>
        device is not CLDevice opencl || (CLAPI.CurrentAPI.GetDeviceInfo<ulong>(opencl.DeviceId, CLDeviceInfoType.CL_DEVICE_SINGLE_FP_CONFIG) & 1) != 0;

    internal override void Multiply(in MatMulProblem problem)
    {
        if (problem.C.DType == DType.Float32 && precision == MatMulPrecision.TF32)
            MultiplyRounded<TF32>(problem);
        else if (problem.C.DType == DType.Float32 && precision == MatMulPrecision.BF16)
            MultiplyRounded<BF16>(problem);
        else
            Multiply(problem, Tile(problem));
    }

    /// <summary>The tile <paramref name="problem"/> is cut into: the larger, the fewer loads; but small ones, so that every multiprocessor has one.</summary>
    int Tile(in MatMulProblem problem) => accelerator.MaxNumThreadsPerGroup switch
    {
        < 16 and var most => throw new MambaException($"MatMul: {Name} runs {most} threads in a group; 16 are needed."),
        < 64 => 16,
        < 256 => 32,
        _ when Math.Min(problem.M, problem.N) <= 32 => 32,
        _ when IsProcessor || Tiles(problem, 128) < accelerator.NumMultiprocessors => 64,
        _ => 128,
    };

    /// <summary>Computes <paramref name="problem"/> in square tiles of 16, 32, 64 or 128.</summary>
    internal void Multiply(in MatMulProblem problem, int tile)
    {
        lock (gate)
        {
            if (problem.C.DType == DType.Float32)
                Multiply<Scalar32, float>(problem, tile);
            else
                Multiply<Scalar64, double>(problem, tile);
        }
    }

    void Multiply<V, T>(in MatMulProblem problem, int tile)
        where V : unmanaged, ILane<V, DeviceMemory<T>, T>
        where T : unmanaged
    {
        if (tile == 128)
            Multiply<V, T, Sums8<V, T>, Side16>(problem);
        else if (tile == 64)
            Multiply<V, T, Sums4<V, T>, Side16>(problem);
        else if (tile == 32)
            Multiply<V, T, Sums4<V, T>, Side8>(problem);
        else
            Multiply<V, T, Sums4<V, T>, Side4>(problem);
    }

    /// <summary>Computes <paramref name="problem"/> in float32 with operands of the form <typeparamref name="F"/>.</summary>
    internal void MultiplyRounded<F>(in MatMulProblem problem) where F : struct, ITensorForm<F>
    {
        lock (gate)
        {
            var run = (Action<KernelConfig, DeviceMatMulArguments<float>>)kernels.GetOrAdd(typeof(F),
                _ => accelerator.LoadStreamKernel<DeviceMatMulArguments<float>>(TensorCoreMatMul.Run<F>));
            Watch?.Before("TensorCoreMatMul");
            run(new KernelConfig(Groups(problem, TensorCoreMatMul.Tile), TensorCoreMatMul.Threads), Arguments<float>(problem, TensorCoreMatMul.Tile));
            Watch?.After();
        }
    }

    void Multiply<V, T, S, N>(in MatMulProblem problem)
        where V : unmanaged, ILane<V, DeviceMemory<T>, T>
        where T : unmanaged
        where S : struct, ISums<S, V, T>
        where N : struct, ISide
    {
        var run = (Action<KernelConfig, DeviceMatMulArguments<T>>)kernels.GetOrAdd(typeof((S, N)),
            _ => accelerator.LoadStreamKernel<DeviceMatMulArguments<T>>(DeviceMatMul.Run<V, T, S, N>));
        int tile = 4 * S.Blocks * N.Threads;
        Watch?.Before("DeviceMatMul");
        run(new KernelConfig(Groups(problem, tile), N.Threads * N.Threads), Arguments<T>(problem, tile));
        Watch?.After();
    }

    static long Tiles(in MatMulProblem problem, int tile) => problem.Batch * ((problem.M + tile - 1) / tile) * ((problem.N + tile - 1) / tile);

    int Groups(in MatMulProblem problem, int tile) => Tiles(problem, tile) is <= int.MaxValue and var groups
        ? (int)groups
        : throw new MambaException($"MatMul: ({problem.Batch}, {problem.M}, {problem.N}) needs {Tiles(problem, tile)} tiles; {Name} runs {int.MaxValue} at "
            + $"most.");

    internal DeviceMatMulArguments<T> Arguments<T>(in MatMulProblem problem, int tile) where T : unmanaged => new()
    {
        A = Elements<T>(problem.A),
        B = Elements<T>(problem.B),
        C = Elements<T>(problem.C),
        Bias = Elements<T>(problem.Bias),
        M = problem.M,
        N = problem.N,
        K = problem.K,
        RowA = problem.RowA,
        StrideA = problem.StrideA,
        StrideB = problem.StrideB,
        StrideC = problem.StrideC,
        TransposeA = problem.TransposeA ? 1 : 0,
        TransposeB = problem.TransposeB ? 1 : 0,
        Accumulate = problem.Accumulate ? 1 : 0,
        HasBias = problem.Bias is null ? 0 : 1,
        TilesM = (int)((problem.M + tile - 1) / tile),
        TilesN = (int)((problem.N + tile - 1) / tile),
        FoursA = AreFours(problem.A, problem.TransposeA ? problem.M : problem.K | problem.RowA, problem.StrideA),
        FoursB = AreFours(problem.B, problem.TransposeB ? problem.K : problem.N, problem.StrideB),
        FoursC = AreFours(problem.C, problem.N, problem.StrideC) & (problem.Bias is { } bias ? AreFours(bias, problem.N, 0) : 1),
    };

    // A row, a batch item and the tensor itself start at a multiple of four elements; buffers start at many times that.
    static int AreFours(Tensor tensor, long row, long stride) => row % 4 == 0 && stride % 4 == 0 && tensor.Offset % 4 == 0 ? 1 : 0;

    ArrayView<E> Elements<E>(Tensor? tensor) where E : unmanaged => tensor is null || tensor.Count == 0
        ? nothing.View.AsContiguous().Cast<E>()
        : ((IlgpuBuffer)tensor.Buffer).View.Cast<E>().SubView(tensor.Offset, tensor.Count);

    protected internal override DeviceBuffer Allocate(long bytes) => new IlgpuBuffer(accelerator.Allocate1D<byte>(bytes));

    protected internal override void Upload(ReadOnlySpan<byte> source, DeviceBuffer target, long byteOffset)
    {
        if (source.Length > 0)
            View(target, byteOffset, source.Length).CopyFromCPU(accelerator.DefaultStream, source);
        accelerator.Synchronize();
    }

    protected internal override void Download(DeviceBuffer source, long byteOffset, Span<byte> target)
    {
        if (target.Length > 0)
            View(source, byteOffset, target.Length).CopyToCPU(accelerator.DefaultStream, target);
        accelerator.Synchronize();
    }

    protected internal override void Copy(DeviceBuffer source, long sourceOffset, DeviceBuffer target, long targetOffset, long bytes)
    {
        if (bytes > 0)
            View(source, sourceOffset, bytes).CopyTo(accelerator.DefaultStream, View(target, targetOffset, bytes));
    }

    protected internal override void Clear(DeviceBuffer target, long byteOffset, long bytes)
    {
        if (bytes > 0)
            View(target, byteOffset, bytes).MemSetToZero(accelerator.DefaultStream);
    }

    static ArrayView<byte> View(DeviceBuffer buffer, long byteOffset, long bytes) => ((IlgpuBuffer)buffer).View.SubView(byteOffset, bytes);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            accelerator.Synchronize();
            base.Dispose(disposing);
            nothing.Dispose();
            accelerator.Dispose();
            context.Dispose();
        }
    }

    sealed class EventMark(ProfilingMarker marker) : Mark
    {
        public override double MillisecondsSince(Mark earlier) => (marker - ((EventMark)earlier).Marker).TotalMilliseconds;

        ProfilingMarker Marker => marker;
    }

    sealed class IlgpuBuffer(MemoryBuffer1D<byte, Stride1D.Dense> memory) : DeviceBuffer(memory.Length)
    {
        public ArrayView<byte> View => memory.View.AsContiguous();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                memory.Dispose();
        }
    }

    sealed class Launcher<V, T>(IlgpuDevice device) : ILauncher<V, DeviceMemory<T>, T, DeviceMemory<int>, GroupTeam<V, T>>
        where V : unmanaged, ILane<V, DeviceMemory<T>, T>
        where T : unmanaged, INumberBase<T>
    {
        const int MostWorkers = 1 << 20, MostTeams = 1 << 16;

        public DeviceMemory<T> Memory(Tensor? tensor) => new(Touched<T>(tensor));
        public DeviceMemory<int> Ints(Tensor? tensor) => new(Touched<int>(tensor));

        public void Run<K>(K kernel, long items, long cost = 1) where K : struct, IKernel
        {
            if (items == 0)
                return;
            var run = (Action<Index1D, int, K>)device.kernels.GetOrAdd(typeof(K),
                _ => device.accelerator.LoadAutoGroupedStreamKernel<Index1D, int, K>(KernelEntry.Run));
            int workers = (int)Math.Min(items, MostWorkers);
            device.Watch?.Before(typeof(K));
            device.Timeline?.Begin();
            run(workers, workers, kernel);
            device.Timeline?.End(typeof(K));
            device.Watch?.After();
        }

        public void RunTeams<K>(K kernel, long rows, long width, long cost = 1, int slots = int.MaxValue) where K : struct, ITeamKernel<V, GroupTeam<V, T>>
        {
            if (rows == 0)
                return;
            var run = (Action<KernelConfig, K>)device.kernels.GetOrAdd(typeof(K),
                _ => device.accelerator.LoadStreamKernel<K>(KernelEntry.RunTeam<K, V, T>));
            device.Watch?.Before(typeof(K));
            device.Timeline?.Begin();
            run(new KernelConfig((int)Math.Min(rows, Math.Min(slots, MostTeams)), TeamSize(width)), kernel);
            device.Timeline?.End(typeof(K));
            device.Watch?.After();
        }

        ArrayView<E> Touched<E>(Tensor? tensor) where E : unmanaged
        {
            device.Timeline?.Touch(tensor);
            return device.Elements<E>(tensor);
        }

        public int Slots(long items) => (int)Math.Min(items, 512);

        public int TeamSize(long width)
        {
            int most = Math.Min(GroupTeam<V, T>.MaxSize, device.accelerator.MaxNumThreadsPerGroup), size = 1;
            while (size * 2 <= most && size < width)
                size *= 2;
            return size;
        }
    }
}
