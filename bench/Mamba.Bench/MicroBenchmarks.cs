using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Engines;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Exporters.Json;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Mathematics;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace Mamba.Bench;

/// <summary>Ops, scan, matrix product and step of a token under BenchmarkDotNet, in this process: it needs no SDK.</summary>
[MemoryDiagnoser(displayGenColumns: false)]
public class MicroBenchmarks
{
    static Device device = null!;
    static DType dtype;

    Tensor x = null!, y = null!, weight = null!, matrix = null!, delta = null!, A = null!, B = null!, tokens = null!;
    TensorScope inputs = null!;
    MambaLM model = null!;
    MambaState state = null!;

    internal static void Run(Bench bench, string? folder)
    {
        (device, dtype) = (bench.Device, bench.DType);
        string artifacts = Path.Combine(Path.GetTempPath(), $"mamba-bench-{Environment.ProcessId}");
        IConfig config = ManualConfig.CreateEmpty()
            .AddJob(JobOf(bench.Plan).WithToolchain(InProcessEmitToolchain.Instance))
            .AddColumnProvider(BenchmarkDotNet.Columns.DefaultColumnProviders.Instance)
            .AddExporter(JsonExporter.Full, MarkdownExporter.GitHub)
            .AddLogger(NullLogger.Instance)
            .WithArtifactsPath(artifacts);
        Summary summary = BenchmarkRunner.Run<MicroBenchmarks>(config);

        Table table = bench.NewTable("micro", "BenchmarkDotNet", "allocated");
        foreach (BenchmarkReport report in summary.Reports)
        {
            if (report.ResultStatistics is not { } s)
                throw new MambaException($"micro: BenchmarkDotNet has no result for {report.BenchmarkCase.Descriptor.WorkloadMethod.Name}.");
            string allocated = $"{report.GcStats.GetBytesAllocatedPerOperation(report.BenchmarkCase) ?? 0:N0} B";
            table.Rows.Add(new Row(report.BenchmarkCase.Descriptor.WorkloadMethod.Name, [allocated],
                new Sample(s.Median / 1e3, s.Q1 / 1e3, s.Q3 / 1e3, s.Min / 1e3, s.N, "µs")));
        }
        if (folder is not null)
            foreach (string file in Directory.EnumerateFiles(Path.Combine(artifacts, "results")))
            {
                string kind = file.EndsWith(".json", StringComparison.Ordinal) ? "json" : "md";
                AtomicFile.WriteText(bench.FileFor(table, "micro", kind)!, InputFile.ReadText(file));
            }
        Directory.Delete(artifacts, recursive: true);
        bench.Add(table);
    }

    // quick on a slow device: every run is an iteration, so that none are spent on finding out how many make one
    static Job JobOf(Plan plan) => !plan.Quick
        ? Job.Default.WithWarmupCount(3).WithIterationCount(9).WithMinIterationTime(Perfolizer.Horology.TimeInterval.FromMilliseconds(100))
        : Job.Default.WithStrategy(plan.Slow ? RunStrategy.Monitoring : RunStrategy.Throughput).WithWarmupCount(1).WithIterationCount(3)
            .WithEvaluateOverhead(false).WithIterationTime(Perfolizer.Horology.TimeInterval.FromMilliseconds(20));

    [GlobalSetup]
    public void Setup()
    {
        inputs = new TensorScope();
        Tensor Draw(Shape shape, ulong seed, double low = 0) => Ops.Uniform(shape, dtype, device, seed, low: low);
        (x, y, weight, matrix) = (Draw((8, 256, 256), 1), Draw((8, 256, 256), 2), Draw(256, 3), Draw((256, 256), 4));
        (delta, A, B) = (Draw((8, 256, 256), 5, -4), Draw((256, 16), 6, -16), Draw((8, 256, 16), 7, -1));
        model = new MambaLM(new MambaConfig { DModel = 256, NLayer = 4, VocabSize = 256 }, device, seed: 1, dtype);
        state = model.NewState(1);
        tokens = Tensor.From([7], 1, device);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        state.Dispose();
        model.Dispose();
        inputs.Dispose();
    }

    [Benchmark]
    public void Add() => Run(() => Ops.Add(x, y));

    [Benchmark]
    public void Silu() => Run(() => Ops.Silu(x));

    [Benchmark]
    public void RmsNorm() => Run(() => Ops.RmsNorm(x, weight));

    [Benchmark]
    public void Linear() => Run(() => Ops.Linear(x, matrix));

    [Benchmark]
    public void SelectiveScan() => Run(() => Ops.SelectiveScan(x, delta, A, B, B).Y);

    [Benchmark]
    public void Step() => Run(() => model.Step(tokens, state));

    void Run(Func<Tensor> op)
    {
        using var scope = new TensorScope();
        op();
        device.Synchronize();
    }
}
