using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

// y = x̂·w + b,  x̂ = (x − μ)·rstd,  rstd = 1/√(mean((x − μ)²) + ε) of a row.
// With g = w·dy:  dx = rstd·(g − mean(g) − x̂·mean(g·x̂)),  dw = Σ_rows dy·x̂,  db = Σ_rows dy.

/// <summary>A team per row. x, y (rows, d); weight, bias (d); mean, rstd (rows).</summary>
internal struct LayerNormForward<V, M, T, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public M X, Weight, Bias, Y, Mean, Rstd;
    public int HasWeight, HasBias;
    public T Epsilon, InverseD;
    public long Rows, D;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M x = X, weight = Weight, bias = Bias, y = Y;
        V epsilon = V.Splat(Epsilon), inverseD = V.Splat(InverseD);
        long rows = Rows, d = D, first = (long)team.Rank * V.Width, step = (long)team.Size * V.Width;
        int hasWeight = HasWeight, hasBias = HasBias;
        for (long row = team.Index; row < rows; row += team.Count)
        {
            long o = row * d;
            V mean = Row.Sum<RowValues<V, M, T>, V, M, T, G>(team, new(x, o), d) * inverseD;
            V squares = Row.Sum<RowSquares<V, M, T>, V, M, T, G>(team, new(x, o, mean), d);
            V rstd = V.Of(1) / V.Sqrt(V.Fma(squares, inverseD, epsilon));
            if (team.Rank == 0)
            {
                V.Store(Mean, row, mean, 1);
                V.Store(Rstd, row, rstd, 1);
            }
            for (long i = first; i < d; i += step)
            {
                V v = (V.Load(x, o + i) - mean) * rstd;
                if (hasWeight != 0)
                    v *= V.Load(weight, i);
                if (hasBias != 0)
                    v += V.Load(bias, i);
                V.Store(y, o + i, v, Lanes.In(d - i));
            }
        }
    }
}

/// <summary>A team per block of rows. x, dy, dx (rows, d); weight (d); mean, rstd (rows); partial (blocks, 2, d) gets the block's dw and db.</summary>
internal struct LayerNormBackward<V, M, T, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public M X, Weight, Mean, Rstd, DY, DX, Partial;
    public int HasWeight;
    public T InverseD;
    public long Rows, D, RowsPerBlock;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M x = X, weight = Weight, dy = DY, dx = DX, partial = Partial;
        V inverseD = V.Splat(InverseD);
        long rows = Rows, d = D, first = (long)team.Rank * V.Width, step = (long)team.Size * V.Width, blocks = (rows + RowsPerBlock - 1) / RowsPerBlock;
        int hasWeight = HasWeight;
        for (long block = team.Index; block < blocks; block += team.Count)
        {
            long start = block * RowsPerBlock, end = start + RowsPerBlock, w = block * 2 * d, b = w + d;
            end = end < rows ? end : rows;
            for (long i = first; i < d; i += step)
            {
                V.Store(partial, w + i, V.Of(0), Lanes.In(d - i));
                V.Store(partial, b + i, V.Of(0), Lanes.In(d - i));
            }
            for (long row = start; row < end; row++)
            {
                long o = row * d;
                V mean = V.Broadcast(Mean, row), rstd = V.Broadcast(Rstd, row);
                V sum = Row.Sum<SlopeSums<V, M, T>, V, M, T, G>(team, new(dy, weight, hasWeight, o), d) * inverseD;
                V dot = Row.Sum<SlopeProducts<V, M, T>, V, M, T, G>(team, new(dy, weight, hasWeight, x, mean, o), d) * rstd * inverseD;
                for (long i = first; i < d; i += step)
                {
                    V dyi = V.Load(dy, o + i), g = dyi, v = (V.Load(x, o + i) - mean) * rstd;
                    if (hasWeight != 0)
                        g *= V.Load(weight, i);
                    int lanes = Lanes.In(d - i);
                    V.Store(dx, o + i, rstd * (g - sum - v * dot), lanes);
                    V.Store(partial, w + i, V.Fma(dyi, v, V.Load(partial, w + i)), lanes);
                    V.Store(partial, b + i, V.Load(partial, b + i) + dyi, lanes);
                }
            }
        }
    }
}

