using Mamba.Pictures;
using NUnit.Framework;
using ScottPlot;
using ScottPlot.Plottables;

namespace Mamba.Tests;

/// <summary>Pictures of results: confusion of classes, ROC, sounds, forecasts, curves with their spread.</summary>
public class ResultPicturesTests
{
    static ClassificationReport Report(int k, int n = 200)
    {
        var random = new Random(k);
        int[] labels = [.. Enumerable.Range(0, n).Select(i => i % k)];
        double[][] rows = [.. labels.Select(label => Enumerable.Range(0, k).Select(i => Math.Log(i == label ? 0.5 : random.NextDouble())).ToArray())];
        return ClassificationReport.Of(labels, rows, [.. Enumerable.Range(0, k).Select(i => $"class {i}")]);
    }

    static IEnumerable<T> Parts<T>(Sheet sheet) => sheet.Parts.SelectMany(part => part.Plot.PlottableList).OfType<T>();

    // ScottPlot makes ticks when it draws.
    static string[] Labels(Sheet sheet, Func<AxisManager, IAxis> axis)
    {
        sheet.Parts[0].Plot.GetImageBytes(1200, 600);
        return [.. axis(sheet.Parts[0].Plot.Axes).TickGenerator.Ticks.Select(tick => tick.Label)];
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(10)]
    [TestCase(20)]
    public void A_confusion_matrix_has_each_count_in_its_cell(int k)
    {
        ClassificationReport report = Report(k);
        Sheet sheet = ConfusionMatrix.Of(report, "classes");
        Text[] counts = [.. Parts<Text>(sheet)];
        Assert.That(counts, Has.Length.EqualTo(k * k));
        foreach (Text count in counts)
            Assert.That(count.LabelText, Is.EqualTo($"{report.Confusion[(int)-count.Location.Y, (int)count.Location.X]:N0}"));
        Assert.That(Labels(sheet, axes => axes.Left), Is.EqualTo(report.Classes));
        Assert.That(sheet.Note, Does.StartWith("200 examples, accuracy "));
    }

    [Test]
    public void With_many_classes_there_are_colours_and_no_counts()
    {
        Sheet sheet = ConfusionMatrix.Of(Report(26), "letters");
        Assert.That(Parts<Text>(sheet), Is.Empty);
        Assert.That(Labels(sheet, axes => axes.Left), Has.Length.EqualTo(13));
    }

    [Test]
    public void Long_names_of_classes_are_cut_in_the_middle()
    {
        var report = ClassificationReport.Of([0], [[0, -1]], ["Drosophila melanogaster", "Drosophila simulans"]);
        string[] names = Labels(ConfusionMatrix.Of(report, "flies"), axes => axes.Bottom);
        Assert.That(names, Is.EqualTo(new[] { "Drosophi…ogaster", "Drosophi…imulans" }));
        Assert.That(ConfusionMatrix.Of(ClassificationReport.Of([0], [[double.NaN, 0]], ["a", "b"]), "").Note, Does.EndWith("; 1 predictions were no numbers"));
    }

    [Test]
    public void A_roc_curve_goes_a_step_for_each_score()
    {
        (double X, double Y)[] points = RocCurve.Points([1, 0, 1, 0, 1], [0.9, 0.8, 0.7, 0.7, 0.1]);
        Assert.That(points, Is.EqualTo(new[] { (0, 0), (0, 1 / 3.0), (0.5, 1 / 3.0), (1, 2 / 3.0), (1, 1) }), "equal scores are one step aslant");
        Assert.That(RocCurve.Points([1, 0, 0, 1], [0.9, 0.5, double.NaN, double.NaN]), Is.EqualTo(new[] { (0, 0), (0.5, 0), (0.5, 0.5), (1, 0.5), (1, 1) }),
            "what is no number is wrong: another one first, one of the class last");
        Assert.That(() => RocCurve.Of([1, 1], [0, 1], ""), Throws.TypeOf<MambaException>().With.Message.Contains("2 examples of the class and 0 others"));
    }

    [Test]
    public void The_area_under_a_roc_curve_is_the_auc_of_the_report()
    {
        var random = new Random(5);
        int[] labels = [.. Enumerable.Range(0, 300).Select(_ => random.Next(2))];
        double[] p = [.. labels.Select(label => Math.Round(0.1 + 0.4 * random.NextDouble() + 0.3 * label, 2))];
        var report = ClassificationReport.Of(labels, [.. p.Select(x => new[] { Math.Log(1 - x), Math.Log(x) })], ["no", "yes"]);
        Assert.That(RocCurve.Of(labels, p, "").Note, Does.StartWith($"area under the curve {report.Auc:0.0000}; {labels.Sum()} of the class, "));
    }

