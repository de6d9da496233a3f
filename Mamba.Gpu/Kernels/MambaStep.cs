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
// The first launch is that of a step of the convolution, CausalConv1dOneStep. States are read and written once. Weights come as checkpoints
// have them, channels first, and lanes are channels: they are turned in registers, four columns at a time.

/// <summary>
/// The second launch: the scan's step. u, delta, y (b, d); xz (b, 2 d), z last; dtBC (b, r + 2 n); A_log (d, n); deltaBias, skip (d);
/// state (b, n, d).
/// </summary>
internal struct MambaStepScan<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M U, Delta, XZ, DtBC, ALog, DeltaBias, Skip, State, Y;
    public long Batch, D, N, R;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M aLog = ALog;
        long d = D, n = N, groups = (d + V.Width - 1) / V.Width;
        Share share = worker.Share(Batch * groups);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long b = item / groups, c = item % groups * V.Width, o = b * d + c, at = b * (R + 2 * n) + R, h = b * n * d + c, i = 0;
            int lanes = Lanes.In(d - c);
            for (long ahead = c * n; ahead < (c + V.Width) * n; ahead += 16)        // a cache line of floats each, two turns from now: weights come from memory
                V.Prefetch(aLog, ahead + 2 * V.Width * n);
            V u = V.Load(U, o), delta = Scan.StepSize<V, M, T>(V.Load(Delta, o) + V.Load(DeltaBias, c), 1), deltaU = delta * u, sum = V.Load(Skip, c) * u;
            delta *= V.Constant(-1.44269504088896340736);       // exp(delta A) = 2^(−log2(e) delta exp(A_log))
            if (lanes >= V.Width)
                for (; i + 4 <= n; i += 4)
                {
                    V.LoadColumns(aLog, c * n + i, n, out V a0, out V a1, out V a2, out V a3);
                    Next(a0, delta, deltaU, at + i, h + i * d, lanes, ref sum);
                    Next(a1, delta, deltaU, at + i + 1, h + (i + 1) * d, lanes, ref sum);
                    Next(a2, delta, deltaU, at + i + 2, h + (i + 2) * d, lanes, ref sum);
                    Next(a3, delta, deltaU, at + i + 3, h + (i + 3) * d, lanes, ref sum);
                }
            for (; i < n; i++)
                Next(V.Gather(aLog, c * n + i, n, lanes), delta, deltaU, at + i, h + i * d, lanes, ref sum);
            V z = V.Load(XZ, (2 * b + 1) * d + c);
            V.Store(Y, o, sum * z * Lanes.Sigmoid<V, M, T>(z), lanes);
        }
    }

    // One state of these channels: B's element at dtBC[at], C's n further on, the state at state[h].
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    readonly void Next(V aLog, V delta, V deltaU, long at, long h, int lanes, ref V sum)
    {
        V next = V.Fma(V.Exp2(V.Exp(aLog) * delta), V.Load(State, h), deltaU * V.Broadcast(DtBC, at));
        V.Store(State, h, next, lanes);
        sum = V.Fma(V.Broadcast(DtBC, at + N), next, sum);
    }
}

/// <summary>Launchers of a step.</summary>
internal static class MambaStepKernels
{
    /// <summary>y (b, d); ssmState (b, n, d) moves on in place. u, delta (b, d), dtBC (b, r + 2 n), aLog (d, n), deltaBias and skip (d).</summary>
    public static void Scan(Tensor xz, Tensor ssmState, Tensor u, Tensor delta, Tensor dtBC, Tensor aLog, Tensor deltaBias, Tensor skip, Tensor y) =>
        xz.Launch(new ScanLaunch(xz, ssmState, u, delta, dtBC, aLog, deltaBias, skip, y));

    readonly record struct ScanLaunch(Tensor XZ, Tensor State, Tensor U, Tensor Delta, Tensor DtBC, Tensor ALog, Tensor DeltaBias, Tensor Skip, Tensor Y)
        : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            long d = U.Shape[1], n = ALog.Shape[1], groups = (d + V.Width - 1) / V.Width;
            on.Run(new MambaStepScan<V, M, T>
            {
                U = on.Memory(U),
                Delta = on.Memory(Delta),
                XZ = on.Memory(XZ),
                DtBC = on.Memory(DtBC),
                ALog = on.Memory(ALog),
                DeltaBias = on.Memory(DeltaBias),
                Skip = on.Memory(Skip),
                State = on.Memory(State),
                Y = on.Memory(Y),
                Batch = U.Shape[0],
                D = d,
                N = n,
                R = DtBC.Shape[1] - 2 * n,
            }, U.Shape[0] * groups, (8 + 6 * n) * V.Width);
        }
    }
}
