using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

// h_t = a_t h_{t−1} + x_t. A step is the map h → a h + x, and two steps in a row are one again:
//
//     (a2, x2) ∘ (a1, x1) = (a2 a1, a2 x1 + x2)
//
// The operator is associative, so l steps may be bracketed in any way (Blelloch 1990, "Prefix Sums and Their Applications",
// §1.4; Mamba §3.3.2). Three ways of doing so follow:
//
//     Sequential     work l           depth l            h_t from h_{t−1}
//     Kogge-Stone    work l log2 l    depth log2 l       every element looks 1, 2, 4, … steps back
//     Blelloch       work 2 l         depth 2 log2 l     up a tree with sums of steps, down it with states
//
// Lanes are neighbouring channels. Each kernel walks forward or in reverse: the gradient is the same recurrence backwards in
// time, g_t = dh_t + a_{t+1} g_{t+1}.
//
// A row may hold several sequences. Where one starts, h_t = x_t: neither a_t nor what was before is looked at, so that no NaN comes
// through, which no factor of 0 would hold back. Two steps are joined if they belong to one sequence, which each step's row tells by the row
// where its sequence starts: segmented scans, Blelloch §1.5, but for the flags, which are not scanned along.

/// <summary>One step h → A h + X, or several in a row, X being what they make of the state 0.</summary>
internal readonly struct LinearStep<V, M, T>(V a, V x)
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public V A { get; } = a;
    public V X { get; } = x;

    /// <summary><paramref name="next"/> ∘ this: these steps, and the next after them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public LinearStep<V, M, T> Then(LinearStep<V, M, T> next) => new(next.A * A, next.From(X));

    /// <summary>The state after these steps, from the one before them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V From(V h) => Scan.Carried<V, V, M, T>(A, h, X);
}

/// <summary>
/// The steps of a recurrence in the order of its walk: a, x (b, l, m), initial (b, m), start (b, l). Step s is row s of time, in reverse
/// row l − 1 − s. Shifted, its coefficient is that of the row after it, a_{t+1}, as the gradient has it.
/// </summary>
// R: whether sequences start within a row.
internal struct LinearSteps<R, V, M, T, I>
    where R : struct, IFlag
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public M A, X, Initial;
    public I Start;                 // the row at which each row's sequence starts, if that is near enough to matter; −1 before the first
    public int HasInitial;          // 0: the coefficient of step 0 is never read
    public int Reverse, Shifted;
    public long Batch, Length, Channels;

    /// <summary>The first element of step s.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly long At(long b, long s) => (b * Length + (Reverse != 0 ? Length - 1 - s : s)) * Channels;

    /// <summary>Elements from a step to the next.</summary>
    public readonly long Stride
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Reverse != 0 ? -Channels : Channels;
    }

    /// <summary>Whether step s goes on from the state after the step <paramref name="back"/> before it; the one before step 0 is the initial state.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Sees(long b, long s, long back)
    {
        bool there = s >= back || HasInitial != 0;
        if (R.On && there)
        {
            long earlier = Reverse != 0 ? Length - 1 - s : s - back;        // of the two rows
            there = Start[b * Length + earlier + back] <= earlier;
        }
        return there;
    }

    /// <summary>The coefficient of the step whose element is <paramref name="at"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Coefficient(long at) => V.Load(A, Shifted != 0 ? at + Channels : at);

    /// <summary>h_{−1} in channel c.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Before(long b, long c) => HasInitial != 0 ? V.Load(Initial, b * Channels + c) : V.Of(0);

    /// <summary>The state after step s, whose element is <paramref name="at"/>, from the one before it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Next(long at, long b, long s, V h)
    {
        V x = V.Load(X, at);
        return Sees(b, s, 1) ? V.Fma(Coefficient(at), h, x) : x;
    }

    /// <summary>What step s makes of the state before all, if it is step 0, or else of the state 0: x, and NaN where its coefficient is not finite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Alone(long at, long b, long s, long c) => Next(at, b, s, s == 0 ? Before(b, c) : V.Of(0));

    /// <summary>The steps that end with step s, whose element is <paramref name="at"/>, as a pass before this one has joined them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly LinearStep<V, M, T> Step(long at, long s) => new(s > 0 || HasInitial != 0 ? Coefficient(at) : V.Of(0), V.Load(X, at));
}

