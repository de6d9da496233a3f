using System.Runtime.CompilerServices;
using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>What a device can do at most, measured by kernels of our own.</summary>
/// <param name="GFlops">Multiply-adds, each two flops.</param>
/// <param name="GExps">2^x, with what its arguments need.</param>
/// <param name="ReadGBs">A large array read.</param>
/// <param name="Copies">An array copied, read and written: bytes of both, GB/s. Small ones stay in a cache.</param>
/// <param name="LaunchMicroseconds">From one kernel to the next.</param>
/// <param name="OneUnit">Whether exponentials are made by the multiply-add units, so that their times add up; a GPU has others for them.</param>
internal sealed record Ceilings(double GFlops, double GExps, double ReadGBs,
    IReadOnlyList<(double Bytes, double GBs)> Copies, double LaunchMicroseconds, bool OneUnit)
{
    /// <summary>A large array copied.</summary>
    public double CopyGBs => Copies[^1].GBs;

    /// <summary>The least milliseconds <paramref name="work"/> takes, and which ceiling says so.</summary>
    public (double Milliseconds, string Limit) Bound(Work work)
    {
        double flops = work.Flops / GFlops / 1e6, exps = work.Exps / GExps / 1e6, launches = work.Launches * LaunchMicroseconds / 1e3;
        double room = work.ReadOnly && work.Bytes > Copies[^1].Bytes / 2 ? ReadGBs : CopyOf(work.AtOnce ?? work.Bytes);
        double bytes = work.Bytes == 0 ? 0 : work.Bytes / 1e6 / room;
        string memory = $"memory at {Sample.Number(room)} GB/s";
        (double, string)[] all = OneUnit
            ? [(flops + exps, exps > flops ? "exponentials" : "multiply-adds"), (bytes, memory), (launches, "launches")]
            : [(flops, "multiply-adds"), (exps, "exponentials"), (bytes, memory), (launches, "launches")];
        return all.MaxBy(part => part.Item1);
    }

    // that of the nearest size measured
    double CopyOf(double bytes) => Copies.MinBy(c => Math.Abs(Math.Log(c.Bytes / bytes))).GBs;

    /// <summary>Measures them, and the table that says so.</summary>
    public static (Ceilings Ceilings, Table Table) Measure(Bench bench)
    {
        (Device device, DType dtype) = (bench.Device, bench.DType);
        using var scope = new TensorScope();
        bool host = device is HostDevice;
        var table = bench.NewTable("ceilings", "Ceilings", "ceiling: the best run");
        Tensor sink = Tensor.Zeros(host ? 1 << 16 : 1 << 20, dtype, device);
        Sample fma = Peak(rounds => new FmaLaunch(sink, rounds),
            FmaPeak<Float256, HostMemory<float>, float>.Chains * 2.0 * sink.Count, "multiply-adds", "GFLOP/s");
        Sample exp = Peak(rounds => new ExpLaunch(sink, rounds), 8.0 * sink.Count, "exponentials", "G/s");

        const long LargestCopy = 256 << 20;     // bytes of each array: past any cache
        Sample read = MemoryRead(bench, LargestCopy);
        Add("memory read", read);
        var copies = new List<(double, double)>();
        for (long bytes = 64 << 10; bytes <= LargestCopy; bytes *= 8)
        {
            Sample copy = Copy(bytes);
            copies.Add((2.0 * bytes, copy.Best));
            Add($"memory copy, 2 × {(bytes < 1 << 20 ? $"{bytes >> 10} KB" : $"{bytes >> 20} MB")}", copy);
        }
        device.Memory.Trim();

        const int Launches = 500;
        Sample launch = bench.Time(() =>
        {
            for (int i = 0; i < Launches; i++)
                sink.Launch(new NothingLaunch(sink));
        }).Times(1e3 / Launches, "µs");
        Add("launch, one after another", launch);
        Add("launch, waited for", bench.Time(() =>
        {
            sink.Launch(new NothingLaunch(sink));
            device.Synchronize();
        }).Times(1e3, "µs"));
        table.Notes.Add("Fractions of the limit are of the best run of each, which had the machine for itself; of copies, that of the nearest size. "
            + "Median and spread say how much the machine was disturbed.");
        bool oneUnit = host || bench.Plan.Slow;
        return (new Ceilings(fma.Best, exp.Best, read.Best, copies, launch.Best, oneUnit), table);

        // Many short runs, in a quick run too: the best of them had the machine for itself.
        Sample Peak<L>(Func<int, L> kernel, double each, string name, string unit) where L : struct, ILaunch
        {
            const int Trial = 20;
            double trial = bench.Time(() => sink.Launch(kernel(Trial)), repeats: 3, leastMilliseconds: 0).Best;
            int rounds = (int)Math.Clamp(Trial * 2 / trial, Trial, 10_000);
            Sample sample = Timing.Measure(device, () => sink.Launch(kernel(rounds)), leastMilliseconds: 300).ToRate(each * rounds / 1e6, unit);
            Add(name, sample);
            return sample;
        }

        Sample Copy(long bytes)
        {
            using var inner = new TensorScope();
            Tensor from = Tensor.Zeros(bytes / dtype.Size(), dtype, device), to = from.Like();
            return bench.Time(() => from.Launch(new CopyLaunch(from, to)), repeats: 9).ToRate(2 * bytes / 1e6, "GB/s");
        }

        void Add(string name, Sample sample) => table.Rows.Add(new Row(name, [$"{Sample.Number(sample.Best)} {sample.Unit}"], sample));
    }

    /// <summary>An array of <paramref name="bytes"/> read, as GB/s: what a row that streams weights is held against.</summary>
    public static Sample MemoryRead(Bench bench, long bytes)
    {
        using var scope = new TensorScope();
        Tensor from = Tensor.Zeros(bytes / bench.DType.Size(), bench.DType, bench.Device), sink = Tensor.Zeros(1 << 20, bench.DType, bench.Device);
        return bench.Time(() => from.Launch(new ReadLaunch(from, sink)), repeats: 7).ToRate(bytes / 1e6, "GB/s");
    }
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
            V x = V.Load(sink, i), c0 = x, c1 = x + V.Of(1), c2 = x + V.Of(2), c3 = x + V.Of(3);
            V c4 = x + V.Of(4), c5 = x + V.Of(5), c6 = x + V.Of(6), c7 = x + V.Of(7);
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

/// <summary>Sums x, four quarters side by side, so that reading it is all the work.</summary>
internal struct ReadAll<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M X, Sink;
    public long Quarter;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M x = X;
        V a = V.Of(0), b = V.Of(0), c = V.Of(0), d = V.Of(0);
        Share share = worker.Share(Quarter, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            a += V.Load(x, i);
            b += V.Load(x, i + Quarter);
            c += V.Load(x, i + 2 * Quarter);
            d += V.Load(x, i + 3 * Quarter);
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

/// <summary>Next to nothing, by every worker.</summary>
internal struct Nothing<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M Sink;

    public void Run(Worker worker) => V.Store(Sink, (long)worker.Index * V.Width, V.Of(0), 1);
}

internal readonly record struct FmaLaunch(Tensor Sink, int Rounds) : ILaunch
{
    void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) =>
        on.Run(new FmaPeak<V, M, T> { Sink = on.Memory(Sink), Items = Sink.Count, Rounds = Rounds }, Sink.Count, Rounds);
}

internal readonly record struct ExpLaunch(Tensor Sink, int Rounds) : ILaunch
{
    void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) =>
        on.Run(new ExpPeak<V, M, T> { Sink = on.Memory(Sink), Items = Sink.Count, Rounds = Rounds }, Sink.Count, Rounds);
}

internal readonly record struct ReadLaunch(Tensor X, Tensor Sink) : ILaunch
{
    void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) =>
        on.Run(new ReadAll<V, M, T> { X = on.Memory(X), Sink = on.Memory(Sink), Quarter = X.Count / 4 }, Sink.Count / 4);
}

internal readonly record struct CopyLaunch(Tensor X, Tensor Y) : ILaunch
{
    void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) =>
        on.Run(new CopyAll<V, M, T> { X = on.Memory(X), Y = on.Memory(Y), Count = X.Count }, X.Count);
}

internal readonly record struct NothingLaunch(Tensor Sink) : ILaunch
{
    const long Items = 8192;        // enough that a host wakes all cores

    void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new Nothing<V, M, T> { Sink = on.Memory(Sink) }, Items);
}
