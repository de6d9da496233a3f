using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>sum[i] = Σ_p parts[p, i] in the order of p: the second pass of a reduction. parts (parts, count), sum (count).</summary>
public struct SumParts<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M PartsIn, Sum;
    public long Parts, Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M parts = PartsIn, sum = Sum;
        Share share = worker.Share(Count, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            V x = V.Load(parts, i);
            for (long p = 1; p < Parts; p++)
                x += V.Load(parts, p * Count + i);
            V.Store(sum, i, x, Lanes.In(share.End - i));
        }
    }
}

/// <summary>y[c, r] = scale · x[r, c]: x (batch, rows, columns), y (batch, columns, rows).</summary>
public struct TransposeScaled<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M X, Y;
    public long Batch, Rows, Columns;
    public T Scale;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M x = X, y = Y;
        V scale = V.Splat(Scale);
        Share share = worker.Share(Batch * Columns * Rows);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            long row = i % Rows, column = i / Rows % Columns, b = i / (Rows * Columns);
            V.Store(y, i, V.Broadcast(x, (b * Rows + row) * Columns + column) * scale, 1);
        }
    }
}