/// <summary>
/// Where the sequence of each row starts, by so many passes as there are doublings up to the distances that matter: to ← max(from, from Distance rows
/// before), −1 standing for none. The first pass reads the marks of a reset mask, not 0 where a sequence starts. From, to (b, l).
/// </summary>
internal struct SequenceStarts<I> : IKernel where I : struct, IMemory<int>
{
    public I From, To;
    public int Marks;               // 1: from holds marks
    public long Batch, Length, Distance;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        I to = To;
        Share share = worker.Share(Batch * Length);
        for (long i = share.Start; i < share.End; i += share.Step)
        {
            long t = i % Length;
            int start = At(i, t);
            if (t >= Distance)
            {
                int before = At(i - Distance, t - Distance);
                start = start > before ? start : before;
            }
            to[i] = start;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    readonly int At(long i, long t) => Marks == 0 ? From[i] : From[i] != 0 ? (int)t : -1;
}

/// <summary>
/// One worker a run of channels of one batch row, from step to step: h (b, l, m). Reads a and x once and writes h once. On a
/// device a run is one channel, whose state stays in a register; on the host it is whole cache lines, row by row as memory
/// likes it, and the state is read from the row before. That is the same number: the cut changes no bit.
/// </summary>
internal struct LinearRecurrenceSequential<R, V, M, T, I> : IKernel
    where R : struct, IFlag
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public LinearSteps<R, V, M, T, I> Steps;
    public M H;

    const int RowsAhead = 8;        // the host is asked for: parts of rows are no pattern that its prefetcher follows

    /// <summary>Channels that are never parted.</summary>
    public static long Strip(int width) => width == 1 ? 1 : 64;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        LinearSteps<R, V, M, T, I> steps = Steps;
        M h = H;
        long l = steps.Length, m = steps.Channels, stride = steps.Stride, walk = V.Width == 1 || m <= V.Width ? l : 1;
        long strip = Strip(V.Width), strips = (m + strip - 1) / strip, taken;
        Share share = worker.Share(steps.Batch * strips);
        for (long item = share.Start; item < share.End; item += taken)
        {
            long b = item / strips, first = (item - b * strips) * strip;
            bool run = share.Step == 1;         // the next strips are this worker's too: it walks them together
            taken = run ? Math.Min(share.End, (b + 1) * strips) - item : share.Step;
            long end = Math.Min(first + (run ? taken : 1) * strip, m);
            for (long s0 = 0; s0 < l; s0 += walk)
            {
                long s1 = Math.Min(s0 + walk, l);
                for (long c = first; c < end; c += V.Width)
                {
                    int lanes = Lanes.In(end - c);
                    long at = steps.At(b, s0) + c;
                    V state = s0 > 0 ? V.Load(h, at - stride) : steps.Before(b, c);
                    for (long s = s0; s < s1; s++, at += stride)
                    {
                        V.Prefetch(steps.A, at + RowsAhead * stride);
                        V.Prefetch(steps.X, at + RowsAhead * stride);
                        state = steps.Next(at, b, s, state);
                        V.Store(h, at, state, lanes);
                    }
                }
            }
        }
    }
}

