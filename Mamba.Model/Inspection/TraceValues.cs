namespace Mamba;

/// <summary>What a trace takes down of each layer.</summary>
[Flags]
public enum TraceValues
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>u (b, l, d): what the recurrence reads.</summary>
    U = 1,

    /// <summary>delta (b, l, d): the step size, after bias and softplus.</summary>
    Delta = 2,

    /// <summary>Ā (b, l, n, d): what remains of a state; 0 where a sequence starts.</summary>
    Abar = 4,

    /// <summary>B̄ (b, l, n, d): the weight of u.</summary>
    Bbar = 8,

    /// <summary>B (b, l, n)</summary>
    B = 16,

    /// <summary>C (b, l, n)</summary>
    C = 32,

    /// <summary>h (b, l, n, d): the state after each token.</summary>
    H = 64,

    /// <summary>y (b, l, d): C·h + D u, before the gate.</summary>
    Y = 128,

    /// <summary>z (b, l, d): the gate, before silu.</summary>
    Z = 256,

    /// <summary>
    /// The likeliest next tokens if the model ended after the layer: the last norm and the head over its residual stream, the "logit lens" (nostalgebraist
    /// 2020). Of the last layer, what the model says.
    /// </summary>
    Predictions = 512,

    /// <summary>All of it.</summary>
    All = U | Delta | Abar | Bbar | B | C | H | Y | Z | Predictions,
}
