using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>The functions of two numbers.</summary>
internal static class Binary
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>a + b</summary>
    public struct Add : IBinary
    {
        [MethodImpl(Inline)] static V IBinary.Forward<V, M, T>(V a, V b) => a + b;
    }

    /// <summary>a − b</summary>
    public struct Sub : IBinary
    {
        [MethodImpl(Inline)] static V IBinary.Forward<V, M, T>(V a, V b) => a - b;
    }

    /// <summary>a · b</summary>
    public struct Mul : IBinary
    {
        [MethodImpl(Inline)] static V IBinary.Forward<V, M, T>(V a, V b) => a * b;
    }

    /// <summary>a / b</summary>
    public struct Div : IBinary
    {
        [MethodImpl(Inline)] static V IBinary.Forward<V, M, T>(V a, V b) => a / b;
    }

    /// <summary>The larger one; NaN if either is.</summary>
    public struct Maximum : IBinary
    {
        [MethodImpl(Inline)] static V IBinary.Forward<V, M, T>(V a, V b) => V.Max(a, b);
    }

    /// <summary>The smaller one; NaN if either is.</summary>
    public struct Minimum : IBinary
    {
        [MethodImpl(Inline)] static V IBinary.Forward<V, M, T>(V a, V b) => V.Min(a, b);
    }

    /// <summary>∂ max(a, b)/∂a: 1 where a &gt; b or only a is NaN, ½ where they are equal or both NaN, else 0.</summary>
    public struct IsLarger : IBinary
    {
        [MethodImpl(Inline)]
        static V IBinary.Forward<V, M, T>(V a, V b) =>
            ShareOfNaN<V, M, T>(a, b, V.IfLess(b, a, V.Of(1), V.IfLess(a, b, V.Of(0), V.Of(0.5f))));
    }

    /// <summary>∂ min(a, b)/∂a: 1 where a &lt; b or only a is NaN, ½ where they are equal or both NaN, else 0.</summary>
    public struct IsSmaller : IBinary
    {
        [MethodImpl(Inline)]
        static V IBinary.Forward<V, M, T>(V a, V b) =>
            ShareOfNaN<V, M, T>(a, b, V.IfLess(a, b, V.Of(1), V.IfLess(b, a, V.Of(0), V.Of(0.5f))));
    }

    /// <summary>a · b, and 0 where b is, whatever a: the gradient through a mask.</summary>
    public struct Masked : IBinary
    {
        [MethodImpl(Inline)] static V IBinary.Forward<V, M, T>(V a, V b) => Lanes.Masked<V, M, T>(a, b);
    }

    /// <summary>1 where a = b or both are NaN, else 0.</summary>
    public struct IsEqual : IBinary
    {
        [MethodImpl(Inline)]
        static V IBinary.Forward<V, M, T>(V a, V b)
        {
            V equal = V.IfLess(a, b, V.Of(0), V.IfLess(b, a, V.Of(0), V.Of(1)));
            return V.IfNaN(a, V.IfNaN(b, V.Of(1), V.Of(0)), V.IfNaN(b, V.Of(0), equal));
        }
    }

    /// <summary>−t log σ(x) − (1 − t) log(1 − σ(x)) of a = x, b = t, as max(x, 0) − x t + log1p(e^−|x|), which overflows nowhere.</summary>
    public struct LogisticLoss : IBinary
    {
        [MethodImpl(Inline)] static V IBinary.Forward<V, M, T>(V a, V b) => V.Max(V.Of(0), a) - a * b + V.Log1p(V.Exp(-V.Abs(a)));
    }

    /// <summary>∂ LogisticLoss/∂a = σ(a) − b</summary>
    public struct LogisticSlope : IBinary
    {
        [MethodImpl(Inline)] static V IBinary.Forward<V, M, T>(V a, V b) => Lanes.Sigmoid<V, M, T>(a) - b;
    }

    /// <summary>∂ LogisticLoss/∂b = −a</summary>
    public struct MinusFirst : IBinary
    {
        [MethodImpl(Inline)] static V IBinary.Forward<V, M, T>(V a, V b) => -a;
    }

    // a's part of the gradient: to a NaN goes all of it, of two of them half to each
    [MethodImpl(Inline)]
    static V ShareOfNaN<V, M, T>(V a, V b, V ofNumbers)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged => V.IfNaN(a, V.IfNaN(b, V.Of(0.5f), V.Of(1)), V.IfNaN(b, V.Of(0), ofNumbers));
}

