using System.Xml.Linq;
using Mamba.Pictures;
using NUnit.Framework;
using ScottPlot;
using ScottPlot.Plottables;
using SkiaSharp;

namespace Mamba.Tests;

/// <summary>The pictures of a trace.</summary>
public class TracePicturesTests
{
    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-pictures-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    TraceFile Open(FakeTrace trace) => trace.Open(Path.Combine(folder, "trace.safetensors"));

    static Sheet Picture(TraceFile trace, string name, int row = 0) => TracePictures.All(trace, row, []).Single(picture => picture.Name == name).Draw();

    static Plot PlotOf(Sheet sheet) => sheet.Parts[0].Plot;

    static double[,] Cells(Plot plot) => plot.GetPlottables<Heatmap>().Single().Intensities;

    static string[] Labels(IAxis axis) => [.. axis.TickGenerator.Ticks.Where(tick => tick.IsMajor).Select(tick => tick.Label)];

    static string[] Texts(int count) => [.. Enumerable.Range(0, count).Select(i => $" t{i}")];

    static IEnumerable<string> Names(int layers) => ((string[])["delta", "eigenvalues", "half-lives", "mean-reach", "receptive-field"])
        .Concat(Enumerable.Range(0, layers).SelectMany(i => (string[])[$"delta.layer-{i}", $"states.layer-{i}", $"attention.layer-{i}"]));

    static string SvgText(string path) => string.Join('\n', Elements(path, "text").Select(text => text.Value));

    static IEnumerable<XElement> Elements(string path, string name) => XDocument.Load(path).Descendants().Where(element => element.Name.LocalName == name);

    [Test]
    public void Every_picture_is_written_as_pixels_and_as_lines()
    {
        using TraceFile trace = Open(new FakeTrace(2, 2, 9, 5, 3) { Texts = Texts(18) });
        TracePictures.Report report = TracePictures.WriteAll(trace, Path.Combine(folder, "new", "pictures"));
        Assert.That(report.LeftOut, Is.Empty);
        Assert.That(report.Files.Select(Path.GetFileName), Is.EqualTo(Names(2).SelectMany(name => (string[])[$"{name}.png", $"{name}.svg"])));
        Assert.Multiple(() =>
        {
            foreach (string file in report.Files)
                if (file.EndsWith(".png", StringComparison.Ordinal))
                {
                    using SKBitmap picture = SKBitmap.Decode(file);
                    Assert.That((picture.Width, picture.Height), Is.EqualTo((1200, 675)), file);
                    Assert.That(picture.GetPixel(2, 2), Is.EqualTo(SKColors.White), file);
                }
                else
                {
                    XElement svg = XDocument.Load(file).Root!;
                    Assert.That(svg.Attribute("viewBox")?.Value, Is.EqualTo("0 0 1200 675"), file);
                    IEnumerable<XElement> drawn = Elements(file, "rect").Where(rect => rect.Parent!.Name.LocalName != "clipPath");
                    Assert.That(drawn.Where(rect => (string?)rect.Attribute("width") == "1200").Select(rect => rect.Attribute("fill")?.Value),
                        Has.All.EqualTo("white").And.Not.Empty, file);
                }
        });
    }

    [Test]
    public void Only_the_format_that_was_asked_for_is_written([Values("png", "svg")] string format)
    {
        using TraceFile trace = Open(new FakeTrace(1, 1, 3, 2, 2));
        IReadOnlyList<string> files = TracePictures.WriteAll(trace, folder, format == "png" ? PictureFormats.Png : PictureFormats.Svg).Files;
        Assert.That(files.Select(Path.GetExtension), Has.All.EqualTo($".{format}").And.Exactly(8).Items);
    }

    [Test]
    public void Texts_in_an_svg_are_the_tokens_whatever_they_are_made_of()
    {
        string[] texts = ["<b>", " &amp;", "\"'", "\n", "\t", "漢", "é", "]]>", "it"];
        using TraceFile trace = Open(new FakeTrace(1, 1, texts.Length, 2, 2) { Texts = texts });
        string[] shown = ["<b>", "␣&amp;", "\"'", "⏎", "⇥", "#105", "é", "]]>", "it"];
        foreach (string name in (string[])["delta", "delta.layer-0", "states.layer-0", "attention.layer-0"])
        {
            string path = Path.Combine(folder, $"{name}.svg");
            Picture(trace, name).Save(path);
            Assert.That(SvgText(path).Split('\n'), Is.SupersetOf(shown), name);
            IEnumerable<string> families = Elements(path, "text").Select(text => text.Attribute("font-family")!.Value);
            Assert.That(families, Has.All.StartsWith("Inter, ").And.All.EndsWith(", sans-serif"), name);
        }
    }

