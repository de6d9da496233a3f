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

/// <summary>One step h → A h + X, or several in a row.</summary>
public readonly struct LinearStep<V, M, T>(V a, V x)
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public V A { get; } = a;
    public V X { get; } = x;

    /// <summary><paramref name="next"/> ∘ this: this step, and the next after it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public LinearStep<V, M, T> Then(LinearStep<V, M, T> next) => new(next.A * A, V.Fma(next.A, X, next.X));

    /// <summary>The state after this step, from the one before it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V From(V h) => V.Fma(A, h, X);
}

/// <summary>
/// The steps of a recurrence in the order of its walk: a, x (b, l, m), initial (b, m). Step s is row s of time, in reverse
/// row l − 1 − s. Shifted, its coefficient is that of the row after it, a_{t+1}, as the gradient has it.
/// </summary>
public struct LinearSteps<V, M, T>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M A, X, Initial;
    public int HasInitial;          // 0: the state before step 0 is 0, and the coefficient of step 0 is never read
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

    /// <summary>The coefficient of the step whose element is <paramref name="at"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Coefficient(long at) => V.Load(A, Shifted != 0 ? at + Channels : at);

    /// <summary>h_{−1} in channel c.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Before(long b, long c) => HasInitial != 0 ? V.Load(Initial, b * Channels + c) : V.Of(0);

    /// <summary>The x of step s, whose element is <paramref name="at"/>; of step 0 the state after it, which h_{−1} is in.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Value(long at, long s, long b, long c)
    {
        V x = V.Load(X, at);
        return s == 0 && HasInitial != 0 ? V.Fma(Coefficient(at), Before(b, c), x) : x;
    }

    /// <summary>Step s, whose element is <paramref name="at"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly LinearStep<V, M, T> Step(long at, long s) => new(s > 0 || HasInitial != 0 ? Coefficient(at) : V.Of(0), V.Load(X, at));
}

/// <summary>
/// One worker a run of channels of one batch row, from step to step: h (b, l, m). Reads a and x once and writes h once. On a
/// device a run is one channel, whose state stays in a register; on the host it is whole cache lines, row by row as memory
/// likes it, and the state is read from the row before. That is the same number: the cut changes no bit.
/// </summary>
public struct LinearRecurrenceSequential<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public LinearSteps<V, M, T> Steps;
    public M H;

    const int RowsAhead = 8;        // the host is asked for: parts of rows are no pattern that its prefetcher follows

    /// <summary>Channels that are never parted.</summary>
    public static long Block(int width) => width == 1 ? 1 : 64;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        LinearSteps<V, M, T> steps = Steps;
        M h = H;
        long l = steps.Length, m = steps.Channels, stride = steps.Stride, walk = V.Width == 1 || m <= V.Width ? l : 1;
        long block = Block(V.Width), blocks = (m + block - 1) / block, taken;
        Share share = worker.Share(steps.Batch * blocks);
        for (long item = share.Start; item < share.End; item += taken)
        {
            long b = item / blocks, first = (item - b * blocks) * block;
            bool run = share.Step == 1;         // the next blocks are this worker's too: it walks them together
            taken = run ? Math.Min(share.End, (b + 1) * blocks) - item : share.Step;
            long end = Math.Min(first + (run ? taken : 1) * block, m);
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
                        state = steps.Step(at, s).From(state);
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
/// 2 Distance steps up to s. A state needs no product any more, so none is written for it.
/// </remarks>
public struct LinearRecurrenceKoggeStone<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public LinearSteps<V, M, T> Steps;
    public M AOut, XOut;
    public long Distance;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        LinearSteps<V, M, T> steps = Steps;
        M aOut = AOut, xOut = XOut;
        long l = steps.Length, m = steps.Channels, distance = Distance, back = distance * steps.Stride;
        long segment = Lanes.Segment(V.Width), segments = (m + segment - 1) / segment;
        Share share = worker.Share(steps.Batch * l * segments);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = item / segments, b = row / l, s = row - b * l, row0 = steps.At(b, s);
            long first = (item - row * segments) * segment, end = Math.Min(first + segment, m);
            for (long c = first; c < end; c += V.Width)
            {
                int lanes = Lanes.In(end - c);
                long at = row0 + c;
                V x = steps.Value(at, s, b, c);
                if (s >= distance)
                {
                    V a = steps.Coefficient(at);
                    x = V.Fma(a, steps.Value(at - back, s - distance, b, c), x);
                    if (s >= 2 * distance)
                        V.Store(aOut, at, a * steps.Coefficient(at - back), lanes);
                }
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

/// <summary>One level of the up-sweep, from halves of Distance steps to nodes of twice that: a and x of the sums, (b, l, m). The first reads the inputs.</summary>
public struct LinearRecurrenceUpSweep<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public LinearSteps<V, M, T> Steps;
    public M ASum, XSum;
    public long Distance;

    /// <summary>Nodes that end at or before the last step.</summary>
    public static long Nodes(long length, long distance) => length / (2 * distance);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        LinearSteps<V, M, T> steps = Steps;
        M aSum = ASum, xSum = XSum;
        long m = steps.Channels, distance = Distance, nodes = Nodes(steps.Length, distance);
        long segment = Lanes.Segment(V.Width), segments = (m + segment - 1) / segment;
        Share share = worker.Share(steps.Batch * nodes * segments);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = item / segments, b = row / nodes, left = (row - b * nodes) * 2 * distance + distance - 1, right = left + distance;
            long leftAt = steps.At(b, left), rightAt = steps.At(b, right);
            long first = (item - row * segments) * segment, end = Math.Min(first + segment, m);
            for (long c = first; c < end; c += V.Width)
            {
                LinearStep<V, M, T> sum = steps.Step(leftAt + c, left).Then(steps.Step(rightAt + c, right));
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
public struct LinearRecurrenceDownSweep<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public LinearSteps<V, M, T> Sums;
    public int Root;
    public long Distance;

    /// <summary>Nodes with something in their right half.</summary>
    public static long Nodes(long length, long distance) => (length + distance - 1) / (2 * distance);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        LinearSteps<V, M, T> sums = Sums;
        M states = sums.X;
        long m = sums.Channels, distance = Distance, nodes = Nodes(sums.Length, distance);
        long segment = Lanes.Segment(V.Width), segments = (m + segment - 1) / segment;
        Share share = worker.Share(sums.Batch * nodes * segments);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = item / segments, b = row / nodes, left = (row - b * nodes) * 2 * distance + distance - 1;
            long leftAt = sums.At(b, left), rightAt = sums.At(b, Math.Min(left + distance, sums.Length - 1));
            long first = (item - row * segments) * segment, end = Math.Min(first + segment, m);
            for (long c = first; c < end; c += V.Width)
            {
                int lanes = Lanes.In(end - c);
                V before = Root != 0 ? sums.Before(b, c) : V.Load(states, rightAt + c);
                V after = sums.Step(leftAt + c, left).From(before);
                V.Store(states, leftAt + c, before, lanes);
                V.Store(states, rightAt + c, after, lanes);
            }
        }
    }
}

