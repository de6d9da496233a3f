using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Reflection;

namespace Mamba.Bench;

/// <summary>The benchmarks' command: whatever goes wrong is one line on standard error and exit code 1, as with <c>mamba</c>.</summary>
internal static class BenchCommand
{
    static readonly string[] Names = [.. Part.All.Select(part => part.Name), Part.AllOfThem];

    /// <returns>0, 1 after a complaint, 130 after Ctrl-C.</returns>
    public static int Run(string[] args)
    {
        RootCommand command = Create(string.Join(' ', args));
        try
        {
            ParseResult parsed = command.Parse(args.Length == 0 ? ["--help"] : args, new ParserConfiguration { ResponseFileTokenReplacer = null });
            return parsed.Action is ParseErrorAction
                ? Fail(Complaint(parsed))
                : parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
        }
        catch (Exception e)
        {
            return Fail(Complaint(e));
        }
    }

    static RootCommand Create(string line)
    {
        string whats = string.Join("; ", Part.All.Select(part => $"{part.Name}: {part.Does}")) + "; or all";
        var what = new Argument<string>("what") { Description = whats };
        what.Validators.Add(result => Expect(result, "what", Names, "benchmark"));
        Option<string> devices = Devices("cpu, cuda:0, opencl:0, with commas between");
        devices.DefaultValueFactory = _ => "cpu";
        var dtype = new Option<string>("--dtype") { Description = "float32 or float64", DefaultValueFactory = _ => "float32" };
        dtype.Validators.Add(result => Expect(result, "--dtype", ["float32", "float64"]));
        var folder = new Option<string?>("--out")
        {
            Description = "Folder for report.md, results.json, pictures and traces; for a whole run of all, bench/results/<machine> unless given",
        };
        var quick = new Option<bool>("--quick") { Description = "Fewer sizes and runs, smaller models: all in half a minute on cpu; saved only with --out" };
        Option<int?> batch = Size(Dimensions.Batch, "Sequences, b"), length = Size(Dimensions.Length, "Tokens of each, l"),
            width = Size(Dimensions.Width, "Channels: d of a scan, d_model of a model"), states = Size(Dimensions.States, "States of a channel, n");
        Option<int?> time = Whole("--time", "MS", "Milliseconds to spend on a row, and three runs at least");
        var root = new RootCommand("Benchmarks of Mamba.NET: every row beside the ceiling that bounds it, measured in the same run.")
        {
            what, devices, dtype, folder, quick, batch, length, width, states, time, Compare(),
        };
        root.SetAction(result =>
        {
            var plan = new Plan
            {
                Quick = result.GetValue(quick),
                Batch = result.GetValue(batch),
                Length = result.GetValue(length),
                Width = result.GetValue(width),
                States = result.GetValue(states),
                Milliseconds = result.GetValue(time),
            };
            string name = result.GetValue(what)!;
            if (name != Part.AllOfThem)
                plan.ExpectUse(name, Part.Of(name)[0].Uses);
            using var session = new Session(NamesOf(result.GetValue(devices)!), result.GetValue(dtype)!, plan,
                $"dotnet run -c Release --project bench/Mamba.Bench -- {line}");
            session.Run(name, result.GetValue(folder));
            return 0;
        });
        return root;
    }

