using Mamba.Checks;
using Mamba.Gpu;

namespace Mamba.Tests;

/// <summary>Kernels with faults. Public, because ILGPU compiles them from its own assembly.</summary>
public static class FaultyKernels
{
    /// <summary>y[Shift + i] = 1 for i from First below Count.</summary>
    public struct Writes<V, M, T> : IKernel
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        public M Y;
        public long Shift, First, Count;

        public void Run(Worker worker)
        {
            if (worker.Index != 0)
                return;
            for (long i = First; i < Count; i++)
                V.Store(Y, Shift + i, V.Of(1), 1);
        }
    }

    /// <summary>y = x, of which something may not have been written.</summary>
    public struct Copies<V, M, T> : IKernel
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        public M X, Y;
        public long Count;

        public void Run(Worker worker)
        {
            if (worker.Index != 0)
                return;
            for (long i = 0; i < Count; i++)
                V.Store(Y, i, V.Load(X, i, 1), 1);
        }
    }

    readonly record struct Write(Tensor Y, long Shift, long First, long Count) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) =>
            on.Run(new Writes<V, M, T> { Y = on.Memory(Y), Shift = Shift, First = First, Count = Count }, 1);
    }

    readonly record struct Copy(Tensor X, Tensor Y) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new Copies<V, M, T> { X = on.Memory(X), Y = on.Memory(Y), Count = Y.Count }, 1);
    }

    /// <summary>Ones, written at Shift + First … Shift + Count − 1.</summary>
    public static Tensor Ones(Tensor x, long shift, long first, long count)
    {
        Tensor y = x.Like();
        y.Launch(new Write(y, shift, first, count));
        return y;
    }

    /// <summary>x + 0 · (what a scratch tensor held before).</summary>
    public static Tensor ReadsScratch(Tensor x)
    {
        Tensor scratch = x.Like(), y = x.Like();
        y.Launch(new Copy(scratch, y));
        return Ops.Add(x, Ops.Mul(y, 0.0));
    }

    /// <summary>Found by <c>mamba parity --assembly</c>.</summary>
    public static IEnumerable<OpCase> Cases
    {
        get
        {
            CaseInput[] x = [new("x", 5)];
            OpCase Planted(string variant, Func<Tensor[], Tensor[]> f) => new("Planted", variant, x, f) { Differentiable = false };
            yield return Planted("right", x => [Ones(x[0], 0, 0, 5)]);
            yield return Planted("unwritten", x => [Ones(x[0], 0, 0, 3)]);
            yield return Planted("out of range", x => [Ones(x[0], 0, 0, 300)]);
            yield return Planted("reads scratch", x => [ReadsScratch(x[0])]);
            yield return Planted("right again", x => [Ones(x[0], 0, 0, 5)]);
        }
    }
}