    [Test]
    public void Text_in_an_svg_is_as_wide_in_any_font_and_whole()
    {
        using TraceFile trace = Open(new FakeTrace(1, 1, 3, 2, 2));
        string path = Path.Combine(folder, "delta.svg");
        Picture(trace, "delta").Save(path);
        XElement[] texts = [.. Elements(path, "text")];
        XElement title = texts.Single(text => text.Value == "Step size Δ over 3 tokens, 1 layer");
        Assert.That(texts.Select(text => text.Attribute("x")!.Value), Has.None.Contains(","), "a place for each letter");
        Assert.That((double)title.Attribute("textLength")!, Is.InRange(300, 450));
        Assert.That((double)title.Attribute("x")!, Is.EqualTo(-(double)title.Attribute("textLength")! / 2).Within(4), "it is centred");
    }

    [TestCase(" the", "␣the")]
    [TestCase("a b", "a␣b")]
    [TestCase("\n\n", "⏎⏎")]
    [TestCase("\t", "⇥")]
    [TestCase("\r", "\\r")]
    [TestCase("\u0001\u007f", "\\x01\\x7f")]
    [TestCase("naïve α", "naïve␣α")]
    [TestCase("漢字", "#7")]
    [TestCase("a🙂", "#7")]
    [TestCase("a\ud800", "#7")]
    [TestCase("", "#7")]
    [TestCase(null, "#7")]
    [TestCase("fourteen-chars", "fourteen-chars")]
    [TestCase("fifteen-letters", "fifteen-lette…")]
    public void Tokens_are_printed_so_that_each_is_seen(string? text, string printed) => Assert.That(TokenTexts.Printed(text, 7), Is.EqualTo(printed));

    [Test]
    public void Sixty_tokens_are_named_and_more_are_numbered([Values(60, 61)] int l)
    {
        using TraceFile trace = Open(new FakeTrace(1, 1, l, 2, 1) { Texts = Texts(l) });
        foreach (string name in (string[])["delta", "delta.layer-0", "states.layer-0"])
        {
            Plot plot = PlotOf(Picture(trace, name));
            plot.GetImageBytes(1200, 600);
            string[] labels = Labels(plot.Axes.Bottom);
            if (l == 60)
                Assert.That(labels, Is.EqualTo(Texts(60).Select(text => text.Replace(' ', '␣'))), name);
            else
                Assert.That(labels, Does.Contain("0").And.Contains("20").And.None.Contains("t"), name);
            Assert.That((plot.Axes.Bottom.Min, plot.Axes.Bottom.Max), Is.EqualTo((-0.5, l - 0.5)), name);
        }
    }

    [Test]
    public void The_step_sizes_of_a_layer_are_the_median_of_the_channels_and_a_band()
    {
        // 11 channels: 1 to 11 at the first token, ten times that at the second
        using TraceFile trace = Open(new FakeTrace(1, 1, 2, 11, 1)
        {
            Change = (name, values) => Set(name, values, "delta", i => (10 - i % 11 + 1) * (i < 11 ? 1 : 10)),
        });
        var summary = DeltaPictures.Summary.Of(new TraceLayer(trace, 0, 0));
        Assert.That(summary.Low, Is.EqualTo(new double[] { 2, 20 }).Within(1e-12));
        Assert.That(summary.Middle, Is.EqualTo(new double[] { 6, 60 }).Within(1e-12));
        Assert.That(summary.High, Is.EqualTo(new double[] { 10, 100 }).Within(1e-12));
        Plot plot = PlotOf(Picture(trace, "delta.layer-0"));
        Assert.That(plot.Axes.Left.TickGenerator, Is.TypeOf<LogTicks>(), "2 to 100 is more than thirtyfold");
        Scatter line = plot.GetPlottables<Scatter>().Single();
        Assert.That(line.Data.GetScatterPoints().Select(point => point.X), Is.EqualTo(new double[] { 0, 1 }));
        Assert.That(line.Data.GetScatterPoints().Select(point => Math.Pow(10, point.Y)), Is.EqualTo(new double[] { 6, 60 }).Within(1e-9));
        Assert.That(plot.Axes.Left.Label.Text, Does.Contain("Δ").And.Contains("steps of continuous time"));
    }

