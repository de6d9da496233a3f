using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>What many numbers become one by: a sum, a maximum.</summary>
internal interface IReduction
{
    /// <summary>What no numbers become.</summary>
    static abstract V Start<V, M, T>()
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged;

    /// <summary>What two numbers become.</summary>
    static abstract V Combine<V, M, T>(V a, V b)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged;

    /// <summary>What all lanes of a team become, for every thread and lane.</summary>
    static abstract V Across<V, M, T, G>(G team, V x)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
        where G : struct, ITeam<V>;
}

/// <summary>The reductions.</summary>
internal static class Reduction
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>Σ x</summary>
    public struct Sum : IReduction
    {
        [MethodImpl(Inline)] static V IReduction.Start<V, M, T>() => V.Of(0);
        [MethodImpl(Inline)] static V IReduction.Combine<V, M, T>(V a, V b) => a + b;
        [MethodImpl(Inline)] static V IReduction.Across<V, M, T, G>(G team, V x) => team.Sum(x);
    }

    /// <summary>max x, NaN if there is one</summary>
    public struct Max : IReduction
    {
        [MethodImpl(Inline)] static V IReduction.Start<V, M, T>() => V.Of(float.NegativeInfinity);
        [MethodImpl(Inline)] static V IReduction.Combine<V, M, T>(V a, V b) => V.Max(b, a);       // b is the new one: see Row.Largest
        [MethodImpl(Inline)] static V IReduction.Across<V, M, T, G>(G team, V x) => team.Largest(x);
    }
}

// Both kernels reduce the middle axis of x (outer, n, inner) in blocks of fixed size: y (outer, blocks, inner). A sum over
// more rows than a block holds is a sum of sums: the kernel runs again on y. So the order of the sum is that of the shape,
// however many workers there are. Within a block no chain of additions has more than 16 links (64 for narrow lanes), so the error is
// at most some 80 half ulps of Σ|x| for each time the kernel runs, and in practice some ulps: it grows with log n.

/// <summary>x (outer, n, inner) → y (outer, blocks, inner), lanes over the inner axis.</summary>
internal struct ReduceColumns<F, V, M, T> : IKernel
    where F : struct, IReduction
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M X, Y;
    public long Outer, N, Inner, Block, Blocks;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M x = X, y = Y;
        long n = N, inner = Inner, block = Block, blocks = Blocks, perRow = (inner + V.Width - 1) / V.Width;
        Share share = worker.Share(Outer * blocks * perRow);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = item / perRow, j = (item - row * perRow) * V.Width, outer = row / blocks;
            long first = (row - outer * blocks) * block, end = Math.Min(n, first + block);
            V sum = F.Start<V, M, T>();
            for (long k = first; k < end;)
            {
                V chain = F.Start<V, M, T>();
                for (long last = Math.Min(k + Cascade<V, M, T>.Links, end); k < last; k++)
                    chain = F.Combine<V, M, T>(chain, V.Load(x, (outer * n + k) * inner + j));
                sum = F.Combine<V, M, T>(sum, chain);
            }
            V.Store(y, row * inner + j, sum, Lanes.In(inner - j));
        }
    }
}

/// <summary>x (outer, n) → y (outer, blocks), a team for each block.</summary>
internal struct ReduceRows<F, V, M, T, G> : ITeamKernel<V, G>
    where F : struct, IReduction
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public M X, Y;
    public long Outer, N, Block, Blocks;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M x = X, y = Y;
        long n = N, block = Block, blocks = Blocks, rows = Outer * blocks;
        for (long row = team.Index; row < rows; row += team.Count)
        {
            long outer = row / blocks, first = (row - outer * blocks) * block, end = Math.Min(n, first + block);
            long step = (long)team.Size * V.Width;
            V start = F.Start<V, M, T>(), sum = start;
            for (long k = first + (long)team.Rank * V.Width; k < end;)
            {
                V chain = start;
                for (long last = Math.Min(k + Cascade<V, M, T>.Links * step, end); k < last; k += step)
                    chain = F.Combine<V, M, T>(chain, Lanes.Inside<V, M, T>(V.Load(x, outer * n + k), Lanes.In(end - k), start));
                sum = F.Combine<V, M, T>(sum, chain);
            }
            sum = F.Across<V, M, T, G>(team, sum);
            if (team.Rank == 0)
                V.Store(y, row, sum, 1);
        }
    }
}

