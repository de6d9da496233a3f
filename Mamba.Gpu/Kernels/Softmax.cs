using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>y = exp(x − max) / Σ exp(x − max), a team per row. x, y (rows, d).</summary>
internal struct SoftmaxForward<V, M, T, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public M X, Y;
    public long Rows, D;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M x = X, y = Y;
        long rows = Rows, d = D, first = (long)team.Rank * V.Width, step = (long)team.Size * V.Width;
        for (long row = team.Index; row < rows; row += team.Count)
        {
            long o = row * d;
            V largest = Row.Largest<V, M, T, G>(team, x, o, d);
            V scale = V.Of(1) / Row.Sum<StoredExponentials<V, M, T>, V, M, T, G>(team, new(x, y, o, largest), d);
            for (long i = first; i < d; i += step)
                V.Store(y, o + i, V.Load(y, o + i) * scale, Lanes.In(d - i));
        }
    }
}

/// <summary>exp(x − shift), stored in y.</summary>
internal readonly struct StoredExponentials<V, M, T>(M x, M y, long o, V shift) : IRowTerm<V>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    readonly M x = x, y = y;
    readonly long o = o;
    readonly V shift = shift;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Add(long i, int lanes, V sum)
    {
        V e = V.Exp(V.Load(x, o + i) - shift);
        V.Store(y, o + i, e, lanes);
        return sum + e;
    }
}

/// <summary>dx = y·(dy − Σ dy·y), a team per row. y, dy, dx (rows, d).</summary>
internal struct SoftmaxBackward<V, M, T, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public M Y, DY, DX;
    public long Rows, D;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M y = Y, dy = DY, dx = DX;
        long rows = Rows, d = D, first = (long)team.Rank * V.Width, step = (long)team.Size * V.Width;
        for (long row = team.Index; row < rows; row += team.Count)
        {
            long o = row * d;
            V dot = Row.Sum<RowProducts<V, M, T>, V, M, T, G>(team, new(dy, y, o), d);
            for (long i = first; i < d; i += step)
                V.Store(dx, o + i, V.Load(y, o + i) * (V.Load(dy, o + i) - dot), Lanes.In(d - i));
        }
    }
}

/// <summary>y = x − max − log Σ exp(x − max), a team per row. x, y (rows, d).</summary>
internal struct LogSoftmaxForward<V, M, T, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public M X, Y;
    public long Rows, D;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M x = X, y = Y;
        long rows = Rows, d = D, first = (long)team.Rank * V.Width, step = (long)team.Size * V.Width;
        for (long row = team.Index; row < rows; row += team.Count)
        {
            long o = row * d;
            V largest = Row.Largest<V, M, T, G>(team, x, o, d);
            V logSum = V.Log(Row.Sum<RowExponentials<V, M, T>, V, M, T, G>(team, new(x, o, largest), d));
            for (long i = first; i < d; i += step)
                V.Store(y, o + i, V.Load(x, o + i) - largest - logSum, Lanes.In(d - i));
        }
    }
}

/// <summary>dx = dy − exp(y)·Σ dy, a team per row. y, dy, dx (rows, d).</summary>
internal struct LogSoftmaxBackward<V, M, T, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public M Y, DY, DX;
    public long Rows, D;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M y = Y, dy = DY, dx = DX;
        long rows = Rows, d = D, first = (long)team.Rank * V.Width, step = (long)team.Size * V.Width;
        for (long row = team.Index; row < rows; row += team.Count)
        {
            long o = row * d;
            V sum = Row.Sum<RowValues<V, M, T>, V, M, T, G>(team, new(dy, o), d);
            for (long i = first; i < d; i += step)
                V.Store(dx, o + i, V.Load(dy, o + i) - V.Exp(V.Load(y, o + i)) * sum, Lanes.In(d - i));
        }
    }
}

/// <summary>Launchers of softmax and log-softmax, over the last axis.</summary>
internal static class SoftmaxKernels
{
    public static void Forward(Tensor x, Tensor y, bool log) => x.Launch(new ForwardLaunch(x, y, log));
    public static void Backward(Tensor y, Tensor dy, Tensor dx, bool log) => y.Launch(new BackwardLaunch(y, dy, dx, log));

    readonly record struct ForwardLaunch(Tensor X, Tensor Y, bool Log) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            long rows = X.Shape[..^1].Count, d = X.Shape[^1];
            if (Log)
                on.RunTeams(new LogSoftmaxForward<V, M, T, G> { X = on.Memory(X), Y = on.Memory(Y), Rows = rows, D = d }, rows, d);
            else
                on.RunTeams(new SoftmaxForward<V, M, T, G> { X = on.Memory(X), Y = on.Memory(Y), Rows = rows, D = d }, rows, d);
        }
    }

    readonly record struct BackwardLaunch(Tensor Y, Tensor DY, Tensor DX, bool Log) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            long rows = Y.Shape[..^1].Count, d = Y.Shape[^1];
            if (Log)
                on.RunTeams(new LogSoftmaxBackward<V, M, T, G> { Y = on.Memory(Y), DY = on.Memory(DY), DX = on.Memory(DX), Rows = rows, D = d }, rows, d);
            else
                on.RunTeams(new SoftmaxBackward<V, M, T, G> { Y = on.Memory(Y), DY = on.Memory(DY), DX = on.Memory(DX), Rows = rows, D = d }, rows, d);
        }
    }
}
