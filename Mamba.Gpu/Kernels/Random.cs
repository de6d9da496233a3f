using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

// The words of a stream are those PhiloxRandom draws one after another, so a tensor can be drawn in any order and on any
// device. A float32 takes one word (its top 24 bits), a float64 two (27 and 26 bits, as PhiloxRandom.NextDouble).

/// <summary>y = low + range · u with u uniform in [0, 1), (count).</summary>
internal struct UniformFill<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M Y;
    public T Low, Range;
    public ulong Seed, Stream;
    public long Count;
    public int Words;               // per element: 1 or 2

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M y = Y;
        V low = V.Splat(Low), range = V.Splat(Range);
        ulong seed = Seed, stream = Stream;
        long count = Count, each = 4 / Words;       // elements of one block of four words
        Share share = worker.Share((count + each - 1) / each);
        for (long block = share.Start; block < share.End; block += share.Step)
        {
            Philox words = Philox.At(seed, stream, (ulong)block);
            for (int k = 0; k < each; k++)
            {
                uint a = RandomWords.Word(words, each == 4 ? k : 2 * k);
                V u = each == 4 ? RandomWords.Uniform24<V, M, T>(a) : RandomWords.Uniform53<V, M, T>(a, RandomWords.Word(words, 2 * k + 1));
                // The maximum changes nothing; it keeps compilers from fusing product and sum, which would round differently on each machine.
                if (block * each + k < count)
                    V.Store(y, block * each + k, low + V.Max(range * u, V.Of(0)), 1);
            }
        }
    }
}

/// <summary>
/// y = mean + deviation · z with z standard normal, (count), by Box and Muller: z = √(−2 log(1 − u)) cos 2πw. One element
/// takes two uniform numbers, so in float64 it is what PhiloxRandom.NextNormal gives, to rounding.
/// </summary>
internal struct NormalFill<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M Y;
    public T Mean, Deviation, TwoPi;
    public ulong Seed, Stream;
    public long Count;
    public int Words;               // per uniform number: 1 or 2

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M y = Y;
        V mean = V.Splat(Mean), deviation = V.Splat(Deviation), twoPi = V.Splat(TwoPi);
        ulong seed = Seed, stream = Stream;
        long count = Count, each = 2 / Words;       // elements of one block of four words
        Share share = worker.Share((count + each - 1) / each);
        for (long block = share.Start; block < share.End; block += share.Step)
        {
            Philox words = Philox.At(seed, stream, (ulong)block);
            for (int k = 0; k < each; k++)
            {
                V u = each == 1 ? RandomWords.Uniform53<V, M, T>(words.A, words.B) : RandomWords.Uniform24<V, M, T>(RandomWords.Word(words, 2 * k));
                V w = each == 1 ? RandomWords.Uniform53<V, M, T>(words.C, words.D) : RandomWords.Uniform24<V, M, T>(RandomWords.Word(words, 2 * k + 1));
                V z = V.Sqrt(V.Of(-2) * V.Log(V.Of(1) - u)) * RandomWords.CosTurn<V, M, T>(w, twoPi, each == 1 ? 23 : 15);
                if (block * each + k < count)
                    V.Store(y, block * each + k, V.Fma(deviation, z, mean), 1);
            }
        }
    }
}

/// <summary>
/// y = x · scale where word i of the stream is at least the threshold, 0 elsewhere, whatever x, (count). An element takes one word in both dtypes, so they keep
/// the same elements.
/// </summary>
internal struct DropoutKernel<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M X, Y;
    public T Scale;
    public ulong Seed, Stream;
    public long Count, Threshold;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M x = X, y = Y;
        V scale = V.Splat(Scale);
        ulong seed = Seed, stream = Stream;
        long count = Count, threshold = Threshold;
        Share share = worker.Share((count + 3) / 4);
        for (long block = share.Start; block < share.End; block += share.Step)
        {
            Philox words = Philox.At(seed, stream, (ulong)block);
            for (int k = 0; k < 4; k++)
            {
                long i = block * 4 + k;
                if (i >= count)
                    continue;
                if (RandomWords.Word(words, k) >= threshold)
                    V.Store(y, i, V.Broadcast(x, i) * scale, 1);
                else
                    V.Store(y, i, V.Of(0), 1);
            }
        }
    }
}

