using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>One state, discretized by <typeparamref name="D"/>; a number <typeparamref name="N"/> is real or complex.</summary>
internal struct One<D, N, V, M, T> : IStates<One<D, N, V, M, T>, V, M, T>
    where D : struct, IDiscretization
    where N : struct, INumber<N, V, M, T>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    N x;

    public static int Count { [MethodImpl(Inline)] get => N.Parts; }
    public static int Kept { [MethodImpl(Inline)] get => (D.LooksBack ? 3 : 2) * N.Parts; }
    public static bool LooksBack { [MethodImpl(Inline)] get => D.LooksBack; }
    [MethodImpl(Inline)] public static One<D, N, V, M, T> Zero() => new() { x = N.Of(0) };
    [MethodImpl(Inline)] public static One<D, N, V, M, T> Identity() => new() { x = N.Of(1) };
    [MethodImpl(Inline)]
    public static One<D, N, V, M, T> Load(M p, Column at, int n, int lanes) => new() { x = N.Load(p, at.Start + n * at.Stride, at.Stride, lanes) };
    [MethodImpl(Inline)] public static One<D, N, V, M, T> LoadWhole(M p, Column at, int n) => new() { x = N.Load(p, at.Start + n * at.Stride, at.Stride) };
    [MethodImpl(Inline)] public static void StoreWhole(ref One<D, N, V, M, T> s, M p, Column at, int n) => N.Store(s.x, p, at.Start + n * at.Stride, at.Stride);
    [MethodImpl(Inline)]
    public static void Store(ref One<D, N, V, M, T> s, M p, Column at, int n, int lanes) => N.Store(s.x, p, at.Start + n * at.Stride, at.Stride, lanes);

    [MethodImpl(Inline)]
    public static One<D, N, V, M, T> After(ref One<D, N, V, M, T> decay, ref One<D, N, V, M, T> s, ref One<D, N, V, M, T> next) =>
        new() { x = Scan.Carried<N, V, M, T>(decay.x, s.x, next.x) };

    [MethodImpl(Inline)]
    public static One<D, N, V, M, T> Input<PB>(V u, int n, M B, Column b) where PB : struct, IProjection<V, M> =>
        new() { x = N.Times(N.Get<PB>(B, b.Start + n * b.Stride, b.Stride), u) };

    // Δ (γ p + β p₋)
    [MethodImpl(Inline)]
    static N InputOf(N z, N alpha, N bn, ref N previousInput, V delta, V u, V deltaU)
    {
        N input = N.Times(bn, deltaU);
        if (D.ScalesInput)
            input *= D.Gamma<N, V, M, T>(z, alpha);
        if (D.LooksBack)
        {
            input = N.Fma(N.Times(D.Beta<N, V, M, T>(z, alpha), delta), previousInput, input);
            previousInput = N.Times(bn, u);
        }
        return input;
    }

    [MethodImpl(Inline)]
    public static V Step<PB, PC>(ref One<D, N, V, M, T> h, ref One<D, N, V, M, T> previousInput, ref One<D, N, V, M, T> a, V y, V delta, V u, V deltaU, int n,
        M B, Column b, M C, Column c)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>
    {
        N z = N.Times(a.x, delta), alpha = D.Alpha<N, V, M, T>(z);
        h.x = N.Fma(alpha, h.x, InputOf(z, alpha, N.Get<PB>(B, b.Start + n * b.Stride, b.Stride), ref previousInput.x, delta, u, deltaU));
        return N.Output(N.Get<PC>(C, c.Start + n * c.Stride, c.Stride), h.x, y);
    }

    [MethodImpl(Inline)]
    public static void Advance<PB>(ref One<D, N, V, M, T> h, ref One<D, N, V, M, T> previousInput, ref One<D, N, V, M, T> decay, ref One<D, N, V, M, T> a,
        V delta, V u, V deltaU, int n, M B, Column b)
        where PB : struct, IProjection<V, M>
    {
        N z = N.Times(a.x, delta), alpha = D.Alpha<N, V, M, T>(z);
        h.x = N.Fma(alpha, h.x, InputOf(z, alpha, N.Get<PB>(B, b.Start + n * b.Stride, b.Stride), ref previousInput.x, delta, u, deltaU));
        decay.x = alpha * decay.x;
    }

    [MethodImpl(Inline)]
    public static void Recompute<PB>(ref One<D, N, V, M, T> h, ref One<D, N, V, M, T> previousInput, ref One<D, N, V, M, T> a, bool starts, V delta, V u,
        V deltaU, int n, M B, Column b, M scratch, Column kept)
        where PB : struct, IProjection<V, M>
    {
        N z = N.Times(a.x, delta), alpha = D.Alpha<N, V, M, T>(z);
        long at = kept.Start + n * (D.LooksBack ? 3 : 2) * kept.Stride, part = N.Parts * kept.Stride;
        N.Store(alpha, scratch, at, kept.Stride);
        N.Store(h.x, scratch, at + part, kept.Stride);
        if (starts)
        {
            h.x = N.Of(0);
            previousInput.x = N.Of(0);
        }
        if (D.LooksBack)
            N.Store(previousInput.x, scratch, at + 2 * part, kept.Stride);
        h.x = N.Fma(alpha, h.x, InputOf(z, alpha, N.Get<PB>(B, b.Start + n * b.Stride, b.Stride), ref previousInput.x, delta, u, deltaU));
    }

    [MethodImpl(Inline)]
    public static void Reverse<PB, PC>(ref One<D, N, V, M, T> g, ref One<D, N, V, M, T> dPreviousInput, ref One<D, N, V, M, T> dA, ref One<D, N, V, M, T> h,
        ref One<D, N, V, M, T> a,
        ref StepSums<V> sums, bool starts, V delta, V u, V deltaU, V dy, int n, M B, Column b, M C, Column c, M scratch, Column kept, Column dB, Column dC)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>
    {
        long at = kept.Start + n * (D.LooksBack ? 3 : 2) * kept.Stride, part = N.Parts * kept.Stride;
        long dBAt = dB.Start + n * dB.Stride, dCAt = dC.Start + n * dC.Stride;
        N alpha = N.Load(scratch, at, kept.Stride), last = N.Load(scratch, at + part, kept.Stride), prior = starts ? N.Of(0) : last;
        N bn = N.Get<PB>(B, b.Start + n * b.Stride, b.Stride), cn = N.Get<PC>(C, c.Start + n * c.Stride, c.Stride);
        sums.Y = N.Output(cn, h.x, sums.Y);
        N.Store(N.FmaTimes(N.OutputSlope(h.x), dy, N.Load(scratch, dCAt, dC.Stride)), scratch, dCAt, dC.Stride);     // dC += dy h
        N gt = N.FmaTimes(N.OutputSlope(cn), dy, g.x);                                                       // g_t = C_t dy_t + ᾱ_{t+1} g_{t+1}
        N gIn = gt, slope;
        if (D.Base2 && !D.ScalesInput && !D.LooksBack)
        {
            slope = D.AlphaSlope<N, V, M, T>(alpha, alpha) * prior;
        }
        else
        {
            N z = N.Times(a.x, delta);
            slope = D.AlphaSlope<N, V, M, T>(z, alpha) * prior;                                          // ∂h_t/∂z
            if (D.ScalesInput)
            {
                N gamma = D.Gamma<N, V, M, T>(z, alpha);
                slope = N.Fma(D.GammaSlope<N, V, M, T>(z, alpha, gamma), N.Times(bn, deltaU), slope);
                gIn = N.Conjugate(gamma) * gt;
            }
            if (D.LooksBack)
            {
                N previousInput = N.Load(scratch, at + 2 * part, kept.Stride), beta = D.Beta<N, V, M, T>(z, alpha);
                slope = N.Fma(N.Times(D.BetaSlope<N, V, M, T>(z, alpha), delta), previousInput, slope);
                N gBack = N.Conjugate(beta) * gt, dp = N.FmaTimes(gIn, delta, dPreviousInput.x);
                sums.Direct = N.Inner(gIn, N.Times(bn, u), N.Inner(gBack, previousInput, sums.Direct));
                sums.Input = N.Inner(dp, bn, sums.Input);
                N.Store(N.FmaTimes(dp, u, N.Load(scratch, dBAt, dB.Stride)), scratch, dBAt, dB.Stride);
                dPreviousInput.x = N.Times(gBack, delta);
            }
        }
        if (!D.LooksBack)
        {
            sums.Input = N.Inner(gIn, bn, sums.Input);
            N.Store(N.FmaTimes(gIn, deltaU, N.Load(scratch, dBAt, dB.Stride)), scratch, dBAt, dB.Stride);      // dB += g γ Δu
        }
        N dz = N.Conjugate(slope) * gt;
        sums.Decay = N.Inner(dz, a.x, sums.Decay);
        dA.x = N.FmaTimes(dz, delta, dA.x);
        g.x = N.Conjugate(alpha) * gt;
        h.x = last;
    }

    [MethodImpl(Inline)]
    public static void Retreat<PC>(ref One<D, N, V, M, T> g, ref One<D, N, V, M, T> decay, ref One<D, N, V, M, T> a, V delta, V dy, int n, M C, Column c)
        where PC : struct, IProjection<V, M>
    {
        N alpha = N.Conjugate(D.Alpha<N, V, M, T>(N.Times(a.x, delta)));
        g.x = alpha * N.FmaTimes(N.OutputSlope(N.Get<PC>(C, c.Start + n * c.Stride, c.Stride)), dy, g.x);
        decay.x = alpha * decay.x;
    }
}
