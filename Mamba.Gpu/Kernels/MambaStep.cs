using System.Numerics;
using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

// One token through a Mamba block, between in_proj and out_proj: what is left beside the matrix products, in two launches, because
// x_proj and dt_proj lie between the convolution and the scan.
//
//   x, z     = split(xz);  the state of the convolution moves on by x
//   u        = silu(bias + Σ_j weight[j]·state[j])
//   dt, B, C = split(x_proj u),  delta = softplus(dt_proj dt + bias)
//   h        = exp(delta A) h + delta B u,  A = −exp(A_log)          eq. 2a
//   y        = (C h + D u) · silu(z)                                eq. 2b and the gate
//
// States are read and written once. Weights come as checkpoints have them, channels first, lanes being channels: they are
// gathered, once for the whole batch.

/// <summary>
/// The first launch: the convolution, and A made ready for the second. xz (b, 2 d), x first; weight (d, k); bias (d); state (b, k, d);
/// u (b, d); A_log (d, n); a (n, d), A times log2(e).
/// </summary>
public struct MambaStepConv1d<W, V, M, T> : IKernel
    where W : struct, ITaps<W, V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M XZ, Weight, Bias, State, U, ALog, A;
    public int HasBias;
    public long Batch, D, N;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        long d = D, groups = (d + V.Width - 1) / V.Width;
        Share share = worker.Share(Batch * groups);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long b = item / groups, c = item % groups * V.Width, s = b * W.Count * d + c;
            int lanes = Lanes.In(d - c);
            W window = W.Load(State, s, d);
            W.Append(ref window, V.Load(XZ, b * 2 * d + c));
            W.Store(State, s, d, window, lanes);
            V pre = W.Dot(Taps(c, lanes), window, HasBias != 0 ? V.Load(Bias, c) : V.Of(0));
            V.Store(U, b * d + c, pre * Lanes.Sigmoid<V, M, T>(pre), lanes);
            if (b == 0)
                MakeA(c, lanes);
        }
    }

    // The k weights of each of these channels. In a checkpoint they lie side by side.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    readonly W Taps(long c, int lanes)
    {
        W taps = default;
        long k = W.Count, i = 0;
        if (lanes >= V.Width)
            for (; i + 4 <= k; i += 4)
            {
                V.LoadColumns(Weight, c * k + i, k, out V w0, out V w1, out V w2, out V w3);
                W.Append(ref taps, w0);
                W.Append(ref taps, w1);
                W.Append(ref taps, w2);
                W.Append(ref taps, w3);
            }
        for (; i < k; i++)
            W.Append(ref taps, V.Gather(Weight, c * k + i, k, lanes));
        return taps;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    readonly void MakeA(long c, int lanes)
    {
        V scale = V.Constant(-1.44269504088896340736);
        long d = D, n = N, i = 0, at = c;
        if (lanes >= V.Width)
            for (; i + 4 <= n; i += 4, at += 4 * d)
            {
                V.LoadColumns(ALog, c * n + i, n, out V a0, out V a1, out V a2, out V a3);
                V.Store(A, at, V.Exp(a0) * scale);
                V.Store(A, at + d, V.Exp(a1) * scale);
                V.Store(A, at + 2 * d, V.Exp(a2) * scale);
                V.Store(A, at + 3 * d, V.Exp(a3) * scale);
            }
        for (; i < n; i++, at += d)
            V.Store(A, at, V.Exp(V.Gather(ALog, c * n + i, n, lanes)) * scale, lanes);
    }
}