    static void Set(string name, double[] values, string array, Func<int, double> value)
    {
        if (name.EndsWith("." + array, StringComparison.Ordinal))
            for (int i = 0; i < values.Length; i++)
                values[i] = value(i);
    }

    [Test]
    public void A_token_without_a_number_is_a_gap_in_the_line()
    {
        using TraceFile trace = Open(new FakeTrace(1, 1, 5, 2, 1) { Change = (name, values) => Set(name, values, "delta", i => i / 2 == 1 ? double.NaN : 1) });
        Scatter[] lines = [.. PlotOf(Picture(trace, "delta.layer-0")).GetPlottables<Scatter>()];
        Assert.That(lines.Select(line => line.Data.GetScatterPoints()[^1].X), Is.EqualTo(new[] { 0.3, 4 }));
        Assert.That(DeltaPictures.Runs([1, double.NaN, 1, 1, double.NaN]), Is.EqualTo(new[] { (0, 1), (2, 2) }));
        Assert.That(DeltaPictures.Runs([double.NaN]), Is.Empty);
    }

    [Test]
    public void Many_layers_are_rows_of_a_heat_map_and_a_few_are_lines([Values(6, 7)] int layers)
    {
        using TraceFile trace = Open(new FakeTrace(layers, 1, 4, 3, 1)
        {
            Texts = Texts(4),
            Change = (name, values) => Set(name, values, "delta", i => Layer(name) + 1 + i / 3),
        });
        Plot plot = PlotOf(Picture(trace, "delta"));
        if (layers == 6)
        {
            Assert.That(plot.GetPlottables<Heatmap>(), Is.Empty);
            Assert.That(plot.GetPlottables<Scatter>().Select(line => line.LegendText), Is.EqualTo(Enumerable.Range(0, 6).Select(i => $"layer {i}")));
            return;
        }
        double[,] cells = Cells(plot);
        Assert.That((cells.GetLength(0), cells.GetLength(1)), Is.EqualTo((7, 4)));
        for (int layer = 0; layer < 7; layer++)
            for (int t = 0; t < 4; t++)
                Assert.That(cells[6 - layer, t], Is.EqualTo(layer + 1 + t), "the last layer is at the top");
        Assert.That(plot.Axes.GetPanels().OfType<ScottPlot.Panels.ColorBar>().Single().Label, Does.Contain("Δ"));
    }

    static int Layer(string name) => int.Parse(name.Split('.')[1]);

    [Test]
    public void Longer_sequences_are_averaged_to_columns_and_that_is_said()
    {
        const int L = 2001;
        using TraceFile trace = Open(new FakeTrace(1, 1, L, 2, 1) { Change = (name, values) => Set(name, values, "delta", i => 1 + i / 2) });
        var summary = DeltaPictures.Summary.Of(new TraceLayer(trace, 0, 0));
        Assert.That(summary.Middle, Has.Length.EqualTo(667));
        Assert.That((summary.Middle[0], summary.Middle[1], summary.Middle[^1]), Is.EqualTo((2.0, 5.0, 2000.0)));
        Assert.That((summary.X(0), summary.X(1)), Is.EqualTo((1.0, 4.0)));
        Assert.That(PlotOf(Picture(trace, "delta.layer-0")).Axes.Bottom.Label.Text, Is.EqualTo("token, 3 averaged in each column"));
        Plot states = PlotOf(Picture(trace, "states.layer-0"));
        Assert.That(states.Axes.Bottom.Label.Text, Is.EqualTo("token; of each 3, the state farthest from 0"));
        Assert.That(Cells(states).GetLength(1), Is.EqualTo(667));
    }

