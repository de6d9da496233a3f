namespace Mamba;

/// <summary>
/// Induction heads: a special token appears once at a random place, with a random token after it, and again at the very
/// end; which token followed it? To answer, a model must remember one token and ignore all others, for as long as it takes.
/// Mamba (arXiv 2312.00752) §4.1.2 and Table 11, after Olsson et al. 2022.
/// </summary>
public sealed class InductionHeads : SequenceTask
{
    const string TaskName = "induction-heads";

    /// <summary>Its name, presets and model.</summary>
    public static TrainingTask Task { get; } = new(TaskName, "which token followed the special one?", _ => new InductionHeads())
    {
        Presets =
        [
            // Length 256 from the start is at chance for thousands of steps, and length 64 alone is not kept up beyond a few
            // thousand tokens. So: short ones until they are right, then length 256 for a good while longer, in small batches: it
            // is the number of updates that drives delta on tokens to be ignored towards 0, and so memory towards a million. A
            // last stretch at a tenth of the rate settles the weights.
            new TrainOptions
            {
                Task = TaskName,
                Preset = "quick",
                Stages = [new(64, 32, 1200, 0.99), new(256, 2, 5000), new(256, 8, 200, Rate: 0.1)],
                LearningRate = 5e-3,
                Beta2 = 0.95,
                Eps = 1e-12,        // the gradients that are left are far below 1e-8; they still point the right way
                WeightDecay = 0,
                Clip = 1,
                MaxEvalLength = 1 << 20,
            },
            // Table 11: 25 epochs of 8192 steps.
            new TrainOptions
            {
                Task = TaskName,
                Preset = "paper",
                Stages = [new(256, 8, 204_800)],
                Beta2 = 0.999,
                WeightDecay = 0,
                MaxEvalLength = 1 << 20,
            },
        ],
    };

    /// <summary>The special token; the ordinary ones are 0 … 14.</summary>
    public const int Special = 15;

    /// <summary><c>induction-heads</c>.</summary>
    public override string Name => TaskName;

    /// <summary>16: fifteen ordinary tokens, and the special one.</summary>
    public override int VocabSize => 16;

    /// <summary>1: what follows the special token at the end.</summary>
    public override int Answers => 1;

    /// <summary>1 / 15: one of the ordinary tokens.</summary>
    public override double Chance => 1.0 / Special;

    /// <summary>3: special, answer, special.</summary>
    public override int MinLength => 3;

    /// <inheritdoc/>
    protected override TaskSequence Start(PhiloxRandom random, int length) => new Sequence(random, length);

    /// <summary>The training batches from the first on: tokens and targets, (b, l) int32 each. A pair lives until the next one is taken.</summary>
    /// <param name="length">l.</param>
    /// <param name="batch">b.</param>
    /// <param name="seed">The same seed, the same batches.</param>
    /// <param name="device">Where the tensors shall be.</param>
    public static IEnumerable<(Tensor Tokens, Tensor Targets)> Batches(int length, int batch, ulong seed, Device device) =>
        Batches(new InductionHeads(), length, batch, seed, device);

    sealed class Sequence(PhiloxRandom random, int length) : TaskSequence
    {
        readonly int place = random.Next(length - 2);
        int answer;

        protected override (int Token, int Target) Next()
        {
            if (Position == place)
                return (Special, Ignore);
            if (Position == length - 1)
                return (Special, answer);
            int token = random.Next(Special);
            if (Position == place + 1)
                answer = token;
            return (token, Ignore);
        }
    }
}
