using System.CommandLine;

namespace Mamba.Cli;

/// <summary>One call of an op: its tensors and options.</summary>
internal sealed class BridgeCall(string path, BridgeOp op, ParseResult parsed, IReadOnlyDictionary<string, Tensor> tensors)
{
    public ParseResult Parsed => parsed;

    /// <summary>A tensor that must be there.</summary>
    public Tensor this[string name]
    {
        get
        {
            if (tensors.TryGetValue(name, out Tensor? tensor))
                return tensor;
            IEnumerable<string> reads = op.Inputs.Select(x => $"{x.Name} {x.Shape}{(x.Optional ? " (optional)" : "")}");
            throw new MambaException($"{path}: there is no tensor '{name}' in it; {op.Name} reads {string.Join(", ", reads)}.");
        }
    }

    /// <summary>A tensor that may be there.</summary>
    public Tensor? Optional(string name) => tensors.GetValueOrDefault(name);
}
