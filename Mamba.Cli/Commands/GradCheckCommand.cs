using System.CommandLine;
using System.Text.Json;
using Mamba.Checks;

namespace Mamba.Cli;

/// <summary><c>mamba gradcheck</c>: the gradient of every op, of a block and of a model against differences in float64.</summary>
internal static class GradCheckCommand
{
    static readonly Option<string?> DeviceNames = CheckOptions.DeviceList("--device", "--devices",
        "Devices, separated by commas: cpu, cpu-128, cpu-256, cpu-512 (the host by width of vectors), cuda:0, opencl:0, ilgpu-cpu; "
        + "fast (default): the host in every width and every CUDA GPU; all: every one there is, which takes minutes.");
    static readonly Option<double?> Tolerance = Option.Real("--tolerance", "Largest relative error of a gradient (1e-7).");
    static readonly Option<int?> Elements = Option.Int("--elements",
        "Inputs of at most so many elements are checked element by element, larger ones along random directions "
        + "(64; 8 with OpenCL, 0 on ilgpu-cpu, where a launch takes long).");

    public static Command Create()
    {
        var command = new Command("gradcheck", "Check the gradients of every op, a block and a model against differences in float64.")
        {
            DeviceNames, Tolerance, Elements,
        };
        var options = new CheckOptions();
        options.AddTo(command);
        command.SetAction(parsed => Run(parsed, options));
        return command;
    }

    static int Run(ParseResult parsed, CheckOptions options)
    {
        double tolerance = parsed.GetValue(Tolerance) ?? 1e-7;
        if (tolerance is not (> 0 and < 1))
            throw new MambaException($"--tolerance is {tolerance}; expected more than 0 and less than 1.");
        if (parsed.GetValue(Elements) is < 0)
            throw new MambaException($"--elements is {parsed.GetValue(Elements)}; expected 0 or more.");
        IReadOnlyList<OpCase> cases = options.Cases(parsed);
        IReadOnlyList<string> devices = CheckOptions.Devices(parsed, DeviceNames);
        bool json = parsed.GetValue(options.AsJson), each = parsed.GetValue(options.Each);
        GradCheckOptions Thoroughly(string device)
        {
            var usual = new GradCheckOptions();
            (int elements, int directions) = device == "ilgpu-cpu" ? (0, 1)
                : device.StartsWith("opencl", StringComparison.Ordinal) ? (8, 1)
                : (usual.Elements, usual.Directions);
            return usual with { Tolerance = tolerance, Elements = parsed.GetValue(Elements) ?? elements, Directions = directions };
        }

        using var interrupt = new Interrupt();
        var failures = new List<GradientResult>();
        int count = 0;
        using (IDisposable rows = json ? new JsonRows() : new TableRows(each))
        {
            Rows.While(quiet: json, say =>
            {
                foreach (string device in devices)
                {
                    foreach (GradientResult result in GradientCheck.Run(cases, device, Thoroughly(device)))
                    {
                        count++;
                        if (result.Problem is not null)
                            failures.Add(result);
                        (rows as JsonRows)?.Add(device, result);
                        (rows as TableRows)?.Add(device, result);
                        say($"{result.Case} on {device}");
                        if (interrupt.Token.IsCancellationRequested)
                            return;
                    }
                }
            });
        }
        if (interrupt.Token.IsCancellationRequested)
            return Interrupt.Stopped(parsed, $"{count} cases, {failures.Count} of which failed");
        if (count == 0)
            throw new MambaException($"gradcheck: none of the {cases.Count} cases has a gradient; mamba parity runs them.");
        if (failures.Count == 0)
            return 0;
        foreach (GradientResult failure in failures.Skip(1).Take(json ? 0 : 20))
            Console.Error.WriteLine($"{failure.Case} on {failure.Device}: {failure.Problem}");
        throw new MambaException($"gradcheck: {failures.Count} of {count} cases failed; "
            + $"the first is {failures[0].Case} on {failures[0].Device}: {failures[0].Problem}");
    }

    internal static Column[] Columns(bool each) =>
    [
        new("op", -18), new("device", -10) { LeftOut = 1 }, each ? new("case", -70) { MayBeCut = true } : new("cases", 6) { LeftOut = 3 },
        new("largest error", 14) { LeftOut = 2 }, new("estimated", 10) { LeftOut = 4 }, new("verdict", -12) { IsVerdict = true },
    ];

    /// <summary>A row for every op, or every case.</summary>
    sealed class TableRows(bool each) : IDisposable
    {
        readonly Rows rows = new(Columns(each));
        readonly List<GradientResult> group = [];
        string device = "";

        public void Add(string on, GradientResult result)
        {
            if (group.Count > 0 && (each || group[0].Case.Op != result.Case.Op || on != device))
                Flush();
            device = on;
            group.Add(result);
        }

        void Flush()
        {
            if (group.Count == 0)
                return;
            GradientResult[] bad = [.. group.Where(r => r.Problem is not null)];
            double error = group.Max(r => r.Report?.RelativeError ?? double.PositiveInfinity), estimated = group.Max(r => r.Report?.EstimatedError ?? 0);
            rows.Add(bad.Length == 0, group[0].Case.Op, device, each ? group[0].Case.Variant : group.Count.ToString(),
                $"{error:0.0e+00}", $"{estimated:0.0e+00}",
                bad.Length == 0 ? "agrees" : each ? bad[0].Verdict : $"{bad.Length} {bad[0].Verdict}");
            group.Clear();
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

        public void Add(string device, GradientResult result)
        {
            Console.Write(any ? ",\n  " : "[\n  ");
            any = true;
            Console.Write(JsonSerializer.Serialize(new
            {
                result.Case.Op,
                Case = result.Case.Variant,
                Device = device,
                result.Verdict,
                result.Problem,
                RelativeError = result.Report?.RelativeError,
                EstimatedError = result.Report?.EstimatedError,
                Inputs = result.Report?.Inputs.Select(i => new
                {
                    i.Name,
                    Shape = i.Shape.ToArray(),
                    i.Elements,
                    i.Directions,
                    Verdict = i.Verdict.ToString(),
                    i.RelativeError,
                    AbsoluteError = i.LargestAbsolute?.AbsoluteError,
                    i.EstimatedError,
                    i.Worst?.Index,
                    i.Worst?.Analytic,
                    i.Worst?.Numeric,
                    i.Worst?.Step,
                    i.Worst?.Truncation,
                    i.Worst?.Rounding,
                }),
            }, CheckOptions.Json));
        }

        public void Dispose() => Console.WriteLine(any ? "\n]" : "[]");
    }
}
