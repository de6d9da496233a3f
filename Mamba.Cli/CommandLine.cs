using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;

namespace Mamba.Cli;

/// <summary>The <c>mamba</c> command: whatever goes wrong is one line on standard error and exit code 1.</summary>
public static class CommandLine
{
    /// <summary>Exit code after Ctrl-C, as shells expect it.</summary>
    internal const int Interrupted = 130;

    /// <summary>The command, with its complaints to standard error.</summary>
    /// <param name="args">What stands after <c>mamba</c>.</param>
    /// <returns>The exit code: 0, 1 after a complaint, 130 after Ctrl-C.</returns>
    public static int Run(string[] args) => Run(args, Console.Error);

    /// <summary>The command, with its complaints to <paramref name="error"/>.</summary>
    /// <param name="args">What stands after <c>mamba</c>.</param>
    /// <param name="error">Complaints go there.</param>
    /// <returns>The exit code: 0, 1 after a complaint, 130 after Ctrl-C.</returns>
    public static int Run(string[] args, TextWriter error)
    {
        var root = new RootCommand("Mamba, the selective state space model, from scratch in C#: train it, and see what it can do. "
            + "'mamba train' is where to begin; 'mamba COMMAND --help' tells what a command can do.")
        {
            TrainCommand.Create(),
            EvalCommand.Create(),
            PredictCommand.Create(),
            GenerateCommand.Create(),
            PerplexityCommand.Create(),
            TokenizeCommand.Create(),
            ConvertCommand.Create(),
            InspectCommand.Create(),
            LogitsCommand.Create(),
            OpCommand.Create(),
            GradCheckCommand.Create(),
            ParityCommand.Create(),
            CodegenCommand.Create(),
            ReproduceCommand.Create(),
            DevicesCommand.Create(),
        };
        root.Options.OfType<HelpOption>().Single().Action = new HelpAction { MaxWidth = HelpWith.Width };
        CultureInfo culture = CultureInfo.CurrentCulture;
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;          // numbers are printed as they are read
        try
        {
            ParseResult parsed = root.Parse(args.Length == 0 ? ["--help"] : args, new ParserConfiguration { ResponseFileTokenReplacer = null });
            return parsed.Action is ParseErrorAction
                ? Fail(error, Complaint(parsed))
                : parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
        }
        catch (Exception e)
        {
            return Fail(error, Complaint(e));
        }
        finally
        {
            CultureInfo.CurrentCulture = culture;
        }
    }

    // What nobody foresaw is one line, too: its type and place are for who mends it.
    internal static string Complaint(Exception e) => e switch
    {
        AggregateException or TargetInvocationException when e.InnerException is { } inner => Complaint(inner),
        MambaException or IOException or UnauthorizedAccessException => e.Message,
        OutOfMemoryException or OverflowException => $"there is not enough memory for this: {e.Message}",
        _ => $"this is a fault of mamba's, please report it: {e.GetType().Name} in {PlaceOf(e)}: {e.Message}",
    };

    static string PlaceOf(Exception e)
    {
        IEnumerable<MethodBase?> methods = new StackTrace(e).GetFrames().Select(frame => frame.GetMethod());
        MethodBase? method = methods.FirstOrDefault(m => m?.DeclaringType?.Namespace?.StartsWith("Mamba", StringComparison.Ordinal) == true);
        return method is null ? $"{e.Source}" : $"{method.DeclaringType!.Name}.{method.Name}";
    }

    static string Complaint(ParseResult parsed)
    {
        string command = "mamba";
        for (CommandResult? at = parsed.CommandResult; at is { Command: not RootCommand }; at = at.Parent as CommandResult)
            command = command.Insert("mamba".Length, " " + at.Command.Name);
        IEnumerable<Token> arguments = parsed.CommandResult.Children.OfType<ArgumentResult>().SelectMany(argument => argument.Tokens);
        string? mistyped = arguments.Select(token => token.Value).FirstOrDefault(IsOption);
        if ((mistyped ?? parsed.UnmatchedTokens.FirstOrDefault(IsOption) ?? parsed.UnmatchedTokens.FirstOrDefault()) is { } unknown)
        {
            string what = IsOption(unknown) ? "option" : parsed.CommandResult.Command.Subcommands.Count > 0 ? "command" : "argument";
            return $"{command}: unknown {what} '{unknown}'; '{command} --help' lists what there is.";
        }
        return parsed.CommandResult.Command.Subcommands.Count > 0
            ? $"{command}: one of its commands must follow; '{command} --help' lists them."
            : $"{command}: {parsed.Errors[0].Message}";
    }

    /// <summary>An argument takes what follows, also an option that does not exist, or an empty word: this makes it an error.</summary>
    public static Argument<T> NoOption<T>(this Argument<T> argument)
    {
        argument.Validators.Add(result =>
        {
            if (result.Tokens.Any(token => IsOption(token.Value)))
                result.AddError("unknown option");
            else if (result.Tokens.FirstOrDefault(token => string.IsNullOrWhiteSpace(token.Value)) is { } blank)
                result.AddError($"{argument.Name} is '{blank.Value}'; expected a word.");
        });
        return argument;
    }

    static bool IsOption(string token) => token.StartsWith('-');

    static int Fail(TextWriter error, string message)
    {
        error.WriteLine(message.ReplaceLineEndings(" "));
        return 1;
    }
}
