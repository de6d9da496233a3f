namespace Mamba.Pictures;

/// <summary>How places across are spaced.</summary>
internal enum Across
{
    /// <summary>Evenly.</summary>
    Linear,

    /// <summary>By their logarithms, powers of ten being marked.</summary>
    Logarithmic,

    /// <summary>By their logarithms, each place being marked: 1,024 as 1K.</summary>
    Doubling,
}