    [Test]
    public void States_are_those_of_the_channels_that_move_the_output_most_in_units_of_the_largest()
    {
        const int L = 5, D = 40, N = 16;
        var fake = new FakeTrace(1, 1, L, D, N)
        {
            // u moves y as well, through D: it does not count
            Change = (name, values) => Set(name, values, "D", i => 100 + i),
        };
        double[] plain = fake.Arrays(0)["y"], u = fake.Arrays(0)["u"], skip = fake.Arrays(0)["D"], h = fake.Arrays(0)["h"];
        double[] moved = [.. Enumerable.Range(0, D).Select(c => Enumerable.Range(0, L).Sum(t => Math.Abs(plain[t * D + c] - skip[c] * u[t * D + c])))];
        using TraceFile trace = Open(fake with
        {
            Change = (name, values) =>
            {
                Set(name, values, "D", i => 100 + i);
                Set(name, values, "y", i => plain[i] + (100 + i % D - skip[i % D]) * u[i]);
            },
        });
        int[] expected = [.. Enumerable.Range(0, D).OrderByDescending(c => moved[c]).Take(4).Order()];
        Sheet sheet = Picture(trace, "states.layer-0");
        Plot plot = PlotOf(sheet);
        plot.GetImageBytes(1200, 600);
        Assert.That(Labels(plot.Axes.Left).Select(label => label.Split('\n')[0]), Is.EqualTo(expected.Select(c => $"channel {c}")));
        double[,] cells = Cells(plot);
        Assert.That((cells.GetLength(0), cells.GetLength(1)), Is.EqualTo((4 * N, L)));
        for (int i = 0; i < 4; i++)
        {
            double most = Enumerable.Range(0, L).SelectMany(t => Enumerable.Range(0, N).Select(k => Math.Abs(h[(t * D + expected[i]) * N + k]))).Max();
            for (int k = 0; k < N; k++)
                for (int t = 0; t < L; t++)
                    Assert.That(cells[i * N + k, t], Is.EqualTo(h[(t * D + expected[i]) * N + k] / most).Within(1e-12));
        }
        Assert.That(sheet.Note, Does.StartWith("of 40 channels those that move the output y most"));
    }

    [Test]
    public void Of_several_tokens_in_a_column_the_largest_state_is_shown_with_its_sign_and_a_NaN_is_not_hidden()
    {
        using TraceFile trace = Open(new FakeTrace(1, 1, 2000, 1, 2)
        {
            Without = ["layer.0.y"],
            Change = (name, values) => Set(name, values, "h", i => i switch { 0 => 1, 2 => -4, 7 => double.NaN, _ => 0.5 }),
        });
        double[,] cells = Cells(PlotOf(Picture(trace, "states.layer-0")));
        Assert.That((cells[0, 0], cells[1, 0], cells[0, 1]), Is.EqualTo((-1.0, 0.125, 0.125)), "1 and −4; 0.5 twice");
        Assert.That(cells[1, 1], Is.NaN);
    }

    [Test]
    public void Hidden_attention_is_that_of_the_operator_each_row_as_shares()
    {
        const int L = 6, D = 5, N = 2;
        foreach (Discretization scheme in Discretization.All)
        {
            var fake = new FakeTrace(1, 2, L, D, N) { Discretization = scheme.Name, Texts = Texts(2 * L) };
            using TraceFile trace = Open(fake);
            double[] m = HiddenAttention(fake);
            Sheet sheet = Picture(trace, "attention.layer-0", row: 1);
            Assert.That(sheet.Parts, Has.Count.EqualTo(5));
            string[] titles = [.. sheet.Parts.Skip(1).Select(part => part.Plot.Axes.Title.Label.Text)];
            for (int part = 0; part < 5; part++)
            {
                int[] channels = part == 0 ? [.. Enumerable.Range(0, D)] : [int.Parse(titles[part - 1].Split(' ')[1])];
                double[,] cells = Cells(sheet.Parts[part].Plot);
                for (int i = 0; i < L; i++)
                {
                    double[] row = [.. Enumerable.Range(0, i + 1).Select(j => channels.Sum(c => Math.Abs(m[((D + c) * L + i) * L + j])))];
                    for (int j = 0; j < L; j++)
                        Assert.That(cells[i, j], j > i ? Is.NaN : Is.EqualTo(Math.Max(-3, Math.Log10(row[j] / row.Sum()))).Within(1e-9),
                            $"{scheme.Name} {part}: {i}, {j}");
                }
            }
            Plot average = PlotOf(sheet);
            average.GetImageBytes(700, 600);
            string[] texts = [.. Texts(2 * L)[L..].Select(text => text.Replace(' ', '␣'))];
            Assert.That((Labels(average.Axes.Bottom), Labels(average.Axes.Left)), Is.EqualTo((texts, texts)));
            Assert.That(average.Axes.Left.Min, Is.EqualTo(-5.5), "the first token is at the top");
        }
    }

