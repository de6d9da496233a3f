namespace Mamba.Bench;

/// <summary>A device of the machine.</summary>
internal sealed record DeviceFacts(string Name, string Description, string Driver);