/// <summary>From random words to numbers, inside kernels.</summary>
internal static class RandomWords
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>Word k of four.</summary>
    [MethodImpl(Inline)]
    public static uint Word(Philox words, int k) => k < 2 ? (k == 0 ? words.A : words.B) : k == 2 ? words.C : words.D;

    /// <summary>The top 24 bits of a word as a fraction; exact.</summary>
    [MethodImpl(Inline)]
    public static V Uniform24<V, M, T>(uint a)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged => V.Of((int)(a >> 8)) * V.Of(1f / (1 << 24));

    /// <summary>27 bits of a and 26 of b as a fraction; exact in float64. Taken in parts of at most 24 bits, which V.Of holds.</summary>
    [MethodImpl(Inline)]
    public static V Uniform53<V, M, T>(uint a, uint b)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        V high = V.Of((int)(a >> 8)) * V.Of(8) + V.Of((int)((a >> 5) & 7));
        V low = V.Of((int)(b >> 8)) * V.Of(4) + V.Of((int)((b >> 6) & 3));
        return (high * V.Of(1 << 26) + low) * V.Of(1f / (1 << 27)) * V.Of(1f / (1 << 26));
    }

    /// <summary>
    /// cos 2πw for w in [0, 1], which is sin 2πv with v = |w − ½| − ¼ in [−¼, ¼], without rounding: then the series of the
    /// sine over at most a quarter turn. Up to x^15 it is 6e-12 off, up to x^23 5e-21.
    /// </summary>
    [MethodImpl(Inline)]
    public static V CosTurn<V, M, T>(V w, V twoPi, int power)
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
    {
        V x = twoPi * (V.Abs(w - V.Of(0.5f)) - V.Of(0.25f)), q = x * x, p = V.Of(1);
        for (int k = power - 1; k >= 2; k -= 2)
            p = V.Of(1) - q / V.Of(k * (k + 1)) * p;        // 1 − x²/(2·3) (1 − x²/(4·5) (1 − …))
        return x * p;
    }
}

/// <summary>Launchers of random numbers.</summary>
internal static class RandomKernels
{
    /// <summary>y uniform in [low, high).</summary>
    public static void Uniform(Tensor y, ulong seed, ulong stream, double low, double high) => y.Launch(new UniformLaunch(y, seed, stream, low, high));

    /// <summary>y normal.</summary>
    public static void Normal(Tensor y, ulong seed, ulong stream, double mean, double deviation) =>
        y.Launch(new NormalLaunch(y, seed, stream, mean, deviation));

    /// <summary>y = x / (1 − p) with probability 1 − p, else 0: the elements whose words are at least p · 2^32.</summary>
    public static void Dropout(Tensor x, Tensor y, double p, ulong seed, ulong stream) => x.Launch(new DropoutLaunch(x, y, p, seed, stream));

    readonly record struct DropoutLaunch(Tensor X, Tensor Y, double P, ulong Seed, ulong Stream) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new DropoutKernel<V, M, T>
        {
            X = on.Memory(X),
            Y = on.Memory(Y),
            Scale = T.CreateTruncating(1 / (1 - P)),
            Seed = Seed,
            Stream = Stream,
            Count = Y.Count,
            Threshold = (long)Math.Round(P * (1L << 32)),
        }, Y.Count, cost: 8);
    }

    readonly record struct UniformLaunch(Tensor Y, ulong Seed, ulong Stream, double Low, double High) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new UniformFill<V, M, T>
        {
            Y = on.Memory(Y),
            Low = T.CreateTruncating(Low),
            Range = T.CreateTruncating(High - Low),
            Seed = Seed,
            Stream = Stream,
            Count = Y.Count,
            Words = Y.DType.Size() / sizeof(uint),
        }, Y.Count, cost: 8);
    }

    readonly record struct NormalLaunch(Tensor Y, ulong Seed, ulong Stream, double Mean, double Deviation) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new NormalFill<V, M, T>
        {
            Y = on.Memory(Y),
            Mean = T.CreateTruncating(Mean),
            Deviation = T.CreateTruncating(Deviation),
            TwoPi = T.CreateTruncating(2 * Math.PI),
            Seed = Seed,
            Stream = Stream,
            Count = Y.Count,
            Words = Y.DType.Size() / sizeof(uint),
        }, Y.Count, cost: 64);
    }
}
