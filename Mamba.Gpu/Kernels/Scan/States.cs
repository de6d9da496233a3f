using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>How a kernel reads B and C, of which there is one vector of n values a token, or one a channel.</summary>
public interface IProjection<V, M>
{
    /// <summary>The value(s) of one n at element i, for the lanes of a channel group.</summary>
    static abstract V Get(M p, long i);

    /// <summary>Whether it changes from token to token. A constant to both compilers, so that strides fold.</summary>
    static abstract bool Varies { get; }
}

/// <summary>B or C (b, l, g, n), selected by the input: one value for all channels of a group.</summary>
public struct PerToken<V, M, T> : IProjection<V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static V Get(M p, long i) => V.Broadcast(p, i);
    public static bool Varies { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => true; }
}

/// <summary>B or C constant over time, transposed to (n, d): a value for each channel.</summary>
public struct PerChannel<V, M, T> : IProjection<V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static V Get(M p, long i) => V.Load(p, i);
    public static bool Varies { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => false; }
}

/// <summary>Where a value of each n stands: at element Start + n·Stride.</summary>
public struct Column(long start, long stride)
{
    public long Start = start, Stride = stride;
}

/// <summary>What the reverse walk gathers over n at one step, beside the gradients of B and C.</summary>
public struct StepSums<V>
{
    public V Decay;     // Σ ∂L/∂z · A: the part of dΔ through z = ΔA, in the units A arrives in
    public V Input;     // Σ ∂L/∂(Δ u B) · B; where steps look back Σ ∂L/∂p · B
    public V Direct;    // Σ g (γ p_t + β p_{t−1}): the part of dΔ beside z; only where steps look back
    public V Y;         // Σ C h
}

/// <summary>
/// Some of the n states of a channel group, held in registers: a tree of structs, so that both compilers unroll it. A local
/// array indexed in a loop would lie in local memory on a GPU; this never does. (What is only read is passed by ref as well: for
/// `in` the C# compiler adds a method in between, one more for the JIT to inline.)
/// </summary>
public interface IStates<S, V, M, T>
    where S : struct, IStates<S, V, M, T>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    /// <summary>Rows of (n, d) it covers; a complex state is two.</summary>
    static abstract int Count { get; }

    /// <summary>Values a step of the recomputation keeps, in all.</summary>
    static abstract int Kept { get; }

    /// <summary>See <see cref="IDiscretization.LooksBack"/>.</summary>
    static abstract bool LooksBack { get; }

    static abstract S Zero();

    /// <summary>1 for every state: a decay over no steps.</summary>
    static abstract S Identity();
    static abstract S Load(M p, Column at, int n, int lanes);

    /// <summary>Load and Store of every lane.</summary>
    static abstract S LoadWhole(M p, Column at, int n);
    static abstract void StoreWhole(ref S s, M p, Column at, int n);
    static abstract void Store(ref S s, M p, Column at, int n, int lanes);

    /// <summary>decay · s + next: one segment's end, given its start.</summary>
    static abstract S After(ref S decay, ref S s, ref S next);

    /// <summary>B u: what a step that looks back needs of the token before.</summary>
    static abstract S Input<PB>(V u, int n, M B, Column b) where PB : struct, IProjection<V, M>;

    /// <summary>h ← α h + Δ (γ p + β p₋); returns y + C·h. <paramref name="previousInput"/> is p₋ on entry and p on exit, if steps look back.</summary>
    static abstract V Step<PB, PC>(ref S h, ref S previousInput, ref S a, V y, V delta, V u, V deltaU, int n, M B, Column b, M C, Column c)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>;

    /// <summary>The same without y, and <paramref name="decay"/> ← α decay.</summary>
    static abstract void Advance<PB>(ref S h, ref S previousInput, ref S decay, ref S a, V delta, V u, V deltaU, int n, M B, Column b)
        where PB : struct, IProjection<V, M>;

    /// <summary>
    /// The same without y, keeping α, h₋ and p₋ in scratch for the reverse walk. Where a sequence <paramref name="starts"/>, h₋ and p₋ count as
    /// zero; h₋ is kept all the same, for the step before.
    /// </summary>
    static abstract void Recompute<PB>(ref S h, ref S previousInput, ref S a, bool starts, V delta, V u, V deltaU, int n, M B, Column b, M scratch, Column kept)
        where PB : struct, IProjection<V, M>;

    /// <summary>
    /// One step back. <paramref name="g"/> is ᾱ g of the step after on entry and of this one on exit, <paramref name="dPreviousInput"/> ∂L/∂p through
    /// the step after, then ∂L/∂p₋ through this one; <paramref name="h"/> goes from h to h₋. dA and the sums gain this step's part, and
    /// so do the gradients of B and C at <paramref name="dB"/> and <paramref name="dC"/>.
    /// </summary>
    static abstract void Reverse<PB, PC>(ref S g, ref S dPreviousInput, ref S dA, ref S h, ref S a, ref StepSums<V> sums, bool starts, V delta, V u, V deltaU, V dy, int n,
        M B, Column b, M C, Column c, M scratch, Column kept, Column dB, Column dC)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>;

    /// <summary>g ← ᾱ (g + C dy) and <paramref name="decay"/> ← ᾱ decay: the reverse walk without anything that is gathered.</summary>
    static abstract void Retreat<PC>(ref S g, ref S decay, ref S a, V delta, V dy, int n, M C, Column c)
        where PC : struct, IProjection<V, M>;
}

