using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>A kernel: a struct whose fields are its arguments and whose one method is its body.</summary>
public interface IKernel
{
    /// <summary>Does this worker's share of the work; <see cref="Worker.Share(long, int)"/> says which that is.</summary>
    void Run(Worker worker);
}

/// <summary>A kernel whose rows are each shared by a team of threads that can sum among themselves.</summary>
/// <typeparam name="V">Lane type.</typeparam>
/// <typeparam name="G">Team type.</typeparam>
public interface ITeamKernel<V, G> where G : struct, ITeam<V>
{
    /// <summary>Does this team's rows: <c>for (long row = team.Index; row &lt; Rows; row += team.Count)</c>.</summary>
    void Run(G team);
}

/// <summary>One of the workers a kernel runs on: a core of the host, a thread of a device.</summary>
/// <param name="index">Which one, from 0.</param>
/// <param name="count">How many there are.</param>
/// <param name="slot">Where its scratch is: no two workers that run at the same time have the same.</param>
/// <param name="strided">
/// True on a device, where neighbouring threads take neighbouring items so that loads coalesce; false on the host, where a
/// core takes one run of items so that cache lines are not shared.
/// </param>
public readonly struct Worker(int index, int count, int slot, bool strided)
{
    readonly bool strided = strided;

    public int Index { get; } = index;
    public int Count { get; } = count;
    public int Slot { get; } = slot;

    /// <summary>This worker's part of <paramref name="items"/> items, taken <paramref name="width"/> at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Share Share(long items, int width = 1)
    {
        if (strided)
            return new Share((long)Index * width, items, (long)Count * width);
        long unit = width == 1 ? 1 : 64, units = (items + unit - 1) / unit;     // 64 elements: whole cache lines
        long start = units * Index / Count * unit, end = Math.Min(items, units * (Index + 1) / Count * unit);
        return new Share(start, end, width);
    }
}

/// <summary>Items start, start + step, … below end.</summary>
public readonly struct Share(long start, long end, long step)
{
    public long Start { get; } = start;
    public long End { get; } = end;
    public long Step { get; } = step;
}

/// <summary>Threads that share one row: a thread group on a device, one core on the host.</summary>
public interface ITeam<V>
{
    /// <summary>Which team, from 0.</summary>
    int Index { get; }

    /// <summary>How many teams.</summary>
    int Count { get; }

    /// <summary>Where its scratch is: no two teams that run at the same time have the same.</summary>
    int Slot { get; }

    /// <summary>Which thread of its team.</summary>
    int Rank { get; }

    /// <summary>Threads in a team.</summary>
    int Size { get; }

    /// <summary>The sum over the team's lanes, in a fixed order, for every thread and lane. All threads of the team must call it.</summary>
    V Sum(V x);

    /// <summary>The largest of the team's lanes, NaN if there is one, for every thread and lane. All threads of the team must call it.</summary>
    V Largest(V x);

    /// <summary>Waits until every thread of the team is here; what they wrote is then seen by all.</summary>
    void Barrier();
}
