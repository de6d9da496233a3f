namespace Mamba.Checks;

/// <summary>One case's gradients against differences.</summary>
/// <param name="Case">What was called.</param>
/// <param name="Device">Where.</param>
/// <param name="Report">What was found; null if the op failed.</param>
/// <param name="Problem">One line, if anything is wrong.</param>
public sealed record GradientResult(OpCase Case, string Device, GradReport? Report, string? Problem)
{
    /// <summary>In a word.</summary>
    public string Verdict => Report is null ? "failed" : Report.Verdict switch
    {
        GradVerdict.Agrees => "agrees",
        GradVerdict.NotSmooth => "not smooth",
        GradVerdict.Inconclusive => "inconclusive",
        _ => "wrong",
    };
}
