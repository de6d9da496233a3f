using Mamba.Gpu;

namespace Mamba;

public static partial class Ops
{
    /// <summary>
    /// logits (…, v), targets int32 (…) → scalar: −log softmax(logits)[target], the mean over the targets that are not
    /// ignored; 0, with zero gradients, if all are.
    /// </summary>
    /// <remarks>
    /// Targets are not looked at on the host, so one that is neither ignoreIndex nor in 0 … classes − 1 cannot be reported:
    /// it makes the loss, and the gradient of its row, NaN.
    /// </remarks>
    /// <param name="logits">Scores before the softmax.</param>
    /// <param name="targets">The right class of each row.</param>
    /// <param name="ignoreIndex">Rows with this target count for nothing.</param>
    /// <param name="classes">The softmax is over this many first columns, for a vocabulary padded beyond it; all by default. The rest have gradient 0.</param>
    public static Tensor CrossEntropy(Tensor logits, Tensor targets, int ignoreIndex = -100, int? classes = null)
    {
        int count = ExpectTargets("CrossEntropy", logits, targets, classes);
        Tensor loss = logits.Like(new Shape()), lse = logits.Like(targets.Shape), scale = logits.Like(1);
        CrossEntropyKernels.Forward(logits, targets, ignoreIndex, count, loss, lse, scale);
        return Tape.Record("CrossEntropy", loss, [logits], dLoss =>
        {
            Tensor dLogits = logits.Like();
            CrossEntropyKernels.Backward(logits, targets, ignoreIndex, count, lse, scale, dLoss, dLogits);
            return [dLogits];
        });
    }

    /// <summary>logits (…, v), targets int32 (…) → (…): −log softmax(logits)[target] of each row, 0 where it is ignored. Without gradients.</summary>
    internal static Tensor TokenLosses(Tensor logits, Tensor targets, int ignoreIndex = -100)
    {
        ExpectTargets("TokenLosses", logits, targets, classes: null);
        Tensor losses = logits.Like(targets.Shape);
        CrossEntropyKernels.Losses(logits, targets, ignoreIndex, losses);
        return losses;
    }

    /// <summary>
    /// logits (…, v), targets int32 (…) → how many rows have their largest logit (the first of equals) at the target, of how many that are
    /// not ignored. A row whose largest logit is infinite or NaN has no answer: it counts, is not correct, and is told apart. Waits for the device.
    /// </summary>
    /// <param name="logits">(…, v)</param>
    /// <param name="targets">(…) int32.</param>
    /// <param name="ignoreIndex">A row with this target does not count.</param>
    /// <param name="classes">Looks at this many first logits; all when null.</param>
    /// <exception cref="MambaException">A shape does not fit.</exception>
    public static CorrectCount CountCorrect(Tensor logits, Tensor targets, int ignoreIndex = -100, int? classes = null)
    {
        int count = ExpectTargets("CountCorrect", logits, targets, classes), vocabulary = (int)logits.Shape[^1];
        int[] expected = targets.ToArray<int>();
        int?[] answers = count == vocabulary && expected.Length > 0 ? AnswersOnDevice(logits) : AnswersOnHost(logits, count);
        long correct = 0, counted = 0, unanswered = 0;
        for (int row = 0; row < expected.Length; row++)
        {
            if (expected[row] == ignoreIndex)
                continue;
            counted++;
            if (answers[row] is not { } answer)
                unanswered++;
            else if (answer == expected[row])
                correct++;
        }
        return new CorrectCount(correct, counted, unanswered);
    }

    // an index and a value of each row come back, not the logits
    static int?[] AnswersOnDevice(Tensor logits)
    {
        using IDisposable plain = Tape.NoGrad();
        using var scope = new TensorScope();
        double[] largest = Max(logits, -1).ToDoubles();
        return [.. ArgMax(logits).ToArray<int>().Select((best, row) => double.IsFinite(largest[row]) ? (int?)best : null)];
    }

    static int?[] AnswersOnHost(Tensor logits, int classes)
    {
        int vocabulary = (int)logits.Shape[^1];
        double[] values = logits.ToDoubles();
        return [.. Enumerable.Range(0, values.Length / vocabulary).Select(row => Answer(values.AsSpan(row * vocabulary, classes)))];
    }

    /// <summary>Where the largest score is, the first of equals; null if it is infinite or NaN, which is no answer.</summary>
    internal static int? Answer(ReadOnlySpan<double> scores)
    {
        int best = 0;
        for (int j = 1; j < scores.Length; j++)
            if (!(scores[j] <= scores[best]) && !double.IsNaN(scores[best]))        // a NaN is larger than any number
                best = j;
        return double.IsFinite(scores[best]) ? best : null;
    }

    static int ExpectTargets(string op, Tensor logits, Tensor targets, int? classes)
    {
        Arguments.Axes(op, logits, "…, v");
        Arguments.Ints(op, targets, logits.Device);
        Shape.Expect(op, targets, logits.Shape[..^1], $"It comes from logits {logits.Shape}");
        long count = classes ?? logits.Shape[^1];
        if (count < 1 || count > logits.Shape[^1])
            throw new MambaException($"{op}: {count} classes; expected 1 to v={logits.Shape[^1]}, the last axis of logits {logits.Shape}.");
        return checked((int)count);
    }
}
