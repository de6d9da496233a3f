namespace Mamba;

/// <summary>
/// Accuracy at any length. The state is carried through the sequences in pieces, and the sequences are made piece by piece,
/// so a million tokens take no more memory than a thousand.
/// </summary>
/// <param name="model">The model to look at.</param>
/// <param name="task">What to ask it.</param>
public sealed class Evaluator(MambaLM model, SequenceTask task)
{
    /// <summary>Tokens of one piece, of all sequences together: few enough that activations stay in a core's cache.</summary>
    public int PieceTokens { get; init; } = 16384;

    /// <summary>Sequences for one length at most: as many as <see cref="TokenBudget"/> allows, within these bounds.</summary>
    public int MostSequences { get; init; } = 64;

    /// <summary>Sequences for one length at least, whatever the budget.</summary>
    public int FewestSequences { get; init; } = 4;

    /// <summary>Tokens to read for one length; more where <see cref="FewestSequences"/> asks for it.</summary>
    public long TokenBudget { get; init; } = 1 << 19;

    /// <summary>The powers of two from 64 that the task can be asked at.</summary>
    /// <param name="longest">None is above it.</param>
    public IEnumerable<int> Lengths(int longest)
    {
        for (long length = 64; length <= longest; length *= 2)
            if (length >= task.MinLength)
                yield return (int)length;
    }

    /// <summary>Accuracy on the fixed validation set of one length.</summary>
    /// <param name="length">Length of the sequences, as the task counts it.</param>
    /// <param name="progress">Told the share that is done, now and then.</param>
    /// <param name="stop">Ends the work with an <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="MambaException">The task cannot be asked at that length.</exception>
    public EvalRow Run(int length, Action<double>? progress = null, CancellationToken stop = default)
    {
        int b = (int)Math.Clamp(TokenBudget / length, FewestSequences, MostSequences);
        int l = task.Tokens(length), longestPiece = Math.Max(1, PieceTokens / b), firstAnswer = l - task.Answers;
        TaskSequence[] sequences = [.. Enumerable.Range(0, b).Select(i => task.Open(SequenceTask.ValidationStream(length, i), length))];
        double right = 0;
        using MambaState state = model.NewState(b);
        for (int start = 0; start < l;)
        {
            stop.ThrowIfCancellationRequested();
            // Several answers want the logits of every position: their pieces start where the answers do.
            int border = task.Answers > 1 && start < firstAnswer ? firstAnswer : l;
            int end = Math.Min(start + longestPiece, border);
            int piece = end - start;
            int[] tokens = new int[b * piece], targets = new int[b * piece];
            for (int i = 0; i < b; i++)
                sequences[i].Read(tokens.AsSpan(i * piece, piece), targets.AsSpan(i * piece, piece));
            using var scope = new TensorScope();
            bool answers = end > firstAnswer, lastOnly = !answers || task.Answers == 1;
            Tensor logits = model.Forward(Tensor.From(tokens, (b, piece), model.Parameters.Device), state, lastOnly);
            if (answers)
            {
                int[] asked = lastOnly ? [.. Enumerable.Range(1, b).Select(i => targets[i * piece - 1])] : targets;
                CorrectCount count = Ops.CountCorrect(logits, Tensor.From(asked, logits.Shape[..^1], logits.Device), classes: model.Config.VocabSize);
                right += count.Unanswered > 0 ? double.NaN : count.Correct;
            }
            start = end;
            progress?.Invoke((double)start / l);
        }
        return new EvalRow(length, right / ((long)b * task.Answers), b);
    }
}