/// <summary>One state, discretized by <typeparamref name="D"/>; a number <typeparamref name="N"/> is real or complex.</summary>
public struct One<D, N, V, M, T> : IStates<One<D, N, V, M, T>, V, M, T>
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
    [MethodImpl(Inline)] public static One<D, N, V, M, T> Load(M p, Column at, int n, int lanes) => new() { x = N.Load(p, at.Start + n * at.Stride, at.Stride, lanes) };
    [MethodImpl(Inline)] public static One<D, N, V, M, T> LoadWhole(M p, Column at, int n) => new() { x = N.Load(p, at.Start + n * at.Stride, at.Stride) };
    [MethodImpl(Inline)] public static void StoreWhole(ref One<D, N, V, M, T> s, M p, Column at, int n) => N.Store(s.x, p, at.Start + n * at.Stride, at.Stride);
    [MethodImpl(Inline)] public static void Store(ref One<D, N, V, M, T> s, M p, Column at, int n, int lanes) => N.Store(s.x, p, at.Start + n * at.Stride, at.Stride, lanes);

    [MethodImpl(Inline)]
    public static One<D, N, V, M, T> After(ref One<D, N, V, M, T> decay, ref One<D, N, V, M, T> s, ref One<D, N, V, M, T> next) => new() { x = Scan.Carried<N, V, M, T>(decay.x, s.x, next.x) };

    [MethodImpl(Inline)]
    public static One<D, N, V, M, T> Input<PB>(V u, int n, M B, Column b) where PB : struct, IProjection<V, M> => new() { x = N.Times(N.Get<PB>(B, b.Start + n * b.Stride, b.Stride), u) };

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
    public static V Step<PB, PC>(ref One<D, N, V, M, T> h, ref One<D, N, V, M, T> previousInput, ref One<D, N, V, M, T> a, V y, V delta, V u, V deltaU, int n, M B, Column b, M C, Column c)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>
    {
        N z = N.Times(a.x, delta), alpha = D.Alpha<N, V, M, T>(z);
        h.x = N.Fma(alpha, h.x, InputOf(z, alpha, N.Get<PB>(B, b.Start + n * b.Stride, b.Stride), ref previousInput.x, delta, u, deltaU));
        return N.Output(N.Get<PC>(C, c.Start + n * c.Stride, c.Stride), h.x, y);
    }

    [MethodImpl(Inline)]
    public static void Advance<PB>(ref One<D, N, V, M, T> h, ref One<D, N, V, M, T> previousInput, ref One<D, N, V, M, T> decay, ref One<D, N, V, M, T> a, V delta, V u, V deltaU, int n, M B, Column b)
        where PB : struct, IProjection<V, M>
    {
        N z = N.Times(a.x, delta), alpha = D.Alpha<N, V, M, T>(z);
        h.x = N.Fma(alpha, h.x, InputOf(z, alpha, N.Get<PB>(B, b.Start + n * b.Stride, b.Stride), ref previousInput.x, delta, u, deltaU));
        decay.x = alpha * decay.x;
    }

    [MethodImpl(Inline)]
    public static void Recompute<PB>(ref One<D, N, V, M, T> h, ref One<D, N, V, M, T> previousInput, ref One<D, N, V, M, T> a, bool starts, V delta, V u, V deltaU, int n, M B, Column b, M scratch, Column kept)
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
    public static void Reverse<PB, PC>(ref One<D, N, V, M, T> g, ref One<D, N, V, M, T> dPreviousInput, ref One<D, N, V, M, T> dA, ref One<D, N, V, M, T> h, ref One<D, N, V, M, T> a,
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

/// <summary>Twice as many states as <typeparamref name="S"/>.</summary>
public struct Pair<S, V, M, T> : IStates<Pair<S, V, M, T>, V, M, T>
    where S : struct, IStates<S, V, M, T>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    S lo, hi;

    public static int Count { [MethodImpl(Inline)] get => 2 * S.Count; }
    public static int Kept { [MethodImpl(Inline)] get => 2 * S.Kept; }
    public static bool LooksBack { [MethodImpl(Inline)] get => S.LooksBack; }
    [MethodImpl(Inline)] public static Pair<S, V, M, T> Zero() => new() { lo = S.Zero(), hi = S.Zero() };
    [MethodImpl(Inline)] public static Pair<S, V, M, T> Identity() => new() { lo = S.Identity(), hi = S.Identity() };
    [MethodImpl(Inline)] public static Pair<S, V, M, T> Load(M p, Column at, int n, int lanes) => new() { lo = S.Load(p, at, n, lanes), hi = S.Load(p, at, n + S.Count, lanes) };

    [MethodImpl(Inline)] public static Pair<S, V, M, T> LoadWhole(M p, Column at, int n) => new() { lo = S.LoadWhole(p, at, n), hi = S.LoadWhole(p, at, n + S.Count) };

    [MethodImpl(Inline)]
    public static void StoreWhole(ref Pair<S, V, M, T> s, M p, Column at, int n)
    {
        S.StoreWhole(ref s.lo, p, at, n);
        S.StoreWhole(ref s.hi, p, at, n + S.Count);
    }

    [MethodImpl(Inline)]
    public static void Store(ref Pair<S, V, M, T> s, M p, Column at, int n, int lanes)
    {
        S.Store(ref s.lo, p, at, n, lanes);
        S.Store(ref s.hi, p, at, n + S.Count, lanes);
    }

    [MethodImpl(Inline)]
    public static Pair<S, V, M, T> After(ref Pair<S, V, M, T> decay, ref Pair<S, V, M, T> s, ref Pair<S, V, M, T> next) =>
        new() { lo = S.After(ref decay.lo, ref s.lo, ref next.lo), hi = S.After(ref decay.hi, ref s.hi, ref next.hi) };

    [MethodImpl(Inline)]
    public static Pair<S, V, M, T> Input<PB>(V u, int n, M B, Column b) where PB : struct, IProjection<V, M> => new() { lo = S.Input<PB>(u, n, B, b), hi = S.Input<PB>(u, n + S.Count, B, b) };

    [MethodImpl(Inline)]
    public static V Step<PB, PC>(ref Pair<S, V, M, T> h, ref Pair<S, V, M, T> previousInput, ref Pair<S, V, M, T> a, V y, V delta, V u, V deltaU, int n, M B, Column b, M C, Column c)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>
    {
        y = S.Step<PB, PC>(ref h.lo, ref previousInput.lo, ref a.lo, y, delta, u, deltaU, n, B, b, C, c);
        return S.Step<PB, PC>(ref h.hi, ref previousInput.hi, ref a.hi, y, delta, u, deltaU, n + S.Count, B, b, C, c);
    }

    [MethodImpl(Inline)]
    public static void Advance<PB>(ref Pair<S, V, M, T> h, ref Pair<S, V, M, T> previousInput, ref Pair<S, V, M, T> decay, ref Pair<S, V, M, T> a, V delta, V u, V deltaU, int n, M B, Column b)
        where PB : struct, IProjection<V, M>
    {
        S.Advance<PB>(ref h.lo, ref previousInput.lo, ref decay.lo, ref a.lo, delta, u, deltaU, n, B, b);
        S.Advance<PB>(ref h.hi, ref previousInput.hi, ref decay.hi, ref a.hi, delta, u, deltaU, n + S.Count, B, b);
    }

    [MethodImpl(Inline)]
    public static void Recompute<PB>(ref Pair<S, V, M, T> h, ref Pair<S, V, M, T> previousInput, ref Pair<S, V, M, T> a, bool starts, V delta, V u, V deltaU, int n, M B, Column b, M scratch, Column kept)
        where PB : struct, IProjection<V, M>
    {
        S.Recompute<PB>(ref h.lo, ref previousInput.lo, ref a.lo, starts, delta, u, deltaU, n, B, b, scratch, kept);
        S.Recompute<PB>(ref h.hi, ref previousInput.hi, ref a.hi, starts, delta, u, deltaU, n + S.Count, B, b, scratch, kept);
    }

    [MethodImpl(Inline)]
    public static void Reverse<PB, PC>(ref Pair<S, V, M, T> g, ref Pair<S, V, M, T> dPreviousInput, ref Pair<S, V, M, T> dA, ref Pair<S, V, M, T> h, ref Pair<S, V, M, T> a,
        ref StepSums<V> sums, bool starts, V delta, V u, V deltaU, V dy, int n, M B, Column b, M C, Column c, M scratch, Column kept, Column dB, Column dC)
        where PB : struct, IProjection<V, M>
        where PC : struct, IProjection<V, M>
    {
        S.Reverse<PB, PC>(ref g.lo, ref dPreviousInput.lo, ref dA.lo, ref h.lo, ref a.lo, ref sums, starts, delta, u, deltaU, dy, n, B, b, C, c, scratch, kept, dB, dC);
        S.Reverse<PB, PC>(ref g.hi, ref dPreviousInput.hi, ref dA.hi, ref h.hi, ref a.hi, ref sums, starts, delta, u, deltaU, dy, n + S.Count, B, b, C, c,
            scratch, kept, dB, dC);
    }

    [MethodImpl(Inline)]
    public static void Retreat<PC>(ref Pair<S, V, M, T> g, ref Pair<S, V, M, T> decay, ref Pair<S, V, M, T> a, V delta, V dy, int n, M C, Column c)
        where PC : struct, IProjection<V, M>
    {
        S.Retreat<PC>(ref g.lo, ref decay.lo, ref a.lo, delta, dy, n, C, c);
        S.Retreat<PC>(ref g.hi, ref decay.hi, ref a.hi, delta, dy, n + S.Count, C, c);
    }
}