/// <summary>y = f(a, b), all (count). y may be a.</summary>
internal struct BinaryForward<F, V, M, T> : IKernel
    where F : struct, IBinary
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M A, B, Y;
    public long Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M a = A, b = B, y = Y;
        Share share = worker.Share(Count, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
            V.Store(y, i, F.Forward<V, M, T>(V.Load(a, i), V.Load(b, i)), Lanes.In(share.End - i));
    }
}

/// <summary>y = f(a, b), y (rows, inner); a and b are walked row by row, each row contiguous or one element repeated.</summary>
internal struct BroadcastForward<F, V, M, T> : IKernel
    where F : struct, IBinary
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M A, B, Y;
    public RowOffsets ARows, BRows;
    public long AStep, BStep;       // 1, or 0 where the row is one element repeated; not both are 0
    public long Rows, Inner;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M a = A, b = B, y = Y;
        RowOffsets aRows = ARows, bRows = BRows;
        long aStep = AStep, bStep = BStep, inner = Inner;
        long run = Lanes.Run(V.Width), perRow = (inner + run - 1) / run;
        Share share = worker.Share(Rows * perRow);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = perRow == 1 ? item : item / perRow, j = (item - row * perRow) * run, end = Math.Min(inner, j + run);
            long aRow = aRows.Of(row), bRow = bRows.Of(row), yRow = row * inner;
            if (aStep == 0)
            {
                V one = V.Broadcast(a, aRow);
                for (; j < end; j += V.Width)
                    V.Store(y, yRow + j, F.Forward<V, M, T>(one, V.Load(b, bRow + j)), Lanes.In(end - j));
            }
            else if (bStep == 0)
            {
                V one = V.Broadcast(b, bRow);
                for (; j < end; j += V.Width)
                    V.Store(y, yRow + j, F.Forward<V, M, T>(V.Load(a, aRow + j), one), Lanes.In(end - j));
            }
            else
            {
                for (; j < end; j += V.Width)
                    V.Store(y, yRow + j, F.Forward<V, M, T>(V.Load(a, aRow + j), V.Load(b, bRow + j)), Lanes.In(end - j));
            }
        }
    }
}

/// <summary>Launchers of functions of two tensors.</summary>
internal static class BinaryKernels
{
    /// <summary>y = f(a, b); the shapes of a and b broadcast to that of y.</summary>
    /// <exception cref="MambaException">More axes are left after merging than a kernel walks.</exception>
    public static void Forward<F>(string op, Tensor a, Tensor b, Tensor y) where F : struct, IBinary
    {
        if (y.Count == 0)
            return;
        if (a.Count == y.Count && b.Count == y.Count)
        {
            a.Launch(new SameLaunch<F>(a, b, y));
            return;
        }
        a.Launch(new BroadcastLaunch<F>(a, b, y, PairRows.Of(op, a.Shape, b.Shape, y.Shape)));
    }

    readonly record struct SameLaunch<F>(Tensor A, Tensor B, Tensor Y) : ILaunch where F : struct, IBinary
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new BinaryForward<F, V, M, T>
        {
            A = on.Memory(A),
            B = on.Memory(B),
            Y = on.Memory(Y),
            Count = Y.Count,
        }, Y.Count);
    }

    readonly record struct BroadcastLaunch<F>(Tensor A, Tensor B, Tensor Y, PairRows Walk) : ILaunch where F : struct, IBinary
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new BroadcastForward<F, V, M, T>
        {
            A = on.Memory(A),
            B = on.Memory(B),
            Y = on.Memory(Y),
            ARows = Walk.A,
            BRows = Walk.B,
            AStep = Walk.AStep,
            BStep = Walk.BStep,
            Rows = Y.Count / Walk.Inner,
            Inner = Walk.Inner,
        }, Y.Count);
    }
}
