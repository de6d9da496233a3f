using Mamba.Cli;
using Mamba.Pictures;
using NUnit.Framework;
using ScottPlot;
using SkiaSharp;
using Palette = Mamba.Pictures.Palette;

namespace Mamba.Tests;

/// <summary>The pictures of a run and what all pictures are drawn with.</summary>
public class PicturesTests
{
    static readonly TrainOptions Options = InductionHeads.Task.Preset("quick");

    static StepReport[] Log(params double[] losses) =>
        [.. losses.Select((loss, i) => new StepReport { Step = i + 1, Loss = loss, Accuracy = i / (double)losses.Length, Length = 64, Batch = 1 })];

    static double[] Falling(double from, double to, int steps) => [.. Enumerable.Range(0, steps).Select(i => from * Math.Pow(to / from, i / (steps - 1.0)))];

    static string[] Labels(Tick[] ticks) => [.. ticks.Where(tick => tick.IsMajor).Select(tick => tick.Label)];

    [Test]
    public void Text_is_set_in_the_carried_font_whatever_the_machine_has()
    {
        Plot plot = Plots.LossOf(Options, Log(Falling(2.7, 1e-6, 300)));
        plot.GetImageBytes(600, 400);
        LabelStyle[] labels = [plot.Axes.Title.Label, plot.Axes.Bottom.Label, plot.Axes.Left.Label, plot.Axes.Right.Label,
            plot.Axes.Bottom.TickLabelStyle, plot.Axes.Left.TickLabelStyle, plot.Axes.Right.TickLabelStyle];
        Assert.Multiple(() =>
        {
            IEnumerable<string> notes = plot.PlottableList.OfType<ScottPlot.Plottables.Text>().Select(note => note.LabelFontName);
            Assert.That(notes, Has.All.EqualTo(CarriedFont.Name).And.Not.Empty);
            foreach (LabelStyle label in labels)
            {
                Assert.That(label.FontName, Is.EqualTo(CarriedFont.Name), label.Text);
                Assert.That(Fonts.GetTypeface(label.FontName, label.Bold, label.Italic).FamilyName, Is.EqualTo("Inter"), label.Text);
            }
        });
    }

    [Test]
    public void The_carried_font_has_every_character_that_pictures_print()
    {
        CarriedFont.Use();
        SKTypeface font = Fonts.GetTypeface(CarriedFont.Name, bold: false, italic: false);
        string printed = string.Concat(Enumerable.Range(' ', '~' - ' ' + 1).Select(c => (char)c)) + "⁻⁰¹²³⁴⁵⁶⁷⁸⁹·×Δ→–−µσ²±≤≥…";
        Assert.That(printed.Where(c => font.GetGlyph(c) == 0), Is.Empty);
        Assert.That(font.GetGlyph('漢'), Is.Zero, "what has no glyph is told apart from what has one");
    }

    [Test]
    public void Text_leaves_ink_where_the_title_is()
    {
        using SKBitmap with = Drawn("accuracy"), without = Drawn("");
        Assert.That(Ink(with), Is.GreaterThan(Ink(without) + 50));

        static SKBitmap Drawn(string title)
        {
            Plot plot = Picture.New(title, "x", "y");
            plot.Axes.SetLimits(0, 1, 0, 1);
            return SKBitmap.Decode(plot.GetImageBytes(600, 400));
        }

        static int Ink(SKBitmap picture) => Enumerable.Range(0, 30).Sum(y => Enumerable.Range(0, 600).Count(x => picture.GetPixel(x, y).Red < 128));
    }

    [Test]
    public void A_loss_that_spans_decades_has_a_logarithmic_axis()
    {
        Plot plot = Plots.LossOf(Options, Log(Falling(2.7, 1e-6, 300)));
        Assert.That(plot.Axes.Left.TickGenerator, Is.TypeOf<LogTicks>());
        plot.GetImageBytes(600, 400);
        Assert.That(Labels(plot.Axes.Left.TickGenerator.Ticks), Does.Contain("1").And.Contain("10⁻⁶"));
        Assert.That((plot.Axes.Left.Min, plot.Axes.Left.Max), Is.EqualTo((-6.3, 1.3)).Within(0.2));
    }

