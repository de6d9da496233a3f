using System.Runtime.CompilerServices;
using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>What the machine can do at most, measured: single-precision multiply-adds, memory traffic, exponentials.</summary>
internal sealed record Ceilings(double GFlops, double ReadGBs, double CopyGBs, double GExps)
{
    const long Big = 64 << 20;       // 256 MB: past any cache

    public static Ceilings Measure(Device device)
    {
        using var scope = new TensorScope();
        const long Items = 1 << 16;
        const int Rounds = 2000;
        Tensor sink = Tensor.Zeros(Items, DType.Float32, device);
        double fma = Timing.Measure(device, () => sink.Launch(new FmaLaunch(sink, Items, Rounds))).Best;
        double exp = Timing.Measure(device, () => sink.Launch(new ExpLaunch(sink, Items, Rounds / 10))).Best;
        Tensor from = Tensor.Zeros(Big, DType.Float32, device), to = Tensor.Zeros(Big, DType.Float32, device);
        double copy = Timing.Measure(device, () => from.Launch(new CopyLaunch(from, to)), repeats: 7).Best;
        return new Ceilings(Items * (double)Rounds * FmaPeak<Float256, HostMemory<float>, float>.Chains * 2 / fma / 1e6,
            MemoryRead(device), Big * 8 / copy / 1e6, Items * (Rounds / 10.0) * 8 / exp / 1e6);
    }

    /// <summary>GB/s of reading alone. It changes from minute to minute on a shared machine: measure it beside what it is to bound.</summary>
    public static double MemoryRead(Device device)
    {
        using var scope = new TensorScope();
        Tensor from = Tensor.Zeros(Big, DType.Float32, device), sink = Tensor.Zeros(1 << 16, DType.Float32, device);
        return Big * 4 / Timing.Measure(device, () => from.Launch(new ReadLaunch(from, sink)), repeats: 9).Best / 1e6;
    }

    public void Print() => Console.WriteLine($"""

        ceilings              (best of several)
          multiply-adds       {GFlops,8:F1} GFLOP/s
          memory read         {ReadGBs,8:F1} GB/s
          memory copy         {CopyGBs,8:F1} GB/s, read and written
          exponentials        {GExps,8:F2} G/s
        """);
}

/// <summary>Twelve independent chains of multiply-adds a lane: enough to hide their latency, few enough for 16 registers.</summary>
internal struct FmaPeak<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public const int Chains = 12;

    public M Sink;
    public long Items;
    public int Rounds;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M sink = Sink;
        Share share = worker.Share(Items, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            V x = V.Load(sink, i), a = V.Of(0.5f), c0 = x, c1 = x, c2 = x, c3 = x, c4 = x, c5 = x, c6 = x, c7 = x, c8 = x, c9 = x, c10 = x, c11 = x;
            for (int r = 0; r < Rounds; r++)
            {
                c0 = V.Fma(c0, a, a); c1 = V.Fma(c1, a, a); c2 = V.Fma(c2, a, a); c3 = V.Fma(c3, a, a);
                c4 = V.Fma(c4, a, a); c5 = V.Fma(c5, a, a); c6 = V.Fma(c6, a, a); c7 = V.Fma(c7, a, a);
                c8 = V.Fma(c8, a, a); c9 = V.Fma(c9, a, a); c10 = V.Fma(c10, a, a); c11 = V.Fma(c11, a, a);
            }
            V.Store(sink, i, c0 + c1 + c2 + c3 + (c4 + c5 + c6 + c7) + (c8 + c9 + c10 + c11), Lanes.In(share.End - i));
        }
    }
}

/// <summary>Eight independent chains of 2^x.</summary>
internal struct ExpPeak<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M Sink;
    public long Items;
    public int Rounds;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M sink = Sink;
        Share share = worker.Share(Items, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            V x = V.Load(sink, i), c0 = x, c1 = x + V.Of(1), c2 = x + V.Of(2), c3 = x + V.Of(3), c4 = x + V.Of(4), c5 = x + V.Of(5), c6 = x + V.Of(6), c7 = x + V.Of(7);
            for (int r = 0; r < Rounds; r++)
            {
                c0 = V.Exp2(-c0);
                c1 = V.Exp2(-c1);
                c2 = V.Exp2(-c2);
                c3 = V.Exp2(-c3);
                c4 = V.Exp2(-c4);
                c5 = V.Exp2(-c5);
                c6 = V.Exp2(-c6);
                c7 = V.Exp2(-c7);
            }
            V.Store(sink, i, c0 + c1 + c2 + c3 + (c4 + c5 + c6 + c7), Lanes.In(share.End - i));
        }
    }
}

/// <summary>Sums x, so that reading it is all the work.</summary>
internal struct ReadAll<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M X, Sink;
    public long Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M x = X;
        V a = V.Of(0), b = V.Of(0), c = V.Of(0), d = V.Of(0);
        Share share = worker.Share(Count / 4, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            a += V.Load(x, i * 4);
            b += V.Load(x, i * 4 + V.Width);
            c += V.Load(x, i * 4 + 2 * V.Width);
            d += V.Load(x, i * 4 + 3 * V.Width);
        }
        V.Store(Sink, (long)worker.Index * V.Width, a + b + c + d, V.Width);
    }
}

/// <summary>y = x.</summary>
internal struct CopyAll<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M X, Y;
    public long Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M x = X, y = Y;
        Share share = worker.Share(Count, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
            V.Store(y, i, V.Load(x, i), Lanes.In(share.End - i));
    }
}

internal readonly record struct FmaLaunch(Tensor Sink, long Items, int Rounds) : ILaunch
{
    void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new FmaPeak<V, M, T> { Sink = on.Memory(Sink), Items = Items, Rounds = Rounds }, Items, Rounds);
}

internal readonly record struct ExpLaunch(Tensor Sink, long Items, int Rounds) : ILaunch
{
    void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new ExpPeak<V, M, T> { Sink = on.Memory(Sink), Items = Items, Rounds = Rounds }, Items, Rounds);
}

internal readonly record struct ReadLaunch(Tensor X, Tensor Sink) : ILaunch
{
    void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new ReadAll<V, M, T> { X = on.Memory(X), Sink = on.Memory(Sink), Count = X.Count }, X.Count / 64);
}

internal readonly record struct CopyLaunch(Tensor X, Tensor Y) : ILaunch
{
    void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new CopyAll<V, M, T> { X = on.Memory(X), Y = on.Memory(Y), Count = X.Count }, X.Count);
}
