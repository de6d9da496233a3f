using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// Gradients of the selective scan. A team owns a strip of channels of one batch row and walks the chunks in reverse: it
/// recomputes the states of a chunk from its boundary, keeping Ā and h₋ in scratch, then walks the chunk backwards.
/// <code>
/// g_t     = C_t dy_t + Ā_{t+1} g_{t+1}          (+ ∂L/∂h_last at the end)
/// dC_t[n] = Σ_d dy_t h_t       dB_t[n] = Σ_d g_t Δ_t u_t
/// dΔ_t    = Σ_n g_t (A Ā_t h_{t−1} + B_t u_t)   Ā_t h_{t−1} from what was kept, not h − ΔBu: that cancels
/// du_t    = D dy_t + Δ_t Σ_n g_t B_t
/// dA      = Σ_{b,t} g_t Δ_t Ā_t h_{t−1}   dD = Σ dy u    dh_0 = Ā_1 g_1
/// softplus: × σ(raw)   gate: dz = dout y σ(z)(1 + z(1 − σ(z))), dy = dout silu(z)
/// </code>
/// (for exponential-Euler; <see cref="IStates{S, V, M, T}.Reverse"/> has the general step). The states are taken a few at a time, and for
/// each few all channels of the strip: dB and dC then gather lane by lane over the channels in little memory, and are summed
/// across lanes and threads once a chunk. What sums over strips or batch is written as partials, which are added in a fixed order. What sums
/// over time, dA, dD, dΔbias and dB and dC of a constant B and C, is kept in four levels: a chunk's 32 tokens, 16 chunks, 16 times that, and the rest. So of
/// l tokens a chain of additions has at most 64 + l/8192 links, and the error is below that many half ulps of the sum of magnitudes: at 2^20 tokens
/// 1.2e-5 in float32 at the worst.
/// </summary>
// L: one state. docs/glossary.md has the other letters.
internal struct SelectiveScanBackward<L, PB, PC, V, M, T, I, G> : ITeamKernel<V, G>
    where L : struct, IStates<L, V, M, T>
    where PB : struct, IProjection<V, M>
    where PC : struct, IProjection<V, M>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
    where G : struct, ITeam<V>
{
    public ScanArguments<M, I> In;
    public M DOut;                      // (b, l, d)
    public M DLastState;                // (b, segments, n, d)
    public M DLastInput;               // (b, n, d)
    public M DU, DDelta, DZ;            // (b, l, d)
    public M DInitial;                  // (b, segments, n, d)
    public M DPreviousInput;                   // (b, n, d)
    public M DAPartials;                   // (b, segments, n, d)
    public M DDPartials, DBiasPartials;       // (b, segments, d)
    public M DBPartials, DCPartials;          // (strips of a group, b, window, g, n), or (b, segments, n, d) when constant over time
    public M Scratch;                   // (teams, slots, threads, lanes)
    public T DecayScale;                // from the units A arrives in to A's own: ln 2 or 1
    public int HasDLastState, HasDLastInput;
    public long FirstChunk, EndChunk;   // the window of each row that this launch walks
    public int Resume;                  // whether a launch before this one walked what follows

    /// <summary>Rows of states taken at a time, at most.</summary>
    const int TileStates = 4;

    /// <summary>Values of scratch each thread of a team needs, each a vector of lanes.</summary>
    public static long Slots(int states, int vectors) =>
        (long)vectors * PerVector + (3L * TileStates + 2 * TokenStates(states)) * Scan.ChunkLength + 2L * states * vectors + Levels * SumsOf(states, vectors);

    // Rows of states whose dB and dC gather at the same time.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static long TokenStates(int states) => SumsEachTile ? TileStates : states;

    /// <summary>Channel groups each thread takes of a strip.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Vectors(int stripChannels, int threads, int width) => (stripChannels + threads * width - 1) / (threads * width);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        int vectors = Vectors(In.StripChannels, team.Size, V.Width);
        long home = team.Slot * Slots(In.States, vectors) * Stride(team) + team.Rank * V.Width;
        for (long i = team.Index; i < In.Items; i += team.Count)
        {
            ScanItem item = In.Item(i);
            for (int k = 0; k < vectors; k++)
            {
                int d = Channel(team, item, k);
                if (d < item.EndChannel)
                    Start(team, item, d, Lanes.In(item.EndChannel - d), home, k, vectors);
            }
            long firstChunk = Math.Max(FirstChunk, item.Start / Scan.ChunkLength);
            long endChunk = Math.Min(EndChunk, (item.End + Scan.ChunkLength - 1) / Scan.ChunkLength);
            for (long chunk = endChunk - 1; chunk >= firstChunk; chunk--)
            {
                int steps = (int)Math.Min(Scan.ChunkLength, item.End - chunk * Scan.ChunkLength);
                for (int k = 0; k < vectors; k++)
                {
                    int d = Channel(team, item, k);
                    if (d < item.EndChannel)
                        Prepare(team, item, chunk * Scan.ChunkLength, steps, d, Lanes.In(item.EndChannel - d), home, k);
                }
                if (!SumsEachTile)
                    Clear(team, steps * In.States, home, vectors);
                int n = 0;
                if (L.Count == 1)
                {
                    for (; n + 4 <= In.States; n += 4)
                        States<Pair<Pair<L, V, M, T>, V, M, T>>(team, item, chunk, steps, home, vectors, n);
                }
                for (; n + 2 * L.Count <= In.States; n += 2 * L.Count)
                    States<Pair<L, V, M, T>>(team, item, chunk, steps, home, vectors, n);
                for (; n < In.States; n += L.Count)
                    States<L>(team, item, chunk, steps, home, vectors, n);
                if (!SumsEachTile)
                {
                    team.Barrier();
                    Sum(team, item, chunk, steps, home, vectors, 0, In.States);
                    team.Barrier();
                }
                for (int k = 0; k < vectors; k++)
                {
                    int d = Channel(team, item, k);
                    if (d < item.EndChannel)
                        Gather(team, item, chunk * Scan.ChunkLength, steps, d, Lanes.In(item.EndChannel - d), home, k, vectors);
                }
                Fold(team, chunk, home, vectors);
            }
            for (int k = 0; k < vectors; k++)
            {
                int d = Channel(team, item, k);
                if (d < item.EndChannel)
                    Finish(team, item, d, Lanes.In(item.EndChannel - d), home, k, vectors);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int Channel(G team, in ScanItem item, int k) => item.FirstChannel + (k * team.Size + team.Rank) * V.Width;

    // ---- scratch: slot s of this thread is at home + s · stride ------------------------------------

    // A constant on the host, where a team has one member: the JIT then folds it into addresses.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static long Stride(G team) => (long)team.Size * V.Width;

    // for each channel group k
    const int Delta = 0, DeltaU = Scan.ChunkLength, DY = 2 * Scan.ChunkLength, Sigma = 3 * Scan.ChunkLength;
    const int Decay = 4 * Scan.ChunkLength, Input = 5 * Scan.ChunkLength, Direct = 6 * Scan.ChunkLength, Y = 7 * Scan.ChunkLength;
    const int PerVector = 8 * Scan.ChunkLength;

    // Then (t, TileStates) of what a step keeps, (t, TokenStates) of dB and dC; then (k, n) each: Ā g, ∂L/∂p; then in each level the sums over time: (k, n) dA,
    // (k) dD, dBias, and (k, n) dB and dC of a constant B and C.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static long Kept(int vectors) => vectors * PerVector;
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static long TokenB(int vectors) => Kept(vectors) + 3 * TileStates * Scan.ChunkLength;
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    readonly long TokenC(int vectors) => TokenB(vectors) + TokenStates(In.States) * Scan.ChunkLength;
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    readonly long Carry(int vectors) => TokenC(vectors) + TokenStates(In.States) * Scan.ChunkLength;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    readonly long Sums(int vectors) => Carry(vectors) + 2L * vectors * In.States;

    // Of the sums of a level
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    readonly long DD(int vectors) => (long)vectors * In.States;
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    readonly long DBias(int vectors) => DD(vectors) + vectors;
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    readonly long ConstantB(int vectors) => DBias(vectors) + vectors;
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    readonly long ConstantC(int vectors) => ConstantB(vectors) + (PB.Varies ? 0 : (long)vectors * In.States);

    const int Levels = 4, Links = 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static long SumsOf(int states, int vectors) => (long)vectors * (states + 2 + (PB.Varies ? 0 : states) + (PC.Varies ? 0 : states));

    // A sum begins with `value`, in the highest of its levels.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    void Begin(long first, long slot, long level, V value)
    {
        for (int i = 0; i < Levels - 1; i++)
            V.Store(Scratch, first + slot + i * level, V.Of(0));
        V.Store(Scratch, first + slot + (Levels - 1) * level, value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    V Total(long first, long slot, long level)
    {
        V sum = V.Load(Scratch, first + slot);
        for (int i = 1; i < Levels; i++)
            sum += V.Load(Scratch, first + slot + i * level);
        return sum;
    }

    // A chunk is done: its sums go up a level, and every 16 chunks, and 16 times 16, those above.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Fold(G team, long chunk, long home, int vectors)
    {
        M s = Scratch;
        long stride = Stride(team), level = SumsOf(In.States, vectors) * stride, from = home + Sums(vectors) * stride;
        int full = chunk % Links != 0 ? 1 : chunk % (Links * Links) != 0 ? 2 : 3;
        for (int i = 0; i < full; i++)
        {
            for (long at = from, end = from + level; at < end; at += stride)
            {
                V.Store(s, at + level, V.Load(s, at + level) + V.Load(s, at));
                V.Store(s, at, V.Of(0));
            }
            from += level;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Start(G team, in ScanItem item, int d, int lanes, long home, int k, int vectors)
    {
        long stride = Stride(team), states = In.States, channels = In.Channels, group = vectors * states, carry = Carry(vectors);
        long sums = home + Sums(vectors) * stride, level = SumsOf(In.States, vectors) * stride;
        for (int n = 0; n < states; n++)
        {
            long slot = k * states + n, row = (item.Row * states + n) * channels + d, ofBatch = (item.B * states + n) * channels + d;
            V g = V.Of(0), dA = V.Of(0), dB = V.Of(0), dC = V.Of(0), dPreviousInput = V.Of(0);
            if (Resume != 0)
            {
                g = V.Load(DInitial, row);
                dA = V.Load(DAPartials, row);
                if (!PB.Varies)
                    dB = V.Load(DBPartials, row);
                if (!PC.Varies)
                    dC = V.Load(DCPartials, row);
                if (L.LooksBack)
                    dPreviousInput = V.Load(DPreviousInput, ofBatch);
            }
            else
            {
                if (HasDLastState != 0)
                    g = V.Load(DLastState, row);
                if (L.LooksBack && HasDLastInput != 0)
                    dPreviousInput = V.Load(DLastInput, ofBatch);
            }
            V.Store(Scratch, home + (carry + slot) * stride, V.Keep(g, lanes));
            V.Store(Scratch, home + (carry + group + slot) * stride, V.Keep(dPreviousInput, lanes));
            Begin(sums, slot * stride, level, V.Keep(dA, lanes));
            if (!PB.Varies)
                Begin(sums, (ConstantB(vectors) + slot) * stride, level, V.Keep(dB, lanes));
            if (!PC.Varies)
                Begin(sums, (ConstantC(vectors) + slot) * stride, level, V.Keep(dC, lanes));
        }
        Begin(sums, (DD(vectors) + k) * stride, level, Resume != 0 ? V.Load(DDPartials, item.Row * channels + d) : V.Of(0));
        Begin(sums, (DBias(vectors) + k) * stride, level, Resume != 0 ? V.Load(DBiasPartials, item.Row * channels + d) : V.Of(0));
    }

    // What does not depend on n: delta, its slope, dy.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Prepare(G team, in ScanItem item, long t, int steps, int d, int lanes, long home, int k)
    {
        long stride = Stride(team), channels = In.Channels, first = (item.B * In.Length + t) * channels + d, here = home + k * PerVector * stride;
        M u = In.U, raw = In.Delta, z = In.Z, dOut = DOut, s = Scratch;
        V bias = In.HasDeltaBias != 0 ? V.Keep(V.Load(In.DeltaBias, d), lanes) : V.Of(0);
        V skip = In.HasD != 0 ? V.Keep(V.Load(In.D, d), lanes) : V.Of(0);
        int softplus = In.Softplus, gated = In.HasZ;
        for (int i = 0; i < steps; i++)
        {
            long at = first + i * channels, slot = here + i * stride;
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
            if (L.LooksBack)
                V.Store(s, slot + Direct * stride, V.Of(0));
            V.Store(s, slot + Y * stride, skip * ut);
        }
    }

    // Whether dB and dC are summed across lanes after each few states, so that they gather in the little memory of an L1; or, on a
    // device, once a chunk, so that its threads need not wait for each other more often.
    static bool SumsEachTile { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => V.Width > 1; }

    // States n … n + S.Count − 1 of every channel of the strip.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void States<S>(G team, in ScanItem item, long chunk, int steps, long home, int vectors, int n) where S : struct, IStates<S, V, M, T>
    {
        if (SumsEachTile)
            Clear(team, steps * S.Count, home, vectors);
        for (int k = vectors - 1; k >= 0; k--)
        {
            int d = Channel(team, item, k), lanes = Lanes.In(item.EndChannel - d);
            if (d >= item.EndChannel)
                continue;
            if (V.Width > 1 && chunk > 0)
                Prefetch(item, (chunk - 1) * Scan.ChunkLength, d, n, S.Count);
            if (V.Width > 1 && In.HasReset == 0)
                Reverse<S, No>(team, item, chunk, steps, d, lanes, home, k, vectors, n,
                    Recompute<S, No>(team, item, chunk, steps, d, lanes, home, k, vectors, n));
            else
                Reverse<S, Yes>(team, item, chunk, steps, d, lanes, home, k, vectors, n,
                    Recompute<S, Yes>(team, item, chunk, steps, d, lanes, home, k, vectors, n));
            // Lanes past the strip have what lies there of a constant B or C, times 0. The only channels that are not whole vectors come first, so
            // nothing but that is dropped.
            if (V.Width > 1 && PB.Varies != PC.Varies && lanes < V.Width)
                Drop(team, steps * S.Count, home, vectors, lanes);
        }
        if (SumsEachTile)
            Sum(team, item, chunk, steps, home, vectors, n, S.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Clear(G team, int values, long home, int vectors)
    {
        long stride = Stride(team);
        M s = Scratch;
        if (PB.Varies)
            for (long i = 0, at = home + TokenB(vectors) * stride; i < values; i++, at += stride)
                V.Store(s, at, V.Of(0));
        if (PC.Varies)
            for (long i = 0, at = home + TokenC(vectors) * stride; i < values; i++, at += stride)
                V.Store(s, at, V.Of(0));
    }

    // Of dB or dC, whichever gathers over channels, all but the first lanes.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Drop(G team, int values, long home, int vectors, int lanes)
    {
        long stride = Stride(team);
        M s = Scratch;
        for (long i = 0, at = home + (PB.Varies ? TokenB(vectors) : TokenC(vectors)) * stride; i < values; i++, at += stride)
            V.Store(s, at, V.Keep(V.Load(s, at), lanes));
    }

    // dB and dC of `count` states from n on, summed across lanes and threads.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Sum(G team, in ScanItem item, long chunk, int steps, long home, int vectors, int n, int count)
    {
        long stride = Stride(team), window = Math.Min(EndChunk * Scan.ChunkLength, In.Length) - FirstChunk * Scan.ChunkLength;
        long row = (((long)item.Strip * In.Batch + item.B) * window + (chunk - FirstChunk) * Scan.ChunkLength) * In.Groups + item.G;
        if (PB.Varies)
            SumLanes(team, DBPartials, row * In.States + n, steps, home + TokenB(vectors) * stride, count);
        if (PC.Varies)
            SumLanes(team, DCPartials, row * In.States + n, steps, home + TokenC(vectors) * stride, count);
    }

    // The states of a chunk again, keeping what the walk back needs; returns the last of them.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    S Recompute<S, R>(G team, in ScanItem item, long chunk, int steps, int d, int lanes, long home, int k, int vectors, int n)
        where S : struct, IStates<S, V, M, T>
        where R : struct, IFlag
    {
        long stride = Stride(team), here = home + k * PerVector * stride;
        M s = Scratch, u = In.U, B = In.B;
        long channels = In.Channels, states = In.States, t = chunk * Scan.ChunkLength;
        var channel = new Column(n * channels + d, channels);
        S a = S.Load(In.A, channel, 0, lanes), previousInput = Scan.PreviousInput<S, PB, V, M, T, I>(In, item, t, d, lanes, n);
        S h = S.Load(In.Boundaries, new Column((item.B * In.Chunks + chunk) * states * channels + channel.Start, channels), 0, lanes);
        long token = item.B * In.Length + t, uAt = token * channels + d;
        long bAt = PB.Varies ? (token * In.Groups + item.G) * states + n : channel.Start, bStride = PB.Varies ? 1 : channels;
        long bRow = PB.Varies ? In.Groups * states : 0;
        long kept = home + Kept(vectors) * stride, keptStep = S.Kept * stride;
        for (int i = 0; i < steps; i++)
        {
            long at = here + i * stride;
            S.Recompute<PB>(ref h, ref previousInput, ref a, R.On && In.StartsAt(item.B, t + i), V.Load(s, at + Delta * stride),
                S.LooksBack ? V.Keep(V.Load(u, uAt + i * channels), lanes) : default, V.Load(s, at + DeltaU * stride),
                0, B, new Column(bAt + i * bRow, bStride), s, new Column(kept + i * keptStep, stride));
        }
        return h;
    }

    // The walk back through a chunk whose states were recomputed.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Reverse<S, R>(G team, in ScanItem item, long chunk, int steps, int d, int lanes, long home, int k, int vectors, int n, S h)
        where S : struct, IStates<S, V, M, T>
        where R : struct, IFlag
    {
        long stride = Stride(team), here = home + k * PerVector * stride;
        M s = Scratch, u = In.U, B = In.B, C = In.C;
        long channels = In.Channels, states = In.States, rowStride = In.Groups * states, t = chunk * Scan.ChunkLength;
        var channel = new Column(n * channels + d, channels);
        S a = S.Load(In.A, channel, 0, lanes);
        long token = item.B * In.Length + t, row = (token * In.Groups + item.G) * states + n, uAt = token * channels + d;
        long bAt = PB.Varies ? row : channel.Start, bStride = PB.Varies ? 1 : channels, bRow = PB.Varies ? rowStride : 0;
        long cAt = PC.Varies ? row : channel.Start, cStride = PC.Varies ? 1 : channels, cRow = PC.Varies ? rowStride : 0;
        long kept = home + Kept(vectors) * stride, keptStep = S.Kept * stride;
        long slot = (k * states + n) * stride, carry = home + Carry(vectors) * stride + slot, pCarry = carry + vectors * states * stride;
        long overTime = home + Sums(vectors) * stride + slot;
        long tokenRow = SumsEachTile ? S.Count : states, tokenStart = SumsEachTile ? 0 : n;
        long dBAt = PB.Varies ? home + (TokenB(vectors) + tokenStart) * stride : overTime + ConstantB(vectors) * stride;
        long dBStep = PB.Varies ? tokenRow * stride : 0;
        long dCAt = PC.Varies ? home + (TokenC(vectors) + tokenStart) * stride : overTime + ConstantC(vectors) * stride;
        long dCStep = PC.Varies ? tokenRow * stride : 0;
        S gradient = S.LoadWhole(s, new Column(carry, stride), 0), dA = S.Zero();
        S dPreviousInput = S.LooksBack ? S.LoadWhole(s, new Column(pCarry, stride), 0) : default;
        for (int i = steps - 1; i >= 0; i--)
        {
            long at = here + i * stride;
            bool starts = R.On && In.StartsAt(item.B, t + i);
            var sums = new StepSums<V>
            {
                Decay = V.Load(s, at + Decay * stride),
                Input = V.Load(s, at + Input * stride),
                Direct = S.LooksBack ? V.Load(s, at + Direct * stride) : default,
                Y = V.Load(s, at + Y * stride),
            };
            S.Reverse<PB, PC>(ref gradient, ref dPreviousInput, ref dA, ref h, ref a, ref sums,
                starts, V.Load(s, at + Delta * stride), S.LooksBack ? V.Keep(V.Load(u, uAt + i * channels), lanes) : default, V.Load(s, at + DeltaU * stride),
                    V.Load(s, at + DY * stride),
                0, B, new Column(bAt + i * bRow, bStride), C, new Column(cAt + i * cRow, cStride),
                s, new Column(kept + i * keptStep, stride), new Column(dBAt + i * dBStep, stride), new Column(dCAt + i * dCStep, stride));
            V.Store(s, at + Decay * stride, sums.Decay);
            V.Store(s, at + Input * stride, sums.Input);
            if (S.LooksBack)
                V.Store(s, at + Direct * stride, sums.Direct);
            V.Store(s, at + Y * stride, sums.Y);
            if (starts)
            {
                gradient = S.Zero();
                dPreviousInput = S.Zero();
            }
        }
        S.StoreWhole(ref gradient, s, new Column(carry, stride), 0);
        S.StoreWhole(ref dA, s, new Column(overTime, stride), 0);
        if (S.LooksBack)
            S.StoreWhole(ref dPreviousInput, s, new Column(pCarry, stride), 0);
    }

    // The chunk before, which begins at t, while this one is worked on; see SelectiveScanForwardStrip.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Prefetch(in ScanItem item, long t, int d, int n, int count)
    {
        M u = In.U, raw = In.Delta, z = In.Z, dOut = DOut, dU = DU, dRaw = DDelta, dZ = DZ;
        int gated = In.HasZ;
        long row = item.B * In.Length + t;
        long at = (row + n * Scan.ChunkLength / In.States) * In.Channels + d, end = (row + (n + count) * Scan.ChunkLength / In.States) * In.Channels;
        for (; at < end; at += In.Channels)
        {
            V.Prefetch(raw, at);
            V.Prefetch(u, at);
            V.Prefetch(dOut, at);
            V.Prefetch(dU, at);
            V.Prefetch(dRaw, at);
            if (gated != 0)
            {
                V.Prefetch(z, at);
                V.Prefetch(dZ, at);
            }
        }
    }

    // Adds the lanes of every thread of the team, to (t, g, n) from `to` on. A thread of many takes every Size-th sum.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void SumLanes(G team, M partials, long to, int steps, long from, int count)
    {
        long stride = Stride(team), rowStride = (long)In.Groups * In.States;
        M s = Scratch;
        if (V.Width > 1)
        {
            for (int t = 0; t < steps; t++, to += rowStride)
            {
                int n = 0;
                for (; n + 4 <= count; n += 4, from += 4 * V.Width)
                    V.StoreSums(V.Load(s, from), V.Load(s, from + V.Width), V.Load(s, from + 2 * V.Width), V.Load(s, from + 3 * V.Width), partials, to + n);
                for (; n < count; n++, from += V.Width)
                    partials[to + n] = V.First(V.Sum(V.Load(s, from)));
            }
            return;
        }
        int size = team.Size;
        from -= team.Rank;
        for (int v = team.Rank; v < steps * count; v += size)
        {
            V sum = V.Load(s, from + v * stride);
            for (int thread = 1; thread < size; thread++)
                sum += V.Load(s, from + v * stride + thread);
            partials[to + v / count * rowStride + v % count] = V.First(sum);
        }
    }

    // What was summed over n becomes the gradients of u, delta and z.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Gather(G team, in ScanItem item, long t, int steps, int d, int lanes, long home, int k, int vectors)
    {
        long stride = Stride(team), channels = In.Channels, first = (item.B * In.Length + t) * channels + d, here = home + k * PerVector * stride;
        M u = In.U, z = In.Z, dOut = DOut, s = Scratch, dU = DU, dRaw = DDelta, dZ = DZ;
        int gated = In.HasZ;
        long sums = home + Sums(vectors) * stride;
        V skip = In.HasD != 0 ? V.Keep(V.Load(In.D, d), lanes) : V.Of(0), decayScale = V.Splat(DecayScale);
        V dD = V.Of(0), dBias = V.Of(0);
        for (int i = 0; i < steps; i++)
        {
            long at = first + i * channels, slot = here + i * stride;
            V delta = V.Load(s, slot + Delta * stride), dy = V.Load(s, slot + DY * stride), input = V.Load(s, slot + Input * stride);
            V ut = V.Keep(V.Load(u, at), lanes), direct = L.LooksBack ? V.Load(s, slot + Direct * stride) : ut * input;
            V.Store(dU, at, V.Fma(skip, dy, L.LooksBack ? input : delta * input), lanes);
            V dDelta = V.Fma(decayScale, V.Load(s, slot + Decay * stride), direct) * V.Load(s, slot + Sigma * stride);
            V.Store(dRaw, at, dDelta, lanes);
            dBias += dDelta;
            dD = V.Fma(dy, ut, dD);
            if (gated != 0)
            {
                V zt = V.Keep(V.Load(z, at), lanes), sz = Lanes.Sigmoid<V, M, T>(zt);
                V dz = V.Load(dOut, at) * V.Load(s, slot + Y * stride) * sz * V.Fma(zt, V.Of(1) - sz, V.Of(1));
                V.Store(dZ, at, dz, lanes);
            }
        }
        V.Store(s, sums + (DD(vectors) + k) * stride, dD);
        V.Store(s, sums + (DBias(vectors) + k) * stride, dBias);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    void Finish(G team, in ScanItem item, int d, int lanes, long home, int k, int vectors)
    {
        long stride = Stride(team), states = In.States, channels = In.Channels, group = vectors * states, carry = Carry(vectors);
        long sums = home + Sums(vectors) * stride, level = SumsOf(In.States, vectors) * stride;
        for (int n = 0; n < states; n++)
        {
            long slot = k * states + n, row = (item.Row * states + n) * channels + d;
            V.Store(DInitial, row, V.Load(Scratch, home + (carry + slot) * stride), lanes);
            V.Store(DAPartials, row, Total(sums, slot * stride, level), lanes);
            if (!PB.Varies)
                V.Store(DBPartials, row, Total(sums, (ConstantB(vectors) + slot) * stride, level), lanes);
            if (!PC.Varies)
                V.Store(DCPartials, row, Total(sums, (ConstantC(vectors) + slot) * stride, level), lanes);
            if (L.LooksBack)
                V.Store(DPreviousInput, (item.B * states + n) * channels + d, V.Load(Scratch, home + (carry + group + slot) * stride), lanes);
        }
        V.Store(DDPartials, item.Row * channels + d, Total(sums, (DD(vectors) + k) * stride, level), lanes);
        V.Store(DBiasPartials, item.Row * channels + d, Total(sums, (DBias(vectors) + k) * stride, level), lanes);
    }
}
