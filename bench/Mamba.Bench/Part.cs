namespace Mamba.Bench;

/// <summary>One benchmark.</summary>
/// <param name="Name">What it is asked for by.</param>
/// <param name="Does">What it measures.</param>
/// <param name="Uses">The extents a user may choose.</param>
/// <param name="Run">Measures, and adds its tables; given the folder for files, or null.</param>
internal sealed record Part(string Name, string Does, Dimensions Uses, Action<Bench, string?> Run)
{
    /// <summary>What stands for all of them.</summary>
    public const string AllOfThem = "all";

    const Dimensions Shape = Dimensions.Batch | Dimensions.Length | Dimensions.Width, Any = Shape | Dimensions.States;

    public static readonly Part[] All =
    [
        new("ceilings", "what the device can do at most", Dimensions.None, (_, _) => { }),
        new("ops", "ops one by one", Shape, (bench, _) => OpsBench.Run(bench)),
        new("matmul", "matrix products", Shape, (bench, _) => MatMulBench.Run(bench)),
        new("recurrence", "the linear recurrence", Shape, (bench, _) => RecurrenceBench.Run(bench)),
        new("scan", "the fused selective scan", Any, (bench, _) => ScanBench.Run(bench)),
        new("algorithms", "every scan algorithm", Any, (bench, _) => AlgorithmsBench.Run(bench)),
        new("train", "training steps", Any, (bench, _) => TrainBench.Run(bench)),
        new("generate", "tokens a second, one at a time and of a prompt", Any, (bench, _) => GenerateBench.Run(bench)),
        new("subnormals", "numbers below the smallest normal one beside ordinary ones", Any, (bench, _) => SubnormalBench.Run(bench)),
        new("memory", "a training step, allocation by allocation", Dimensions.None, (bench, _) => MemoryBench.Run(bench)),
        new("scaling", "time and memory against length, throughput against batch", Any, (bench, _) => ScalingBench.Run(bench)),
        new("inspect", "hooks beside a plain pass, a full trace beside a loop in primitive ops", Any, (bench, _) => InspectBench.Run(bench)),
        new("sequences", "a batch of very different lengths, padded and packed; a long sequence in pieces", Any, (bench, _) => SequenceBench.Run(bench)),
        new("timeline", "where the time of a step and of a token goes", Any, (bench, _) => TimelineBench.Run(bench)),
        new("micro", "BenchmarkDotNet", Dimensions.None, MicroBenchmarks.Run),
    ];

    /// <summary>Those of a name: one, or all.</summary>
    public static Part[] Of(string name) => name == AllOfThem ? All : [.. All.Where(part => part.Name == name)];
}
