using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>y[row] = weight[token[row]], a team per row; a token outside the vocabulary gives NaN. token (rows); weight (v, d); y (rows, d).</summary>
public struct EmbeddingForward<V, M, T, I, G> : ITeamKernel<V, G>
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
/// dWeight[token[row]] += dy[row], rows in order. A worker owns a block of the vocabulary in one group of columns, and
/// walks all tokens: no two workers write one element, and the bits do not depend on how the work is cut.
/// token (rows); dy (rows, d); dWeight (v, d), zero before.
/// </summary>
public struct EmbeddingBackward<V, M, T, I> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
    where I : struct, IMemory<int>
{
    public I Token;
    public M DY, DWeight;
    public long Rows, D, Vocabulary, Block;     // Block: vocabulary entries of one worker's item

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        I token = Token;
        M dy = DY, dWeight = DWeight;
        long rows = Rows, d = D, groups = (d + V.Width - 1) / V.Width, blocks = (Vocabulary + Block - 1) / Block;
        Share share = worker.Share(groups * blocks);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long i = item % groups * V.Width, low = item / groups * Block, high = low + Block;
            high = high < Vocabulary ? high : Vocabulary;
            int lanes = Lanes.In(d - i);
            for (long row = 0; row < rows; row++)
            {
                long t = token[row];
                if (t >= low && t < high)
                    V.Store(dWeight, t * d + i, V.Load(dWeight, t * d + i) + V.Load(dy, row * d + i), lanes);
            }
        }
    }
}

/// <summary>Launchers of the embedding.</summary>
public static class EmbeddingKernels
{
    public static void Forward(Tensor tokens, Tensor weight, Tensor y) => weight.Launch(new ForwardLaunch(tokens, weight, y));

    /// <summary>Adds to dWeight, which is zero before.</summary>
    public static void Backward(Tensor tokens, Tensor dy, Tensor dWeight) => dy.Launch(new BackwardLaunch(tokens, dy, dWeight));

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

    readonly record struct BackwardLaunch(Tensor Tokens, Tensor DY, Tensor DWeight) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            // Enough items for the threads of a device, or for the cores of a host.
            long wanted = V.Width == 1 ? 32768 : 16, vocabulary = DWeight.Shape[0], groups = (DWeight.Shape[1] + V.Width - 1) / V.Width;
            if (vocabulary == 0 || groups == 0)
                return;
            long block = Math.Max(1, vocabulary * groups / wanted), blocks = (vocabulary + block - 1) / block;
            on.Run(new EmbeddingBackward<V, M, T, I>
            {
                Token = on.Ints(Tokens),
                DY = on.Memory(DY),
                DWeight = on.Memory(DWeight),
                Rows = Tokens.Count,
                D = DWeight.Shape[1],
                Vocabulary = vocabulary,
                Block = Math.Min(block, vocabulary),
            }, blocks * groups, Tokens.Count);
        }
    }
}