/// <summary>The last level: pairs of steps, each from the state before the pair, which lies in h (b, l, m) where its last state will be.</summary>
public struct LinearRecurrenceLeaves<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public LinearSteps<V, M, T> Steps;
    public M H;
    public int Root;            // 1: the only pair is the root

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        LinearSteps<V, M, T> steps = Steps;
        M h = H;
        long l = steps.Length, m = steps.Channels, pairs = (l + 1) / 2;
        long segment = Lanes.Segment(V.Width), segments = (m + segment - 1) / segment;
        Share share = worker.Share(steps.Batch * pairs * segments);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = item / segments, b = row / pairs, left = (row - b * pairs) * 2, right = Math.Min(left + 1, l - 1);
            long leftAt = steps.At(b, left), rightAt = steps.At(b, right);
            long first = (item - row * segments) * segment, end = Math.Min(first + segment, m);
            for (long c = first; c < end; c += V.Width)
            {
                int lanes = Lanes.In(end - c);
                V state = steps.Step(leftAt + c, left).From(Root != 0 ? steps.Before(b, c) : V.Load(h, rightAt + c));
                V.Store(h, leftAt + c, state, lanes);
                if (right > left)
                    V.Store(h, rightAt + c, steps.Step(rightAt + c, right).From(state), lanes);
            }
        }
    }
}

/// <summary>da_t = g_t h_{t−1} and dinitial = a_0 g_0. a, h, g, da (b, l, m); initial, dInitial (b, m), neither if there is no initial.</summary>
public struct LinearRecurrenceGradients<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M A, Initial, H, G, DA, DInitial;
    public int HasInitial;
    public long Batch, Length, Channels;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M g = G, h = H, da = DA;
        long l = Length, m = Channels;
        long segment = Lanes.Segment(V.Width), segments = (m + segment - 1) / segment;
        Share share = worker.Share(Batch * l * segments);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = item / segments, b = row / l, t = row - b * l;
            long first = (item - row * segments) * segment, end = Math.Min(first + segment, m);
            for (long c = first; c < end; c += V.Width)
            {
                int lanes = Lanes.In(end - c);
                long at = row * m + c;
                V gt = V.Load(g, at), before = V.Of(0);
                if (t > 0)
                {
                    before = V.Load(h, at - m);
                }
                else if (HasInitial != 0)
                {
                    before = V.Load(Initial, b * m + c);
                    V.Store(DInitial, b * m + c, V.Load(A, at) * gt, lanes);
                }
                V.Store(da, at, gt * before, lanes);
            }
        }
    }
}
