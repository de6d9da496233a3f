using ILGPU;
using ILGPU.Runtime;

namespace Mamba.Gpu;

/// <summary>The two entry points every device kernel is compiled from.</summary>
internal static class KernelEntry
{
    public static void Run<K>(Index1D index, int workers, K kernel) where K : struct, IKernel =>
        kernel.Run(new Worker(index, workers, index, strided: true));

    public static void RunTeam<K, V, T>(K kernel)
        where K : struct, ITeamKernel<V, GroupTeam<V, T>>
        where V : unmanaged, ILane<V, DeviceMemory<T>, T>
        where T : unmanaged =>
        kernel.Run(new GroupTeam<V, T>(SharedMemory.Allocate<V>(GroupTeam<V, T>.MaxSize)));
}
