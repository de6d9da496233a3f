using System.CommandLine;
using System.Text.Json;
using Mamba.Checks;

namespace Mamba.Cli;

/// <summary><c>mamba parity</c>: every op, forward and backward, on each device against the host in float64.</summary>
internal static class ParityCommand
{
    static readonly Option<string?> DeviceNames = CheckOptions.DeviceList("--devices", "--device",
        "Devices, separated by commas: cpu-128, cpu-256, cpu-512 (the host by width of vectors), cuda:0, opencl:0, ilgpu-cpu; "
        + "fast (default): the host and every CUDA GPU; all: every one there is, which takes minutes.");

    // For the process that runs a simulator, which dies when a kernel's index is out of range.
    static readonly Option<string?> Worker = new("--worker") { Hidden = true };
    static readonly Option<int?> Skip = Hidden(Option.Int("--skip", "Cases to leave out."));

    static Option<int?> Hidden(Option<int?> option)
    {
        option.Hidden = true;
        return option;
    }

    public static Command Create()
    {
        var command = new Command("parity",
            "Compare every op, forward and backward, on each device with the host in float64, and look for writes outside tensors.")
        {
            DeviceNames, Worker, Skip,
        };
        var options = new CheckOptions();
        options.AddTo(command);
        command.SetAction(parsed => Run(parsed, options));
        return command;
    }

    static int Run(ParseResult parsed, CheckOptions options)
    {
        IReadOnlyList<OpCase> cases = options.Cases(parsed);
        if (parsed.GetValue(Worker) is { } trace)
        {
            string simulator = parsed.GetValue(DeviceNames)!;
            foreach (ParityResult result in Parity.Run([.. Parity.For(cases, simulator).Skip(parsed.GetValue(Skip) ?? 0)], simulator, trace))
                Console.WriteLine(JsonSerializer.Serialize(result, CheckOptions.Json));
            return 0;
        }
        IReadOnlyList<string> devices = CheckOptions.Devices(parsed, DeviceNames);
        bool json = parsed.GetValue(options.AsJson), each = parsed.GetValue(options.Each);
        using var interrupt = new Interrupt();
        var failures = new List<ParityResult>();
        int count = 0;
        using (IDisposable rows = json ? new JsonRows() : new TableRows(each))
        {
            Rows.While(quiet: json, say =>
            {
                foreach (string device in devices)
                {
                    IEnumerable<ParityResult> results = device == "ilgpu-cpu"
                        ? SimulatorProcess.Run(Parity.For(cases, device), parsed, options, interrupt.Token)
                        : Parity.Run(cases, device);
                    foreach (ParityResult result in results)
                    {
                        count++;
                        if (result.Problem is not null)
                            failures.Add(result);
                        (rows as JsonRows)?.Add(result);
                        (rows as TableRows)?.Add(result);
                        say($"{result.Op} {result.Case} on {result.Device} in {result.DType}");
                        if (interrupt.Token.IsCancellationRequested)
                            return;
                    }
                    if (interrupt.Token.IsCancellationRequested)
                        return;
                }
            });
        }
        if (interrupt.Token.IsCancellationRequested)
            return Interrupt.Stopped(parsed, $"{count} runs, {failures.Count} of which failed");
        if (count == 0)
            throw new MambaException($"parity: none of the {cases.Count} cases runs on {string.Join(", ", devices)}.");
        if (failures.Count == 0)
            return 0;
        foreach (ParityResult failure in failures.Skip(1).Take(json ? 0 : 20))
            Console.Error.WriteLine(Line(failure));
        throw new MambaException($"parity: {failures.Count} of {count} runs failed; the first is {Line(failures[0])}");

        static string Line(ParityResult r) => $"{r.Op} {r.Case} on {r.Device} in {r.DType}: {r.Problem}.";
    }

    internal static Column[] Columns(bool each) =>
    [
        new("op", -18), new("device", -10) { LeftOut = 1 }, new("dtype", -7) { LeftOut = 2 },
        each ? new("case", -70) { MayBeCut = true } : new("cases", 5) { LeftOut = 5 },
        new("relative", 8) { LeftOut = 3 }, new("ulps", 8) { LeftOut = 7 }, new("gradient", 8) { LeftOut = 4 }, new("ulps", 8) { LeftOut = 8 },
        new("bits", -8) { LeftOut = 6 }, new("verdict", -12) { IsVerdict = true },
    ];

    /// <summary>A row for every op, or every case.</summary>
    sealed class TableRows(bool each) : IDisposable
    {
        readonly Rows rows = new(Columns(each));
        readonly List<ParityResult> group = [];

        // Results of both dtypes come one after the other.
        public void Add(ParityResult result)
        {
            if (group.Count > 0 && (group[0].Op != result.Op || group[0].Device != result.Device || (each && group[0].Case != result.Case)))
                Flush();
            group.Add(result);
        }

        void Flush()
        {
            foreach (IGrouping<string, ParityResult> results in group.GroupBy(r => r.DType, StringComparer.Ordinal))
            {
                ParityResult first = results.First();
                ParityOutput[] all = [.. results.SelectMany(r => r.Outputs)], outputs = [.. all.Where(IsOutput)], gradients = [.. all.Where(o => !IsOutput(o))];
                int bad = results.Count(r => r.Problem is not null);
                rows.Add(bad == 0, first.Op, first.Device, first.DType, each ? first.Case : results.Count().ToString(),
                    Largest(outputs, o => o.Relative), Largest(outputs, o => o.Ulps), Largest(gradients, o => o.Relative), Largest(gradients, o => o.Ulps),
                    results.All(r => r.Repeatable) ? "the same" : "differ", bad == 0 ? "agrees" : each ? "failed" : $"{bad} failed");
            }
            group.Clear();
        }

        static bool IsOutput(ParityOutput o) => o.Name.StartsWith("output", StringComparison.Ordinal);

        static string Largest(ParityOutput[] outputs, Func<ParityOutput, double> value)
        {
            if (outputs.Length == 0)
                return "–";
            double x = outputs.Max(value);
            return x is (>= 1 and < 1000) or 0 ? $"{x:0.0}" : $"{x:0.0e+00}";
        }

        public void Dispose()
        {
            Flush();
            rows.Dispose();
        }
    }

    /// <summary>A JSON array, a case to a line.</summary>
    sealed class JsonRows : IDisposable
    {
        bool any;

        public void Add(ParityResult result)
        {
            Console.Write(any ? ",\n  " : "[\n  ");
            any = true;
            Console.Write(JsonSerializer.Serialize(result, CheckOptions.Json));
        }

        public void Dispose() => Console.WriteLine(any ? "\n]" : "[]");
    }
}
