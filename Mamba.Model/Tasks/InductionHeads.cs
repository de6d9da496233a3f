namespace Mamba;

/// <summary>
/// Induction heads: a special token appears once at a random place, with a random token after it, and again at the very
/// end; which token followed it? To answer, a model must remember one token and ignore all others, for as long as it takes.
/// Mamba (arXiv 2312.00752) §4.1.2 and Table 11, after Olsson et al. 2022.
/// </summary>
public sealed class InductionHeads : SequenceTask
{
    internal const string TaskName = "induction-heads";

    /// <summary>The special token; the ordinary ones are 0 … 14.</summary>
    public const int Special = 15;

    public override string Name => TaskName;
    public override int VocabSize => 16;
    public override int Answers => 1;
    public override double Chance => 1.0 / Special;
    public override int MinLength => 3;      // special, answer, special

    protected override TaskSequence Start(PhiloxRandom random, int length) => new Sequence(random, length);

    /// <inheritdoc cref="SequenceTask.Batches"/>
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
