using ScottPlot;

namespace Mamba.Pictures;

/// <summary>
/// Colours with straight lines between them. ScottPlot's own, CustomInterpolated, reads past its last colour at the double below 1.
/// </summary>
/// <param name="colors">Two or more, evenly spaced.</param>
internal sealed class Gradient(params string[] colors) : IColormap
{
    readonly Color[] stops = Array.ConvertAll(colors, Color.FromHex);

    /// <inheritdoc/>
    public string Name => "gradient";

    /// <inheritdoc/>
    public Color GetColor(double position)
    {
        double at = Math.Clamp(position, 0, 1) * (stops.Length - 1);
        int below = Math.Min((int)at, stops.Length - 2);
        return stops[below].MixedWith(stops[below + 1], at - below);
    }
}
