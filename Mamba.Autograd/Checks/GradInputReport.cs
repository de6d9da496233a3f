namespace Mamba;

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
    /// <summary>The worst verdict of its samples.</summary>
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