/// <summary>g = w · dy, or dy if there is no w.</summary>
internal readonly struct SlopeSums<V, M, T>(M dy, M weight, int hasWeight, long o) : IRowTerm<V>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    readonly M dy = dy, weight = weight;
    readonly int hasWeight = hasWeight;
    readonly long o = o;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Add(long i, int lanes, V sum) => hasWeight != 0 ? V.Fma(V.Load(dy, o + i), V.Load(weight, i), sum) : sum + V.Load(dy, o + i);
}

/// <summary>g · (x − μ)</summary>
internal readonly struct SlopeProducts<V, M, T>(M dy, M weight, int hasWeight, M x, V mean, long o) : IRowTerm<V>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    readonly M dy = dy, weight = weight, x = x;
    readonly int hasWeight = hasWeight;
    readonly V mean = mean;
    readonly long o = o;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Add(long i, int lanes, V sum)
    {
        V g = V.Load(dy, o + i);
        if (hasWeight != 0)
            g *= V.Load(weight, i);
        return V.Fma(g, V.Load(x, o + i) - mean, sum);
    }
}

/// <summary>Launchers of LayerNorm.</summary>
internal static class LayerNormKernels
{
    public static void Forward(Tensor x, Tensor? weight, Tensor? bias, double eps, Tensor y, Tensor mean, Tensor rstd) =>
        x.Launch(new ForwardLaunch(x, weight, bias, eps, y, mean, rstd));

    /// <summary>dx, and dWeightBias (2, d): the gradients of weight and bias.</summary>
    public static void Backward(Tensor x, Tensor? weight, Tensor mean, Tensor rstd, Tensor dy, Tensor dx, Tensor dWeightBias)
    {
        long rowsPerBlock = PartialKernels.RowsPerBlock(rstd.Count);
        Tensor partial = x.Like(((rstd.Count + rowsPerBlock - 1) / rowsPerBlock, 2, x.Shape[^1]));
        x.Launch(new BackwardLaunch(x, weight, mean, rstd, dy, dx, partial, rowsPerBlock));
        PartialKernels.Sum(partial, dWeightBias);
    }

    readonly record struct ForwardLaunch(Tensor X, Tensor? Weight, Tensor? Bias, double Eps, Tensor Y, Tensor Mean, Tensor Rstd) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.RunTeams(new LayerNormForward<V, M, T, G>
        {
            X = on.Memory(X),
            Weight = on.Memory(Weight),
            Bias = on.Memory(Bias),
            Y = on.Memory(Y),
            Mean = on.Memory(Mean),
            Rstd = on.Memory(Rstd),
            HasWeight = Weight is null ? 0 : 1,
            HasBias = Bias is null ? 0 : 1,
            Epsilon = T.CreateTruncating(Eps),
            InverseD = T.CreateTruncating(1.0 / X.Shape[^1]),
            Rows = Rstd.Count,
            D = X.Shape[^1],
        }, Rstd.Count, X.Shape[^1]);
    }

    readonly record struct BackwardLaunch(Tensor X, Tensor? Weight, Tensor Mean, Tensor Rstd, Tensor DY, Tensor DX, Tensor Partial, long RowsPerBlock) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.RunTeams(new LayerNormBackward<V, M, T, G>
        {
            X = on.Memory(X),
            Weight = on.Memory(Weight),
            Mean = on.Memory(Mean),
            Rstd = on.Memory(Rstd),
            DY = on.Memory(DY),
            DX = on.Memory(DX),
            Partial = on.Memory(Partial),
            HasWeight = Weight is null ? 0 : 1,
            InverseD = T.CreateTruncating(1.0 / X.Shape[^1]),
            Rows = Rstd.Count,
            D = X.Shape[^1],
            RowsPerBlock = RowsPerBlock,
        }, Partial.Shape[0], X.Shape[^1]);
    }
}
