using System.Diagnostics;

namespace Mamba.Tests;

/// <summary>The command as a user runs it, or another program of ours, in a process of its own.</summary>
internal static class MambaProcess
{
    static readonly string Assembly = Path.Combine(AppContext.BaseDirectory, "mamba.dll");

    public static Process Start(string folder, params ReadOnlySpan<string> args) => StartProgram(Assembly, folder, [], args);

    /// <summary>Starts the program of an assembly.</summary>
    public static Process StartProgram(string assembly, string folder, (string Name, string Value)[] environment, ReadOnlySpan<string> args)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            UseShellExecute = false,
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        start.ArgumentList.Add(assembly);
        foreach (string arg in args)
            start.ArgumentList.Add(arg);
        foreach ((string name, string value) in environment)
            start.Environment[name] = value;
        return Process.Start(start)!;
    }

    /// <summary>Runs to the end.</summary>
    public static (int Code, string Output, string Error) Run(string folder, params ReadOnlySpan<string> args) => Run(folder, [], args);

    /// <summary>Runs to the end, with environment variables of its own.</summary>
    public static (int Code, string Output, string Error) Run(string folder, (string Name, string Value)[] environment, params ReadOnlySpan<string> args) =>
        RunProgram(Assembly, folder, environment, args);

    /// <summary>Runs the program of an assembly to its end.</summary>
    public static (int Code, string Output, string Error) RunProgram(string assembly, string folder, (string Name, string Value)[] environment,
        ReadOnlySpan<string> args)
    {
        using Process process = StartProgram(assembly, folder, environment, args);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromMinutes(3)))
        {
            process.Kill();
            throw new TimeoutException($"{Path.GetFileName(assembly)} {string.Join(' ', args.ToArray())} did not end.");
        }
        return (process.ExitCode, output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult());
    }
}
