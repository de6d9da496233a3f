using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>A question about two numbers, over any lanes.</summary>
internal interface IComparison
{
    /// <summary>1 where it holds for a and b, else 0.</summary>
    static abstract V Holds<V, M, T>(V a, V b)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged;
}

/// <summary>The comparisons; a NaN is neither less, nor greater, nor equal: IEEE 754-2019, 5.11.</summary>
internal static class Comparisons
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>a &lt; b</summary>
    public struct Less : IComparison
    {
        [MethodImpl(Inline)] static V IComparison.Holds<V, M, T>(V a, V b) => V.IfNaN(a, V.Of(0), V.IfNaN(b, V.Of(0), V.IfLess(a, b, V.Of(1), V.Of(0))));
    }

    /// <summary>a &gt; b</summary>
    public struct Greater : IComparison
    {
        [MethodImpl(Inline)] static V IComparison.Holds<V, M, T>(V a, V b) => V.IfNaN(a, V.Of(0), V.IfNaN(b, V.Of(0), V.IfLess(b, a, V.Of(1), V.Of(0))));
    }

    /// <summary>a = b</summary>
    public struct Equal : IComparison
    {
        [MethodImpl(Inline)]
        static V IComparison.Holds<V, M, T>(V a, V b)
        {
            V equal = V.IfLess(a, b, V.Of(0), V.IfLess(b, a, V.Of(0), V.Of(1)));
            return V.IfNaN(a, V.Of(0), V.IfNaN(b, V.Of(0), equal));
        }
    }

    /// <summary>a ≠ b; a NaN differs from everything.</summary>
    public struct NotEqual : IComparison
    {
        [MethodImpl(Inline)]
        static V IComparison.Holds<V, M, T>(V a, V b)
        {
            V different = V.IfLess(a, b, V.Of(1), V.IfLess(b, a, V.Of(1), V.Of(0)));
            return V.IfNaN(a, V.Of(1), V.IfNaN(b, V.Of(1), different));
        }
    }
}

/// <summary>
/// y = 1 where a comparison of a and b holds, else 0; y int32 (rows, inner). a and b are walked row by row, each row contiguous or one element repeated.
/// </summary>
internal struct CompareRows<F, V, M, T, I> : IKernel
    where F : struct, IComparison
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public M A, B;
    public I Y;
    public RowOffsets ARows, BRows;
    public long AStep, BStep;       // 1, or 0 where the row is one element repeated
    public long Rows, Inner;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M a = A, b = B;
        I y = Y;
        RowOffsets aRows = ARows, bRows = BRows;
        long aStep = AStep, bStep = BStep, inner = Inner;
        long run = Lanes.Run(V.Width), perRow = (inner + run - 1) / run;
        Share share = worker.Share(Rows * perRow);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = perRow == 1 ? item : item / perRow, j = (item - row * perRow) * run, end = Math.Min(inner, j + run);
            long aRow = aRows.Of(row), bRow = bRows.Of(row), yRow = row * inner;
            for (; j < end; j++)
                y[yRow + j] = V.ToInt(F.Holds<V, M, T>(V.Broadcast(a, aRow + j * aStep), V.Broadcast(b, bRow + j * bStep)));
        }
    }
}

/// <summary>Launcher of comparisons.</summary>
internal static class ComparisonKernels
{
    /// <summary>y = 1 where F holds for a and b, else 0; y int32. The shapes of a and b broadcast to that of y.</summary>
    /// <exception cref="MambaException">More axes are left after merging than a kernel walks.</exception>
    public static void Compare<F>(string op, Tensor a, Tensor b, Tensor y) where F : struct, IComparison
    {
        if (y.Count > 0)
            a.Launch(new CompareLaunch<F>(a, b, y, PairRows.Of(op, a.Shape, b.Shape, y.Shape)));
    }

    readonly record struct CompareLaunch<F>(Tensor A, Tensor B, Tensor Y, PairRows Walk) : ILaunch where F : struct, IComparison
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new CompareRows<F, V, M, T, I>
        {
            A = on.Memory(A),
            B = on.Memory(B),
            Y = on.Ints(Y),
            ARows = Walk.A,
            BRows = Walk.B,
            AStep = Walk.AStep,
            BStep = Walk.BStep,
            Rows = Y.Count / Walk.Inner,
            Inner = Walk.Inner,
        }, Y.Count);
    }
}
