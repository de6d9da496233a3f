using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>Runs kernels on the pool.</summary>
internal sealed unsafe class HostLauncher<V, T>(HostDevice device) : ILauncher<V, HostMemory<T>, T, HostMemory<int>, HostTeam<V, T>>
    where V : unmanaged, ILane<V, HostMemory<T>, T>
    where T : unmanaged
{
    const long WorthSharing = 8192;     // elements: below, waking a second core costs more than it saves

    public HostMemory<T> Memory(Tensor? tensor) => tensor is null ? default : new((T*)Start(tensor) + tensor.Offset);
    public HostMemory<int> Ints(Tensor? tensor) => tensor is null ? default : new((int*)Start(tensor) + tensor.Offset);

    public void Run<K>(K kernel, long items, long cost = 1) where K : struct, IKernel =>
        Run(&Entry<K>, Unsafe.AsPointer(ref kernel), items * cost, typeof(K));

    public void RunTeams<K>(K kernel, long rows, long width, long cost = 1, int slots = int.MaxValue) where K : struct, ITeamKernel<V, HostTeam<V, T>> =>
        Run(&TeamEntry<K>, Unsafe.AsPointer(ref kernel), rows * width * cost, typeof(K));

    public int Slots(long items) => device.Pool.Size;
    public int TeamSize(long width) => 1;

    byte* Start(Tensor tensor)
    {
        device.Timeline?.Touch(tensor);
        return ((HostBuffer)tensor.Buffer).Pointer;
    }

    void Run(delegate*<void*, int, int, void> entry, void* kernel, long work, Type type)
    {
        device.Watch?.Before(type);
        device.Timeline?.Begin();
        device.Pool.Run(entry, kernel, work < WorthSharing ? 1 : device.Pool.Shares);
        device.Timeline?.End(type);
        device.Watch?.After();
    }

    static void Entry<K>(void* kernel, int index, int count) where K : struct, IKernel =>
        Unsafe.AsRef<K>(kernel).Run(new Worker(index, count, HostPool.Slot, strided: false));

    static void TeamEntry<K>(void* kernel, int index, int count) where K : struct, ITeamKernel<V, HostTeam<V, T>> =>
        Unsafe.AsRef<K>(kernel).Run(new HostTeam<V, T>(index, count, HostPool.Slot));
}
