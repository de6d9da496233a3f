namespace Mamba;

/// <summary>What <see cref="Ops.CountCorrect"/> found.</summary>
/// <param name="Correct">Rows whose answer is the target.</param>
/// <param name="Counted">Rows that were not ignored.</param>
/// <param name="Unanswered">Of those, rows without an answer: their largest logit is infinite or NaN.</param>
public readonly record struct CorrectCount(long Correct, long Counted, long Unanswered)
{
    /// <summary>Correct over counted, 0 to 1; NaN if a row has no answer, or none counts.</summary>
    public double Accuracy => Unanswered > 0 ? double.NaN : (double)Correct / Counted;

    /// <summary>Correct and counted.</summary>
    /// <param name="correct"><see cref="Correct"/></param>
    /// <param name="counted"><see cref="Counted"/></param>
    public void Deconstruct(out long correct, out long counted) => (correct, counted) = (Correct, Counted);
}
