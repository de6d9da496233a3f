namespace Mamba.Pictures;

/// <summary>One line of <see cref="Curves"/>: values at places, measured several times each.</summary>
/// <param name="Name">What it is.</param>
/// <param name="Points">Places and what was measured there, at least once; what is not finite is left out.</param>
/// <param name="Dashed">Whether it is not of ours: published, or expected.</param>
internal sealed record Curve(string Name, IReadOnlyList<(double X, double[] Values)> Points, bool Dashed = false)
{
    /// <summary>One value at each place.</summary>
    public Curve(string name, IReadOnlyList<double> xs, IReadOnlyList<double> ys, bool dashed = false)
        : this(name, [.. xs.Zip(ys, (x, y) => (x, new[] { y }))], dashed)
    {
    }
}
