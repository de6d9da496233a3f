namespace Mamba.Gpu;

/// <summary>What a device offers a launch: its view of tensors, and running a kernel.</summary>
public interface ILauncher<V, M, T, I, G>
    where G : struct, ITeam<V>
{
    /// <summary>The elements of <paramref name="tensor"/>; null gives memory that must not be touched.</summary>
    M Memory(Tensor? tensor);

    /// <summary>The elements of an int32 tensor.</summary>
    I Ints(Tensor? tensor);

    /// <summary>
    /// Places of scratch that a launch of <paramref name="items"/> teams (or workers on the host) needs: one for each core, or a few hundred on a device.
    /// </summary>
    int Slots(long items);

    /// <summary>Threads <see cref="RunTeams"/> gives a team for rows of <paramref name="width"/> elements: 1 on the host.</summary>
    int TeamSize(long width);

    /// <summary>Runs <paramref name="kernel"/> with enough workers for <paramref name="items"/> independent items.</summary>
    /// <param name="kernel">The filled-in kernel.</param>
    /// <param name="items">Items, in elements: a device gets a thread for each (or fewer that stride), the host as many cores as the work is worth.</param>
    /// <param name="cost">About how many elements' worth of simple work one item is; the host uses one core below a few thousand in all.</param>
    void Run<K>(K kernel, long items, long cost = 1) where K : struct, IKernel;

    /// <summary>Runs <paramref name="kernel"/> with a team for each of <paramref name="rows"/> rows of <paramref name="width"/> elements.</summary>
    /// <param name="kernel">The filled-in kernel.</param>
    /// <param name="rows">Rows; a team may do several.</param>
    /// <param name="width">Elements of a row: a device gives a team that many threads, rounded up to a power of two, at most 256.</param>
    /// <param name="cost">About how many elements' worth of simple work one element is.</param>
    /// <param name="slots">Most teams at the same time, where each has scratch at its <see cref="ITeam{V}.Slot"/>.</param>
    void RunTeams<K>(K kernel, long rows, long width, long cost = 1, int slots = int.MaxValue) where K : struct, ITeamKernel<V, G>;
}
