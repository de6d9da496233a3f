using System.CommandLine;
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

    public static int Run(string[] args) => Run(args, Console.Error);

    /// <summary>The command, with its complaints to <paramref name="error"/>.</summary>
    public static int Run(string[] args, TextWriter error)
    {
        var root = new RootCommand("Mamba, the selective state space model, from scratch in C#: train it, and see what it can do.")
        {
            DevicesCommand.Create(),
            TrainCommand.Create(),
            EvalCommand.Create(),
            CodegenCommand.Create(),
            OpCommand.Create(),
            LogitsCommand.Create(),
            GradCheckCommand.Create(),
            ParityCommand.Create(),
        };
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
        MethodBase? method = new StackTrace(e).GetFrames().Select(frame => frame.GetMethod()).FirstOrDefault(m => m?.DeclaringType?.Namespace?.StartsWith("Mamba", StringComparison.Ordinal) == true);
        return method is null ? $"{e.Source}" : $"{method.DeclaringType!.Name}.{method.Name}";
    }

    static string Complaint(ParseResult parsed)
    {
        string command = "mamba";
        for (CommandResult? at = parsed.CommandResult; at is { Command: not RootCommand }; at = at.Parent as CommandResult)
            command = command.Insert("mamba".Length, " " + at.Command.Name);
        string? mistyped = parsed.CommandResult.Children.OfType<ArgumentResult>().SelectMany(argument => argument.Tokens).Select(t => t.Value).FirstOrDefault(IsOption);
        if ((mistyped ?? parsed.UnmatchedTokens.FirstOrDefault(IsOption) ?? parsed.UnmatchedTokens.FirstOrDefault()) is { } token)
        {
            string what = IsOption(token) ? "option" : parsed.CommandResult.Command.Subcommands.Count > 0 ? "command" : "argument";
            return $"{command}: unknown {what} '{token}'; '{command} --help' lists what there is.";
        }
        return $"{command}: {parsed.Errors[0].Message}";
    }

    /// <summary>An argument takes what follows, also an option that does not exist: this makes it an error.</summary>
    public static Argument<T> NoOption<T>(this Argument<T> argument)
    {
        argument.Validators.Add(result =>
        {
            if (result.Tokens.Any(token => IsOption(token.Value)))
                result.AddError("unknown option");
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

/// <summary>Options whose complaints name the option and the value, and whose absence is null.</summary>
internal static class Option
{
    public static Option<int?> Int(string name, string description) =>
        Of<int?>(name, description, "N", "a whole number", text => Numbers.Int(text));

    public static Option<long?> Long(string name, string description) =>
        Of<long?>(name, description, "N", "a whole number", text => Numbers.Long(text));

    public static Option<ulong?> Seed(string name, string description) =>
        Of<ulong?>(name, description, "N", "a whole number from 0", text => Numbers.Natural(text));

    public static Option<double?> Real(string name, string description) =>
        Of<double?>(name, description, "X", "a number", text => Numbers.Real(text));

    public static Option<string?> Text(string name, string placeholder, string description, bool valueOptional = false)
    {
        var option = new Option<string?>(name) { Description = description, HelpName = placeholder, Arity = valueOptional ? ArgumentArity.ZeroOrOne : ArgumentArity.ExactlyOne };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Any(token => token.Value.StartsWith('-') || string.IsNullOrWhiteSpace(token.Value)))
                result.AddError($"{name} is '{result.Tokens[0].Value}'; expected {placeholder}.");
        });
        return option;
    }

    public static Option<bool> Flag(string name, string description) => new(name) { Description = description };

    static Option<T> Of<T>(string name, string description, string placeholder, string kind, Func<string, T?> parse) => new(name)
    {
        Description = description,
        HelpName = placeholder,
        CustomParser = result =>
        {
            string text = result.Tokens.Count > 0 ? result.Tokens[^1].Value : "";
            T? value = parse(text);
            if (value is null)
                result.AddError($"{name} is '{text}'; expected {kind}.");
            return value;
        },
    };
}