    [TestCase(8000, 1010)]
    [TestCase(44100, 440)]
    [TestCase(100, 20)]
    public void A_tone_is_loudest_at_its_frequency(int rate, double hertz)
    {
        var spectrogram = new Spectrogram([.. Enumerable.Range(0, 2 * rate).Select(i => (float)Math.Sin(2 * Math.PI * hertz * i / rate))], rate);
        int frames = spectrogram.Decibels.GetLength(1), rows = spectrogram.Decibels.GetLength(0);
        Assert.That(rows, Is.EqualTo(spectrogram.Window / 2 + 1));
        Assert.That((frames - 1) * spectrogram.Hop, Is.InRange(2 * rate - spectrogram.Hop, 2 * rate));
        int loudest = Enumerable.Range(0, rows).MaxBy(row => spectrogram.Decibels[row, frames / 2]);
        Assert.That(loudest * spectrogram.HertzOfRow, Is.EqualTo(hertz).Within(0.51 * spectrogram.HertzOfRow));
        Assert.That(spectrogram.Decibels[loudest, frames / 2], Is.EqualTo(0).Within(1.5));
        if (rows > 20)
            Assert.That(spectrogram.Decibels[loudest + 6, frames / 2], Is.LessThan(-50), "Hann's window lets little through six rows away");
    }

    [Test]
    public void Half_the_amplitude_is_6_decibels_less_and_a_click_is_where_it_was()
    {
        const int Rate = 8000;
        float[] tone = [.. Enumerable.Range(0, Rate).Select(i => (i < Rate / 2 ? 1f : 0.5f) * (float)Math.Sin(2 * Math.PI * 1000 * i / Rate))];
        var spectrogram = new Spectrogram(tone, Rate);
        int row = (int)(1000 / spectrogram.HertzOfRow), frames = spectrogram.Decibels.GetLength(1);
        Assert.That(spectrogram.Decibels[row, frames / 4] - spectrogram.Decibels[row, 3 * frames / 4], Is.EqualTo(20 * Math.Log10(2)).Within(1e-3));
        float[] click = new float[Rate];
        click[Rate / 2] = 1;
        var clicked = new Spectrogram(click, Rate);
        int loudest = Enumerable.Range(0, clicked.Decibels.GetLength(1)).MaxBy(frame => clicked.Decibels[5, frame]);
        Assert.That(loudest * clicked.Hop, Is.EqualTo(Rate / 2).Within(clicked.Hop / 2));
    }

    [Test]
    public void Silence_and_a_single_sample_are_sounds_too()
    {
        Assert.That(new Spectrogram(new float[100], 8000).Decibels.Cast<double>(), Is.All.EqualTo(Spectrogram.Floor));
        Assert.That(new Spectrogram([0.5f], 8000).Decibels.Cast<double>(), Is.All.EqualTo(0).Within(1e-9), "a click has all frequencies");
        Assert.That(() => new Spectrogram([], 8000), Throws.TypeOf<MambaException>().With.Message.Contains("0 samples, 8000 a second"));
        Assert.That(() => new Spectrogram([0, float.NaN], 8000), Throws.TypeOf<MambaException>().With.Message.Contains("sample 1 is NaN"));
        Assert.That(new Spectrogram(new float[10_000_000], 16000).Decibels.GetLength(1), Is.LessThanOrEqualTo(1000), "no more columns than are seen");
    }

    [Test]
    public void A_waveform_and_its_spectrogram_have_the_same_time_beneath_each_other()
    {
        Sheet sheet = SpectrogramPicture.Of([.. Enumerable.Range(0, 4000).Select(i => (float)Math.Sin(i))], 8000, "a tone");
        Plot wave = sheet.Parts[0].Plot, frequencies = sheet.Parts[1].Plot;
        Assert.That((wave.Axes.Bottom.Min, wave.Axes.Bottom.Max), Is.EqualTo((0, 0.5)));
        Assert.That((frequencies.Axes.Bottom.Min, frequencies.Axes.Bottom.Max, frequencies.Axes.Left.Max), Is.EqualTo((0, 0.5, 4000)));
        foreach ((Plot plot, PixelRect where) in sheet.Parts)
            plot.GetImageBytes((int)where.Width, (int)where.Height);
        PixelRect above = wave.RenderManager.LastRender.DataRect, below = frequencies.RenderManager.LastRender.DataRect;
        Assert.That((above.Left, above.Right), Is.EqualTo((below.Left, below.Right)));
    }

