namespace Mamba;

/// <summary>What a comparison of an analytic derivative with a numeric one says.</summary>
public enum GradVerdict
{
    /// <summary>They are the same within the tolerance, and the numeric one is exact enough for that to mean something.</summary>
    Agrees,

    /// <summary>The numeric derivative is not exact enough to tell: the function curves too much, or its values are too noisy.</summary>
    Inconclusive,

    /// <summary>The function has a kink or a jump here: the one-sided derivatives are not the same, however small the step.</summary>
    NotSmooth,

    /// <summary>They are not the same.</summary>
    Differs,
}

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

    public GradVerdict Verdict { get; init; }

    /// <summary>|analytic − numeric|; infinite if one of them is not a number.</summary>
    public double AbsoluteError => double.IsFinite(Analytic - Numeric) ? Math.Abs(Analytic - Numeric) : double.PositiveInfinity;

    /// <summary><see cref="AbsoluteError"/> over <see cref="Scale"/>.</summary>
    public double RelativeError => Over(AbsoluteError);

    /// <summary>What the numeric derivative may itself be off by, over <see cref="Scale"/>.</summary>
    public double EstimatedError => Over(Truncation + Rounding);

    double Over(double x) => x == 0 ? 0 : x / Scale;
}

/// <summary>The gradient with respect to one input.</summary>
/// <param name="Name">The input's name.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Elements">How many of its elements were checked singly.</param>
/// <param name="Directions">Along how many random directions the whole of it was checked.</param>
/// <param name="LargestAbsolute">Where the absolute error is largest; null for an input without elements.</param>
/// <param name="LargestRelative">Where the relative error is largest.</param>
/// <param name="Worst">What decides the verdict: of the samples with the worst verdict the one with the largest relative error.</param>
/// <param name="EstimatedError">The largest <see cref="GradSample.EstimatedError"/> of all samples.</param>
public sealed record GradInputReport(string Name, Shape Shape, int Elements, int Directions, GradSample? LargestAbsolute, GradSample? LargestRelative,
    GradSample? Worst, double EstimatedError)
{
    public GradVerdict Verdict => Worst?.Verdict ?? GradVerdict.Agrees;

    /// <summary>The largest relative error; 0 for an input without elements.</summary>
    public double RelativeError => LargestRelative?.RelativeError ?? 0;

    /// <summary>One line: which input, which element, what came and what was expected.</summary>
    public override string ToString()
    {
        if (Worst is not { } worst)
            return $"{Name} {Shape} has no elements.";
        string where = worst.Index is null ? $"of {Name} {Shape} along a random direction" : $"of {Name} {Shape} at ({string.Join(", ", worst.Index)})";
        return Verdict switch
        {
            GradVerdict.Agrees => Text($"The gradient of {Name} {Shape} agrees with differences to {RelativeError:0.0e+0}; "
                + $"these are good to {EstimatedError:0.0e+0}."),
            GradVerdict.NotSmooth => Text($"The function is not smooth where the derivative {where} was asked for: "
                + $"its slope is {worst.Slopes.Left:g6} to the left and {worst.Slopes.Right:g6} to the right; analytic {worst.Analytic:g6}."),
            GradVerdict.Inconclusive => Text($"Differences cannot judge the derivative {where}: they are good to {worst.EstimatedError:0.0e+0} of the "
                + $"gradient only. Analytic {worst.Analytic:g10}, numeric {worst.Numeric:g10}."),
            _ => Text($"The derivative {where} is wrong: analytic {worst.Analytic:g10}, numeric {worst.Numeric:g10}; they differ by "
                + $"{worst.AbsoluteError:0.0e+0}, {worst.RelativeError:0.0e+0} of the gradient, and the numeric one is good to {worst.EstimatedError:0.0e+0}."),
        };

        static string Text(InvariantText text) => text.Take();
    }
}

/// <summary>What <see cref="GradCheck"/> found.</summary>
/// <param name="Inputs">The inputs, in their order.</param>
public sealed record GradReport(IReadOnlyList<GradInputReport> Inputs)
{
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

    public override string ToString() => Worst?.ToString() ?? "There are no inputs.";
}
