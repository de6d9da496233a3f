using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>y[row] = weight[token[row]], a team per row; a token outside the vocabulary gives NaN. token (rows); weight (v, d); y (rows, d).</summary>
internal struct EmbeddingForward<V, M, T, I, G> : ITeamKernel<V, G>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
    where G : struct, ITeam<V>
{
    public I Token;
    public M Weight, Y;
    public long Rows, D, Vocabulary;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(G team)
    {
        M weight = Weight, y = Y;
        long rows = Rows, d = D, first = (long)team.Rank * V.Width, step = (long)team.Size * V.Width;
        for (long row = team.Index; row < rows; row += team.Count)
        {
            long token = Token[row], o = row * d;
            bool known = token >= 0 && token < Vocabulary;
            for (long i = first; i < d; i += step)
            {
                V v = V.Of(float.NaN);
                if (known)
                    v = V.Load(weight, token * d + i);
                V.Store(y, o + i, v, Lanes.In(d - i));
            }
        }
    }
}

/// <summary>
/// dWeight[part, token[row]] += dy[row], rows of a part in order. A worker owns a block of the vocabulary in a run of columns of one part, and
/// walks the part's tokens: no two workers write one element, and the bits do not depend on how the work is cut.
/// token (rows); dy (rows, d); dWeight (parts, v, d), zero before.
/// </summary>
internal struct EmbeddingBackward<V, M, T, I> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public I Token;
    public M DY, DWeight;
    public long Rows, D, Vocabulary, Parts, Block, Columns;     // Block, Columns: of one worker's item

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        I token = Token;
        M dy = DY, dWeight = DWeight;
        long rows = Rows, d = D, parts = Parts, runs = (d + Columns - 1) / Columns, blocks = (Vocabulary + Block - 1) / Block;
        Share share = worker.Share(parts * runs * blocks);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long first = item % runs * Columns, end = Math.Min(first + Columns, d), part = item / runs / blocks, o = part * Vocabulary * d;
            long low = item / runs % blocks * Block, high = Math.Min(low + Block, Vocabulary);
            for (long row = rows * part / parts, stop = rows * (part + 1) / parts; row < stop; row++)
            {
                long t = token[row];
                if (t >= low && t < high)
                    for (long i = first; i < end; i += V.Width)
                        V.Store(dWeight, o + t * d + i, V.Load(dWeight, o + t * d + i) + V.Load(dy, row * d + i), Lanes.In(end - i));
            }
        }
    }
}

/// <summary>Launchers of the embedding.</summary>
internal static class EmbeddingKernels
{
    public static void Forward(Tensor tokens, Tensor weight, Tensor y) => weight.Launch(new ForwardLaunch(tokens, weight, y));

    /// <summary>
    /// Adds to dWeight, which is zero before. The tokens are cut into parts whose gradients are added in a second pass, as many as a quarter of the
    /// memory of dy holds: a running sum has at most 256 rows, or four times the vocabulary if that is more, however often a token occurs.
    /// </summary>
    public static void Backward(Tensor tokens, Tensor dy, Tensor dWeight)
    {
        long vocabulary = dWeight.Shape[0], parts = Math.Max(1, tokens.Count / Math.Max(256, 4 * vocabulary));
        using Tensor? partial = parts > 1 ? Tensor.Zeros((parts, dWeight.Count), dWeight.DType, dWeight.Device) : null;
        dy.Launch(new BackwardLaunch(tokens, dy, partial ?? dWeight, vocabulary, parts));
        if (partial is not null)
            PartialKernels.Sum(partial, dWeight);
    }

    readonly record struct ForwardLaunch(Tensor Tokens, Tensor Weight, Tensor Y) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.RunTeams(new EmbeddingForward<V, M, T, I, G>
        {
            Token = on.Ints(Tokens),
            Weight = on.Memory(Weight),
            Y = on.Memory(Y),
            Rows = Tokens.Count,
            D = Weight.Shape[1],
            Vocabulary = Weight.Shape[0],
        }, Tokens.Count, Weight.Shape[1]);
    }

    readonly record struct BackwardLaunch(Tensor Tokens, Tensor DY, Tensor DWeight, long Vocabulary, long Parts) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            long vocabulary = Vocabulary, d = DY.Shape[^1];
            if (vocabulary == 0 || d == 0)
                return;
            // Enough items for the threads of a device, a column each, or for the cores of a host, which take whole rows if there are entries enough.
            long wanted = Math.Max(1, (V.Width == 1 ? 32768 : 16) / Parts);
            long runs = V.Width == 1 ? d : Math.Min(Math.Max(1, wanted / vocabulary), (d + V.Width - 1) / V.Width);
            long columns = ((d + runs - 1) / runs + V.Width - 1) / V.Width * V.Width, block = Math.Max(1, vocabulary * runs / wanted);
            runs = (d + columns - 1) / columns;
            on.Run(new EmbeddingBackward<V, M, T, I>
            {
                Token = on.Ints(Tokens),
                DY = on.Memory(DY),
                DWeight = on.Memory(DWeight),
                Rows = Tokens.Count,
                D = d,
                Vocabulary = vocabulary,
                Parts = Parts,
                Block = Math.Min(block, vocabulary),
                Columns = columns,
            }, (vocabulary + block - 1) / block * runs * Parts, Tokens.Count / Parts);
        }
    }
}
