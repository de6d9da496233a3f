using System.Globalization;
using ScottPlot;

namespace Mamba.Pictures;

/// <summary>What each layer and position brings back of an answer.</summary>
internal static class CausalPicture
{
    /// <summary>A heat map, layers up and tokens across.</summary>
    /// <param name="tracing">What was measured.</param>
    /// <param name="what">What was restored: <c>h</c>.</param>
    /// <param name="quantity">What it was measured by.</param>
    /// <param name="texts">The corrupted tokens, as they are printed, one for each position that was restored; positions are neighbours.</param>
    public static Sheet Of(CausalTracing tracing, string what, string quantity, string[] texts)
    {
        int rows = tracing.Layers.Count;
        double[,] share = tracing.Share, values = new double[rows, texts.Length];
        double most = 1;
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < texts.Length; j++)
            {
                values[rows - 1 - i, j] = double.IsFinite(share[i, j]) ? share[i, j] : double.NaN;        // the first layer at the bottom
                if (double.IsFinite(share[i, j]))
                    most = Math.Max(most, Math.Abs(share[i, j]));
            }
        var tokens = new TokenAxis((int)tracing.Positions[0], texts);
        Plot plot = Sheet.New("", "token, of the corrupted run", "layer");
        HeatMaps.Add(plot, values, new CoordinateRect(tokens.First - 0.5, tokens.First + texts.Length - 0.5, -0.5, rows - 0.5), HeatMaps.Signed, -most, most);
        HeatMaps.Bar(plot, HeatMaps.Signed, -most, most, "share of the difference that comes back");
        tokens.Beneath(plot, Sheet.Body.Width - 240);
        int every = (rows + 23) / 24;
        int[] named = [.. Enumerable.Range(0, rows).Where(i => i % every == 0)];
        plot.Axes.Left.SetTicks([.. named.Select(i => (double)i)], [.. named.Select(i => TraceLayer.Words(tracing.Layers[i]))]);
        plot.Axes.SetLimitsY(-0.5, rows - 0.5);
        return new Sheet($"Causal tracing: {what} of one layer and token restored",
            $"{quantity}: {Number(tracing.Clean)} in the right run, {Number(tracing.Corrupted)} in the corrupted one; 1: all of that comes back", plot);
    }

    static string Number(double value) => value.ToString("0.###", CultureInfo.InvariantCulture);
}
