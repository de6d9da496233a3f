using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>Sizes and steps the scan kernels share.</summary>
internal static class Scan
{
    /// <summary>Steps of a chunk: what backward recomputes at a time. Its scratch stays in a core's L1.</summary>
    public const int ChunkLength = 32;

    /// <summary>delta = softplus(raw + bias), Algorithm 2 line 4; the identity above 20, as PyTorch.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V StepSize<V, M, T>(V raw, int softplus)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        if (softplus == 0)
            return raw;
        V positive = V.Max(V.Of(0), raw) + V.Log1p(V.Exp(-V.Abs(raw)));
        return V.IfLess(V.Of(20), raw, raw, positive);
    }

    /// <summary>
    /// decay · s + own: what several steps make of a state s, own being what they make of 0. That is own where s is 0, even if the product of
    /// their decays has left the range of the dtype.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static N Carried<N, V, M, T>(N decay, N s, N own)
        where N : struct, INumber<N, V, M, T>
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged => N.IfZero(s, own, N.Fma(decay, s, own));

    /// <summary>B u of the token before <paramref name="t"/>, for a discretization that looks back; zero at the start of everything.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static S PreviousInput<S, PB, V, M, T, I>(in ScanArguments<M, I> x, in ScanItem item, long t, int d, int lanes, int n)
        where S : struct, IStates<S, V, M, T>
        where PB : struct, IProjection<V, M>
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
        where I : struct, IMemory<int>
    {
        if (!S.LooksBack)
            return default;
        var column = new Column((long)n * x.Channels + d, x.Channels);
        long row = item.B * x.Length + t - 1;
        if (t > 0)
            return S.Input<PB>(V.Keep(V.Load(x.U, row * x.Channels + d), lanes), 0, x.B,
                PB.Varies ? new Column((row * x.Groups + item.G) * x.States + n, 1) : column);
        return x.HasPreviousInput != 0 ? S.Load(x.PreviousInput, new Column((long)item.B * x.States * x.Channels + column.Start, x.Channels), 0, lanes)
            : S.Zero();
    }
}