/// <summary>
/// y[row] = the first k with x[row, k] largest, a NaN being larger than any number; x (rows, n), y (rows) int32. Each lane remembers its
/// largest element and in which group of lanes that was; the first group that holds the largest of all is then looked through element by element.
/// </summary>
internal struct ArgMaxRows<V, M, T, I, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
    where G : struct, ITeam<V>
{
    public M X;
    public I Y;
    public long Rows, N;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M x = X;
        I y = Y;
        long n = N, groups = (n + V.Width - 1) / V.Width;
        for (long row = team.Index; row < Rows; row += team.Count)
        {
            V none = V.Of(float.NegativeInfinity), best = none, bestGroup = V.Of(0);
            for (long group = team.Rank; group < groups; group += team.Size)
            {
                long k = group * V.Width;
                V v = Lanes.Inside<V, M, T>(V.Load(x, row * n + k), Lanes.In(n - k), none);
                V here = V.Of((float)group);
                bestGroup = V.IfLess(best, v, here, V.IfNaN(best, bestGroup, V.IfNaN(v, here, bestGroup)));
                best = V.Max(v, best);
            }
            V largest = team.Largest(best);
            V earliest = -team.Largest(-IfLargest(best, largest, bestGroup, V.Of(float.PositiveInfinity)));
            long first = (long)V.ToInt(earliest) * V.Width;
            V offset = V.Of(0);
            for (int k = Math.Min(V.Width, Lanes.In(n - first)) - 1; k >= 0; k--)
                offset = IfLargest(V.Broadcast(x, row * n + first + k), largest, V.Of(k), offset);
            if (team.Rank == 0)
                y[row] = (int)first + V.ToInt(offset);
        }
    }

    // x is not larger than the largest: it is that unless it is less, or the other is a NaN
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V IfLargest(V x, V largest, V yes, V no) => V.IfNaN(x, yes, V.IfNaN(largest, no, V.IfLess(x, largest, no, yes)));
}

/// <summary>Launchers of reductions.</summary>
internal static class ReduceKernels
{
    const int ColumnBlock = 64, RowBlock = 4096;

    /// <summary>Longest row of <see cref="ArgMax"/>: indices are counted in float32.</summary>
    public const long MaxArgMax = 1 << 24;

    /// <summary>x, seen as (outer, n, inner), → y, seen as (outer, inner).</summary>
    public static void Reduce<F>(Tensor x, Tensor y, long outer, long n, long inner) where F : struct, IReduction
    {
        if (y.Count == 0)
            return;
        using var scratch = new TensorScope();
        long block = inner == 1 ? RowBlock : ColumnBlock;
        while (n > block)
        {
            long blocks = (n + block - 1) / block;
            Tensor partial = x.Like((outer, blocks, inner));
            x.Launch(new ReduceLaunch<F>(x, partial, outer, n, inner, block, blocks));
            (x, n) = (partial, blocks);
        }
        x.Launch(new ReduceLaunch<F>(x, y, outer, n, inner, block, Blocks: 1));
    }

    /// <summary>The index of the first largest element of each row: x (…, n) → y (…) int32.</summary>
    public static void ArgMax(Tensor x, Tensor y) => x.Launch(new ArgMaxLaunch(x, y, x.Shape[^1]));

    readonly record struct ReduceLaunch<F>(Tensor X, Tensor Y, long Outer, long N, long Inner, long Block, long Blocks) : ILaunch
        where F : struct, IReduction
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            if (Inner == 1)
            {
                on.RunTeams(new ReduceRows<F, V, M, T, G>
                {
                    X = on.Memory(X),
                    Y = on.Memory(Y),
                    Outer = Outer,
                    N = N,
                    Block = Block,
                    Blocks = Blocks,
                }, Outer * Blocks, Math.Min(N, Block));
                return;
            }
            on.Run(new ReduceColumns<F, V, M, T>
            {
                X = on.Memory(X),
                Y = on.Memory(Y),
                Outer = Outer,
                N = N,
                Inner = Inner,
                Block = Block,
                Blocks = Blocks,
            }, Outer * Blocks * Inner, Math.Min(N, Block));
        }
    }

    readonly record struct ArgMaxLaunch(Tensor X, Tensor Y, long N) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.RunTeams(new ArgMaxRows<V, M, T, I, G>
        {
            X = on.Memory(X),
            Y = on.Ints(Y),
            Rows = Y.Count,
            N = N,
        }, Y.Count, N);
    }
}
