using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Mamba.Checks;

namespace Mamba.Cli;

/// <summary>
/// Runs cases on ILGPU's simulator in a process of its own: an index out of range in a kernel ends that process, which is then a
/// failed case with the kernel's name, and the cases after it run in another.
/// </summary>
internal static class SimulatorProcess
{
    public static IEnumerable<ParityResult> Run(IReadOnlyList<OpCase> cases, ParseResult parsed, CheckOptions options, CancellationToken stop)
    {
        string trace = Path.Combine(Path.GetTempPath(), $"mamba-{Environment.ProcessId}-{Guid.NewGuid():N}.kernel");
        try
        {
            for (int next = 0; next < cases.Count;)
            {
                using Process process = Start(trace, next, parsed, options);
                using CancellationTokenRegistration ends = stop.Register(process.Kill);
                var complaints = new List<string>();
                process.ErrorDataReceived += (_, e) =>
                {
                    if (!string.IsNullOrWhiteSpace(e.Data))
                        complaints.Add(e.Data.Trim());
                };
                process.BeginErrorReadLine();
                ParityResult? last = null;
                while (process.StandardOutput.ReadLine() is { } line)
                {
                    // cut off in the middle: the process died while it wrote
                    if (Parse(line) is not { } result)
                        break;
                    if (last is not null && result.Case != last.Case)
                        next++;
                    last = result;
                    yield return result;
                }
                process.WaitForExit();
                if (process.ExitCode == 0 || EndedByUser(process, stop))
                    yield break;
                // After both dtypes of a case the next case was under way.
                bool between = last is { DType: "float64" };
                if (between)
                    next++;
                if (next >= cases.Count)
                    yield break;
                string kernel = File.Exists(trace) ? File.ReadAllText(trace) : "";
                OpCase c = cases[next];
                yield return new ParityResult(c.Op, c.Variant, "ilgpu-cpu", last is null || between ? "float32" : "float64", [], true, [kernel],
                    $"{(kernel.Length > 0 ? kernel : "the op")} ended the process: {Complaint(complaints) ?? $"exit code {process.ExitCode}"}");
                next++;
            }
        }
        finally
        {
            File.Delete(trace);
        }
    }

    // Ctrl-C reaches both processes, and this one may hear of it last.
    static bool EndedByUser(Process process, CancellationToken stop) =>
        stop.IsCancellationRequested || (process.ExitCode is 128 + 2 or 128 + 15 && stop.WaitHandle.WaitOne(TimeSpan.FromSeconds(1)));

    // "Index out of range, RmsNorm.cs:line 96", from what .NET prints when it ends a process
    static string? Complaint(IReadOnlyList<string> lines)
    {
        string? what = lines.FirstOrDefault(l => l is not ("Process terminated." or "Assertion Failed") && !l.StartsWith("at ", StringComparison.Ordinal));
        string? where = lines.FirstOrDefault(l => l.Contains(".cs:line ", StringComparison.Ordinal))?.Split('/', '\\')[^1];
        return where is null ? what : $"{what}, {where}";
    }

    static ParityResult? Parse(string line)
    {
        try
        {
            return JsonSerializer.Deserialize<ParityResult>(line, CheckOptions.Json);
        }
        catch (Exception e) when (JsonText.IsMalformed(e))
        {
            return null;
        }
    }

    static Process Start(string trace, int skip, ParseResult parsed, CheckOptions options)
    {
        string self = Environment.ProcessPath!;
        var start = new ProcessStartInfo(self) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(self) == "dotnet")
            start.ArgumentList.Add(typeof(SimulatorProcess).Assembly.Location);
        string[] own = parsed.GetValue(options.Assembly) is { } path ? ["--assembly", path] : [], ops = parsed.GetValue(options.Ops)!;
        string[] arguments =
            ["parity", .. ops, "--devices", "ilgpu-cpu", "--worker", trace, "--skip", skip.ToString(CultureInfo.InvariantCulture), .. own];
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        start.Environment["DOTNET_DbgEnableMiniDump"] = "0";
        return Process.Start(start) ?? throw new MambaException("parity: the process for ilgpu-cpu does not start.");
    }
}
