using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// y = condition ≠ 0 ? a : b, y (rows, inner); what is not chosen is not looked at. condition, a and b are walked row by row, each row contiguous or
/// one element repeated. A condition that holds for a whole row is read once, and the row copied.
/// </summary>
internal struct SelectRows<V, M, T, I> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public I Condition;
    public M A, B, Y;
    public RowOffsets ConditionRows, ARows, BRows;
    public long ConditionStep, AStep, BStep;        // 1, or 0 where the row is one element repeated
    public long Rows, Inner;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        I condition = Condition;
        M a = A, b = B, y = Y;
        RowOffsets conditionRows = ConditionRows, aRows = ARows, bRows = BRows;
        long conditionStep = ConditionStep, aStep = AStep, bStep = BStep, inner = Inner;
        long run = Lanes.Run(V.Width), perRow = (inner + run - 1) / run;
        Share share = worker.Share(Rows * perRow);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = perRow == 1 ? item : item / perRow, j = (item - row * perRow) * run, end = Math.Min(inner, j + run);
            long conditionRow = conditionRows.Of(row), aRow = aRows.Of(row), bRow = bRows.Of(row), yRow = row * inner;
            if (conditionStep == 0)
            {
                bool chosen = condition[conditionRow] != 0;
                M from = chosen ? a : b;
                long fromRow = chosen ? aRow : bRow, fromStep = chosen ? aStep : bStep;
                if (fromStep == 0)
                {
                    V one = V.Broadcast(from, fromRow);
                    for (; j < end; j += V.Width)
                        V.Store(y, yRow + j, one, Lanes.In(end - j));
                }
                else
                {
                    for (; j < end; j += V.Width)
                        V.Store(y, yRow + j, V.Load(from, fromRow + j), Lanes.In(end - j));
                }
            }
            else
            {
                for (; j < end; j++)
                    y[yRow + j] = condition[conditionRow + j] != 0 ? a[aRow + j * aStep] : b[bRow + j * bStep];
            }
        }
    }
}

/// <summary>Launcher of a choice between two tensors.</summary>
internal static class WhereKernels
{
    /// <summary>y = condition ≠ 0 ? a : b; the shapes of condition (int32), a and b broadcast to that of y.</summary>
    /// <exception cref="MambaException">More axes are left after merging than a kernel walks.</exception>
    public static void Select(Tensor condition, Tensor a, Tensor b, Tensor y)
    {
        if (y.Count == 0)
            return;
        int rank = Math.Max(1, y.Shape.Rank);
        Span<long> extents = stackalloc long[rank], conditionStrides = stackalloc long[rank], aStrides = stackalloc long[rank];
        Span<long> bStrides = stackalloc long[rank];
        extents.Fill(1);
        for (int i = 0; i < y.Shape.Rank; i++)
            extents[i] = y.Shape[i];
        RowOffsets.Strides(condition.Shape, conditionStrides);
        RowOffsets.Strides(a.Shape, aStrides);
        RowOffsets.Strides(b.Shape, bStrides);
        int axes = RowOffsets.Merge(extents, conditionStrides, aStrides, bStrides);
        if (axes > RowOffsets.MaxAxes)
            throw new MambaException($"Where: {condition.Shape}, {a.Shape} and {b.Shape} are a walk over {axes} axes after merging; at most "
                + $"{RowOffsets.MaxAxes} are supported.");
        ReadOnlySpan<long> extent = extents[..axes];
        y.Launch(new SelectLaunch(condition, a, b, y, RowOffsets.From(extent, conditionStrides[..axes]), RowOffsets.From(extent, aStrides[..axes]),
            RowOffsets.From(extent, bStrides[..axes]),
            conditionStrides[axes - 1], aStrides[axes - 1], bStrides[axes - 1], extent[^1]));
    }

    readonly record struct SelectLaunch(Tensor Condition, Tensor A, Tensor B, Tensor Y, RowOffsets ConditionRows, RowOffsets ARows, RowOffsets BRows,
        long ConditionStep, long AStep, long BStep, long Inner) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new SelectRows<V, M, T, I>
        {
            Condition = on.Ints(Condition),
            A = on.Memory(A),
            B = on.Memory(B),
            Y = on.Memory(Y),
            ConditionRows = ConditionRows,
            ARows = ARows,
            BRows = BRows,
            ConditionStep = ConditionStep,
            AStep = AStep,
            BStep = BStep,
            Rows = Y.Count / Inner,
            Inner = Inner,
        }, Y.Count);
    }
}
