using System.CommandLine;
using System.CommandLine.Parsing;

namespace Mamba.Cli;

/// <summary>
/// Interventions as options: <c>--wipe h@1:37</c>, <c>--scale delta@0:*:3-5=0.5</c>: a site, then layers, positions, channels and states, <c>*</c> or
/// nothing for all of them. They work in the order they are given in.
/// </summary>
internal sealed class HookText
{
    const string Where = "SITE@LAYERS:POSITIONS:CHANNELS:STATES";

    readonly Option<string[]> set = Many("--set", $"{Where}=X",
        "Set values to X. SITE is delta, B, C, h, y, u or z; what follows is numbers and ranges, 0,2,4-7, or * for all, and may be left out from the right.");
    readonly Option<string[]> scale = Many("--scale", $"{Where}=X", "Multiply values by X.");
    readonly Option<string[]> clamp = Many("--clamp", $"{Where}=LOW..HIGH", "Keep values between two numbers.");
    readonly Option<string[]> wipe = Many("--wipe", Where, "Set values to 0: a state that is wiped remembers nothing.");
    readonly Option<string[]> patch = Many("--patch", $"{Where}=TRACE", "Put the values of another run in place, of its trace.safetensors.");

    static Option<string[]> Many(string name, string placeholder, string description) => new(name)
    {
        Description = description,
        HelpName = placeholder,
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
    };

    public void AddTo(Command command)
    {
        foreach (Option<string[]> option in All)
            command.Add(option);
    }

    Option<string[]>[] All => [set, scale, clamp, wipe, patch];

    /// <summary>The interventions that were asked for.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="open">Opens a trace, whose owner is the caller.</param>
    public IReadOnlyList<Hook> Read(ParseResult parsed, Func<string, TraceFile> open)
    {
        var hooks = new List<Hook>();
        Option<string[]>? at = null;
        foreach (Token token in parsed.Tokens)
        {
            if (token.Type == TokenType.Option)
                at = Array.Find(All, option => option.Name == token.Value);
            else if (at is not null && token.Type == TokenType.Argument)
                hooks.Add(Of(at, token.Value, open));
        }
        return hooks;
    }

    Hook Of(Option<string[]> option, string text, Func<string, TraceFile> open)
    {
        (string where, string? value) = text.Split('=', 2) is [var left, var right] ? (left, right) : (text, null);
        if (option == wipe && value is not null || option != wipe && value is null)
            throw Bad("");
        (string name, string rest) = where.Split('@', 2) is [var first, var second] ? (first, second) : (where, "*");
        string[] parts = rest.Split(':');
        Site? found = Enum.GetValues<Site>().Cast<Site?>().FirstOrDefault(s => TraceFile.NameOf(s!.Value) == name);
        if (found is not { } site)
            throw Bad($" '{name}' is no site.");
        if (parts.Length > 4)
            throw Bad("");
        Indices?[] chosen = [.. Enumerable.Range(0, 4).Select(i => i < parts.Length && parts[i] != "*"
            ? Indices.Parse(parts[i]) ?? throw Bad($" '{parts[i]}' is not numbers and ranges.") : null)];
        (Indices? layers, Indices? positions, Indices? channels, Indices? states) = (chosen[0], chosen[1], chosen[2], chosen[3]);
        if (option == wipe)
            return Hook.Wipe(site, layers, positions, channels, states);
        if (option == patch)
            return Hook.Patch(site, open(value!), layers, positions, channels, states);
        if (option == clamp)
        {
            return value!.Split("..") is [var low, var high] && Numbers.Real(low) is { } from && Numbers.Real(high) is { } to
                ? Hook.Clamp(site, from, to, layers, positions, channels, states)
                : throw Bad($" '{value}' is not two numbers with .. between.");
        }
        double number = Numbers.Real(value!) ?? throw Bad($" '{value}' is no number.");
        return option == set ? Hook.Set(site, number, layers, positions, channels, states) : Hook.Scale(site, number, layers, positions, channels, states);

        MambaException Bad(string why) => new($"{option.Name} is '{text}'; expected {option.HelpName}.{why}");
    }
}
