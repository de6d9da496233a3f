using System.Diagnostics;

namespace Mamba.Tests;

/// <summary>The command as a user runs it, in a process of its own.</summary>
internal static class MambaProcess
{
    static readonly string Assembly = Path.Combine(AppContext.BaseDirectory, "mamba.dll");

    public static Process Start(string folder, params ReadOnlySpan<string> args) => Start(folder, [], args);

    static Process Start(string folder, (string Name, string Value)[] environment, ReadOnlySpan<string> args)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            UseShellExecute = false,
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        start.ArgumentList.Add(Assembly);
        foreach (string arg in args)
            start.ArgumentList.Add(arg);
        foreach ((string name, string value) in environment)
            start.Environment[name] = value;
        return Process.Start(start)!;
    }

    /// <summary>Runs to the end.</summary>
    public static (int Code, string Output, string Error) Run(string folder, params ReadOnlySpan<string> args) => Run(folder, [], args);

    /// <summary>Runs to the end, with environment variables of its own.</summary>
    public static (int Code, string Output, string Error) Run(string folder, (string Name, string Value)[] environment, params ReadOnlySpan<string> args)
    {
        using Process process = Start(folder, environment, args);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromMinutes(3)))
        {
            process.Kill();
            throw new TimeoutException($"mamba {string.Join(' ', args.ToArray())} did not end.");
        }
        return (process.ExitCode, output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult());
    }
}
