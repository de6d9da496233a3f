using System.CommandLine;
using Mamba;
using Mamba.Bench;

// dotnet run -c Release --project bench/Mamba.Bench -- all
var what = new Argument<string>("what") { Description = "ceilings, matmul, scan, algorithms, recurrence, train, generate, all, or micro (BenchmarkDotNet)" }.AcceptOnlyFromAmong("ceilings", "matmul", "scan", "algorithms", "recurrence", "train", "generate", "all", "micro");
var deviceOption = new Option<string>("--device") { Description = "cpu, cuda:0, opencl:0", DefaultValueFactory = _ => "cpu" };
var command = new RootCommand("Benchmarks of Mamba.NET: every row beside the ceiling that bounds it, measured in the same run.") { what, deviceOption };
command.SetAction(result =>
{
    try
    {
        if (result.GetValue(what) == "micro")
        {
            BenchmarkDotNet.Running.BenchmarkRunner.Run<MicroBenchmarks>();
            return 0;
        }
        using Device device = Device.Open(result.GetValue(deviceOption)!);
        Console.WriteLine($"{device} ({device.Description}), {Environment.ProcessorCount} cores, .NET {Environment.Version}, {DateTime.UtcNow:yyyy-MM-dd}");
        Ceilings ceilings = Ceilings.Measure(device);
        ceilings.Print();
        string chosen = result.GetValue(what)!;
        if (chosen is "matmul" or "all")
            MatMulBench.Run(device, ceilings);
        if (chosen is "scan" or "all")
            ScanBench.Run(device, ceilings);
        if (chosen is "algorithms" or "all")
            AlgorithmsBench.Run(device);
        if (chosen is "recurrence" or "all")
            RecurrenceBench.Run(device, ceilings);
        if (chosen is "train" or "all")
            TrainBench.Run(device, ceilings);
        if (chosen is "generate" or "all")
            GenerateBench.Run(device, ceilings);
        return 0;
    }
    catch (MambaException e)
    {
        Console.Error.WriteLine(e.Message);
        return 1;
    }
});
return command.Parse(args).Invoke();
