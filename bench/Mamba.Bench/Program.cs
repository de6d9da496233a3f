using System.CommandLine;
using System.Diagnostics;
using Mamba;
using Mamba.Bench;

// dotnet run -c Release --project bench/Mamba.Bench -- all
(string Name, string Does, Action<Bench, string?> Run)[] benches =
[
    ("ceilings", "what the device can do at most", (_, _) => { }),
    ("ops", "ops one by one", (bench, _) => OpsBench.Run(bench)),
    ("matmul", "matrix products", (bench, _) => MatMulBench.Run(bench)),
    ("recurrence", "the linear recurrence", (bench, _) => RecurrenceBench.Run(bench)),
    ("scan", "the fused selective scan", (bench, _) => ScanBench.Run(bench)),
    ("algorithms", "every scan algorithm", (bench, _) => AlgorithmsBench.Run(bench)),
    ("train", "training steps", (bench, _) => TrainBench.Run(bench)),
    ("generate", "tokens a second, one at a time and of a prompt", (bench, _) => GenerateBench.Run(bench)),
    ("subnormals", "numbers below the smallest normal one beside ordinary ones", (bench, _) => SubnormalBench.Run(bench)),
    ("memory", "a training step, allocation by allocation", (bench, _) => MemoryBench.Run(bench)),
    ("scaling", "time and memory against length, throughput against batch", (bench, _) => ScalingBench.Run(bench)),
    ("timeline", "where the time of a step and of a token goes", (bench, _) => TimelineBench.Run(bench)),
    ("micro", "BenchmarkDotNet", MicroBenchmarks.Run),
];
string[] names = [.. benches.Select(b => b.Name)];

string whats = string.Join("; ", benches.Select(b => $"{b.Name}: {b.Does}")) + "; or all";
var what = new Argument<string>("what") { Description = whats }.AcceptOnlyFromAmong([.. names, "all"]);
var devicesOption = new Option<string>("--devices", "--device")
{
    Description = "cpu, cuda:0, opencl:0, with commas between",
    DefaultValueFactory = _ => "cpu",
};
var dtypeOption = new Option<string>("--dtype") { Description = "float32 or float64", DefaultValueFactory = _ => "float32" }
    .AcceptOnlyFromAmong("float32", "float64");
var outOption = new Option<string?>("--out")
{
    Description = "Folder for report.md, results.json, pictures and traces; for all, bench/results/<machine> unless given",
};
var command = new RootCommand("Benchmarks of Mamba.NET: every row beside the ceiling that bounds it, measured in the same run.")
{
    what, devicesOption, dtypeOption, outOption,
};
command.SetAction(result => Guarded(() =>
{
    string chosen = result.GetValue(what)!;
    DType dtype = result.GetValue(dtypeOption) == "float64" ? DType.Float64 : DType.Float32;
    string[] deviceNames = result.GetValue(devicesOption)!.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
    Devices.Events = true;
    var devices = new List<Device>();
    try
    {
        foreach (string name in deviceNames)
        {
            devices.Add(Device.Open(name));
            devices[^1].Require(dtype);
        }
        Machine machine = Facts.Of(devices, $"dotnet run -c Release --project bench/Mamba.Bench -- {string.Join(' ', args)}");
        string? folder = result.GetValue(outOption) ?? (chosen == "all" ? Path.Combine("bench", "results", Facts.FolderName(machine)) : null);
        Console.WriteLine($"{machine.Processor}, {machine.Cores} cores, {machine.Memory}, {machine.Runtime}, commit {machine.Commit}, {machine.Date}");
        var time = Stopwatch.StartNew();
        var tables = new List<Table>();
        foreach (Device device in devices)
        {
            var bench = new Bench(device, dtype, folder, Save);
            _ = bench.Ceilings;
            foreach ((string name, _, Action<Bench, string?> run) in benches.Where(b => chosen == "all" || b.Name == chosen))
            {
                run(bench, folder);
                if (chosen == "all")
                    Console.WriteLine($"  {name} done after {time.Elapsed.TotalSeconds:F0} s");
            }
            Figures.Roofline(bench.FileFor(bench.Tables[0], "roofline", "png"), $"roofline, {device.Name}, {dtype.Name()}", bench.Ceilings, bench.Tables);
            Save(bench);
            tables.AddRange(bench.Tables);
        }
        if (folder is not null)
            Console.WriteLine($"{Path.Combine(folder, Report.PageName)}, {time.Elapsed.TotalSeconds:F0} s");
        return 0;

        void Save(Bench bench)      // what there is, should the run be cut short
        {
            if (folder is not null)
                new Report(machine, [.. tables, .. bench.Tables]).Save(folder);
        }
    }
    finally
    {
        devices.ForEach(device => device.Dispose());
    }
}));

var before = new Argument<string>("before") { Description = "results.json of one run, or its folder" };
var after = new Argument<string>("after") { Description = "of another" };
var compare = new Command("compare", "Ratios of two runs, and what moved beyond the spread.") { before, after };
compare.SetAction(result => Guarded(() =>
{
    Console.WriteLine(Comparison.Of(Report.Load(result.GetValue(before)!), Report.Load(result.GetValue(after)!)).ToConsole());
    return 0;
}));
command.Add(compare);
return command.Parse(args).Invoke();

static int Guarded(Func<int> run)
{
    try
    {
        return run();
    }
    catch (Exception e) when (e is MambaException or IOException or UnauthorizedAccessException)
    {
        Console.Error.WriteLine(e.Message);
        return 1;
    }
}
