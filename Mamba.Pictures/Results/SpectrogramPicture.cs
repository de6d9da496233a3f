using System.Globalization;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace Mamba.Pictures;

/// <summary>A sound: its waveform, and beneath it which frequencies it has.</summary>
internal static class SpectrogramPicture
{
    const float Left = 100, Right = 130, WaveHeight = 150;

    /// <summary>Both, over the same time.</summary>
    /// <param name="samples">Amplitudes; at least one, all finite.</param>
    /// <param name="rate">Samples a second.</param>
    /// <param name="title">What is heard.</param>
    /// <exception cref="MambaException">There are none, one is not finite, or the rate is not positive.</exception>
    public static Sheet Of(IReadOnlyList<float> samples, int rate, string title)
    {
        var spectrogram = new Spectrogram(samples, rate);
        double seconds = (double)samples.Count / rate;
        double largest = Math.Max(samples.Max(sample => Math.Abs((double)sample)), 1e-9);

        Plot wave = Sheet.New("", "", "amplitude");
        ScottPlot.Plottables.Signal line = wave.Add.Signal([.. samples.Select(sample => (double)sample)], 1.0 / rate, Palette.Blue);
        (line.LineWidth, line.MaximumMarkerSize) = (1.2f, samples.Count > 1 ? 0 : 8);
        wave.Axes.SetLimits(0, seconds, -1.1 * largest, 1.1 * largest);
        wave.Axes.Left.TickGenerator = new NumericManual([-largest, 0, largest], [$"−{Rounded(largest)}", "0", Rounded(largest)]);
        wave.Axes.Bottom.TickLabelStyle.IsVisible = false;
        wave.Layout.Fixed(new PixelPadding(Left, Right, 6, 8));

        Plot plot = Sheet.New("", "time, s", "frequency, Hz");
        int rows = spectrogram.Decibels.GetLength(0), frames = spectrogram.Decibels.GetLength(1);
        double[,] upright = new double[rows, frames];           // the highest frequency is at the top
        for (int row = 0; row < rows; row++)
            for (int f = 0; f < frames; f++)
                upright[row, f] = spectrogram.Decibels[rows - 1 - row, f];
        double half = spectrogram.HertzOfRow / 2, hop = (double)spectrogram.Hop / rate;
        HeatMaps.Add(plot, upright, new CoordinateRect(-hop / 2, (frames - 0.5) * hop, -half, (rows - 0.5) * 2 * half), HeatMaps.Amount, Spectrogram.Floor, 0);
        HeatMaps.Bar(plot, HeatMaps.Amount, Spectrogram.Floor, 0, "dB below the loudest",
            new NumericManual([-80, -60, -40, -20, 0], ["−80", "−60", "−40", "−20", "0"]));
        plot.Axes.SetLimits(0, seconds, 0, rate / 2.0);
        plot.Axes.Left.TickGenerator = new NumericAutomatic { LabelFormatter = hertz => hertz.ToString("N0", CultureInfo.InvariantCulture) };
        plot.Layout.Fixed(new PixelPadding(Left, Right, 62, 12));

        PixelRect body = Sheet.Body;
        string note = string.Create(CultureInfo.InvariantCulture,
            $"{samples.Count:N0} samples, {rate:N0} a second, {seconds:0.###} s; Hann windows of {1000.0 * spectrogram.Window / rate:0.#} ms");
        return new Sheet(title, note,
        [
            (wave, new PixelRect(0, body.Right, body.Top + WaveHeight, body.Top)),
            (plot, new PixelRect(0, body.Right, body.Bottom, body.Top + WaveHeight)),
        ]);
    }

    static string Rounded(double value) => value.ToString("G2", CultureInfo.InvariantCulture);
}
