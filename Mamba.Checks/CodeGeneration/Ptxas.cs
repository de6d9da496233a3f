using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Mamba.Gpu;

namespace Mamba.Checks;

/// <summary>
/// ptxas, the assembler of the CUDA toolkit: it needs no GPU and says how many registers a kernel takes and whether they
/// suffice. docs/codegen.md says where to get it.
/// </summary>
internal sealed partial class Ptxas
{
    static readonly string FileName = OperatingSystem.IsWindows() ? "ptxas.exe" : "ptxas";

    Ptxas(string path, string architecture, string version)
    {
        Path = path;
        Architecture = architecture;
        Version = version;
    }

    /// <summary>The program.</summary>
    public string Path { get; }

    /// <summary>The GPU it assembles for: sm_80, sm_90, …</summary>
    public string Architecture { get; }

    /// <summary>The CUDA release it belongs to: 11.8.</summary>
    public string Version { get; }

    /// <summary>
    /// Opens <paramref name="path"/>; or, when that is null, what the environment variable PTXAS names; or else the first
    /// ptxas on PATH or in the usual folders of the CUDA toolkit. Null when there is none.
    /// </summary>
    /// <exception cref="MambaException">The file that was named is not there or not ptxas, or ptxas does not know the architecture.</exception>
    public static Ptxas? Find(string? path, string architecture)
    {
        string? variable = Environment.GetEnvironmentVariable("PTXAS");
        string? named = path ?? (string.IsNullOrWhiteSpace(variable) ? null : variable);
        if (named is not null && !File.Exists(named))
            throw new MambaException($"{(path is null ? "The environment variable PTXAS" : "--ptxas")} is '{named}'; there is no such file.");
        named ??= Folders().Select(folder => System.IO.Path.Combine(folder, FileName)).FirstOrDefault(File.Exists);
        if (named is null)
            return null;
        (int code, string output) = Run(named, ["--version"]);
        Match version = ReleaseLine().Match(output);
        if (code != 0 || !version.Success)
            throw new MambaException($"{named} is not ptxas: its --version says '{FirstLine(output)}'.");
        var ptxas = new Ptxas(named, architecture, version.Groups["version"].Value);
        ptxas.Assemble($".version 7.8\n.target {KernelCompiler.Target(architecture)}\n.address_size 64\n.entry empty() {{ ret; }}\n");
        return ptxas;
    }

    static IEnumerable<string> Folders()
    {
        foreach (string folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(System.IO.Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
            yield return folder;
        foreach (string variable in (string[])["CUDA_HOME", "CUDA_PATH"])
            if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } home)
                yield return System.IO.Path.Combine(home, "bin");
        yield return "/usr/local/cuda/bin";
        foreach (string parent in (string[])["/usr/local", @"C:\Program Files\NVIDIA GPU Computing Toolkit\CUDA"])
            if (Directory.Exists(parent))
                foreach (string toolkit in Directory.GetDirectories(parent,
                    OperatingSystem.IsWindows() ? "v*" : "cuda-*").OrderDescending(StringComparer.Ordinal))
                    yield return System.IO.Path.Combine(toolkit, "bin");
        yield return "/opt/cuda/bin";
        yield return "/usr/lib/nvidia-cuda-toolkit/bin";
    }

    /// <summary>Assembles one kernel.</summary>
    /// <exception cref="MambaException">ptxas refuses it; the message is its first complaint.</exception>
    public KernelResources Assemble(string ptx)
    {
        (int code, string output) = Run(Path, ["-v", $"-arch={Architecture}", "-o", OperatingSystem.IsWindows() ? "NUL" : "/dev/null", "-"], ptx);
        if (code != 0 || ReadResources(output) is not { } resources)
            throw new MambaException($"ptxas {Version}: {FirstLine(output)}");
        return resources;
    }

    /// <summary>Reads what <c>ptxas -v</c> says of one kernel and the functions it calls; null when it says nothing.</summary>
    internal static KernelResources? ReadResources(string output)
    {
        Match used = RegistersLine().Match(output);
        if (!used.Success)
            return null;
        MatchCollection functions = FunctionLine().Matches(output);
        return new KernelResources(
            Registers: Number(used, "n"),
            SpillStores: functions.Sum(f => Number(f, "stores")),
            SpillLoads: functions.Sum(f => Number(f, "loads")),
            Stack: functions.Sum(f => Number(f, "stack")),
            Shared: SharedLine().Match(output) is { Success: true } shared ? Number(shared, "n") : 0);
    }

    static int Number(Match match, string group) => int.Parse(match.Groups[group].ValueSpan, CultureInfo.InvariantCulture);

    static string FirstLine(string output) =>
        output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).FirstOrDefault() ?? "nothing";

    static (int Code, string Output) Run(string path, string[] arguments, string input = "")
    {
        var start = new ProcessStartInfo(path, arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
            try
            {
                process.StandardInput.Write(input);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It ended before it had read everything; its output says why.
            }
            process.WaitForExit();
            return (process.ExitCode, error.GetAwaiter().GetResult() + output.GetAwaiter().GetResult());
        }
        catch (Win32Exception e)
        {
            throw new MambaException($"{path} cannot be run: {e.Message}.", e);
        }
    }

    [GeneratedRegex(@"release (?<version>\d+\.\d+)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ReleaseLine();

    [GeneratedRegex(@"Used (?<n>\d+) registers", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex RegistersLine();

    [GeneratedRegex(@"(?<n>\d+) bytes smem", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex SharedLine();

    [GeneratedRegex(@"(?<stack>\d+) bytes stack frame, (?<stores>\d+) bytes spill stores, (?<loads>\d+) bytes spill loads", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex FunctionLine();
}
