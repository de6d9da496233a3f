using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Mamba.Gpu;

/// <summary>
/// <c>cpu</c>: host lanes on all cores. A kernel runs over 512-, 256- or 128-bit vectors, whichever the processor has,
/// with a worker on each core.
/// </summary>
internal sealed unsafe class HostDevice : ComputeDevice
{
    internal const int MostThreads = 1024;

    readonly HostPool pool;

    /// <param name="threads">Cores to use; 0 takes all of them, or what the environment variable MAMBA_THREADS says. Results do not depend on it.</param>
    /// <param name="bits">Vector width: 128, 256 or 512; 0 takes the widest this processor has.</param>
    public HostDevice(int threads = 0, int bits = 0)
    {
        if (threads == 0)
            threads = UsualThreads;
        if (threads is < 1 or > MostThreads)
            throw new MambaException($"cpu: {threads} threads were asked for; expected 1 to {MostThreads}.");
        Bits = bits != 0 ? bits : Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128;
        if (Bits is not (128 or 256 or 512))
            throw new MambaException($"cpu: vectors of {Bits} bits were asked for; expected 128, 256 or 512.");
        pool = new HostPool(threads);
    }

    /// <summary>Cores there are for this process. Threads beyond them take turns: the result is the same, and later.</summary>
    internal static int Cores => Environment.ProcessorCount;

    /// <summary>Threads where no number is asked for: what MAMBA_THREADS says, where 0 and an empty value say nothing, or else one on each core.</summary>
    internal static int UsualThreads => Environment.GetEnvironmentVariable("MAMBA_THREADS") is not { Length: > 0 } text ? OneEach : Numbers.Index(text) switch
    {
        0 => OneEach,
        <= MostThreads and int asked => asked,
        _ => throw new MambaException($"The environment variable MAMBA_THREADS is '{text}'; expected 1 to {MostThreads}, or 0 for all cores."),
    };

    static int OneEach => Math.Min(Cores, MostThreads);

    public override string Name => "cpu";

    public override string Description => Threads <= Cores
        ? $"host lanes of {Bits} bits on {Threads} {(Threads == 1 ? "core" : "cores")}"
        : $"host lanes of {Bits} bits, {Threads} threads on {Cores} {(Cores == 1 ? "core" : "cores")}";

    public override bool SupportsFloat64 => true;

    /// <summary>Width of a vector in bits.</summary>
    public int Bits { get; }

    /// <summary>Threads that run kernels, the calling one among them.</summary>
    public int Threads => pool.Size;

    /// <summary>Off, unless this platform has no switch for it: an Intel core takes some 150 cycles for each operation on one.</summary>
    public override bool KeepSubnormals
    {
        get => pool.KeepSubnormals || !Subnormals.CanFlush;
        set => pool.KeepSubnormals = value || Subnormals.CanFlush ? value
            : throw new MambaException($"{Name}: this platform has no switch that flushes subnormal numbers; they are kept.");
    }

    internal HostPool Pool => pool;

    public override void Synchronize() { }

    internal override string Driver => "";

    internal override Mark Mark() => new ClockMark();

    public override void Launch<L>(DType dtype, L launch)
    {
        switch (dtype, Bits)
        {
            case (DType.Float32, 512): On<Float512, float, L>(ref launch); break;
            case (DType.Float32, 256): On<Float256, float, L>(ref launch); break;
            case (DType.Float32, _): On<Float128, float, L>(ref launch); break;
            case (DType.Float64, 512): On<Double512, double, L>(ref launch); break;
            case (DType.Float64, 256): On<Double256, double, L>(ref launch); break;
            case (DType.Float64, _): On<Double128, double, L>(ref launch); break;
            default: throw new MambaException($"{typeof(L).Name}: no kernel for {dtype.Name()}.");
        }
    }

    void On<V, T, L>(ref L launch)
        where V : unmanaged, ILane<V, HostMemory<T>, T>
        where T : unmanaged, INumberBase<T>
        where L : struct, ILaunch =>
        launch.On<V, HostMemory<T>, T, HostMemory<int>, HostTeam<V, T>>(new HostLauncher<V, T>(this));

