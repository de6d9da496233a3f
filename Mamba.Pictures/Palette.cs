using ScottPlot;

namespace Mamba.Pictures;

/// <summary>Colours and markers of series: no two of a picture are alike, and they can be told apart without colour.</summary>
internal static class Palette
{
    public static readonly Color Blue = Color.FromHex("#1f6feb"), Green = Color.FromHex("#2da44e"), Ink = Color.FromHex("#24292f"),
        Grey = Color.FromHex("#6e7781"), Faint = Color.FromHex("#d0d7de");

    static readonly Color[] Colors =
    [
        Blue, Color.FromHex("#d1242f"), Green, Color.FromHex("#bf8700"), Color.FromHex("#8250df"),
        Color.FromHex("#0a8f9c"), Color.FromHex("#d63384"), Color.FromHex("#7a4a1e"), Grey,
    ];

    static readonly MarkerShape[] Markers =
    [
        MarkerShape.FilledCircle, MarkerShape.FilledSquare, MarkerShape.FilledTriangleUp, MarkerShape.FilledDiamond, MarkerShape.FilledTriangleDown,
    ];

    /// <summary>The colour of the <paramref name="i"/>-th series, from 0.</summary>
    public static Color ColorOf(int i) => Colors[i % Colors.Length];

    /// <summary>The marker of the <paramref name="i"/>-th series, from 0: 9 colours and 5 markers, so 45 pairs.</summary>
    public static MarkerShape MarkerOf(int i) => Markers[i % Markers.Length];
}
