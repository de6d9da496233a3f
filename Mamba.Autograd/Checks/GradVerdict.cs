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
