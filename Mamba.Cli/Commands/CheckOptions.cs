using System.CommandLine;
using System.Reflection;
using System.Text.Json;
using Mamba.Checks;

namespace Mamba.Cli;

/// <summary>What <c>mamba gradcheck</c> and <c>mamba parity</c> have in common.</summary>
internal sealed class CheckOptions
{
    public Argument<string[]> Ops { get; } = new Argument<string[]>("op")
    {
        Description = "Only these ops: selective-scan, rms-norm, block, model, …; all by default.",
        Arity = ArgumentArity.ZeroOrMore,
    }.NoOption();
    public Option<string?> Assembly { get; } = Option.Text("--assembly", "PATH",
        "Check your own cases too: a .dll with public classes that have a static property Cases of Mamba.Checks.OpCase.");
    public Option<bool> AsJson { get; } = Option.Flag("--json", "Print JSON, one case to a line.");
    public Option<bool> Each { get; } = Option.Flag("--all", "A row for every case, not only for every op.");

    public static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    public void AddTo(Command command)
    {
        command.Add(Ops);
        command.Add(Assembly);
        command.Add(AsJson);
        command.Add(Each);
    }

    public IReadOnlyList<OpCase> Cases(ParseResult parsed) =>
        OpCatalog.Select(parsed.CommandResult.Command.Name, parsed.GetValue(Ops)!, parsed.GetValue(Assembly) is { } path ? Load(path) : null);

    /// <summary>An option for names of devices; it goes by the name of the other command's, too.</summary>
    public static Option<string?> DeviceList(string name, string alias, string description)
    {
        Option<string?> option = Option.Text(name, "NAMES", description);
        option.Aliases.Add(alias);
        return option;
    }

    /// <summary>The devices of a list of names, each of them there.</summary>
    public static IReadOnlyList<string> Devices(ParseResult parsed, Option<string?> option)
    {
        string list = parsed.GetValue(option) ?? "fast";
        IReadOnlyList<string> devices = CheckDevices.Parse(list);
        if (devices.Count == 0)
            throw new MambaException($"{option.Name} is '{list}'; expected names of devices.");
        foreach (string device in devices)
            CheckDevices.Open(device).Dispose();        // an unknown one ends here
        return devices;
    }

    static OpCase[] Load(string path)
    {
        try
        {
            InputFile.ExpectFile(path);
        }
        catch (MambaException e)
        {
            throw new MambaException($"--assembly {e.Message}", e);
        }
        try
        {
            return [.. System.Reflection.Assembly.LoadFrom(Path.GetFullPath(path)).GetExportedTypes()
                .Select(type => type.GetProperty("Cases", BindingFlags.Public | BindingFlags.Static, null, null, [], null)?.GetValue(null))
                .OfType<IEnumerable<OpCase>>().SelectMany(cases => cases)];
        }
        catch (Exception e) when (e is not (MambaException or OutOfMemoryException))       // code of somebody's: it may throw anything
        {
            Exception cause = e is TargetInvocationException { InnerException: { } inner } ? inner : e;
            throw new MambaException($"--assembly {path}: {cause.Message.ReplaceLineEndings(" ")}", e);
        }
    }
}
