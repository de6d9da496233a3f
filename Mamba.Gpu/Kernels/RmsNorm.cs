using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

// y = x · rstd · w,  rstd = 1/√(mean(x²) + ε) of a row; with a residual, x is replaced by x + residual, which is kept.
// With c = rstd³ · mean(w·dy·x):  dx = rstd·w·dy − c·x,  dw = Σ_rows dy·x·rstd.
// Forward reads x (and residual) once from memory and once more from cache; backward likewise, its dw in the same pass.

/// <summary>A team per row. x, residual, sum, y (rows, d); weight (d); rstd (rows).</summary>
internal struct RmsNormForward<V, M, T, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public M X, Residual, Weight, Sum, Y, Rstd;
    public int Add;                 // 1: sum = x + residual is stored and normed
    public T Epsilon, InverseD;
    public long Rows, D;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M x = X, residual = Residual, weight = Weight, sum = Sum, y = Y;
        V epsilon = V.Splat(Epsilon), inverseD = V.Splat(InverseD);
        long rows = Rows, d = D, whole = d - d % V.Width, first = (long)team.Rank * V.Width, step = (long)team.Size * V.Width;
        int add = Add;
        for (long row = team.Index; row < rows; row += team.Count)
        {
            long o = row * d, i = first;
            V squares = add != 0
                ? Row.Sum<AddedSquares<V, M, T>, V, M, T, G>(team, new(x, residual, sum, o), d)
                : Row.Sum<RowProducts<V, M, T>, V, M, T, G>(team, new(x, x, o), d);
            V rstd = V.Of(1) / V.Sqrt(V.Fma(squares, inverseD, epsilon));
            if (team.Rank == 0)
                V.Store(Rstd, row, rstd, 1);
            M normed = add != 0 ? sum : x;
            for (; i < whole; i += step)
                V.Store(y, o + i, V.Load(normed, o + i) * rstd * V.Load(weight, i));
            if (i < d)
                V.Store(y, o + i, V.Load(normed, o + i) * rstd * V.Load(weight, i), (int)(d - i));
        }
    }
}

/// <summary>
/// A team per block of rows: dx row by row, and the block's sum of dw. x (the normed input), dy, dSum, dx (rows, d);
/// weight (d); rstd (rows); dWeight (blocks, d). dSum, what comes back along the residual, is added to dx.
/// </summary>
internal struct RmsNormBackward<V, M, T, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public M X, Weight, Rstd, DY, DSum, DX, DWeight;
    public int Add;                 // 1: there is a dSum
    public T InverseD;
    public long Rows, D, RowsPerBlock;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M x = X, weight = Weight, dy = DY, dSum = DSum, dx = DX, dWeight = DWeight;
        V inverseD = V.Splat(InverseD);
        long rows = Rows, d = D, first = (long)team.Rank * V.Width, step = (long)team.Size * V.Width, blocks = (rows + RowsPerBlock - 1) / RowsPerBlock;
        int add = Add;
        for (long block = team.Index; block < blocks; block += team.Count)
        {
            long start = block * RowsPerBlock, end = start + RowsPerBlock, w = block * d;
            end = end < rows ? end : rows;
            for (long i = first; i < d; i += step)
                V.Store(dWeight, w + i, V.Of(0), Lanes.In(d - i));
            for (long row = start; row < end; row++)
            {
                long o = row * d;
                V rstd = V.Broadcast(Rstd, row);
                V c = -(Row.Sum<WeightedProducts<V, M, T>, V, M, T, G>(team, new(weight, dy, x, o), d) * inverseD * rstd * rstd * rstd);
                for (long i = first; i < d; i += step)
                {
                    V g = V.Load(dy, o + i) * rstd, v = V.Load(x, o + i);
                    V result = V.Fma(c, v, g * V.Load(weight, i));
                    if (add != 0)
                        result += V.Load(dSum, o + i);
                    int lanes = Lanes.In(d - i);
                    V.Store(dx, o + i, result, lanes);
                    V.Store(dWeight, w + i, V.Fma(g, v, V.Load(dWeight, w + i)), lanes);
                }
            }
        }
    }
}

/// <summary>(x + residual)², the sum in brackets being stored.</summary>
internal readonly struct AddedSquares<V, M, T>(M x, M residual, M stored, long o) : IRowTerm<V>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    readonly M x = x, residual = residual, stored = stored;
    readonly long o = o;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Add(long i, int lanes, V sum)
    {
        V v = V.Load(x, o + i) + V.Load(residual, o + i);
        V.Store(stored, o + i, v, lanes);
        return V.Fma(v, v, sum);
    }
}

/// <summary>w · dy · x, w the same for every row.</summary>
internal readonly struct WeightedProducts<V, M, T>(M weight, M dy, M x, long o) : IRowTerm<V>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    readonly M weight = weight, dy = dy, x = x;
    readonly long o = o;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Add(long i, int lanes, V sum) => V.Fma(V.Load(weight, i) * V.Load(dy, o + i), V.Load(x, o + i), sum);
}

/// <summary>Launchers of RMSNorm.</summary>
internal static class RmsNormKernels
{
    /// <summary>y, rstd of x; with a residual, sum = x + residual takes the place of x.</summary>
    public static void Forward(Tensor x, Tensor? residual, Tensor weight, double eps, Tensor? sum, Tensor y, Tensor rstd) =>
        x.Launch(new ForwardLaunch(x, residual, weight, eps, sum, y, rstd));

    /// <summary>dx and dWeight; dSum, if any, is added to dx.</summary>
    public static void Backward(Tensor x, Tensor weight, Tensor rstd, Tensor dy, Tensor? dSum, Tensor dx, Tensor dWeight)
    {
        long rowsPerBlock = PartialKernels.RowsPerBlock(rstd.Count);
        Tensor partial = weight.Like(((rstd.Count + rowsPerBlock - 1) / rowsPerBlock, weight.Count));
        x.Launch(new BackwardLaunch(x, weight, rstd, dy, dSum, dx, partial, rowsPerBlock));
        PartialKernels.Sum(partial, dWeight);
    }

    readonly record struct ForwardLaunch(Tensor X, Tensor? Residual, Tensor Weight, double Eps, Tensor? Sum, Tensor Y, Tensor Rstd) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.RunTeams(new RmsNormForward<V, M, T, G>
        {
            X = on.Memory(X),
            Residual = on.Memory(Residual),
            Weight = on.Memory(Weight),
            Sum = on.Memory(Sum),
            Y = on.Memory(Y),
            Rstd = on.Memory(Rstd),
            Add = Residual is null ? 0 : 1,
            Epsilon = T.CreateTruncating(Eps),
            InverseD = T.CreateTruncating(1.0 / Weight.Count),
            Rows = Rstd.Count,
            D = Weight.Count,
        }, Rstd.Count, Weight.Count);
    }

    readonly record struct BackwardLaunch(Tensor X, Tensor Weight, Tensor Rstd, Tensor DY, Tensor? DSum, Tensor DX, Tensor Partial, long RowsPerBlock) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.RunTeams(new RmsNormBackward<V, M, T, G>
        {
            X = on.Memory(X),
            Weight = on.Memory(Weight),
            Rstd = on.Memory(Rstd),
            DY = on.Memory(DY),
            DSum = on.Memory(DSum),
            DX = on.Memory(DX),
            DWeight = on.Memory(Partial),
            Add = DSum is null ? 0 : 1,
            InverseD = T.CreateTruncating(1.0 / Weight.Count),
            Rows = Rstd.Count,
            D = Weight.Count,
            RowsPerBlock = RowsPerBlock,
        }, Partial.Shape[0], Weight.Count);
    }
}
