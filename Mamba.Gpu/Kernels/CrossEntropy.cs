using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

// loss = mean over rows that count of  lse − x[target],  lse = log Σ_{j < classes} exp(x_j).
// dx_j = (exp(x_j − lse) − [j = target]) · dloss / count: the softmax is never stored, only lse.

/// <summary>
/// A team per row. x (rows, v); target, lse, loss, counted (rows). counted is 1, or 0 where the target is ignored; a target outside 0 … classes − 1 gives NaN.
/// </summary>
internal struct CrossEntropyForward<V, M, T, I, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
    where G : struct, ITeam<V>
{
    public M X, Lse, Loss, Counted;
    public I Target;
    public long Rows, Vocabulary, Classes;
    public int IgnoreIndex;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M x = X;
        long rows = Rows, vocabulary = Vocabulary, classes = Classes;
        for (long row = team.Index; row < rows; row += team.Count)
        {
            long o = row * vocabulary;
            int target = Target[row];
            V lse = V.Of(0), loss = V.Of(0), counted = V.Of(0);
            if (target != IgnoreIndex)
            {
                V largest = Row.Largest<V, M, T, G>(team, x, o, classes);
                V logSum = V.Log(Row.Sum<RowExponentials<V, M, T>, V, M, T, G>(team, new(x, o, largest), classes));
                bool known = target >= 0 && target < classes;
                lse = known ? largest + logSum : V.Of(float.NaN);
                loss = known ? largest - V.Broadcast(x, o + (known ? target : 0)) + logSum : V.Of(float.NaN);
                counted = V.Of(1);
            }
            if (team.Rank == 0)
            {
                V.Store(Lse, row, lse, 1);
                V.Store(Loss, row, loss, 1);
                V.Store(Counted, row, counted, 1);
            }
        }
    }
}

/// <summary>
/// One team: mean = Σ loss / Σ counted and scale = 1 / Σ counted, both 0 if nothing counts. loss, counted (rows); mean, scale (1). Off by 10⁻⁶ at the most up
/// to 2^20 rows.
/// </summary>
internal struct CrossEntropyMean<V, M, T, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public M Loss, Counted, Mean, Scale;
    public long Rows;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        if (team.Index > 0)
            return;
        V sum = Row.Sum<RowValues<V, M, T>, V, M, T, G>(team, new(Loss, 0), Rows), count = Row.Sum<RowValues<V, M, T>, V, M, T, G>(team, new(Counted, 0), Rows);
        if (team.Rank == 0)
        {
            V scale = V.IfLess(V.Of(0), count, V.Of(1) / count, V.Of(0));
            V.Store(Mean, 0, sum * scale, 1);
            V.Store(Scale, 0, scale, 1);
        }
    }
}

/// <summary>A team per row. x, dx (rows, v); target, lse, counted (rows); scale, dLoss (1).</summary>
internal struct CrossEntropyBackward<V, M, T, I, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
    where G : struct, ITeam<V>
{
    public M X, Lse, Scale, DLoss, DX;
    public I Target;
    public long Rows, Vocabulary, Classes;
    public int IgnoreIndex;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M x = X, dx = DX;
        long rows = Rows, vocabulary = Vocabulary, classes = Classes, first = (long)team.Rank * V.Width, step = (long)team.Size * V.Width;
        V scale = V.Broadcast(Scale, 0) * V.Broadcast(DLoss, 0);
        for (long row = team.Index; row < rows; row += team.Count)
        {
            long o = row * vocabulary;
            int target = Target[row];
            long end = target == IgnoreIndex ? 0 : classes;         // columns that have a gradient
            V lse = V.Broadcast(Lse, row);
            for (long i = first; i < vocabulary; i += step)
            {
                V g = V.Of(0);              // not 0 times scale, which may be no number
                if (i < end)
                    g = V.Keep(V.Exp(V.Load(x, o + i) - lse) * scale, Lanes.In(end - i));
                V.Store(dx, o + i, g, Lanes.In(vocabulary - i));
            }
            // The target's own column, by the thread that has just written it.
            if (target >= 0 && target < end && target / V.Width % team.Size == team.Rank)
                V.Store(dx, o + target, V.Broadcast(dx, o + target) - scale, 1);
        }
    }
}

/// <summary>Launchers of cross-entropy.</summary>
internal static class CrossEntropyKernels
{
    /// <summary>mean (1), lse (rows) and scale (1) for the gradient.</summary>
    public static void Forward(Tensor x, Tensor target, int ignoreIndex, int classes, Tensor mean, Tensor lse, Tensor scale)
    {
        Tensor loss = lse.Like(), counted = lse.Like();
        x.Launch(new ForwardLaunch(x, target, ignoreIndex, classes, lse, loss, counted));
        x.Launch(new MeanLaunch(loss, counted, mean, scale));
        loss.Dispose();
        counted.Dispose();
    }

    /// <summary>loss (rows): of each row by itself, all its columns being classes.</summary>
    public static void Losses(Tensor x, Tensor target, int ignoreIndex, Tensor loss)
    {
        Tensor lse = loss.Like(), counted = loss.Like();
        x.Launch(new ForwardLaunch(x, target, ignoreIndex, (int)x.Shape[^1], lse, loss, counted));
        lse.Dispose();
        counted.Dispose();
    }

    public static void Backward(Tensor x, Tensor target, int ignoreIndex, int classes, Tensor lse, Tensor scale, Tensor dLoss, Tensor dx) =>
        x.Launch(new BackwardLaunch(x, target, ignoreIndex, classes, lse, scale, dLoss, dx));

    readonly record struct ForwardLaunch(Tensor X, Tensor Target, int IgnoreIndex, int Classes, Tensor Lse, Tensor Loss, Tensor Counted) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.RunTeams(new CrossEntropyForward<V, M, T, I, G>
        {
            X = on.Memory(X),
            Target = on.Ints(Target),
            Lse = on.Memory(Lse),
            Loss = on.Memory(Loss),
            Counted = on.Memory(Counted),
            Rows = Target.Count,
            Vocabulary = X.Shape[^1],
            Classes = Classes,
            IgnoreIndex = IgnoreIndex,
        }, Target.Count, X.Shape[^1]);
    }

    readonly record struct MeanLaunch(Tensor Loss, Tensor Counted, Tensor Mean, Tensor Scale) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.RunTeams(new CrossEntropyMean<V, M, T, G>
        {
            Loss = on.Memory(Loss),
            Counted = on.Memory(Counted),
            Mean = on.Memory(Mean),
            Scale = on.Memory(Scale),
            Rows = Loss.Count,
        }, 1, Loss.Count);
    }

    readonly record struct BackwardLaunch(Tensor X, Tensor Target, int IgnoreIndex, int Classes, Tensor Lse, Tensor Scale, Tensor DLoss, Tensor DX) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.RunTeams(new CrossEntropyBackward<V, M, T, I, G>
        {
            X = on.Memory(X),
            Target = on.Ints(Target),
            Lse = on.Memory(Lse),
            Scale = on.Memory(Scale),
            DLoss = on.Memory(DLoss),
            DX = on.Memory(DX),
            Rows = Target.Count,
            Vocabulary = X.Shape[^1],
            Classes = Classes,
            IgnoreIndex = IgnoreIndex,
        }, Target.Count, X.Shape[^1]);
    }
}
