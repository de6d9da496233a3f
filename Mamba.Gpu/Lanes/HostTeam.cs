using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>A team of one core: its lanes are its members.</summary>
internal readonly struct HostTeam<V, T>(int index, int count, int slot) : ITeam<V>
    where V : unmanaged, ILane<V, HostMemory<T>, T>
    where T : unmanaged
{
    public int Index { get; } = index;
    public int Count { get; } = count;
    public int Slot { get; } = slot;
    public int Rank { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => 0; }
    public int Size { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => 1; }
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public V Sum(V x) => V.Sum(x);
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public V Largest(V x) => V.Largest(x);
    public void Barrier() { }
}