    static Command Compare()
    {
        var before = new Argument<string>("before") { Description = "results.json of one run, or its folder" };
        var after = new Argument<string?>("after")
        {
            Description = "of another; may be left out to compare two devices of one",
            Arity = ArgumentArity.ZeroOrOne,
        };
        foreach (Argument argument in (Argument[])[before, after])
            argument.Validators.Add(result =>
            {
                if (result.Tokens.Any(token => token.Value.StartsWith('-')))
                    result.AddError("unknown option");
            });
        Option<string> devices = Devices("A device of both; or one of the first and one of the second, with a comma between");
        var by = new Option<string?>("--by")
        {
            Description = "times, or fractions of the limit, which say how well each machine is used; times for one device of one machine, fractions otherwise",
        };
        by.Validators.Add(result => Expect(result, "--by", ["times", "fractions"]));
        var compare = new Command("compare", "Two runs, or two devices of one, row by row, and what differs beyond the spread.") { before, after, devices, by };
        compare.SetAction(result =>
        {
            Report first = Report.Load(result.GetValue(before)!);
            Report second = result.GetValue(after) is { } path ? Report.Load(path) : first;
            string[] chosen = result.GetValue(devices) is { } names ? NamesOf(names) : [];
            bool? fractions = result.GetValue(by) is { } kind ? kind == "fractions" : null;
            Console.WriteLine(Comparison.Of(first, second, chosen, fractions).ToConsole());
            return 0;
        });
        return compare;
    }

    static Option<string> Devices(string description) => new("--devices", "--device") { Description = description, HelpName = "NAMES" };

    static string[] NamesOf(string list)
    {
        string[] names = list.Split(',', StringSplitOptions.TrimEntries);
        if (names.Contains("", StringComparer.Ordinal))
            throw new MambaException($"--devices is '{list}'; expected names with commas between, as in cpu,opencl:0.");
        return names;
    }

    static Option<int?> Size(Dimensions dimension, string description)
    {
        string others = string.Join(", ", Part.All.Where(part => !part.Uses.HasFlag(dimension)).Select(part => part.Name));
        return Whole(Plan.OptionsOf(dimension), "N", $"{description}: one size instead of the benchmark's own (not for {others})");
    }

    static Option<int?> Whole(string name, string placeholder, string description) => new(name)
    {
        Description = description,
        HelpName = placeholder,
        CustomParser = result =>
        {
            string text = result.Tokens.Count > 0 ? result.Tokens[^1].Value : "";
            int? value = Numbers.Index(text) is > 0 and var number ? number : null;
            if (value is null)
                result.AddError($"{name} is '{text}'; expected a whole number from 1.");
            return value;
        },
    };

    static void Expect(SymbolResult result, string name, string[] names, string? kind = null)
    {
        if (result.Tokens is not [.., { Value: var value }] || names.Contains(value, StringComparer.Ordinal))
            return;
        string expected = $"{string.Join(", ", names[..^1])} or {names[^1]}";
        result.AddError(kind is null ? $"{name} is '{value}'; expected {expected}." : $"unknown {kind} '{value}'; expected {expected}.");
    }

    static string Complaint(ParseResult parsed)
    {
        string command = parsed.CommandResult.Command is RootCommand ? "bench" : $"bench {parsed.CommandResult.Command.Name}";
        IEnumerable<string> arguments = parsed.CommandResult.Children.OfType<ArgumentResult>().SelectMany(result => result.Tokens).Select(token => token.Value);
        string? unknown = arguments.FirstOrDefault(token => token.StartsWith('-')) ?? parsed.UnmatchedTokens.FirstOrDefault(token => token.StartsWith('-'));
        if (unknown is not null)
            return $"{command}: unknown option '{unknown}'; '{command} --help' lists what there is.";
        return parsed.UnmatchedTokens is [var surplus, ..]
            ? $"{command}: unknown argument '{surplus}'; '{command} --help' lists what there is."
            : $"{command}: {parsed.Errors[0].Message}";
    }

    static string Complaint(Exception e) => e switch
    {
        AggregateException or TargetInvocationException when e.InnerException is { } inner => Complaint(inner),
        MambaException or IOException or UnauthorizedAccessException => e.Message,
        OutOfMemoryException or OverflowException => $"there is not enough memory for this: {e.Message}",
        _ => $"this is a fault of the benchmarks', please report it: {e.GetType().Name} in {e.TargetSite?.DeclaringType}.{e.TargetSite?.Name}: {e.Message}",
    };

    static int Fail(string message)
    {
        Console.Error.WriteLine(message.ReplaceLineEndings(" "));
        return 1;
    }
}
