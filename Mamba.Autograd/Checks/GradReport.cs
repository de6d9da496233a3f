namespace Mamba;

/// <summary>What <see cref="GradCheck"/> found.</summary>
/// <param name="Inputs">The inputs, in their order.</param>
public sealed record GradReport(IReadOnlyList<GradInputReport> Inputs)
{
    /// <summary>The worst verdict of all inputs.</summary>
    public GradVerdict Verdict => Inputs.Select(i => i.Verdict).DefaultIfEmpty().Max();

    /// <summary>Whether every gradient agrees.</summary>
    public bool Passed => Verdict == GradVerdict.Agrees;

    /// <summary>The largest relative error of all inputs.</summary>
    public double RelativeError => Inputs.Select(i => i.RelativeError).DefaultIfEmpty().Max();

    /// <summary>What the numeric derivatives themselves may be off by, relative as <see cref="RelativeError"/>.</summary>
    public double EstimatedError => Inputs.Select(i => i.EstimatedError).DefaultIfEmpty().Max();

    /// <summary>The input that decides: the worst verdict, of those the largest error; null without inputs.</summary>
    public GradInputReport? Worst => Inputs.OrderByDescending(i => i.Verdict).ThenByDescending(i => i.RelativeError).FirstOrDefault();

    /// <exception cref="MambaException">A gradient does not agree; the message says of which input, where, what came, and what was expected.</exception>
    public void ThrowIfFailed()
    {
        if (!Passed)
            throw new MambaException($"GradCheck: {Worst}");
    }

    /// <summary>One line: the input that decides.</summary>
    public override string ToString() => Worst?.ToString() ?? "There are no inputs.";
}
