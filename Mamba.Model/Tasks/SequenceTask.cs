namespace Mamba;

/// <summary>
/// A synthetic task: random sequences, and at the last <see cref="TrainingData.Answers"/> positions of each something to predict.
/// Fresh sequences never run out, and the one drawn at step s depends on the seed and on s alone.
/// </summary>
public abstract class SequenceTask : TrainingData
{
    /// <summary>The target of a position whose prediction does not count.</summary>
    public const int Ignore = -100;

    /// <summary>The accuracy of guessing, 0 to 1.</summary>
    public abstract double Chance { get; }

    /// <summary>Starts one sequence, which is then handed out piece by piece.</summary>
    /// <param name="random">What it is drawn from.</param>
    /// <param name="length">As the task counts it, at least <see cref="TrainingData.MinLength"/>.</param>
    /// <exception cref="MambaException">The length is less.</exception>
    public TaskSequence Open(PhiloxRandom random, int length) => length >= MinLength
        ? Start(random, length)
        : throw new MambaException($"{Name}: a sequence of length {length} was asked for; expected at least {MinLength}.");

    /// <summary>Starts one sequence of a length that makes sense.</summary>
    /// <param name="random">What it is drawn from; nothing else is, before the sequence has been read to its end.</param>
    /// <param name="length">At least <see cref="TrainingData.MinLength"/>.</param>
    protected abstract TaskSequence Start(PhiloxRandom random, int length);

    /// <summary>Whole sequences, one after another from the same random numbers.</summary>
    /// <param name="random">What they are drawn from.</param>
    /// <param name="batch">b: how many.</param>
    /// <param name="length">As the task counts it; <see cref="TrainingData.Tokens"/> makes it l.</param>
    /// <exception cref="MambaException">The length is less than <see cref="TrainingData.MinLength"/>.</exception>
    public Batch Draw(PhiloxRandom random, int batch, int length)
    {
        int l = Tokens(length);
        int[] tokens = new int[checked(batch * l)], targets = new int[batch * l];
        for (int b = 0; b < batch; b++)
            Open(random, length).Read(tokens.AsSpan(b * l, l), targets.AsSpan(b * l, l));
        return new Batch(tokens, targets, batch, l);
    }

    /// <inheritdoc/>
    public override Batch BatchOf(ulong seed, long step, Stage stage) => Draw(TrainingStream(seed, step), stage.Batch, stage.Length);

    /// <summary>The random numbers of one training step. No other step and no validation sequence shares them.</summary>
    /// <param name="seed">The run's.</param>
    /// <param name="step">From 0.</param>
    public static PhiloxRandom TrainingStream(ulong seed, long step) => new(seed, 1UL << 62 | (ulong)step);

    /// <summary>The random numbers of one validation sequence: fixed sets, one for each length, the same for every run.</summary>
    /// <param name="length">As the task counts it.</param>
    /// <param name="index">Which sequence of the set, from 0.</param>
    public static PhiloxRandom ValidationStream(int length, int index) => new(0, 1UL << 63 | (ulong)length << 31 | (uint)index);

    /// <summary>The task of that name.</summary>
    /// <param name="name"><c>induction-heads</c> or <c>selective-copying</c>.</param>
    /// <param name="dataTokens">Tokens to copy, for selective copying.</param>
    /// <exception cref="MambaException">There is none.</exception>
    public static SequenceTask Named(string name, int dataTokens = 16) => new TrainOptions { Task = name, Stages = [], DataTokens = dataTokens }.OpenTask();

    /// <summary>
    /// The training batches from the first on: tokens and targets, (b, l) int32 each. A pair lives until the next one is taken.
    /// </summary>
    /// <param name="task">What is drawn.</param>
    /// <param name="length">As the task counts it.</param>
    /// <param name="batch">b.</param>
    /// <param name="seed">The same seed, the same batches.</param>
    /// <param name="device">Where the tensors shall be.</param>
    protected static IEnumerable<(Tensor Tokens, Tensor Targets)> Batches(SequenceTask task, int length, int batch, ulong seed, Device device)
    {
        for (long step = 0; ; step++)
        {
            Batch drawn = task.Draw(TrainingStream(seed, step), batch, length);
            using Tensor tokens = Tensor.From(drawn.Tokens, (drawn.B, drawn.L), device).Unowned();
            using Tensor targets = Tensor.From(drawn.Targets, (drawn.B, drawn.L), device).Unowned();
            yield return (tokens, targets);
        }
    }
}
