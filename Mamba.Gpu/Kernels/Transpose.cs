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
        Share share = worker.Share(Batch * Columns * Rows);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            long row = i % Rows, column = i / Rows % Columns, b = i / (Rows * Columns);
            V.Store(y, i, V.Broadcast(x, (b * Rows + row) * Columns + column) * scale, 1);
        }
    }
}

/// <summary>Launcher of the small transposes: weights and states on their way into a kernel's layout.</summary>
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
        }, Batch * Rows * Columns);
    }
}
