using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// Gradients of the selective scan. A team owns a block of channels of one batch row and walks the chunks in reverse: it
/// recomputes the states of a chunk from its boundary, keeping Ā and Āh in scratch, then walks the chunk backwards.
/// <code>
/// g_t     = C_t dy_t + Ā_{t+1} g_{t+1}          (+ ∂L/∂h_last at the end)
/// dC_t[n] = Σ_d dy_t h_t       dB_t[n] = Σ_d g_t Δ_t u_t
/// dΔ_t    = Σ_n g_t (A Āh + B_t u_t)            Āh kept, not h − ΔBu: that cancels
/// du_t    = D dy_t + Δ_t Σ_n g_t B_t
/// dA      = Σ_{b,t} g_t Δ_t Āh   dD = Σ dy u    dh_0 = Ā_1 g_1
/// softplus: × σ(raw)   gate: dz = dout y σ(z)(1 + z(1 − σ(z))), dy = dout silu(z)
/// </code>
/// dB and dC gather lane by lane over the channels of the block, and are summed across lanes and threads once a chunk; what
/// sums over blocks or batch is written as parts, which <see cref="SumPartials{V, M, T}"/> adds in a fixed order.
/// </summary>
public struct SelectiveScanBackward<PB, PC, V, M, T, G> : ITeamKernel<V, G>
    where PB : struct, IProjection<V, M>
    where PC : struct, IProjection<V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where G : struct, ITeam<V>
{
    public ScanArguments<M> In;
    public M DOut;                      // (b, l, d)
    public M DLastState;                // (b, n, d)
    public M DU, DDelta, DZ;            // (b, l, d)
    public M DInitial;                  // (b, n, d)
    public M DAParts;                   // (b, n, d)
    public M DDParts, DBiasParts;       // (b, d)
    public M DBParts, DCParts;          // (blocks of a group, b, l, g, n), or (b, n, d) when constant over time
    public M Scratch;                   // (teams, slots, threads, lanes)
    public T Ln2;
    public int HasDLastState;

    /// <summary>Channels of a block. Larger blocks make fewer parts of dB and dC, smaller ones more teams.</summary>
    public const int BlockChannels = 128;

    /// <summary>Values of scratch each thread of a team needs, each a vector of lanes.</summary>
    public static long Slots(int states, int threads, int width) =>
        TokenB + 2L * Scan.ChunkLength * states + (4L * states + 2) * Vectors(threads, width);

    // Channel groups each thread takes of a block.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int Vectors(int threads, int width) => (BlockChannels + threads * width - 1) / (threads * width);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        int perGroup = In.Channels / In.Groups, blocks = (perGroup + BlockChannels - 1) / BlockChannels;
        int vectors = Vectors(team.Size, V.Width), n = In.States;
        long home = team.Index * Slots(n, team.Size, V.Width) * Stride(team) + team.Rank * V.Width;
        long chunks = (In.Length + Scan.ChunkLength - 1) / Scan.ChunkLength, items = (long)In.Batch * In.Groups * blocks;
        for (long item = team.Index; item < items; item += team.Count)
        {
            int b = (int)(item / (In.Groups * blocks)), g = (int)(item / blocks % In.Groups), block = (int)(item % blocks);
            int start = g * perGroup + block * BlockChannels, end = Math.Min(start + BlockChannels, (g + 1) * perGroup);
            for (int k = 0; k < vectors; k++)
            {
                int d = start + (k * team.Size + team.Rank) * V.Width;
                if (d < end)
                    Start(team, b, d, Lanes.In(end - d), home, k, vectors);
            }
            for (long chunk = chunks - 1; chunk >= 0; chunk--)
            {
                int steps = (int)Math.Min(Scan.ChunkLength, In.Length - chunk * Scan.ChunkLength);
                Clear(team, home);
                for (int k = 0; k < vectors; k++)
                {
                    int d = start + (k * team.Size + team.Rank) * V.Width;
                    if (d < end)
                        Chunk(team, b, g, chunk, chunks, steps, d, Lanes.In(end - d), home, k, vectors);
                }
                team.Barrier();
                long row = (((long)block * In.Batch + b) * In.Length + chunk * Scan.ChunkLength) * In.Groups + g;
                if (PB.Varies)
                    SumLanes(team, DBParts, row, steps, home, TokenB);
                if (PC.Varies)
                    SumLanes(team, DCParts, row, steps, home, TokenB + Scan.ChunkLength * n);
                team.Barrier();
            }
            for (int k = 0; k < vectors; k++)
            {
                int d = start + (k * team.Size + team.Rank) * V.Width;
                if (d < end)
                    Finish(team, b, d, Lanes.In(end - d), home, k, vectors);
            }
        }
    }

    // ---- scratch: slot s of this thread is at home + s · stride ------------------------------------

    // A constant on the host, where a team has one member: the JIT then folds it into addresses.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static long Stride(G team) => (long)team.Size * V.Width;

    const int Delta = 0, DeltaU = Scan.ChunkLength, DY = 2 * Scan.ChunkLength, Sigma = 3 * Scan.ChunkLength;
    const int Decay = 4 * Scan.ChunkLength, Input = 5 * Scan.ChunkLength, Y = 6 * Scan.ChunkLength;
    const int Kept = 7 * Scan.ChunkLength;              // Ā and Āh of up to four states
    const int TokenB = 15 * Scan.ChunkLength;           // dB (t, n), then dC (t, n)

    readonly int Carry => TokenB + 2 * Scan.ChunkLength * In.States;        // then, (k, n) each: Ā g, dA, dB, dC of a constant B, C; then (k) each: dD, dBias

    void Start(G team, int b, int d, int lanes, long home, int k, int vectors)
    {
        long stride = Stride(team);
        long states = In.States, channels = In.Channels;
        for (int n = 0; n < states; n++)
        {
            long slot = Carry + k * states + n, group = vectors * states;
            V last = HasDLastState != 0 ? V.Keep(V.Load(DLastState, (b * states + n) * channels + d), lanes) : V.Of(0);
            V.Store(Scratch, home + slot * stride, last);
            V.Store(Scratch, home + (slot + group) * stride, V.Of(0));
            V.Store(Scratch, home + (slot + 2 * group) * stride, V.Of(0));
            V.Store(Scratch, home + (slot + 3 * group) * stride, V.Of(0));
        }
        long scalars = Carry + 4 * vectors * states;
        V.Store(Scratch, home + (scalars + k) * stride, V.Of(0));
        V.Store(Scratch, home + (scalars + vectors + k) * stride, V.Of(0));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Clear(G team, long home)
    {
        long stride = Stride(team);
        M s = Scratch;
        long end = home + (TokenB + 2L * Scan.ChunkLength * In.States) * stride;
        for (long at = home + TokenB * stride; at < end; at += stride)
            V.Store(s, at, V.Of(0));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Chunk(G team, int b, int g, long chunk, long chunks, int steps, int d, int lanes, long home, int k, int vectors)
    {
        long stride = Stride(team);
        M u = In.U, raw = In.Delta, z = In.Z, dOut = DOut, s = Scratch;
        long channels = In.Channels, t = chunk * Scan.ChunkLength, first = (b * In.Length + t) * channels + d;
        V bias = In.HasDeltaBias != 0 ? V.Keep(V.Load(In.DeltaBias, d), lanes) : V.Of(0);
        V skip = In.HasD != 0 ? V.Keep(V.Load(In.D, d), lanes) : V.Of(0);
        int softplus = In.Softplus, gated = In.HasZ;
        for (int i = 0; i < steps; i++)
        {
            long at = first + i * channels, slot = home + i * stride;
            V x = V.Keep(V.Load(raw, at), lanes) + bias, ut = V.Keep(V.Load(u, at), lanes), dy = V.Keep(V.Load(dOut, at), lanes);
            V delta = x, sigma = V.Of(1);
            if (softplus != 0)
            {
                V e = V.Exp(-V.Abs(x)), r = V.Of(1) / (V.Of(1) + e);
                delta = V.IfLess(V.Of(20), x, x, V.Max(V.Of(0), x) + V.Log1p(e));
                sigma = V.IfLess(V.Of(20), x, V.Of(1), V.IfLess(x, V.Of(0), e * r, r));
            }
            if (gated != 0)
            {
                V zt = V.Keep(V.Load(z, at), lanes);
                dy *= zt * Lanes.Sigmoid<V, M, T>(zt);
            }
            V.Store(s, slot + Delta * stride, delta);
            V.Store(s, slot + DeltaU * stride, delta * ut);
            V.Store(s, slot + DY * stride, dy);
            V.Store(s, slot + Sigma * stride, sigma);
            V.Store(s, slot + Decay * stride, V.Of(0));
            V.Store(s, slot + Input * stride, V.Of(0));
            V.Store(s, slot + Y * stride, skip * ut);
        }

        int n = 0;
        for (; n + 2 <= In.States; n += 2)
            Tile<Pair<One<V, M, T>, V, M, T>>(team, b, g, chunk, chunks, steps, d, lanes, home, k, vectors, n);
        for (; n < In.States; n++)
            Tile<One<V, M, T>>(team, b, g, chunk, chunks, steps, d, lanes, home, k, vectors, n);

        long scalars = home + (Carry + 4L * vectors * In.States) * stride;
        V dD = V.Load(s, scalars + k * stride), dBias = V.Load(s, scalars + (vectors + k) * stride), ln2 = V.Splat(Ln2);
        for (int i = 0; i < steps; i++)
        {
            long at = first + i * channels, slot = home + i * stride;
            V delta = V.Load(s, slot + Delta * stride), dy = V.Load(s, slot + DY * stride), input = V.Load(s, slot + Input * stride);
            V ut = V.Keep(V.Load(u, at), lanes);
            V.Store(DU, at, V.Fma(skip, dy, delta * input), lanes);
            V dDelta = V.Fma(ln2, V.Load(s, slot + Decay * stride), ut * input) * V.Load(s, slot + Sigma * stride);
            V.Store(DDelta, at, dDelta, lanes);
            dBias += dDelta;
            dD = V.Fma(dy, ut, dD);
            if (gated != 0)
            {
                V zt = V.Keep(V.Load(z, at), lanes), sz = Lanes.Sigmoid<V, M, T>(zt);
                V dz = V.Load(dOut, at) * V.Load(s, slot + Y * stride) * sz * V.Fma(zt, V.Of(1) - sz, V.Of(1));
                V.Store(DZ, at, dz, lanes);
            }
        }
        V.Store(s, scalars + k * stride, dD);
        V.Store(s, scalars + (vectors + k) * stride, dBias);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Tile<S>(G team, int b, int g, long chunk, long chunks, int steps, int d, int lanes, long home, int k, int vectors, int n)
        where S : struct, IStates<S, V, M, T>
    {
        long stride = Stride(team);
        M s = Scratch, B = In.B, C = In.C;
        long channels = In.Channels, states = In.States, rowStride = In.Groups * states;
        var channel = new Column(n * channels + d, channels);
        S a = S.Load(In.A, channel, lanes);
        S h = S.Load(In.Boundaries, new Column((b * chunks + chunk) * states * channels + channel.Start, channels), lanes);
        long row = ((b * In.Length + chunk * Scan.ChunkLength) * In.Groups + g) * states + n;
        long bAt = PB.Varies ? row : channel.Start, bStride = PB.Varies ? 1 : channels, bRow = PB.Varies ? rowStride : 0;
        long cAt = PC.Varies ? row : channel.Start, cStride = PC.Varies ? 1 : channels, cRow = PC.Varies ? rowStride : 0;

        long kept = home + Kept * stride, keptStep = 2 * S.Count * stride;
        for (int i = 0; i < steps; i++)
        {
            long at = home + i * stride;
            S.Recompute<PB>(ref h, a, V.Load(s, at + Delta * stride), V.Load(s, at + DeltaU * stride),
                B, new Column(bAt + i * bRow, bStride), s, new Column(kept + i * keptStep, stride));
        }

        long group = vectors * states * stride, carry = home + (Carry + k * states + n) * stride;
        long dBAt = PB.Varies ? home + (TokenB + n) * stride : carry + 2 * group, dBStep = PB.Varies ? states * stride : 0;
        long dCAt = PC.Varies ? home + (TokenB + Scan.ChunkLength * states + n) * stride : carry + 3 * group, dCStep = PC.Varies ? states * stride : 0;
        S gradient = S.Load(s, new Column(carry, stride), V.Width), dA = S.Load(s, new Column(carry + group, stride), V.Width);
        for (int i = steps - 1; i >= 0; i--)
        {
            long at = home + i * stride;
            var sums = new StepSums<V> { Decay = V.Load(s, at + Decay * stride), Input = V.Load(s, at + Input * stride), Y = V.Load(s, at + Y * stride) };
            S.Reverse<PB, PC>(ref gradient, ref dA, a, ref sums, V.Load(s, at + Delta * stride), V.Load(s, at + DeltaU * stride), V.Load(s, at + DY * stride),
                B, new Column(bAt + i * bRow, bStride), C, new Column(cAt + i * cRow, cStride),
                s, new Column(kept + i * keptStep, stride), new Column(dBAt + i * dBStep, stride), new Column(dCAt + i * dCStep, stride));
            V.Store(s, at + Decay * stride, sums.Decay);
            V.Store(s, at + Input * stride, sums.Input);
            V.Store(s, at + Y * stride, sums.Y);
        }
        S.Store(gradient, s, new Column(carry, stride), V.Width);
        S.Store(dA, s, new Column(carry + group, stride), V.Width);
    }

    // Adds the lanes of every thread of the team, a thread taking every Size-th sum: parts (rows of g, n).
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void SumLanes(G team, M parts, long row, int steps, long home, int slot)
    {
        long stride = Stride(team);
        M s = Scratch;
        int states = In.States, size = team.Size;
        long from = home - team.Rank * V.Width + slot * stride;
        for (int v = team.Rank; v < steps * states; v += size)
        {
            V sum = V.Load(s, from + v * stride);
            for (int thread = 1; thread < size; thread++)
                sum += V.Load(s, from + v * stride + thread * V.Width);
            V.Store(parts, (row + (long)(v / states) * In.Groups) * states + v % states, V.Sum(sum), 1);
        }
    }

    void Finish(G team, int b, int d, int lanes, long home, int k, int vectors)
    {
        long stride = Stride(team);
        long states = In.States, channels = In.Channels, group = vectors * states;
        for (int n = 0; n < states; n++)
        {
            long slot = Carry + k * states + n, at = (b * states + n) * channels + d;
            V.Store(DInitial, at, V.Load(Scratch, home + slot * stride), lanes);
            V.Store(DAParts, at, V.Load(Scratch, home + (slot + group) * stride), lanes);
            if (!PB.Varies)
                V.Store(DBParts, at, V.Load(Scratch, home + (slot + 2 * group) * stride), lanes);
            if (!PC.Varies)
                V.Store(DCParts, at, V.Load(Scratch, home + (slot + 3 * group) * stride), lanes);
        }
        long scalars = Carry + 4 * group;
        V.Store(DDParts, b * channels + d, V.Load(Scratch, home + (scalars + k) * stride), lanes);
        V.Store(DBiasParts, b * channels + d, V.Load(Scratch, home + (scalars + vectors + k) * stride), lanes);
    }
}
