namespace Mamba.Learn;

/// <summary>Where the names of a chart's series stand.</summary>
public enum Corner
{
    /// <summary>Above, on the left.</summary>
    UpperLeft,

    /// <summary>Above, on the right.</summary>
    UpperRight,

    /// <summary>Below, on the left.</summary>
    LowerLeft,

    /// <summary>Below, on the right.</summary>
    LowerRight,

    /// <summary>Under the chart, where they cover no data.</summary>
    Outside,
}
