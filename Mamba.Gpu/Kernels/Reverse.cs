using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

// y[t] = x[s + e − 1 − t] for the sequence [s, e) of the row that t is in. Three passes: blocks of a row say where their first and their last sequence
// starts; then each token's partner is found, of which a block needs no more of the others than these two numbers; then rows of d elements are moved.
// Without resets the whole row is one sequence, and the last pass is all there is. Elements are read once and written once, and an int32 beside each row.

/// <summary>
/// Where the first and the last sequence starts that starts within a block of a row; l and −1 if none does. A worker has a block. reset (b, l);
/// edges (b, blocks, 2).
/// </summary>
internal struct SequenceEdges<I> : IKernel where I : struct, IMemory<int>
{
    public I Reset, Edges;
    public long Rows, L, Blocks, Block;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        I reset = Reset, edges = Edges;
        long l = L, blocks = Blocks;
        Share share = worker.Share(Rows * blocks);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long o = item / blocks * l, start = item % blocks * Block, end = Math.Min(start + Block, l);
            int first = (int)l, last = -1;
            for (long t = start; t < end; t++)
            {
                if (t > 0 && reset[o + t] == 0)
                    continue;
                first = Math.Min(first, (int)t);
                last = (int)t;
            }
            edges[2 * item] = first;
            edges[2 * item + 1] = last;
        }
    }
}

/// <summary>The token that each changes places with, within its row. A worker has a block. reset, partner (b, l); edges (b, blocks, 2).</summary>
internal struct SequencePartners<I> : IKernel where I : struct, IMemory<int>
{
    public I Reset, Edges, Partner;
    public long Rows, L, Blocks, Block;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        I reset = Reset, edges = Edges, partner = Partner;
        long l = L, blocks = Blocks;
        Share share = worker.Share(Rows * blocks);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = item / blocks * blocks, o = item / blocks * l, t = item % blocks * Block, end = Math.Min(t + Block, l);
            long s = 0, after = l;
            for (long before = item - 1; before >= row; before--)           // where the sequence starts that comes into the block,
            {
                s = edges[2 * before + 1];
                if (s >= 0)
                    break;
            }
            for (long next = item + 1; next < row + blocks && after == l; next++)   // and where the one ends that leaves it
                after = edges[2 * next];
            s = Math.Max(s, 0);
            while (t < end)
            {
                if (reset[o + t] != 0)
                    s = t;
                long e = t + 1;
                while (e < end && reset[o + e] == 0)
                    e++;
                long sum = s + (e < end ? e : after) - 1;
                for (; t < e; t++)
                    partner[o + t] = (int)(sum - t);
            }
        }
    }
}

/// <summary>y[t] = x[partner[t]], a team per token. x, y (rows, d); partner (rows) within a row of l tokens, or none: the row is mirrored.</summary>
internal struct ReverseRows<V, M, T, I, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
    where G : struct, ITeam<V>
{
    public I Partner;
    public M X, Y;
    public int HasPartner;
    public long Rows, L, D;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M x = X, y = Y;
        long rows = Rows, l = L, d = D, first = (long)team.Rank * V.Width, step = (long)team.Size * V.Width;
        for (long row = team.Index; row < rows; row += team.Count)
        {
            long t = row % l, from = (row - t + (HasPartner != 0 ? Partner[row] : l - 1 - t)) * d, to = row * d;
            for (long i = first; i < d; i += step)
                V.Store(y, to + i, V.Load(x, from + i), Lanes.In(d - i));
        }
    }
}

/// <summary>Launchers of mirroring.</summary>
internal static class ReverseKernels
{
    // Tokens of a block. A block looks at all others of its row at worst: of 2^20 tokens these are as many as its own.
    const long Block = 1024;

    /// <summary>partner (b, l) of reset (b, l), both int32.</summary>
    public static void Partners(Tensor like, Tensor reset, Tensor partner)
    {
        long blocks = (reset.Shape[1] + Block - 1) / Block;
        using Tensor edges = Tensor.Empty((reset.Shape[0], blocks, 2), DType.Int32, reset.Device);
        like.Launch(new EdgesLaunch(reset, edges));
        like.Launch(new PartnersLaunch(reset, edges, partner));
    }

    /// <summary>x, y (b, l, d); partner (b, l), or null where whole rows are mirrored.</summary>
    public static void Move(Tensor x, Tensor? partner, Tensor y) => x.Launch(new MoveLaunch(x, partner, y));

    readonly record struct EdgesLaunch(Tensor Reset, Tensor Edges) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new SequenceEdges<I>
        {
            Reset = on.Ints(Reset),
            Edges = on.Ints(Edges),
            Rows = Reset.Shape[0],
            L = Reset.Shape[1],
            Blocks = Edges.Shape[1],
            Block = Block,
        }, Edges.Count / 2, Block);
    }

    readonly record struct PartnersLaunch(Tensor Reset, Tensor Edges, Tensor Partner) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new SequencePartners<I>
        {
            Reset = on.Ints(Reset),
            Edges = on.Ints(Edges),
            Partner = on.Ints(Partner),
            Rows = Reset.Shape[0],
            L = Reset.Shape[1],
            Blocks = Edges.Shape[1],
            Block = Block,
        }, Edges.Count / 2, Block);
    }

    readonly record struct MoveLaunch(Tensor X, Tensor? Partner, Tensor Y) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.RunTeams(new ReverseRows<V, M, T, I, G>
        {
            Partner = on.Ints(Partner),
            X = on.Memory(X),
            Y = on.Memory(Y),
            HasPartner = Partner is null ? 0 : 1,
            Rows = X.Shape[0] * X.Shape[1],
            L = X.Shape[1],
            D = X.Shape[2],
        }, X.Shape[0] * X.Shape[1], X.Shape[2]);
    }
}
