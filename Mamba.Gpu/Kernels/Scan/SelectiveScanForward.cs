using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>What every scan kernel is given. b, l, d, n as in the paper; g groups of channels, each with its own B and C.</summary>
public struct ScanArguments<M> where M : struct
{
    public M U, Delta, Z;       // (b, l, d)
    public M A;                 // (n, d), times log2(e)
    public M B, C;              // (b, l, g, n), or (n, d) when constant over time
    public M D, DeltaBias;      // (d)
    public M Initial;           // (b, n, d)
    public M Boundaries;        // (b, ⌈l / ChunkLength⌉, n, d): the state at the start of each chunk
    public int Batch, Channels, States, Groups;
    public long Length;
    public int HasZ, HasD, HasDeltaBias, HasInitial, HasBoundaries, Softplus;
}

/// <summary>Sizes and steps the scan kernels share.</summary>
public static class Scan
{
    /// <summary>Steps of a chunk: what backward recomputes at a time. Its scratch stays in a core's L1.</summary>
    public const int ChunkLength = 32;

    /// <summary>Channels a worker walks through time together, so that rows are read in whole cache lines.</summary>
    public const int BlockChannels = 64;

    /// <summary>delta = softplus(raw + bias), Algorithm 2 line 4; the identity above 20, as PyTorch.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Step<V, M, T>(V raw, int softplus)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        if (softplus == 0)
            return raw;
        V positive = V.Max(V.Of(0), raw) + V.Log1p(V.Exp(-V.Abs(raw)));
        return V.IfLess(V.Of(20), raw, raw, positive);
    }
}

/// <summary>
/// The selective scan, one worker a channel group, all its states in registers: the form for a device, and the plain one.
/// <code>
/// delta = softplus(raw + bias)            Algorithm 2, line 4
/// h     = exp(delta A) h + delta B u      eq. 2a, exponential-Euler
/// y     = C h + D u,  out = y · silu(z)   eq. 2b and the gate
/// </code>
/// Reads u, delta, z once and B, C from cache; writes out once. With more states than S holds it is launched again for the
/// next ones and adds to y: <see cref="First"/> and <see cref="Last"/> say which launch this is.
/// </summary>
public struct SelectiveScanForward<S, PB, PC, V, M, T> : IKernel
    where S : struct, IStates<S, V, M, T>
    where PB : struct, IProjection<V, M>
    where PC : struct, IProjection<V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public ScanArguments<M> In;
    public M Y;             // (b, l, d)
    public M LastState;     // (b, n, d)
    public int FirstState, First, Last;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        int perGroup = In.Channels / In.Groups, vectors = (perGroup + V.Width - 1) / V.Width;
        Share share = worker.Share((long)In.Batch * In.Groups * vectors);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            int b = (int)(item / (In.Groups * vectors)), g = (int)(item / vectors % In.Groups);
            int inside = (int)(item % vectors) * V.Width;
            Walk(b, g, g * perGroup + inside, Lanes.In(perGroup - inside));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    void Walk(int b, int g, int d, int lanes)
    {
        M u = In.U, raw = In.Delta, z = In.Z, B = In.B, C = In.C, y = Y;
        long length = In.Length, channels = In.Channels, states = In.States;
        var column = new Column((long)FirstState * channels + d, channels);
        S a = S.Load(In.A, column, lanes);
        var state = new Column(b * states * channels + column.Start, channels);
        S h = In.HasInitial != 0 ? S.Load(In.Initial, state, lanes) : S.Zero();
        V bias = In.HasDeltaBias != 0 ? V.Load(In.DeltaBias, d) : V.Of(0);
        V skip = In.HasD != 0 ? V.Load(In.D, d) : V.Of(0);
        long chunks = (length + Scan.ChunkLength - 1) / Scan.ChunkLength;
        for (long t = 0; t < length; t++)
        {
            if (In.HasBoundaries != 0 && t % Scan.ChunkLength == 0)
                S.Store(h, In.Boundaries, new Column((b * chunks + t / Scan.ChunkLength) * states * channels + column.Start, channels), lanes);
            long row = b * length + t, at = row * channels + d;
            var token = new Column((row * In.Groups + g) * states + FirstState, 1);
            V delta = Scan.Step<V, M, T>(V.Load(raw, at) + bias, In.Softplus), ut = V.Load(u, at);
            V sum = First != 0 ? skip * ut : V.Load(y, at);
            sum = S.Step<PB, PC>(ref h, a, sum, delta, delta * ut, B, PB.Varies ? token : column, C, PC.Varies ? token : column);
            if (Last != 0 && In.HasZ != 0)
            {
                V zt = V.Load(z, at);
                sum *= zt * Lanes.Sigmoid<V, M, T>(zt);
            }
            V.Store(y, at, sum, lanes);
        }
        S.Store(h, LastState, state, lanes);
    }
}
