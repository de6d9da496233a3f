using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>Threads that share one row: a thread group on a device, one core on the host.</summary>
/// <typeparam name="V">Lane type.</typeparam>
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
