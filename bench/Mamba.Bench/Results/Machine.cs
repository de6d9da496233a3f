namespace Mamba.Bench;

/// <summary>Where and with what a run was made.</summary>
internal sealed record Machine(string Processor, int Cores, string Memory, string System, string Runtime, string Ilgpu,
    string Commit, string Date, string Command, IReadOnlyList<DeviceFacts> Devices);
