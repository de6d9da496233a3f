namespace Mamba;

/// <summary>Sequences for one step.</summary>
/// <param name="Tokens">(b, l), row-major: what the model reads.</param>
/// <param name="Targets">(b, l): what it should say at each position; <see cref="SequenceTask.Ignore"/>, −100, where nobody asks.</param>
/// <param name="B">Number of sequences.</param>
/// <param name="L">Tokens in each.</param>
public record Batch(int[] Tokens, int[] Targets, int B, int L)
{
    /// <summary>
    /// The state that the sequences go on from, and leave behind, where <see cref="TrainingData.CarriesState"/>; the trainer's. Null: they start from nothing.
    /// </summary>
    public MambaState? State { get; init; }

    /// <summary>Whether the sequences start here, although the data carry a state: the trainer then forgets it first.</summary>
    public bool Begins { get; init; }

    /// <summary>What the trainer drops on the way; null: nothing.</summary>
    public Dropout? Dropout { get; init; }

    /// <summary>Positions that the model reads, as progress counts them.</summary>
    public virtual long Positions => Tokens.Length;

    /// <summary>The targets of the last <paramref name="count"/> positions of each sequence: (b, count).</summary>
    /// <param name="count">0 to <see cref="L"/>.</param>
    public int[] LastTargets(int count)
    {
        int[] last = new int[B * count];
        for (int b = 0; b < B; b++)
            Targets.AsSpan((b + 1) * L - count, count).CopyTo(last.AsSpan(b * count));
        return last;
    }
}