    // (b, d, l, l)
    static double[] HiddenAttention(FakeTrace fake)
    {
        using var scope = new TensorScope();
        Dictionary<string, double[]> x = fake.Arrays(0);
        Tensor Of(string name, Shape shape) => Tensor.From(x[name], shape, TestDevices.Open("cpu"));
        (long b, long l, long d, long n) = (fake.Batch, fake.Length, fake.Channels, fake.States);
        return Ops.HiddenAttention(Of("delta", (b, l, d)), Of("A", (d, n)), Of("B", (b, l, n)), Of("C", (b, l, n)), deltaSoftplus: false,
            discretization: Discretization.Named(fake.Discretization)).ToDoubles();
    }

    [Test]
    public void A_token_that_sees_nothing_has_shares_of_nothing_and_one_without_numbers_has_none()
    {
        // channel 0 is zero throughout; in channel 1 the second token is not a number, nor what comes after it
        using TraceFile trace = Open(new FakeTrace(1, 1, 3, 2, 1)
        {
            Change = (name, values) => Set(name, values, "delta", i => i % 2 == 0 ? 0 : i == 3 ? double.NaN : 1),
        });
        Sheet sheet = Picture(trace, "attention.layer-0");
        double[,] zero = Cells(sheet.Parts[1].Plot), nan = Cells(sheet.Parts[2].Plot);
        Assert.That((zero[0, 0], zero[2, 0], zero[2, 2], zero[0, 1]), Is.EqualTo((-3.0, -3.0, -3.0, double.NaN)));
        Assert.That((nan[0, 0], nan[1, 0], nan[2, 1], nan[2, 2]), Is.EqualTo((0.0, double.NaN, double.NaN, 0.0)));
    }

    [Test]
    public void Of_a_long_sequence_the_last_tokens_look_at_each_other()
    {
        const int L = 515, D = 2, N = 1;
        var fake = new FakeTrace(1, 1, L, D, N);
        using TraceFile trace = Open(fake);
        Sheet sheet = Picture(trace, "attention.layer-0");
        Assert.That(sheet.Title, Does.EndWith("the last 512 of 515 tokens"));
        Assert.That(Picture(trace, "mean-reach").Title, Does.EndWith("last 512 of 515 tokens"));
        LayerReach reach = new TraceLayer(trace, 0, 0).Reach(1e9);
        Dictionary<string, double[]> x = fake.Arrays(0);
        double expected = 0;
        for (int c = 0; c < D; c++)
        {
            double m = x["delta"][10 * D + c] * x["B"][10] * x["C"][12];            // M_{12,10}
            for (int t = 11; t <= 12; t++)
                m *= Math.Exp(x["delta"][t * D + c] * x["A"][c]);
            expected += Math.Abs(m) / D;
        }
        Assert.That(reach.Average[(12 - 3) * 512 + 10 - 3], Is.EqualTo(expected).Within(1e-12));
    }

    [Test]
    public void A_budget_looks_at_some_of_the_channels_and_says_so()
    {
        using TraceFile trace = Open(new FakeTrace(1, 1, 10, 100, 2));
        Sheet sheet = AttentionPicture.Of(new TraceLayer(trace, 0, 0), 10 * 11 / 2 * 2 * 25);
        Assert.That(PlotOf(sheet).Axes.Title.Label.Text, Is.EqualTo("average of |M| over 25 of 100 channels"));
        Assert.That(TraceLayer.Even(100, 25), Is.EqualTo(Enumerable.Range(0, 25).Select(i => 4 * i)));
        Assert.That((TraceLayer.Even(3, 0.1), TraceLayer.Even(3, double.PositiveInfinity)), Is.EqualTo((new[] { 0 }, new[] { 0, 1, 2 })));
    }

    [Test]
    public void Distributions_are_drawn_at_their_quantiles()
    {
        double[] values = [.. Enumerable.Range(0, 101).Select(i => 200.0 - i), double.NaN, double.PositiveInfinity];
        Plot plot = LayerBands.Of([7, 9], [values, [150]], "tokens", logarithmic: false);
        var bands = plot.GetPlottables<Rectangle>().Select(band => (band.Y1, band.Y2)).ToArray();
        Assert.That(bands, Is.EqualTo(((double, double)[])
            [(100, 110), (190, 200), (110, 190), (125, 175), (150, 150), (150, 150), (150, 150), (150, 150)]));
        Assert.That(plot.GetPlottables<LinePlot>().Select(line => line.Start.Y), Is.EqualTo(new[] { 150.0, 150.0 }));
        plot.GetImageBytes(600, 400);
        Assert.That(Labels(plot.Axes.Bottom), Is.EqualTo(new[] { "7", "9" }));
        Assert.That(LayerBands.Quantile([1, 2, 4], 0.75), Is.EqualTo(3));
    }

