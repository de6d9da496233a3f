namespace Mamba;

/// <summary>How thoroughly <see cref="GradCheck"/> looks, and what it asks for.</summary>
public sealed record GradCheckOptions
{
    /// <summary>Largest relative difference that still agrees, beside what the numeric derivative itself may be off by.</summary>
    public double Tolerance { get; init; } = 1e-7;

    /// <summary>An input of at most so many elements is checked element by element; of a larger one, a quarter as many elements and some directions.</summary>
    public int Elements { get; init; } = 64;

    /// <summary>Random directions an input with more elements is checked along; a wrong one is then narrowed down to an element.</summary>
    public int Directions { get; init; } = 3;

    /// <summary>Seed of the directions and of the elements picked.</summary>
    public ulong Seed { get; init; }

    /// <summary>Whether points where the function has a kink pass: then the analytic derivative must lie between the two one-sided ones.</summary>
    public bool AllowKinks { get; init; }
}
