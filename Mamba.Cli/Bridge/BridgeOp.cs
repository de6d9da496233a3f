namespace Mamba.Cli;

/// <summary>An op of <c>mamba op</c>.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="Summary">What it computes.</param>
/// <param name="Inputs">What it reads, in the order they are told of.</param>
/// <param name="Outputs">What it writes.</param>
/// <param name="Options">What can be chosen.</param>
/// <param name="Run">The outputs, in their order.</param>
internal sealed record BridgeOp(string Name, string Summary, BridgeInput[] Inputs, BridgeOutput[] Outputs, System.CommandLine.Option[] Options,
    Func<BridgeCall, Tensor[]> Run)
{
    /// <summary>For <c>--help</c>: the tensors it reads and writes.</summary>
    public HelpWith.Section[] Tensors
    {
        get
        {
            return
            [
                new("Reads:",
                [
                    .. Inputs.Select(x => (x.Name, x.Shape, x.Meaning + (x.Integers ? ", integers" : "") + (x.Optional ? "; optional" : ""))),
                    .. Outputs.Select(y => ("d" + y.Name, y.Shape, $"gradient of {y.Name}, for --grad{IfAbsent(y)}")),
                ]),
                new("Writes:",
                [
                    .. Outputs.Select(y => (y.Name, y.Shape, y.Meaning)),
                    .. Inputs.Where(x => !x.Integers).Select(x => ("d" + x.Name, "", $"with --grad, as {x.Name}")),
                ]),
            ];

            static string IfAbsent(BridgeOutput y) => y.DefaultGradient is { } value ? $"; {value} if absent" : "";
        }
    }
}
