using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>partial[first + block] = Σ x² over a block of BlockSize elements, a team per block. x (count).</summary>
public struct SumOfSquares<V, M, T, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public M X, Partial;
    public long Count, First, BlockSize;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M x = X;
        long count = Count, size = BlockSize;
        for (long block = team.Index; block * size < count; block += team.Count)
        {
            long start = block * size;
            V sum = Row.Sum<RowProducts<V, M, T>, V, M, T, G>(team, new(x, x, start), Math.Min(size, count - start));
            if (team.Rank == 0)
                V.Store(Partial, First + block, sum, 1);
        }
    }
}

/// <summary>One team: result = (norm, coefficient), norm = √Σ partial, coefficient = min(1, max / (norm + 1e-6)). partial (count), result (2).</summary>
public struct ClipCoefficient<V, M, T, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public M Partial, Result;
    public T Max, Epsilon;
    public long Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        if (team.Index > 0)
            return;
        V sum = V.Of(0);
        for (long i = (long)team.Rank * V.Width; i < Count; i += (long)team.Size * V.Width)
            sum += V.Keep(V.Load(Partial, i), Lanes.In(Count - i));
        V norm = V.Sqrt(team.Sum(sum)), coefficient = V.Splat(Max) / (norm + V.Splat(Epsilon));
        if (team.Rank == 0)
        {
            V.Store(Result, 0, norm, 1);
            V.Store(Result, 1, V.IfLess(V.Of(1), coefficient, V.Of(1), coefficient), 1);        // a NaN stays one
        }
    }
}

/// <summary>x ← x · result[1], in place. x (count), result (2).</summary>
public struct ScaleByCoefficient<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M X, Result;
    public long Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M x = X;
        V coefficient = V.Broadcast(Result, 1);
        Share share = worker.Share(Count, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
            V.Store(x, i, V.Load(x, i) * coefficient, Lanes.In(share.End - i));
    }
}

/// <summary>Launchers of the gradient norm and of clipping.</summary>
public static class GradientNormKernels
{
    /// <summary>result (2) ← (norm, coefficient) of all xs together. Nothing is read back.</summary>
    public static void Norm(IReadOnlyList<Tensor> xs, double max, Tensor result)
    {
        Tensor partial = result.Like(xs.Sum(x => Blocks(x.Count)));
        long first = 0;
        foreach (Tensor x in xs)
        {
            x.Launch(new SquaresLaunch(x, partial, first));
            first += Blocks(x.Count);
        }
        partial.Launch(new ClipLaunch(partial, max, result));
        partial.Dispose();
    }

    /// <summary>x ← x · result[1].</summary>
    public static void Scale(Tensor x, Tensor result) => x.Launch(new ScaleLaunch(x, result));

    const long BlockSize = 4096;

    static long Blocks(long count) => (count + BlockSize - 1) / BlockSize;

    readonly record struct SquaresLaunch(Tensor X, Tensor Partial, long First) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.RunTeams(
            new SumOfSquares<V, M, T, G> { X = on.Memory(X), Partial = on.Memory(Partial), Count = X.Count, First = First, BlockSize = BlockSize },
            Blocks(X.Count), BlockSize);
    }

    readonly record struct ClipLaunch(Tensor Partial, double Max, Tensor Result) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.RunTeams(new ClipCoefficient<V, M, T, G>
        {
            Partial = on.Memory(Partial),
            Result = on.Memory(Result),
            Max = T.CreateTruncating(Max),
            Epsilon = T.CreateTruncating(1e-6),
            Count = Partial.Count,
        }, 1, Partial.Count);
    }

    readonly record struct ScaleLaunch(Tensor X, Tensor Result) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) =>
            on.Run(new ScaleByCoefficient<V, M, T> { X = on.Memory(X), Result = on.Memory(Result), Count = X.Count }, X.Count);
    }
}
