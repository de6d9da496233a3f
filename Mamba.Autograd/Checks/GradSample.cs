namespace Mamba;

/// <summary>One derivative, from the tape and from differences.</summary>
public sealed record GradSample
{
    /// <summary>Which element of the input; null for a derivative along a random direction.</summary>
    public IReadOnlyList<long>? Index { get; init; }

    /// <summary>From the tape.</summary>
    public double Analytic { get; init; }

    /// <summary>From differences: central ones at steps h, 2h and 4h, extrapolated to h = 0.</summary>
    public double Numeric { get; init; }

    /// <summary>The step h that was best of the sweep.</summary>
    public double Step { get; init; }

    /// <summary>
    /// What the higher derivatives leave in <see cref="Numeric"/>: the difference of the last two extrapolations, which is more than the error of the
    /// last.
    /// </summary>
    public double Truncation { get; init; }

    /// <summary>What rounding leaves in <see cref="Numeric"/>: the measured noise of the outputs, over the step.</summary>
    public double Rounding { get; init; }

    /// <summary>The one-sided derivatives, which are the same where the function is smooth.</summary>
    public (double Left, double Right) Slopes { get; init; }

    /// <summary>What the error is relative to: the input's largest gradient, or for a direction their root of squares.</summary>
    public double Scale { get; init; }

    /// <summary>What the comparison says.</summary>
    public GradVerdict Verdict { get; init; }

    /// <summary>|analytic − numeric|; infinite if one of them is not a number.</summary>
    public double AbsoluteError => double.IsFinite(Analytic - Numeric) ? Math.Abs(Analytic - Numeric) : double.PositiveInfinity;

    /// <summary><see cref="AbsoluteError"/> over <see cref="Scale"/>.</summary>
    public double RelativeError => Over(AbsoluteError);

    /// <summary>What the numeric derivative may itself be off by, over <see cref="Scale"/>.</summary>
    public double EstimatedError => Over(Truncation + Rounding);

    double Over(double x) => x == 0 ? 0 : x / Scale;
}