    [Test]
    public void A_forecast_goes_on_from_the_last_value_known()
    {
        Sheet sheet = ForecastChart.Of("oil", "", "hours", "°C", [1, 2, 3], [4, 5], ("model", [3.5, 4.5]), ("last value", [3.0, 3.0]));
        Scatter[] lines = [.. Parts<Scatter>(sheet)];
        Assert.That(lines.Select(line => line.LegendText), Is.EqualTo(new[] { "known", "what came", "model", "last value" }));
        Assert.That(lines[0].Data.GetScatterPoints(), Is.EqualTo(new Coordinates[] { new(-2, 1), new(-1, 2), new(0, 3) }));
        Assert.That(lines[2].Data.GetScatterPoints(), Is.EqualTo(new Coordinates[] { new(0, 3), new(1, 3.5), new(2, 4.5) }));
        Assert.That(Parts<Scatter>(ForecastChart.Of("", "", "", "", [1], [], ("model", [double.NaN, 2.0]))).Count(), Is.EqualTo(2), "the truth may be unknown");
        Assert.That(() => ForecastChart.Of("", "", "", "", [], [1]), Throws.TypeOf<MambaException>());
    }

    [Test]
    public void A_curve_goes_through_the_means_and_its_band_from_the_smallest_to_the_largest()
    {
        var a = new Curve("a", [(2, [5, 7]), (1, [1, 2, 6]), (3, [double.NaN])]);
        Sheet sheet = Curves.Of("", "", "x", "y", Across.Linear, [a, new Curve("b", [1, 2], [0, 1])]);
        Scatter[] lines = [.. Parts<Scatter>(sheet)];
        Assert.That(lines[0].Data.GetScatterPoints(), Is.EqualTo(new Coordinates[] { new(1, 3), new(2, 6) }));
        FillY[] bands = [.. Parts<FillY>(sheet)];
        Assert.That(bands, Has.Length.EqualTo(1), "b was measured once");
        AxisLimits band = bands[0].GetAxisLimits();
        Assert.That((band.Left, band.Right, band.Bottom, band.Top), Is.EqualTo((1.0, 2.0, 1.0, 7.0)));
    }

    [Test]
    public void Places_that_double_are_marked_by_their_names_and_limits_are_in_the_legend()
    {
        Sheet sheet = Curves.Of("", "", "x", "y", Across.Doubling, [new Curve("a", [1024, 8192, 65536], [3, 2, 1])], ("Markov", 1.9));
        Plot plot = sheet.Parts[0].Plot;
        Assert.That(Labels(sheet, axes => axes.Bottom), Is.EqualTo(new[] { "1K", "8K", "64K" }));
        Assert.That(plot.PlottableList.SelectMany(part => part.LegendItems).Select(item => item.LabelText), Is.EquivalentTo(new[] { "a", "Markov" }));
        Sheet empty = Curves.Of("", "", "x", "y", Across.Logarithmic, [new Curve("none", [0], [1])]);
        Assert.That(Parts<Annotation>(empty).Count(), Is.EqualTo(1), "nothing to show is said");
    }

    [Test]
    public void Each_is_a_png_of_the_size_of_all_pictures()
    {
        string folder = Directory.CreateTempSubdirectory("mamba-pictures-").FullName;
        try
        {
            Sheet[] sheets =
            [
                ConfusionMatrix.Of(Report(3), "classes"), RocCurve.Of([0, 1], [0, 1], ""), SpectrogramPicture.Of([1], 8000, ""),
                ForecastChart.Of("", "", "steps", "", [1], [], ("model", [1.0])), Curves.Of("", "", "x", "y", Across.Linear, []),
            ];
            foreach (Sheet sheet in sheets)
            {
                string path = Path.Combine(folder, "p.png");
                sheet.Save(path);
                using var picture = SkiaSharp.SKBitmap.Decode(path);
                Assert.That((picture.Width, picture.Height), Is.EqualTo((Picture.Width, Picture.Height)));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