/// <summary>
/// The second launch: the scan's step. u, delta, y (b, d); xz (b, 2 d), z last; dtBC (b, r + 2 n); a (n, d), A times log2(e);
/// deltaBias, skip (d); state (b, n, d).
/// </summary>
public struct MambaStepScan<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M U, Delta, XZ, DtBC, A, DeltaBias, Skip, State, Y;
    public long Batch, D, N, R;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M a = A, state = State, dtBC = DtBC;
        long d = D, n = N, groups = (d + V.Width - 1) / V.Width;
        Share share = worker.Share(Batch * groups);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long b = item / groups, c = item % groups * V.Width, o = b * d + c, B = b * (R + 2 * n) + R, h = b * n * d + c;
            int lanes = Lanes.In(d - c);
            V u = V.Load(U, o), delta = Scan.Step<V, M, T>(V.Load(Delta, o) + V.Load(DeltaBias, c), 1);
            V deltaU = delta * u, sum = V.Load(Skip, c) * u;
            for (long i = 0, at = c; i < n; i++, at += d, h += d)
            {
                V next = V.Fma(V.Exp2(V.Load(a, at) * delta), V.Load(state, h), deltaU * V.Broadcast(dtBC, B + i));
                V.Store(state, h, next, lanes);
                sum = V.Fma(V.Broadcast(dtBC, B + n + i), next, sum);
            }
            V z = V.Load(XZ, (2 * b + 1) * d + c);
            V.Store(Y, o, sum * z * Lanes.Sigmoid<V, M, T>(z), lanes);
        }
    }
}

/// <summary>Launchers of a step.</summary>
public static class MambaStepKernels
{
    /// <summary>u (b, d) and a (n, d) from xz (b, 2 d); convState (b, k, d) moves on in place. Weight (d, k), aLog (d, n).</summary>
    public static void Conv1d(Tensor xz, Tensor convState, Tensor weight, Tensor? bias, Tensor aLog, Tensor u, Tensor a) =>
        xz.Launch(new ConvLaunch(xz, convState, weight, bias, aLog, u, a));

    /// <summary>y (b, d); ssmState (b, n, d) moves on in place. u, delta (b, d), dtBC (b, r + 2 n), a (n, d) from <see cref="Conv1d"/>, deltaBias and skip (d).</summary>
    public static void Scan(Tensor xz, Tensor ssmState, Tensor u, Tensor delta, Tensor dtBC, Tensor a, Tensor deltaBias, Tensor skip, Tensor y) =>
        xz.Launch(new ScanLaunch(xz, ssmState, u, delta, dtBC, a, deltaBias, skip, y));

    readonly record struct ConvLaunch(Tensor XZ, Tensor State, Tensor Weight, Tensor? Bias, Tensor ALog, Tensor U, Tensor A) : ILaunch, ITapsLaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => Taps.Choose(State.Shape[1], this, on);

        void ITapsLaunch.With<W, V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            long d = U.Shape[1], groups = (d + V.Width - 1) / V.Width;
            on.Run(new MambaStepConv1d<W, V, M, T>
            {
                XZ = on.Memory(XZ),
                Weight = on.Memory(Weight),
                Bias = on.Memory(Bias),
                State = on.Memory(State),
                U = on.Memory(U),
                ALog = on.Memory(ALog),
                A = on.Memory(A),
                HasBias = Bias is null ? 0 : 1,
                Batch = U.Shape[0],
                D = d,
                N = A.Shape[0],
            }, U.Shape[0] * groups, (4 + A.Shape[0]) * V.Width);
        }
    }

    readonly record struct ScanLaunch(Tensor XZ, Tensor State, Tensor U, Tensor Delta, Tensor DtBC, Tensor A, Tensor DeltaBias, Tensor Skip, Tensor Y) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            long d = U.Shape[1], n = A.Shape[0], groups = (d + V.Width - 1) / V.Width;
            on.Run(new MambaStepScan<V, M, T>
            {
                U = on.Memory(U),
                Delta = on.Memory(Delta),
                XZ = on.Memory(XZ),
                DtBC = on.Memory(DtBC),
                A = on.Memory(A),
                DeltaBias = on.Memory(DeltaBias),
                Skip = on.Memory(Skip),
                State = on.Memory(State),
                Y = on.Memory(Y),
                Batch = U.Shape[0],
                D = d,
                N = n,
                R = DtBC.Shape[1] - 2 * n,
            }, U.Shape[0] * groups, (8 + 4 * n) * V.Width);
        }
    }
}
