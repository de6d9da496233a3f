using ILGPU;

namespace Mamba.Gpu;

/// <summary>A team of one thread group; it sums through shared memory, pairwise in a fixed order.</summary>
/// <param name="shared">Shared memory, one lane for each thread. Allocated once by the entry point.</param>
internal readonly struct GroupTeam<V, T>(ArrayView<V> shared) : ITeam<V>
    where V : unmanaged, ILane<V, DeviceMemory<T>, T>
    where T : unmanaged
{
    /// <summary>Most threads in a team: the size of the shared array. A power of two.</summary>
    public const int MaxSize = 256;

    readonly ArrayView<V> shared = shared;

    public int Index => Grid.IdxX;
    public int Count => Grid.DimX;
    public int Slot => Grid.IdxX;
    public int Rank => Group.IdxX;
    public int Size => Group.DimX;
    public void Barrier() => Group.Barrier();

    public V Sum(V x)
    {
        ArrayView<V> s = shared;
        int rank = Group.IdxX;
        s[rank] = x;
        Group.Barrier();
        for (int half = Group.DimX / 2; half > 0; half /= 2)
        {
            if (rank < half)
                s[rank] += s[rank + half];
            Group.Barrier();
        }
        V sum = s[0];
        Group.Barrier();
        return sum;
    }

    public V Largest(V x)
    {
        ArrayView<V> s = shared;
        int rank = Group.IdxX;
        s[rank] = x;
        Group.Barrier();
        for (int half = Group.DimX / 2; half > 0; half /= 2)
        {
            if (rank < half)
                s[rank] = V.Max(s[rank], s[rank + half]);
            Group.Barrier();
        }
        V largest = s[0];
        Group.Barrier();
        return largest;
    }
}
