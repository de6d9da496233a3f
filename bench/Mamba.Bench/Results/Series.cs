namespace Mamba.Bench;

/// <summary>How a cost grows: length and cost, in order of length.</summary>
internal sealed record Series(string Name, IReadOnlyList<(double X, double Y)> Points)
{
    /// <summary>
    /// The length from which <paramref name="a"/> costs less than <paramref name="b"/>, straight lines drawn between the points on
    /// logarithmic axes; null if it does not happen where both were measured.
    /// </summary>
    public static double? Crossing(Series a, Series b)
    {
        (double X, double A, double B)? last = null;
        foreach ((double x, double y) in a.Points)
        {
            int at = b.Points.Select(p => p.X).ToList().IndexOf(x);
            if (at < 0)
                continue;
            (double X, double A, double B) here = (Math.Log(x), Math.Log(y), Math.Log(b.Points[at].Y));
            if (here.A < here.B)
                return last is not { } before
                    ? x : Math.Exp(before.X + (here.X - before.X) * (before.A - before.B) / (before.A - before.B - (here.A - here.B)));
            last = here;
        }
        return null;
    }

    /// <summary>The exponent of the growth over the second half of the points: 1 is linear, 2 quadratic.</summary>
    public double? Exponent
    {
        get
        {
            (double X, double Y) middle = Points[(Points.Count - 1) / 2], last = Points[^1];
            return Points.Count < 3 ? null : Math.Log(last.Y / middle.Y) / Math.Log(last.X / middle.X);
        }
    }
}
