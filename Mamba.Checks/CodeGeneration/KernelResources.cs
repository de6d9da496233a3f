using Mamba.Gpu;

namespace Mamba.Checks;

/// <summary>What a kernel takes on a GPU, as ptxas tells it.</summary>
/// <param name="Registers">32-bit registers a thread. A multiprocessor has 65,536: with 64 a thread it holds 1,024 threads.</param>
/// <param name="SpillStores">Bytes a thread writes to local memory because registers ran out.</param>
/// <param name="SpillLoads">Bytes a thread reads back.</param>
/// <param name="Stack">Bytes of local memory a thread, spilled values and arrays.</param>
/// <param name="Shared">Bytes of shared memory a group.</param>
internal sealed record KernelResources(int Registers, int SpillStores, int SpillLoads, int Stack, int Shared);
