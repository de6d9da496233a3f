using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>y = f(x), all (count).</summary>
internal struct UnaryForward<F, V, M, T> : IKernel
    where F : struct, IUnary
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
            V.Store(y, i, F.Forward<V, M, T>(V.Load(x, i), parameter), Lanes.In(share.End - i));
    }
}

/// <summary>dx = dy · f′(x), all (count).</summary>
internal struct UnaryBackward<F, V, M, T> : IKernel
    where F : struct, IUnary
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M X, Y, Dy, Dx;
    public T Parameter;
    public long Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M x = X, y = Y, dy = Dy, dx = Dx;
        V parameter = V.Splat(Parameter);
        Share share = worker.Share(Count, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
            V.Store(dx, i, F.Gradient<V, M, T>(V.Load(dy, i), F.Derivative<V, M, T>(V.Load(x, i), V.Load(y, i), parameter)), Lanes.In(share.End - i));
    }
}

/// <summary>y = value, (count).</summary>
internal struct FillKernel<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M Y;
    public T Value;
    public long Count;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M y = Y;
        V value = V.Splat(Value);
        Share share = worker.Share(Count, V.Width);
        for (long i = share.Start; i < share.End; i += share.Step)
            V.Store(y, i, value, Lanes.In(share.End - i));
    }
}

/// <summary>Launchers of elementwise kernels.</summary>
internal static class ElementwiseKernels
{
    /// <summary>y = f(x), both of one shape.</summary>
    public static void Forward<F>(Tensor x, Tensor y, double parameter) where F : struct, IUnary =>
        x.Launch(new ForwardLaunch<F>(x, y, parameter));

    /// <summary>dx = dy · f′(x), all of one shape; y = f(x).</summary>
    public static void Backward<F>(Tensor x, Tensor y, Tensor dy, Tensor dx, double parameter) where F : struct, IUnary =>
        x.Launch(new BackwardLaunch<F>(x, y, dy, dx, parameter));

    /// <summary>y = value everywhere.</summary>
    public static void Fill(Tensor y, double value) => y.Launch(new FillLaunch(y, value));

    readonly record struct ForwardLaunch<F>(Tensor X, Tensor Y, double Parameter) : ILaunch where F : struct, IUnary
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new UnaryForward<F, V, M, T>
        {
            X = on.Memory(X),
            Y = on.Memory(Y),
            Parameter = T.CreateTruncating(Parameter),
            Count = X.Count,
        }, X.Count);
    }

    readonly record struct BackwardLaunch<F>(Tensor X, Tensor Y, Tensor Dy, Tensor Dx, double Parameter) : ILaunch where F : struct, IUnary
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new UnaryBackward<F, V, M, T>
        {
            X = on.Memory(X),
            Y = on.Memory(Y),
            Dy = on.Memory(Dy),
            Dx = on.Memory(Dx),
            Parameter = T.CreateTruncating(Parameter),
            Count = X.Count,
        }, X.Count);
    }

    readonly record struct FillLaunch(Tensor Y, double Value) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new FillKernel<V, M, T>
        {
            Y = on.Memory(Y),
            Value = T.CreateTruncating(Value),
            Count = Y.Count,
        }, Y.Count);
    }
}
