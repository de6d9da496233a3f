using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>y[c, r] = scale · x[r, c]: x (batch, rows, columns), y (batch, columns, rows).</summary>
internal struct TransposeScaled<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M X, Y;
    public long Batch, Rows, Columns;
    public T Scale;

    /// <summary>Columns of an item: a cache line of floats, so that each line of x is read once.</summary>
    public const int ColumnsTogether = 16;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M x = X, y = Y;
        V scale = V.Splat(Scale);
        long rows = Rows, columns = Columns, groups = (rows + V.Width - 1) / V.Width, blocks = (columns + ColumnsTogether - 1) / ColumnsTogether;
        Share share = worker.Share(Batch * blocks * groups);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            // A lane is a row of x. The next item is the next rows: y is written in runs, by neighbouring threads side by side.
            long block = i / groups, row = i % groups * V.Width, b = block / blocks, column = block % blocks * ColumnsTogether;
            long end = Math.Min(column + ColumnsTogether, columns), from = (b * rows + row) * columns + column, to = (b * columns + column) * rows + row;
            int lanes = Lanes.In(rows - row);
            if (lanes >= V.Width)
            {
                for (; column + 4 <= end; column += 4, from += 4, to += 4 * rows)
                {
                    V.LoadColumns(x, from, columns, out V c0, out V c1, out V c2, out V c3);
                    V.Store(y, to, c0 * scale);
                    V.Store(y, to + rows, c1 * scale);
                    V.Store(y, to + 2 * rows, c2 * scale);
                    V.Store(y, to + 3 * rows, c3 * scale);
                }
            }
            for (; column < end; column++, from++, to += rows)
                V.Store(y, to, V.Gather(x, from, columns, lanes) * scale, lanes);
        }
    }
}

/// <summary>Launcher of transposes.</summary>
internal static class TransposeKernels
{
    /// <summary>y (batch, columns, rows) = scale · x (batch, rows, columns)</summary>
    public static void Transpose(Tensor x, Tensor y, long batch, long rows, long columns, double scale = 1) =>
        x.Launch(new TransposeLaunch(x, y, batch, rows, columns, scale));

    readonly record struct TransposeLaunch(Tensor X, Tensor Y, long Batch, long Rows, long Columns, double Scale) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new TransposeScaled<V, M, T>
        {
            X = on.Memory(X),
            Y = on.Memory(Y),
            Batch = Batch,
            Rows = Rows,
            Columns = Columns,
            Scale = T.CreateTruncating(Scale),
        }, Batch * ((Rows + V.Width - 1) / V.Width) * ((Columns + TransposeScaled<V, M, T>.ColumnsTogether - 1) / TransposeScaled<V, M, T>.ColumnsTogether),
            TransposeScaled<V, M, T>.ColumnsTogether * V.Width);
    }
}
