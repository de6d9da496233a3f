namespace Mamba.Cli;

/// <summary>A tensor that an op writes; with <c>--grad</c> its gradient is read, under its name and a d before it.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="Shape">Its axes.</param>
/// <param name="Meaning">What it is, and its gradient if it is absent.</param>
internal sealed record BridgeOutput(string Name, string Shape, string Meaning)
{
    /// <summary>The gradient taken when the file has none; null: there must be one.</summary>
    public double? DefaultGradient { get; init; }
}
