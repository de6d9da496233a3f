namespace Mamba;

/// <summary>What <see cref="MambaLM.Trace(Tensor, TraceSettings?)"/> takes down, and how.</summary>
public sealed record TraceSettings
{
    /// <summary>Which layers, from 0; null: all.</summary>
    public Indices? Layers { get; init; }

    /// <summary>What of each; <see cref="TraceValues.All"/> unless said.</summary>
    public TraceValues Values { get; init; } = TraceValues.All;

    /// <summary>What the gradients are of; null: none are computed.</summary>
    public Quantity? Quantity { get; init; }

    /// <summary>What is changed on the way, one after another.</summary>
    public IReadOnlyList<Hook> Hooks { get; init; } = [];

    /// <summary>(b, l) int32: not 0 where a token starts a new sequence; null: none does.</summary>
    public Tensor? Reset { get; init; }

    /// <summary>k: how many of the likeliest next tokens are kept.</summary>
    public int Likeliest { get; init; } = 8;

    /// <summary>Writes the text of tokens into a file of up to 2^18 tokens, for those who look at it; null: ids alone.</summary>
    public Tokenizer? Tokenizer { get; init; }

    /// <summary>
    /// Tokens that are worked on at a time when a trace is written to a file; null: as many as are some dozen megabytes of states. The values do not depend on
    /// it, to rounding.
    /// </summary>
    public int? Piece { get; init; }

    /// <summary>Ends it with an <see cref="OperationCanceledException"/>; a file that was begun is not left.</summary>
    public CancellationToken Stop { get; init; }

    /// <summary>Told now and then how much is done, from 0 to 1; null: nobody is.</summary>
    internal Action<double>? Progress { get; init; }

    /// <summary>What has to be traced for the values of a site.</summary>
    internal static TraceValues ValueOf(Site site) => Enum.Parse<TraceValues>(site.ToString());
}
