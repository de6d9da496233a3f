using System.CommandLine;
using System.Text.Json;
using Mamba;
using Mamba.Gpu;
using Mamba.Peer;
using TorchSharp;

// dotnet run -c Release --project bench/peer/Mamba.Bench.Torch
const double Agreement = 1e-3;      // float32 sums of some thousand tokens in two orders
var what = new Argument<string>("what") { Description = "scan, train or all", DefaultValueFactory = _ => "all" }.AcceptOnlyFromAmong("scan", "train", "all");
var threads = new Option<int>("--threads") { Description = "of both; PyTorch gets one where that is faster (2)", DefaultValueFactory = _ => 2 };
var seconds = new Option<double>("--seconds") { Description = "at least, for a row (2)", DefaultValueFactory = _ => 2 };
var json = new Option<FileInfo?>("--json") { Description = "also write the rows to this file" };
var command = new RootCommand("The same work by PyTorch (libtorch) and by Mamba.NET in one run: whether they agree, and how fast each is.")
{
    what, threads, seconds, json,
};
command.SetAction(result =>
{
    try
    {
        Native.Prepare();
        int count = result.GetValue(threads);
        torch.set_num_threads(count);
        using var device = new HostDevice(count);
        Console.WriteLine($"libtorch {torch.__version__} and {device} ({device.Description}), {count} threads each at most, "
            + $".NET {Environment.Version}, {DateTime.UtcNow:yyyy-MM-dd}");
        var invariant = System.Globalization.CultureInfo.InvariantCulture;
        if (OperatingSystem.IsLinux() && double.TryParse(File.ReadAllText("/proc/loadavg").Split(' ')[0], invariant, out double load) && load > 0.5)
        {
            Console.WriteLine($"other work runs on this machine (load {load:F1}): PyTorch's threads wait for each other and lose more by it; "
                + "the ratio of the bests is the fairer one");
        }
        var rows = new List<PeerRow>();
        string chosen = result.GetValue(what)!;
        if (chosen is "scan" or "all")
            ScanPeer.Run(device, result.GetValue(seconds), rows);
        if (chosen is "train" or "all")
            TrainPeer.Run(device, result.GetValue(seconds), rows);
        if (result.GetValue(json) is { } file)
            File.WriteAllText(file.FullName, JsonSerializer.Serialize(rows, JsonSerializerOptions.Web));
        return rows.Find(r => !(r.Difference <= Agreement)) is { } apart
            ? throw new MambaException($"{apart.Name}: {apart.LargestIn} of PyTorch and ours differ by {apart.Difference:0.0e+00}; "
                + $"expected {Agreement} or less.")
            : 0;
    }
    catch (MambaException e)
    {
        Console.Error.WriteLine(e.Message);
        return 1;
    }
});
return command.Parse(args).Invoke();
