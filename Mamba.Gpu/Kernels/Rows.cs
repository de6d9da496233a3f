using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>Passes over one row of elements that a team shares: thread r of s takes lanes r, r + s, …</summary>
public static class Row
{
    /// <summary>The largest of elements o … o + count − 1 of x, count at least 1. All threads of the team must call it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Largest<V, M, T, G>(G team, M x, long o, long count)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
        where G : struct, ITeam<V>
    {
        V largest = V.Broadcast(x, o);
        long whole = count - count % V.Width, step = (long)team.Size * V.Width;
        for (long i = (long)team.Rank * V.Width; i < whole; i += step)
            largest = V.Max(largest, V.Load(x, o + i));
        for (long i = whole; i < count; i++)        // the last few, on the host: lanes past the row must not take part
            largest = V.Max(largest, V.Broadcast(x, o + i));
        return team.Largest(largest);
    }

    /// <summary>Σ exp(x − shift) over elements o … o + count − 1. All threads of the team must call it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V SumExp<V, M, T, G>(G team, M x, long o, long count, V shift)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
        where G : struct, ITeam<V>
    {
        V sum = V.Of(0);
        long step = (long)team.Size * V.Width;
        for (long i = (long)team.Rank * V.Width; i < count; i += step)
            sum += V.Keep(V.Exp(V.Load(x, o + i) - shift), Lanes.In(count - i));
        return team.Sum(sum);
    }
}

/// <summary>sum = Σ partial[block], in the order of the blocks: the second pass of every sum over rows. partial (blocks, count), sum (count).</summary>
public struct SumPartials<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M Partial, Sum;
    public long Blocks, Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M partial = Partial;
        long count = Count, end = Blocks * count;
        Share share = worker.Share(count, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            V sum = V.Of(0);
            for (long o = i; o < end; o += count)
                sum += V.Load(partial, o);
            V.Store(Sum, i, sum, Lanes.In(share.End - i));
        }
    }
}

/// <summary>Launches what several ops share.</summary>
public static class PartialKernels
{
    /// <summary>
    /// Rows that one block adds up: 8 to 64, about 256 blocks in all. It depends on the problem alone, so sums over rows
    /// have the same bits on any number of cores.
    /// </summary>
    public static long RowsPerBlock(long rows) => Math.Clamp(rows / 256, 8, 64);

    /// <summary>sum (…) ← Σ over the first axis of partial (blocks, …).</summary>
    public static void Sum(Tensor partial, Tensor sum) => sum.Launch(new SumLaunch(partial, sum));

    readonly record struct SumLaunch(Tensor Partial, Tensor Sum) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(
            new SumPartials<V, M, T> { Partial = on.Memory(Partial), Sum = on.Memory(Sum), Blocks = Partial.Shape[0], Count = Sum.Count },
            Sum.Count, Partial.Shape[0]);
    }
}