    [Test]
    public void A_loss_that_spans_less_has_a_linear_axis_from_zero()
    {
        Plot plot = Plots.LossOf(Options, Log(Falling(2.7, 0.2, 300)));
        Assert.That(plot.Axes.Left.TickGenerator, Is.Not.TypeOf<LogTicks>());
        Assert.That(plot.Axes.Left.Min, Is.Zero);
        Assert.That(plot.Axes.Left.Max, Is.InRange(2.7, 3.3));
    }

    [TestCase(31, ExpectedResult = true)]
    [TestCase(29, ExpectedResult = false)]
    public bool Thirty_times_the_smallest_is_what_makes_the_axis_logarithmic(double largest) => Plots.IsLogarithmic([1, largest, 0, 2]);

    [Test]
    public void Losses_of_zero_break_no_axis()
    {
        double[][] runs = [[0, 0, 0], [2, 0, 0, 0, 0, 0], [.. Falling(2.7, 1e-7, 300), .. new double[300]], [1, 1], [double.Epsilon, 1, 0]];
        foreach (double[] losses in runs)
        {
            Plot plot = Plots.LossOf(Options, Log(losses));
            Assert.That(plot.GetImageBytes(600, 400), Is.Not.Empty);
            Assert.That(double.IsFinite(plot.Axes.Left.Min) && double.IsFinite(plot.Axes.Left.Max) && plot.Axes.Left.Max > plot.Axes.Left.Min,
                string.Join(' ', losses.Take(6)));
        }
    }

    [Test]
    public void Accuracy_stays_linear_and_has_no_label_above_100()
    {
        Plot plot = Plots.LossOf(Options, Log(Falling(2.7, 1e-6, 300)));
        plot.GetImageBytes(600, 400);
        Assert.That(Labels(plot.Axes.Right.TickGenerator.Ticks), Is.EqualTo(Enumerable.Range(0, 11).Select(i => $"{10 * i}")));
        Assert.That(plot.Axes.Right.Max, Is.InRange(100, 120));
    }

    [Test]
    public void A_logarithmic_axis_has_labels_enough_whatever_it_spans()
    {
        for (double span = 0.01; span <= 12; span += 0.05)
            for (double low = -8; low < 8; low += 0.37)
            {
                double[] majors = LogTicks.Majors(low, low + span);
                Assert.That(majors, Has.Length.InRange(2, 13), $"{low} to {low + span}");
                Assert.That(majors.Select(Math.Log10), Is.All.InRange(low - 1e-6, low + span + 1e-6));
                Assert.That(majors, Is.Ordered);
                Assert.That(majors.Select(LogTicks.Number).Distinct(StringComparer.Ordinal).Count(), Is.EqualTo(majors.Length), $"{low} to {low + span}");
            }
    }

    [TestCase(0.001, "0.001")]
    [TestCase(0.3, "0.3")]
    [TestCase(5, "5")]
    [TestCase(20000, "20,000")]
    [TestCase(1e-6, "10⁻⁶")]
    [TestCase(2e7, "2·10⁷")]
    [TestCase(1e12, "10¹²")]
    public void Numbers_on_an_axis_are_short(double value, string text) => Assert.That(LogTicks.Number(value), Is.EqualTo(text));

    [Test]
    public void No_two_series_look_alike()
    {
        Assert.That(Enumerable.Range(0, 45).Select(i => (Palette.ColorOf(i), Palette.MarkerOf(i))), Is.Unique);
        Assert.That(Enumerable.Range(0, 9).Select(Palette.ColorOf), Is.Unique, "nine lines without markers");
    }

    [Test]
    public void A_picture_that_cannot_be_drawn_is_a_line_and_nothing_else()
    {
        var display = new Said();
        Plots.Try(display, () => throw new InvalidOperationException("no\nink"));
        Assert.That(display.Lines, Is.EqualTo(new[] { "a picture could not be drawn: no ink" }));
    }

    sealed class Said : Display
    {
        public List<string> Lines { get; } = [];

        public override void Say(string line) => Lines.Add(line);

        public override ITrainingView Watch(TrainingRun run) => throw new NotSupportedException();

        public override IEvaluationView Watch() => throw new NotSupportedException();
    }
}
