namespace Mamba;

/// <summary>Where in a block a <see cref="Hook"/> works. The letters are the paper's: h_t = Ā_t h_{t−1} + B̄_t u_t, y_t = C_t·h_t + D u_t.</summary>
public enum Site
{
    /// <summary>(b, l, d): the input as the recurrence reads it; what B, C and delta are made of is not changed with it.</summary>
    U,

    /// <summary>(b, l, d): the step size, after bias and softplus.</summary>
    Delta,

    /// <summary>(b, l, n)</summary>
    B,

    /// <summary>(b, l, n)</summary>
    C,

    /// <summary>(b, l, n, d): the state after each token. A change is carried on: the tokens after it see it.</summary>
    H,

    /// <summary>(b, l, d): C·h + D u, before the gate.</summary>
    Y,

    /// <summary>(b, l, d): the gate, before silu.</summary>
    Z,
}
