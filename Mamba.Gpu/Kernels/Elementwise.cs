using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>A function of one number and its derivative. A new one needs these two lines and no kernel.</summary>
public interface IUnary<V>
{
    /// <summary>y = f(x)</summary>
    static abstract V Forward(V x, V parameter);

    /// <summary>f′(x), given x and y = f(x).</summary>
    static abstract V Derivative(V x, V y, V parameter);
}

/// <summary>y = f(x), all (count).</summary>
public struct UnaryForward<F, V, M, T> : IKernel
    where F : struct, IUnary<V>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M X, Y;
    public T Parameter;
    public long Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M x = X, y = Y;
        V parameter = V.Splat(Parameter);
        Share share = worker.Share(Count, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
            V.Store(y, i, F.Forward(V.Load(x, i), parameter), Lanes.In(share.End - i));
    }
}

/// <summary>Small helpers of kernels.</summary>
public static class Lanes
{
    /// <summary>How many of the next lanes are inside, when <paramref name="left"/> elements are left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int In(long left) => left < 64 ? (int)left : 64;

    /// <summary>1 / (1 + e^−x), without overflow: e^−|x| is at most 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Sigmoid<V, M, T>(V x)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged => V.Of(1) / (V.Of(1) + V.Exp(-x));
}

/// <summary>x · σ(x)</summary>
public struct Silu<V, M, T> : IUnary<V>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public static V Forward(V x, V parameter) => x * Lanes.Sigmoid<V, M, T>(x);

    public static V Derivative(V x, V y, V parameter)
    {
        V s = Lanes.Sigmoid<V, M, T>(x);
        return s * V.Fma(x, V.Of(1) - s, V.Of(1));      // σ(x)(1 + x(1 − σ(x)))
    }
}

/// <summary>Launchers of elementwise kernels.</summary>
public static class ElementwiseKernels
{
    public static void Silu(Tensor x, Tensor y) => x.Launch(new ForwardLaunch(x, y));
    public static void SiluBackward(Tensor x, Tensor y, Tensor dy, Tensor dx) => throw new NotSupportedException();

    readonly record struct ForwardLaunch(Tensor X, Tensor Y) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) =>
            on.Run(new UnaryForward<Silu<V, M, T>, V, M, T> { X = on.Memory(X), Y = on.Memory(Y), Count = X.Count }, X.Count);
    }
}