    [Test]
    public void Eigenvalues_half_lives_and_reach_are_the_numbers_of_the_trace()
    {
        var fake = new FakeTrace(1, 1, 7, 3, 2)
        {
            Change = (name, values) =>
            {
                Set(name, values, "A", i => i == 5 ? 0 : -1);
                Set(name, values, "delta", _ => 0.1);
            },
        };
        using TraceFile trace = Open(fake);
        Sheet eigenvalues = Picture(trace, "eigenvalues"), lives = Picture(trace, "half-lives"), reach = Picture(trace, "mean-reach");
        Assert.That(Line(eigenvalues), Is.EqualTo(1).Within(1e-9));
        Assert.That(Line(lives), Is.EqualTo(6.931).Within(1e-3));
        Assert.That(eigenvalues.Note, Does.EndWith("not shown: 1 that are not negative"));
        Assert.That(lives.Note, Does.EndWith("not shown: 1 that are infinite, 0 or no number"));
        Assert.That((PlotOf(eigenvalues).Axes.Left.Label.Text, PlotOf(lives).Axes.Left.Label.Text, PlotOf(reach).Axes.Left.Label.Text),
            Is.EqualTo(("−A, 1/step of continuous time", "half-life, tokens", "mean reach, tokens")));
        var expected = new TraceLayer(trace, 0, 0).Reach(1e9).Reach;
        Assert.That(PlotOf(reach).GetPlottables<Marker>().Single().Y, Is.EqualTo(expected.Mean.Average()).Within(1e-12));
        Scatter field = PlotOf(Picture(trace, "receptive-field")).GetPlottables<Scatter>().Single();
        double[] lags = [-1 / 3.0, .. Enumerable.Range(1, 6).Select(k => Math.Log10(k))];
        Assert.That(field.Data.GetScatterPoints().Select(point => point.X), Is.EqualTo(lags).Within(1e-12));
        Assert.That(field.Data.GetScatterPoints().Select(point => Math.Pow(10, point.Y)),
            Is.EqualTo(expected.ReceptiveField.Select(value => value / expected.ReceptiveField.Sum())).Within(1e-12));

        static double Line(Sheet sheet) => Math.Pow(10, PlotOf(sheet).GetPlottables<LinePlot>().Single().Start.Y);
    }

    [Test]
    public void More_layers_than_have_names_are_told_by_colour()
    {
        using TraceFile few = Open(new FakeTrace(9, 1, 3, 2, 1));
        Assert.That(PlotOf(Picture(few, "receptive-field")).GetPlottables<Scatter>().Select(line => line.LegendText), Has.Exactly(9).StartsWith("layer "));
        using TraceFile many = new FakeTrace(10, 1, 3, 2, 1).Open(Path.Combine(folder, "many.safetensors"));
        Plot plot = PlotOf(Picture(many, "receptive-field"));
        Assert.That(plot.GetPlottables<Scatter>().Select(line => line.Color), Is.Unique);
        ScottPlot.Panels.ColorBar bar = plot.Axes.GetPanels().OfType<ScottPlot.Panels.ColorBar>().Single();
        Assert.That((bar.Label, bar.Source.GetRange().Min, bar.Source.GetRange().Max), Is.EqualTo(("layer", 0.0, 9.0)));
    }

    [Test]
    public void What_a_trace_does_not_have_is_left_out_with_a_line()
    {
        using TraceFile trace = Open(new FakeTrace(2, 1, 4, 3, 2) { Without = ["layer.0.h", "layer.1.delta", "layer.0.C", "layer.1.C"] });
        TracePictures.Report report = TracePictures.WriteAll(trace, folder, PictureFormats.Png);
        Assert.That(report.LeftOut, Is.EqualTo(new[]
        {
            "delta, of one layer: the trace has no layer.1.delta",
            "half-lives, of one layer: the trace has no layer.1.delta",
            "mean-reach: the trace has no layer.0.C",
            "receptive-field: the trace has no layer.0.C",
            "states.layer-0: the trace has no layer.0.h",
            "attention.layer-0: the trace has no layer.0.C",
            "delta.layer-1: the trace has no layer.1.delta",
            "attention.layer-1: the trace has no layer.1.delta",
        }));
        Assert.That(report.Files.Select(Path.GetFileNameWithoutExtension),
            Is.EqualTo(new[] { "delta", "eigenvalues", "half-lives", "delta.layer-0", "states.layer-1" }));
    }

