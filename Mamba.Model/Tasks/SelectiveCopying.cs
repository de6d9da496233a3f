namespace Mamba;

/// <summary>
/// Selective copying: data tokens stand at random places among noise; then come as many markers, and at each marker the next
/// data token is to be said, in order. A convolution, which sees places and not contents, cannot do it.
/// Mamba (arXiv 2312.00752) §4.1.1 and Table 1, after Jing et al. 2019.
/// </summary>
/// <param name="dataTokens">Tokens to remember: 16 in the paper.</param>
public sealed class SelectiveCopying(int dataTokens = 16) : SequenceTask
{
    const string TaskName = "selective-copying";

    /// <summary>Its name, presets and model.</summary>
    public static TrainingTask Task { get; } = new(TaskName, "say the data tokens among the noise again, in order",
        options => new SelectiveCopying(options.DataTokens))
    {
        HasDataTokens = true,
        Presets =
        [
            // At a constant rate it learns as fast, and then forgets again and again: 99 % and 94 % a few steps apart. So the rate goes to 0.
            new TrainOptions
            {
                Task = TaskName,
                Preset = "quick",
                DataTokens = 8,
                Stages = [new(64, 32, 6000)],
                LearningRate = 3e-3,
                Warmup = 100,
                Schedule = "cosine",
                WeightDecay = 0,
                Clip = 1,
                MaxEvalLength = 256,
            },
            // Table 1 and appendix E.1.
            new TrainOptions
            {
                Task = TaskName,
                Preset = "paper",
                DataTokens = 16,
                Stages = [new(4096, 64, 400_000)],
                LearningRate = 1e-4,
                Beta2 = 0.999,
                WeightDecay = 0,
                MaxEvalLength = 4096,
            },
        ],
    };

    /// <summary>The noise token; the data are 1 … 14.</summary>
    public const int Noise = 0;

    /// <summary>The token that asks for the next answer.</summary>
    public const int Marker = 15;

    /// <summary><c>selective-copying</c>.</summary>
    public override string Name => TaskName;

    /// <summary>16: noise, fourteen data tokens, and the marker.</summary>
    public override int VocabSize => 16;

    /// <summary>The data tokens, said again at the markers.</summary>
    public override int Answers => dataTokens;

    /// <summary>1 / 14: one of the data tokens.</summary>
    public override double Chance => 1.0 / (Marker - 1);

    /// <summary>As many as there are data tokens.</summary>
    public override int MinLength => dataTokens;

    /// <summary>The length counts noise and data; the markers come after it.</summary>
    public override int Tokens(int length) => length + dataTokens;

    /// <inheritdoc/>
    protected override TaskSequence Start(PhiloxRandom random, int length) => new Sequence(random, length, dataTokens);

    /// <summary>The training batches from the first on: tokens and targets, (b, l) int32 each. A pair lives until the next one is taken.</summary>
    /// <param name="length">l without the markers, which come after it.</param>
    /// <param name="batch">b.</param>
    /// <param name="seed">The same seed, the same batches.</param>
    /// <param name="device">Where the tensors shall be.</param>
    /// <param name="dataTokens">Tokens to remember: 16 in the paper.</param>
    public static IEnumerable<(Tensor Tokens, Tensor Targets)> Batches(int length, int batch, ulong seed, Device device, int dataTokens = 16) =>
        Batches(new SelectiveCopying(dataTokens), length, batch, seed, device);

    sealed class Sequence(PhiloxRandom random, int length, int dataTokens) : TaskSequence
    {
        readonly int[] data = new int[dataTokens];
        int seen;

        protected override (int Token, int Target) Next()
        {
            if (Position >= length)
                return (Marker, data[Position - length]);
            // Each set of places is as likely as any other: Knuth, The Art of Computer Programming 2, 3.4.2, Algorithm S.
            if (random.Next(length - Position) >= dataTokens - seen)
                return (Noise, Ignore);
            return (data[seen++] = 1 + random.Next(Marker - 1), Ignore);
        }
    }
}
