using BenchmarkDotNet.Attributes;
using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>Single ops under BenchmarkDotNet: dotnet run -c Release --project bench/Mamba.Bench -- micro</summary>
[MemoryDiagnoser]
public class MicroBenchmarks
{
    readonly HostDevice device = new();
    Tensor x = null!, y = null!, weight = null!, matrix = null!;

    [GlobalSetup]
    public void Setup()
    {
        x = Ops.Uniform((2048, 256), DType.Float32, device, seed: 1);
        y = Ops.Uniform((2048, 256), DType.Float32, device, seed: 2);
        weight = Ops.Uniform(256, DType.Float32, device, seed: 3);
        matrix = Ops.Uniform((256, 256), DType.Float32, device, seed: 4);
    }

    [GlobalCleanup]
    public void Cleanup() => device.Dispose();

    [Benchmark]
    public void Add() => Run(() => Ops.Add(x, y));

    [Benchmark]
    public void Silu() => Run(() => Ops.Silu(x));

    [Benchmark]
    public void RmsNorm() => Run(() => Ops.RmsNorm(x, weight));

    [Benchmark]
    public void Linear() => Run(() => Ops.Linear(x, matrix));

    static void Run(Func<Tensor> op)
    {
        using var scope = new TensorScope();
        op();
    }
}
