using System.CommandLine;

namespace Mamba.Cli;

/// <summary>A tensor that an op of <c>mamba op</c> reads.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="Shape">Its axes.</param>
/// <param name="Meaning">What it is.</param>
internal sealed record BridgeInput(string Name, string Shape, string Meaning)
{
    public bool Optional { get; init; }

    /// <summary>Integers, which have no gradient.</summary>
    public bool Integers { get; init; }
}

/// <summary>A tensor that an op writes; with <c>--grad</c> its gradient is read, under its name and a d before it.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="Shape">Its axes.</param>
/// <param name="Meaning">What it is, and its gradient if it is absent.</param>
internal sealed record BridgeOutput(string Name, string Shape, string Meaning)
{
    /// <summary>The gradient taken when the file has none; null: there must be one.</summary>
    public double? DefaultGradient { get; init; }
}

/// <summary>An op of <c>mamba op</c>.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="Summary">What it computes.</param>
/// <param name="Inputs">What it reads, in the order they are told of.</param>
/// <param name="Outputs">What it writes.</param>
/// <param name="Options">What can be chosen.</param>
/// <param name="Run">The outputs, in their order.</param>
internal sealed record BridgeOp(string Name, string Summary, BridgeInput[] Inputs, BridgeOutput[] Outputs, System.CommandLine.Option[] Options, Func<BridgeCall, Tensor[]> Run)
{
    /// <summary>For <c>--help</c>: the tensors, a line each.</summary>
    public string Tensors
    {
        get
        {
            (string Name, string Shape, string Meaning)[] reads =
            [
                .. Inputs.Select(x => (x.Name, x.Shape, x.Meaning + (x.Integers ? ", integers" : "") + (x.Optional ? "; optional" : ""))),
                .. Outputs.Select(y => ("d" + y.Name, y.Shape, $"gradient of {y.Name}, for --grad{(y.DefaultGradient is { } value ? $"; {value} if absent" : "")}")),
            ];
            (string Name, string Shape, string Meaning)[] writes =
            [
                .. Outputs.Select(y => (y.Name, y.Shape, y.Meaning)),
                .. Inputs.Where(x => !x.Integers).Select(x => ("d" + x.Name, "", $"with --grad, as {x.Name}")),
            ];
            return string.Join(Environment.NewLine, "Reads:", Table(reads), "Writes:", Table(writes));
        }
    }

    static string Table((string Name, string Shape, string Meaning)[] rows)
    {
        int name = rows.Max(row => row.Name.Length), shape = rows.Max(row => row.Shape.Length);
        return string.Concat(rows.Select(row => $"  {row.Name.PadRight(name)}  {row.Shape.PadRight(shape)}  {row.Meaning}{Environment.NewLine}"));
    }
}

/// <summary>One call of an op: its tensors and options.</summary>
internal sealed class BridgeCall(string path, BridgeOp op, ParseResult parsed, IReadOnlyDictionary<string, Tensor> tensors)
{
    public ParseResult Parsed => parsed;

    /// <summary>A tensor that must be there.</summary>
    public Tensor this[string name] => tensors.TryGetValue(name, out Tensor? tensor) ? tensor : throw new MambaException(
        $"{path}: there is no tensor '{name}' in it; {op.Name} reads {string.Join(", ", op.Inputs.Select(x => $"{x.Name} {x.Shape}{(x.Optional ? " (optional)" : "")}"))}.");

    /// <summary>A tensor that may be there.</summary>
    public Tensor? Optional(string name) => tensors.GetValueOrDefault(name);
}
