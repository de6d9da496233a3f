using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Mamba.Cli;

/// <summary>A command's ordinary help, and then what its files hold.</summary>
internal sealed class HelpWith(string text) : SynchronousCommandLineAction
{
    /// <summary>Gives a command such a help.</summary>
    public static void AddTo(Command command, string text) => command.Add(new HelpOption { Action = new HelpWith(text) });

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        int code = new HelpAction().Invoke(parseResult);
        parseResult.InvocationConfiguration.Output.WriteLine(text.TrimEnd());
        return code;
    }
}
