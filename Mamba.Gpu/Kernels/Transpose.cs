using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

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
        long groups = (Rows + V.Width - 1) / V.Width;
        Share share = worker.Share(Batch * groups * Columns);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            // a lane is a row of x; the next item is the next column, in the same cache lines
            long column = i % Columns, group = i / Columns, b = group / groups, row = group % groups * V.Width;
            int lanes = Lanes.In(Rows - row);
            V.Store(y, (b * Columns + column) * Rows + row, V.Gather(x, (b * Rows + row) * Columns + column, Columns, lanes) * scale, lanes);
        }
    }
}

/// <summary>Launcher of transposes.</summary>
public static class TransposeKernels
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
        }, Batch * ((Rows + V.Width - 1) / V.Width) * Columns, V.Width);
    }
}