/// <summary>
/// One pass of Kogge and Stone's scan ("A Parallel Algorithm for the Efficient Solution of a General Class of Recurrence
/// Equations", 1973): every element is joined with the one Distance steps before it. Distance is 1 in the first pass, which
/// reads the inputs, and doubles; x and the products of a go from one buffer to another, all (b, l, m).
/// </summary>
/// <remarks>
/// After a pass the elements s &lt; 2 Distance are states: all steps up to s, h_{−1} among them. The others are the last
/// 2 Distance steps up to s. A state needs no product any more, so none is written for it; nor for steps that a start of a sequence parts.
/// </remarks>
// R: whether sequences start within a row. F: whether it is the first pass.
internal struct LinearRecurrenceKoggeStone<R, F, V, M, T, I> : IKernel
    where R : struct, IFlag
    where F : struct, IFlag
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public LinearSteps<R, V, M, T, I> Steps;
    public M AOut, XOut;
    public long Distance;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        LinearSteps<R, V, M, T, I> steps = Steps;
        M aOut = AOut, xOut = XOut;
        long l = steps.Length, m = steps.Channels, distance = Distance, back = distance * steps.Stride;
        long run = Lanes.Run(V.Width), runs = (m + run - 1) / run;
        Share share = worker.Share(steps.Batch * l * runs);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = item / runs, b = row / l, s = row - b * l, row0 = steps.At(b, s);
            long first = (item - row * runs) * run, end = Math.Min(first + run, m);
            bool joins = s >= distance && steps.Sees(b, s, distance);
            for (long c = first; c < end; c += V.Width)
            {
                int lanes = Lanes.In(end - c);
                long at = row0 + c;
                V x;
                if (F.On)
                    x = s == 0 ? steps.Alone(at, b, s, c) : steps.Next(at, b, s, steps.Alone(at - back, b, s - 1, c));
                else
                    x = joins ? steps.Step(at, s).From(V.Load(steps.X, at - back)) : V.Load(steps.X, at);
                if (joins && s >= 2 * distance)
                    V.Store(aOut, at, steps.Coefficient(at) * steps.Coefficient(at - back), lanes);
                V.Store(xOut, at, x, lanes);
            }
        }
    }
}

// Blelloch's scan is a balanced tree over the steps; the leaves are the inputs. A node is kept at its last step, or at
// step l − 1 if that lies beyond the end, so everything is in place: up the tree, a node's sum takes the place of its right
// half's; down the tree, its place holds the state before its first step. Steps beyond l are the identity: nodes that reach
// there need no sum, because nothing comes after them, and halves that lie there wholly need no state.
//
//     up-sweep      sum(node)         = sum(right) ∘ sum(left)
//     down-sweep    before(root)      = h_{−1}
//                   before(left)      = before(node)
//                   before(right)     = sum(left) applied to before(node)
//     leaves        h_s               = step s applied to before(s)

/// <summary>
/// One level of the up-sweep, from halves of Distance steps to nodes of twice that: a and x of the sums, (b, l, m). The first reads the inputs.
/// </summary>
internal struct LinearRecurrenceUpSweep<R, F, V, M, T, I> : IKernel
    where R : struct, IFlag
    where F : struct, IFlag
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public LinearSteps<R, V, M, T, I> Steps;
    public M ASum, XSum;
    public long Distance;

    /// <summary>Nodes that end at or before the last step.</summary>
    public static long Nodes(long length, long distance) => length / (2 * distance);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        LinearSteps<R, V, M, T, I> steps = Steps;
        M aSum = ASum, xSum = XSum;
        long m = steps.Channels, distance = Distance, nodes = Nodes(steps.Length, distance);
        long run = Lanes.Run(V.Width), runs = (m + run - 1) / run;
        Share share = worker.Share(steps.Batch * nodes * runs);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = item / runs, b = row / nodes, left = (row - b * nodes) * 2 * distance + distance - 1, right = left + distance;
            long leftAt = steps.At(b, left), rightAt = steps.At(b, right);
            long first = (item - row * runs) * run, end = Math.Min(first + run, m);
            bool joins = steps.Sees(b, right, distance);
            for (long c = first; c < end; c += V.Width)
            {
                LinearStep<V, M, T> sum = steps.Step(rightAt + c, right), before = steps.Step(leftAt + c, left);
                if (F.On)               // before may be step 0, but what it makes of h_{−1} is found on the way down
                    sum = new(sum.A * before.A, steps.Next(rightAt + c, b, right, steps.Next(leftAt + c, b, left, V.Of(0))));
                else if (joins)
                    sum = before.Then(sum);
                int lanes = Lanes.In(end - c);
                V.Store(aSum, rightAt + c, sum.A, lanes);
                V.Store(xSum, rightAt + c, sum.X, lanes);
            }
        }
    }
}

