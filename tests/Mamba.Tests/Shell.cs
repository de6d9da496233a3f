using System.Diagnostics;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>What only a shell can make: pipes with names, owners, the ends of pipes.</summary>
internal static class Shell
{
    public static Process Start(string folder, string script)
    {
        var start = new ProcessStartInfo("/bin/sh", ["-c", script])
        {
            UseShellExecute = false,
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        return Process.Start(start)!;
    }

    /// <summary>Runs a script to its end and gives back what it printed.</summary>
    public static (int Code, byte[] Output, string Error) Run(string folder, string script)
    {
        using Process process = Start(folder, script);
        process.StandardInput.Close();
        Task<string> error = process.StandardError.ReadToEndAsync();
        using var output = new MemoryStream();
        process.StandardOutput.BaseStream.CopyTo(output);
        process.WaitForExit();
        return (process.ExitCode, output.ToArray(), error.GetAwaiter().GetResult());
    }

    public static void Succeed(string folder, string script)
    {
        (int code, _, string error) = Run(folder, script);
        Assert.That((code, error), Is.EqualTo((0, "")), script);
    }
}
