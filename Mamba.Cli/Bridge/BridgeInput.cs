namespace Mamba.Cli;

/// <summary>A tensor that an op of <c>mamba op</c> reads.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="Shape">Its axes.</param>
/// <param name="Meaning">What it is.</param>
internal sealed record BridgeInput(string Name, string Shape, string Meaning)
{
    /// <summary>Whether the file may be without it.</summary>
    public bool Optional { get; init; }

    /// <summary>Integers, which have no gradient.</summary>
    public bool Integers { get; init; }
}