    internal override void Multiply(in MatMulProblem problem)
    {
        switch (problem.C.DType, Bits)
        {
            case (DType.Float32, 512): Multiply<float, MatMulVector512<float>>(problem); break;
            case (DType.Float32, 256): Multiply<float, MatMulVector256<float>>(problem); break;
            case (DType.Float32, _): Multiply<float, MatMulVector128<float>>(problem); break;
            case (DType.Float64, 512): Multiply<double, MatMulVector512<double>>(problem); break;
            case (DType.Float64, 256): Multiply<double, MatMulVector256<double>>(problem); break;
            case (DType.Float64, _): Multiply<double, MatMulVector128<double>>(problem); break;
            default: throw new MambaException($"MatMul: no kernel for {problem.C.DType.Name()}.");
        }
    }

    void Multiply<T, V>(in MatMulProblem problem)
        where T : unmanaged, INumber<T>
        where V : unmanaged, IMatMulVector<V, T>
    {
        const long WorthSharing = 100_000;      // multiply-adds
        var arguments = new MatMulArgs<T>
        {
            A = Pointer(problem.A),
            B = Pointer(problem.B),
            C = Pointer(problem.C),
            Bias = problem.Bias is null ? null : Pointer(problem.Bias),
            M = problem.M,
            N = problem.N,
            K = problem.K,
            RowA = problem.RowA,
            TransA = problem.TransposeA,
            TransB = problem.TransposeB,
            Accumulate = problem.Accumulate,
            Batch = problem.Batch,
            StrideA = problem.StrideA,
            StrideB = problem.StrideB,
            StrideC = problem.StrideC,
        };
        int workers = problem.Batch * Math.Max(problem.M, 4) * problem.N * problem.K < WorthSharing ? 1 : Threads;     // of a row or two reading B is the cost
        DeviceBuffer scratch = Memory.Rent(HostMatMul<T, V>.ScratchBytes(workers), out long start);
        var kernel = new HostMatMul<T, V>(arguments, workers, ((HostBuffer)scratch).Pointer + start);
        Watch?.Before("HostMatMul");
        pool.Run(&MultiplyEntry<T, V>, &kernel, workers);
        Watch?.After();
        Memory.Return(scratch);

        static T* Pointer(Tensor tensor) => (T*)((HostBuffer)tensor.Buffer).Pointer + tensor.Offset;
    }

    static void MultiplyEntry<T, V>(void* kernel, int index, int count)
        where T : unmanaged, INumber<T>
        where V : unmanaged, IMatMulVector<V, T> =>
        Unsafe.AsRef<HostMatMul<T, V>>(kernel).Run(new Worker(index, count, HostPool.Slot, strided: false));

    protected internal override DeviceBuffer Allocate(long bytes) => new HostBuffer(bytes);

    protected internal override void Upload(ReadOnlySpan<byte> source, DeviceBuffer target, long byteOffset) =>
        source.CopyTo(new Span<byte>(((HostBuffer)target).Pointer + byteOffset, source.Length));

    protected internal override void Download(DeviceBuffer source, long byteOffset, Span<byte> target) =>
        new ReadOnlySpan<byte>(((HostBuffer)source).Pointer + byteOffset, target.Length).CopyTo(target);

    protected internal override void Copy(DeviceBuffer source, long sourceOffset, DeviceBuffer target, long targetOffset, long bytes) =>
        Buffer.MemoryCopy(((HostBuffer)source).Pointer + sourceOffset, ((HostBuffer)target).Pointer + targetOffset, bytes, bytes);

    protected internal override void Clear(DeviceBuffer target, long byteOffset, long bytes) =>
        NativeMemory.Clear(((HostBuffer)target).Pointer + byteOffset, (nuint)bytes);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            pool.Dispose();
        base.Dispose(disposing);
    }
}
