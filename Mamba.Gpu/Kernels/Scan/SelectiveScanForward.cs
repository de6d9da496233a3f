using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// The selective scan, one worker a channel group, all its states in registers: the form for a device, and the plain one.
/// <code>
/// delta = softplus(raw + bias)                        Algorithm 2, line 4
/// h     = α(delta A) h + delta (γ B u + β B₋ u₋)      eq. 2a; α = exp, γ = 1, β = 0 unless another discretization was chosen
/// y     = C h + D u,  out = y · silu(z)               eq. 2b and the gate
/// </code>
/// Reads u, delta, z once and B, C from cache; writes out once. With more states than S holds it is launched again for the
/// next ones and adds to y: <see cref="First"/> and <see cref="Last"/> say which launch this is.
/// </summary>
internal struct SelectiveScanForward<S, PB, PC, V, M, T, I> : IKernel
    where S : struct, IStates<S, V, M, T>
    where PB : struct, IProjection<V, M>
    where PC : struct, IProjection<V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public ScanArguments<M, I> In;
    public M Y;                 // (b, l, d)
    public M LastState;         // (b, segments, n, d)
    public M LastInput;        // (b, n, d)
    public int FirstState, First, Last;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        Share share = worker.Share(In.Items);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            ScanItem item = In.Item(i);
            for (int d = item.FirstChannel; d < item.EndChannel; d += V.Width)
                Walk(item, d, Lanes.In(item.EndChannel - d));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    void Walk(in ScanItem item, int d, int lanes)
    {
        M u = In.U, raw = In.Delta, z = In.Z, B = In.B, C = In.C, y = Y;
        long length = In.Length, channels = In.Channels, states = In.States;
        var column = new Column((long)FirstState * channels + d, channels);
        S a = S.Load(In.A, column, 0, lanes);
        var state = new Column(item.Row * states * channels + column.Start, channels);
        S h = In.HasInitial != 0 ? S.Load(In.Initial, state, 0, lanes) : S.Zero();
        S previousInput = Scan.PreviousInput<S, PB, V, M, T, I>(In, item, item.Start, d, lanes, FirstState);
        V bias = In.HasDeltaBias != 0 ? V.Load(In.DeltaBias, d) : V.Of(0);
        V skip = In.HasD != 0 ? V.Load(In.D, d) : V.Of(0);
        for (long t = item.Start; t < item.End; t++)
        {
            if (In.HasBoundaries != 0 && t % Scan.ChunkLength == 0)
                S.Store(ref h, In.Boundaries, new Column((item.B * In.Chunks + t / Scan.ChunkLength) * states * channels + column.Start, channels), 0, lanes);
            if (In.StartsAt(item.B, t))
            {
                h = S.Zero();
                previousInput = S.Zero();
            }
            long row = item.B * length + t, at = row * channels + d;
            var values = new Column((row * In.Groups + item.G) * states + FirstState, 1);
            V delta = Scan.StepSize<V, M, T>(V.Load(raw, at) + bias, In.Softplus), ut = V.Load(u, at);
            V sum = First != 0 ? skip * ut : V.Load(y, at);
            sum = S.Step<PB, PC>(ref h, ref previousInput, ref a, sum, delta, ut, delta * ut, 0, B, PB.Varies ? values : column, C,
                PC.Varies ? values : column);
            if (Last != 0 && In.HasZ != 0)
            {
                V zt = V.Load(z, at);
                sum *= zt * Lanes.Sigmoid<V, M, T>(zt);
            }
            V.Store(y, at, sum, lanes);
        }
        S.Store(ref h, LastState, state, 0, lanes);
        if (S.LooksBack && item.End == length)
            S.Store(ref previousInput, LastInput, new Column(item.B * states * channels + column.Start, channels), 0, lanes);
    }
}
