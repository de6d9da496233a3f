using System.CommandLine;

namespace Mamba.Cli;

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
        var option = new Option<string?>(name)
        {
            Description = description,
            HelpName = placeholder,
            Arity = valueOptional ? ArgumentArity.ZeroOrOne : ArgumentArity.ExactlyOne,
        };
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
