using Mamba.Cli;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>The command in this process, for tests that call it often.</summary>
internal static class MambaInProcess
{
    static readonly Lock Gate = new();      // System.CommandLine's static options are not for several threads

    public static (int Code, string Error) Run(params string[] args)
    {
        lock (Gate)
        {
            using var error = new StringWriter();
            return (CommandLine.Run(args, error), error.ToString());
        }
    }

    public static void Succeed(params string[] args) => Assert.That(Run(args), Is.EqualTo((0, "")), string.Join(' ', args));

    /// <summary>Expects one line that mentions all of <paramref name="mentions"/>.</summary>
    public static void Refuse(string[] args, params string[] mentions)
    {
        (int code, string error) = Run(args);
        Assert.That(code, Is.EqualTo(1), string.Join(' ', args));
        Assert.That(error, Does.EndWith(Environment.NewLine));
        Assert.That(error.Count(c => c == '\n'), Is.EqualTo(1), error);
        foreach (string mention in mentions)
            Assert.That(error, Does.Contain(mention));
    }
}