/// <summary>
/// One level of the down-sweep, from nodes to their halves of Distance steps: the states before them, in place of the x of
/// the sums (b, l, m). The first level has the root, whose state is h_{−1}.
/// </summary>
internal struct LinearRecurrenceDownSweep<R, V, M, T, I> : IKernel
    where R : struct, IFlag
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public LinearSteps<R, V, M, T, I> Sums;
    public int Root;
    public long Distance;

    /// <summary>Nodes with something in their right half.</summary>
    public static long Nodes(long length, long distance) => (length + distance - 1) / (2 * distance);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        LinearSteps<R, V, M, T, I> sums = Sums;
        M states = sums.X;
        long m = sums.Channels, distance = Distance, nodes = Nodes(sums.Length, distance);
        long run = Lanes.Run(V.Width), runs = (m + run - 1) / run;
        Share share = worker.Share(sums.Batch * nodes * runs);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = item / runs, b = row / nodes, left = (row - b * nodes) * 2 * distance + distance - 1;
            long leftAt = sums.At(b, left), rightAt = sums.At(b, Math.Min(left + distance, sums.Length - 1));
            long first = (item - row * runs) * run, end = Math.Min(first + run, m);
            bool joins = sums.Sees(b, left, distance);
            for (long c = first; c < end; c += V.Width)
            {
                int lanes = Lanes.In(end - c);
                V before = Root != 0 ? sums.Before(b, c) : V.Load(states, rightAt + c);
                LinearStep<V, M, T> sum = sums.Step(leftAt + c, left);
                V after = joins ? sum.From(before) : sum.X;
                V.Store(states, leftAt + c, before, lanes);
                V.Store(states, rightAt + c, after, lanes);
            }
        }
    }
}

/// <summary>The last level: pairs of steps, each from the state before the pair, which lies in h (b, l, m) where its last state will be.</summary>
internal struct LinearRecurrenceLeaves<R, V, M, T, I> : IKernel
    where R : struct, IFlag
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public LinearSteps<R, V, M, T, I> Steps;
    public M H;
    public int Root;            // 1: the only pair is the root

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        LinearSteps<R, V, M, T, I> steps = Steps;
        M h = H;
        long l = steps.Length, m = steps.Channels, pairs = (l + 1) / 2;
        long run = Lanes.Run(V.Width), runs = (m + run - 1) / run;
        Share share = worker.Share(steps.Batch * pairs * runs);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = item / runs, b = row / pairs, left = (row - b * pairs) * 2, right = Math.Min(left + 1, l - 1);
            long leftAt = steps.At(b, left), rightAt = steps.At(b, right);
            long first = (item - row * runs) * run, end = Math.Min(first + run, m);
            for (long c = first; c < end; c += V.Width)
            {
                int lanes = Lanes.In(end - c);
                V state = steps.Next(leftAt + c, b, left, Root != 0 ? steps.Before(b, c) : V.Load(h, rightAt + c));
                V.Store(h, leftAt + c, state, lanes);
                if (right > left)
                    V.Store(h, rightAt + c, steps.Next(rightAt + c, b, right, state), lanes);
            }
        }
    }
}

/// <summary>
/// da_t = g_t h_{t−1} and dinitial = a_0 g_0, both 0 where row t starts a sequence. a, h, g, da (b, l, m); initial, dInitial (b, m), neither if there is
/// no initial; reset (b, l).
/// </summary>
internal struct LinearRecurrenceGradients<V, M, T, I> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public M A, Initial, H, G, DA, DInitial;
    public I Reset;
    public int HasInitial, HasReset;
    public long Batch, Length, Channels;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M g = G, h = H, da = DA;
        long l = Length, m = Channels;
        long run = Lanes.Run(V.Width), runs = (m + run - 1) / run;
        Share share = worker.Share(Batch * l * runs);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = item / runs, b = row / l, t = row - b * l;
            long first = (item - row * runs) * run, end = Math.Min(first + run, m);
            bool seen = (t > 0 || HasInitial != 0) && (HasReset == 0 || Reset[row] == 0);
            for (long c = first; c < end; c += V.Width)
            {
                int lanes = Lanes.In(end - c);
                long at = row * m + c;
                V dat = V.Of(0);
                if (seen)
                {
                    V gt = V.Load(g, at), before = t > 0 ? V.Load(h, at - m) : V.Load(Initial, b * m + c);
                    dat = gt * before;
                }
                V.Store(da, at, dat, lanes);
                if (t == 0 && HasInitial != 0)
                    V.Store(DInitial, b * m + c, seen ? V.Load(A, at) * V.Load(g, at) : V.Of(0), lanes);
            }
        }
    }
}