    [Test]
    public void A_layer_without_rates_has_no_pictures_and_breaks_none()
    {
        using TraceFile trace = Open(new FakeTrace(1, 1, 4, 3, 2) { Without = ["layer.0.A"] });
        TracePictures.Report report = TracePictures.WriteAll(trace, folder, PictureFormats.Png);
        Assert.That(report.Files, Is.Empty);
        Assert.That(report.LeftOut, Has.Exactly(8).EndsWith("the trace has no layer.0.A"));
    }

    [Test]
    public void An_array_of_another_shape_is_left_out_with_a_line()
    {
        using TraceFile trace = Open(new FakeTrace(1, 1, 4, 3, 2) { Shapes = { ["layer.0.B"] = (1, 2, 4) } });
        string[] names = ["mean-reach", "receptive-field", "attention.layer-0"];
        Assert.That(TracePictures.WriteAll(trace, folder, PictureFormats.Png).LeftOut,
            Is.EqualTo(names.Select(name => $"{name}: layer.0.B has shape (1, 2, 4); expected (1, 4, 2)")));
    }

    [TestCase("nan", double.NaN)]
    [TestCase("infinite", double.PositiveInfinity)]
    [TestCase("zero", 0)]
    [TestCase("tiny", double.Epsilon)]
    [TestCase("huge", 1e300)]
    public void Whatever_the_numbers_are_every_picture_is_drawn(string name, double value)
    {
        foreach (string array in (string[])["delta", "A", "all"])
            foreach ((int l, int d, int n) in ((int, int, int)[])[(1, 1, 1), (4, 3, 2)])
            {
                using TraceFile trace = new FakeTrace(1, 1, l, d, n)
                {
                    Change = (full, values) =>
                    {
                        if (array == "all" || full == $"layer.0.{array}")
                            Array.Fill(values, value);
                    },
                }.Open(Path.Combine(folder, $"{array}-{l}.safetensors"));
                TracePictures.Report report = TracePictures.WriteAll(trace, Path.Combine(folder, name), l == 1 ? PictureFormats.Svg : PictureFormats.Png);
                Assert.That(report.LeftOut, Is.Empty, $"{array} {l}");
                Assert.That(report.Files, Has.Count.EqualTo(8), $"{array} {l}");
            }
    }

    [Test]
    public void A_picture_without_a_value_says_so()
    {
        using TraceFile trace = Open(new FakeTrace(1, 1, 3, 2, 2) { Change = (_, values) => Array.Fill(values, double.NaN) });
        foreach (string name in (string[])["delta", "delta.layer-0", "eigenvalues", "half-lives", "mean-reach", "receptive-field"])
            Assert.That(PlotOf(Picture(trace, name)).GetPlottables<Annotation>().Select(note => note.Text), Is.EqualTo(new[] { "no value to show" }), name);
    }

    [Test]
    public void One_row_one_column_and_one_cell_of_a_heat_map_are_seen([Values(1, 3)] int rows, [Values(1, 3)] int columns)
    {
        double[,] values = new double[rows, columns];
        values[0, 0] = 1;
        Plot plot = Sheet.New("", "");
        HeatMaps.Add(plot, values, new CoordinateRect(0, columns, 0, rows), HeatMaps.Amount, 0, 1);
        plot.Axes.SetLimits(0, columns, 0, rows);
        using SKBitmap picture = SKBitmap.Decode(plot.GetImageBytes(300, 300));
        Assert.That(At(plot, picture, 0.3, rows - 0.3), Is.EqualTo("#ff081c44"), "the first cell is at the top left");
        if (rows * columns > 1)
            Assert.That(At(plot, picture, columns - 0.3, 0.3), Is.EqualTo("#ffffffff"));
    }

    [Test]
    public void Cells_without_a_number_are_grey_and_cells_beyond_the_colours_have_the_last()
    {
        Plot plot = Sheet.New("", "");
        HeatMaps.Add(plot, new double[,] { { double.NaN, 5 }, { double.NegativeInfinity, -5 } }, new CoordinateRect(0, 2, 0, 2), HeatMaps.Signed, -1, 1);
        plot.Axes.SetLimits(0, 2, 0, 2);
        using SKBitmap picture = SKBitmap.Decode(plot.GetImageBytes(300, 300));
        Assert.That((((double, double)[])[(0.5, 1.5), (1.5, 1.5), (0.5, 0.5), (1.5, 0.5)]).Select(at => At(plot, picture, at.Item1, at.Item2)),
            Is.EqualTo(new[] { "#ffd9dde2", "#ff6e0b14", "#ffd9dde2", "#ff0b2f7a" }));
    }

