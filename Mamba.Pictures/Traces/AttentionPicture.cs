using ScottPlot;

namespace Mamba.Pictures;

/// <summary>The hidden attention of a layer.</summary>
internal static class AttentionPicture
{
    const int MostTexts = 24, Small = 4;
    const double Decades = 3;

    /// <summary>The average over the channels, large, and four channels beside it.</summary>
    public static Sheet Of(TraceLayer layer, double budget)
    {
        LayerReach reach = layer.Reach(budget);
        int w = reach.Count;
        TokenAxis tokens = layer.Tokens(reach.First);
        const float left = 690;
        PixelRect body = Sheet.Body;
        string what = reach.OfTokens is null ? "average of |M|" : "|M| through the convolution, average";
        Plot average = Sheet.New($"{what} over {layer.ChannelsOf(reach.Channels.Length)}", "token that is looked at", "token i that looks");
        average.Axes.Title.Label.FontSize = 17;
        Map(average, reach.OfTokens ?? reach.Average, tokens);
        HeatMaps.Bar(average, HeatMaps.Amount, -Decades, 0, "share of the row", new LogTicks());
        tokens.Beneath(average, 500, MostTexts);
        tokens.Beside(average, MostTexts);
        var parts = new List<(Plot, PixelRect)> { (average, new PixelRect(0, left, body.Bottom, body.Top)) };
        int[] channels = layer.Moving(Small, reach.First);
        double[][] matrices = reach.Matrices(layer, channels);
        for (int i = 0; i < channels.Length; i++)
        {
            Plot plot = Sheet.New($"channel {TraceLayer.Words(channels[i])}", "");
            plot.Axes.Title.Label.FontSize = 16;
            Map(plot, matrices[i], tokens);
            tokens.Beneath(plot, 0, most: 0);
            tokens.Beside(plot, most: 0);
            plot.Axes.Left.MinimumSize = plot.Axes.Right.MinimumSize = 0;
            plot.Axes.Left.TickLabelStyle.FontSize = plot.Axes.Bottom.TickLabelStyle.FontSize = 14;
            float width = (body.Right - left) / 2, height = MathF.Floor(body.Height / 2), x = left + i % 2 * width, y = body.Top + i / 2 * height;
            parts.Add((plot, new PixelRect(x, x + width, y + height, y)));
        }
        string last = reach.First > 0 ? $"the last {TraceLayer.Words(w)} of {TraceLayer.Words(layer.Length)} tokens" : TraceLayer.Words(w, "token");
        return new Sheet($"Layer {layer.Layer}: hidden attention |M| among {last}",
            $"yᵢ = Σⱼ Mᵢⱼ uⱼ; each row scaled to sum 1; grey: later tokens, or no number{(layer.Has("y") ? "; channels: those that move y most" : "")}", parts);
    }

    // (w, w) of |M| as logarithms of shares of the rows
    static void Map(Plot plot, double[] matrix, TokenAxis tokens)
    {
        int w = tokens.Count;
        double[,] shares = new double[w, w];
        for (int i = 0; i < w; i++)
        {
            double sum = 0;
            for (int j = 0; j <= i; j++)
                if (double.IsFinite(matrix[i * w + j]))
                    sum += matrix[i * w + j];
            for (int j = 0; j < w; j++)
            {
                double share = sum > 0 ? matrix[i * w + j] / sum : matrix[i * w + j];
                shares[i, j] = j > i || !double.IsFinite(share) ? double.NaN : Math.Max(-Decades, Math.Log10(share));
            }
        }
        HeatMaps.Add(plot, shares,
            new CoordinateRect(tokens.First - 0.5, tokens.First + w - 0.5, -(tokens.First + w - 0.5), -(tokens.First - 0.5)), HeatMaps.Amount, -Decades, 0);
    }
}
