using System.Numerics;
using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

// The norm is that of the blocks' norms, so nothing is as large as its square where the norm itself is not. A sum of squares near
// either end of what a float holds is taken again, of elements times a power of two: x in memory once, in a cache a second time.

/// <summary>norms[first + block] = √Σ x² over a block of BlockSize elements, a team per block. x (count).</summary>
internal struct BlockNorms<V, M, T, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public M X, Norms;
    public NormRange<T> Range;
    public long Count, First, BlockSize;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M x = X;
        long count = Count, size = BlockSize;
        for (long block = team.Index; block * size < count; block += team.Count)
        {
            long start = block * size;
            V norm = Range.Norm<V, M, G>(team, x, start, Math.Min(size, count - start));
            if (team.Rank == 0)
                V.Store(Norms, First + block, norm, 1);
        }
    }
}

/// <summary>
/// One team: result = (norm, root), norm that of the blocks' norms (count), root² = min(1, max / (norm + 1e-6)): the coefficient itself
/// may be too small for a float. 1 if the norm is infinite or NaN. result (2).
/// </summary>
internal struct ClipCoefficient<V, M, T, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public M Norms, Result;
    public NormRange<T> Range;
    public T RootOfMax, Epsilon;
    public long Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        if (team.Index > 0)
            return;
        V norm = Range.Norm<V, M, G>(team, Norms, 0, Count), one = V.Of(1), root = V.Splat(RootOfMax) / V.Sqrt(norm + V.Splat(Epsilon));
        if (team.Rank == 0)
        {
            V.Store(Result, 0, norm, 1);
            V.Store(Result, 1, V.IfLess(norm, V.Of(float.PositiveInfinity), V.IfLess(root, one, root, one), one), 1);
        }
    }
}

/// <summary>Between which sums no square was lost that matters, and what elements are multiplied by where it may have been.</summary>
/// <param name="Low">Sums of squares below may lack squares that were too small.</param>
/// <param name="Up">A power of two that makes them large; <paramref name="Down"/> is 1 over it.</param>
/// <param name="Down">What is multiplied by it has a square that is not too large.</param>
internal readonly record struct NormRange<T>(T Low, T Up, T Down) where T : unmanaged
{
    /// <summary>√Σ x², of elements o … o + count − 1 of x: NaN if one is, else infinite if one is. All threads of the team must call it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Norm<V, M, G>(G team, M x, long o, long count)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where G : struct, ITeam<V>
    {
        V squares = Row.Sum<RowProducts<V, M, T>, V, M, T, G>(team, new(x, x, o), count), low = V.Splat(Low);
        V inside = V.IfLess(squares, low, V.Of(0), V.IfLess(squares, V.Of(float.PositiveInfinity), V.Of(1), V.Of(0)));
        if (V.ToInt(inside) != 0)
            return V.Sqrt(squares);
        V factor = V.IfLess(squares, low, V.Splat(Up), V.Splat(Down)), back = V.IfLess(squares, low, V.Splat(Down), V.Splat(Up));
        return V.Sqrt(Row.Sum<ScaledSquares<V, M, T>, V, M, T, G>(team, new(x, o, factor), count)) * back;
    }
}

/// <summary>(factor · x)²</summary>
internal readonly struct ScaledSquares<V, M, T>(M x, long o, V factor) : IRowTerm<V>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    readonly M x = x;
    readonly long o = o;
    readonly V factor = factor;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Add(long i, int lanes, V sum)
    {
        V v = V.Load(x, o + i) * factor;
        return V.Fma(v, v, sum);
    }
}

/// <summary>x ← x · root · root, in place. x (count), result (2): its second element is the root.</summary>
internal struct ScaleByCoefficient<V, M, T> : IKernel
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
        V root = V.Broadcast(Result, 1);
        Share share = worker.Share(Count, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
            V.Store(x, i, V.Load(x, i) * root * root, Lanes.In(share.End - i));
    }
}

/// <summary>Launchers of the gradient norm and of clipping.</summary>
internal static class GradientNormKernels
{
    /// <summary>result (2) ← (norm, root of the coefficient) of all xs together. Nothing is read back.</summary>
    public static void Norm(IReadOnlyList<Tensor> xs, double max, Tensor result)
    {
        Tensor norms = result.Like(xs.Sum(x => Blocks(x.Count)));
        long first = 0;
        foreach (Tensor x in xs)
        {
            x.Launch(new NormsLaunch(x, norms, first));
            first += Blocks(x.Count);
        }
        norms.Launch(new ClipLaunch(norms, max, result));
        norms.Dispose();
    }

    /// <summary>x ← x times the coefficient.</summary>
    public static void Scale(Tensor x, Tensor result) => x.Launch(new ScaleLaunch(x, result));

    const long BlockSize = 4096;

    static long Blocks(long count) => (count + BlockSize - 1) / BlockSize;

    // Elements are below 2^128 or 2^1024 and, unless subnormal, not below 2^−126 or 2^−1022; a square lost is below the latter. So sums
    // of up to 2^20 elements lack less than 2^−26 of what they are if they are not below Low, and no scaled sum overflows.
    static NormRange<T> Range<T>() where T : unmanaged, INumberBase<T>
    {
        (int low, int up) = typeof(T) == typeof(double) ? (-940, 600) : (-80, 100);
        return new(T.CreateTruncating(Math.ScaleB(1, low)), T.CreateTruncating(Math.ScaleB(1, up)), T.CreateTruncating(Math.ScaleB(1, -up)));
    }

    readonly record struct NormsLaunch(Tensor X, Tensor Norms, long First) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.RunTeams(
            new BlockNorms<V, M, T, G>
            {
                X = on.Memory(X),
                Norms = on.Memory(Norms),
                Range = Range<T>(),
                Count = X.Count,
                First = First,
                BlockSize = BlockSize
            },
            Blocks(X.Count), BlockSize);
    }

    readonly record struct ClipLaunch(Tensor Norms, double Max, Tensor Result) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.RunTeams(new ClipCoefficient<V, M, T, G>
        {
            Norms = on.Memory(Norms),
            Result = on.Memory(Result),
            Range = Range<T>(),
            RootOfMax = T.CreateTruncating(Math.Sqrt(Max)),
            Epsilon = T.CreateTruncating(1e-6),
            Count = Norms.Count,
        }, 1, Norms.Count);
    }

    readonly record struct ScaleLaunch(Tensor X, Tensor Result) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) =>
            on.Run(new ScaleByCoefficient<V, M, T> { X = on.Memory(X), Result = on.Memory(Result), Count = X.Count }, X.Count);
    }
}