    // the colour that was drawn at a place of the plot
    static string At(Plot plot, SKBitmap picture, double x, double y)
    {
        Pixel at = plot.GetPixel(new Coordinates(x, y));
        return picture.GetPixel((int)at.X, (int)at.Y).ToString();
    }

    [Test]
    public void Colours_are_between_their_neighbours_and_end_at_the_ends()
    {
        var gradient = new Mamba.Pictures.Gradient("#000000", "#ffffff", "#ff0000");
        Assert.That(((double[])[-1, 0, 0.25, 0.5, 1, 2, Math.BitDecrement(1.0)]).Select(at => gradient.GetColor(at).ToHex().ToLowerInvariant()),
            Is.EqualTo(new[] { "#000000", "#000000", "#7f7f7f", "#ffffff", "#ff0000", "#ff0000", "#ff0000" }));
    }

    [Test]
    public void The_carried_font_has_every_character_of_every_picture()
    {
        using TraceFile trace = Open(new FakeTrace(10, 1, 3, 3, 2)
        {
            Texts = [" a", "\n", "\t"],
            Change = (name, values) => Set(name, values, "A", i => i == 0 ? 0 : -1),
        });
        SKTypeface font = Fonts.GetTypeface(CarriedFont.Name, bold: false, italic: false);
        foreach (string file in TracePictures.WriteAll(trace, folder, PictureFormats.Svg).Files)
        {
            string text = SvgText(file).Replace("\n", "");
            Assert.That(text, Is.Not.Empty, file);
            Assert.That(text.Where(c => font.GetGlyph(c) == 0), Is.Empty, file);
        }
        foreach ((string name, Func<Sheet> draw) in TracePictures.All(trace, 0, []))
        {
            Sheet sheet = draw();
            string said = sheet.Title + sheet.Note + string.Concat(sheet.Parts.SelectMany(part => (string[])[part.Plot.Axes.Title.Label.Text,
                part.Plot.Axes.Bottom.Label.Text, part.Plot.Axes.Left.Label.Text]));
            Assert.That(said.Where(c => font.GetGlyph(c) == 0), Is.Empty, name);
        }
    }

    [Test]
    public void A_sequence_that_is_not_there_is_named()
    {
        using TraceFile trace = Open(new FakeTrace(1, 2, 3, 2, 1));
        foreach (int row in (int[])[-1, 2])
            Assert.That(Assert.Throws<MambaException>(() => TracePictures.WriteAll(trace, folder, row: row))!.Message,
                Is.EqualTo($"{trace.Path}: sequence {row} was asked for; there are 2, counted from 0."));
    }

    [Test]
    public void A_trace_without_tokens_has_no_pictures()
    {
        using TraceFile trace = Open(new FakeTrace(1, 1, 0, 2, 1));
        TracePictures.Report report = TracePictures.WriteAll(trace, folder);
        Assert.That((report.Files.Count, report.LeftOut.Single()), Is.EqualTo((0, "the trace has no tokens")));
    }

    [Test]
    public void A_folder_that_cannot_be_made_is_an_error_of_one_line()
    {
        using TraceFile trace = Open(new FakeTrace(1, 1, 2, 2, 1));
        string message = Assert.Throws<MambaException>(() => TracePictures.WriteAll(trace, trace.Path))!.Message;
        Assert.That(message, Does.StartWith($"{trace.Path}: cannot be written"));
    }

    [Test]
    public void Axes_are_logarithmic_where_values_span_decades()
    {
        Assert.That(Scale.Of([1, 30]).IsLogarithmic, Is.False);
        Assert.That(Scale.Of([1, 31, 0, double.NaN]).IsLogarithmic, Is.True);
        Assert.That(Scale.Of([2], always: true), Is.EqualTo(new Scale(true, Math.Log10(2) - 0.15, Math.Log10(2) + 0.15)));
        Assert.That(Scale.Of([]), Is.EqualTo(new Scale(false, 0, 1)));
        var scale = Scale.Of([1e-30, 1]);
        Assert.That(scale.Low, Is.EqualTo(-12.72).Within(1e-9), "twelve decades at most");
        Assert.That((scale.Position(0), scale.Position(1e-30), scale.Position(0.01)), Is.EqualTo((scale.Low, scale.Low, -2.0)));
    }
}
