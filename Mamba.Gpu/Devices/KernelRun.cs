namespace Mamba.Gpu;

/// <summary>One kernel that ran.</summary>
/// <param name="Name">The kernel's type, without lanes and memory.</param>
/// <param name="Start">Milliseconds since recording began.</param>
/// <param name="Milliseconds">How long it took.</param>
/// <param name="Bytes">Of the tensors it was given, each counted once.</param>
/// <param name="Flops">Where they are known, else 0.</param>
internal readonly record struct KernelRun(string Name, double Start, double Milliseconds, long Bytes, double Flops);
