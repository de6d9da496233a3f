using Mamba.Learn;
using NUnit.Framework;
using SkiaSharp;

namespace Mamba.Tests;

/// <summary>The charts of chapters: what is drawn where.</summary>
public class ChartTests
{
    string folder = "";

    [OneTimeSetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("charts").FullName;

    [OneTimeTearDown]
    public void Remove() => Directory.Delete(folder, recursive: true);

    SKBitmap Drawn(params Chart[] charts)
    {
        string path = Path.Combine(folder, $"{Guid.NewGuid():N}.png");
        Chart.Save(charts, path);
        return SKBitmap.Decode(path);
    }

    // How much of a part of a picture has nearly this colour.
    static int Count(SKBitmap picture, uint color, double left = 0, double right = 1, double top = 0, double bottom = 1)
    {
        var wanted = new SKColor(color);
        int count = 0;
        for (int y = (int)(top * picture.Height); y < (int)(bottom * picture.Height); y++)
            for (int x = (int)(left * picture.Width); x < (int)(right * picture.Width); x++)
            {
                SKColor seen = picture.GetPixel(x, y);
                if (Math.Abs(seen.Red - wanted.Red) + Math.Abs(seen.Green - wanted.Green) + Math.Abs(seen.Blue - wanted.Blue) < 30)
                    count++;
            }
        return count;
    }

    const uint Blue = 0xff1f6feb, Red = 0xffd1242f;

    static Chart Steady(double height) => new Chart("title", "x", "y").Line("", [height, height]).Limits(0, 1, 0, 1);

    [TestCase(1, 675)]
    [TestCase(2, 560)]
    [TestCase(3, 1120)]
    [TestCase(4, 1120)]
    public void Charts_stand_in_rows_of_two(int charts, int height)
    {
        using SKBitmap picture = Drawn([.. Enumerable.Range(0, charts).Select(_ => Steady(0.5))]);
        Assert.That((picture.Width, picture.Height), Is.EqualTo((1200, height)));
        int rows = (charts + 1) / 2;
        for (int i = 0; i < charts; i++)
        {
            bool whole = i == charts - 1 && i % 2 == 0;
            double left = i % 2 / 2.0, right = whole ? 1 : left + 0.5, top = i / 2 / (double)rows;
            int ink = Count(picture, Blue, left, right, top, top + 1.0 / rows);
            Assert.That(ink, Is.GreaterThan((right - left) * 1200 * 0.7), $"chart {i} has a line through all its width");
        }
    }

    [TestCase(0.2)]
    [TestCase(0.8)]
    public void A_line_is_as_high_as_its_values(double height)
    {
        using SKBitmap picture = Drawn(Steady(height));
        Assert.That(Count(picture, Blue, bottom: 0.5) > 500, Is.EqualTo(height > 0.5));
        Assert.That(Count(picture, Blue, top: 0.5) > 500, Is.EqualTo(height < 0.5));
    }

    [Test]
    public void Series_have_colours_of_their_own_and_names()
    {
        using SKBitmap named = Drawn(new Chart("t", "x", "y").Line("one", [0, 1]).Dots("two", [0, 1], [1, 0]));
        using SKBitmap nameless = Drawn(new Chart("t", "x", "y").Line("", [0, 1]).Dots("", [0, 1], [1, 0]));
        Assert.That(Count(named, Blue), Is.GreaterThan(800));
        Assert.That(Count(named, Red), Is.GreaterThan(100).And.LessThan(1000), "dots, and no line between them");
        Assert.That(Count(named, Red, left: 0.8, bottom: 0.2), Is.GreaterThan(Count(nameless, Red, left: 0.8, bottom: 0.2)), "the legend, above on the right");
    }

    [Test]
    public void Colours_can_begin_again()
    {
        using SKBitmap picture = Drawn(new Chart("t", "x", "y").Line("", [0, 1]).ColorsAgain().Line("", [1, 0]).Line("", [0.5, 0.5]));
        using SKBitmap first = Drawn(new Chart("t", "x", "y").Line("", [0, 1]).Line("", [0.5, 0.5]));
        Assert.That(Count(picture, Blue), Is.GreaterThan(1.8 * Count(first, Blue)), "two lines of the first colour");
        Assert.That(Count(picture, Red), Is.EqualTo(Count(first, Red)).Within(100), "and one of the second");
    }

    [Test]
    public void Wires_do_not_touch_each_other()
    {
        using SKBitmap picture = Drawn(new Chart("t", "x", "y").Wires("", [(0, 0, 1, 0), (0, 1, 1, 1)]).Limits(-0.1, 1.1, -0.1, 1.1));
        Assert.That(Count(picture, Blue, bottom: 0.3), Is.GreaterThan(500));
        Assert.That(Count(picture, Blue, top: 0.7), Is.GreaterThan(500));
        Assert.That(Count(picture, Blue, top: 0.3, bottom: 0.7), Is.Zero);
        using SKBitmap faint = Drawn(new Chart("t", "x", "y").Wires("", [(0, 0, 1, 0)], faint: true).Line("", [1, 1]).Limits(-0.1, 1.1, -0.1, 1.1));
        Assert.That(Count(faint, Blue, bottom: 0.3), Is.GreaterThan(500), "faint wires take no colour");
        Assert.That(Count(faint, Blue, top: 0.7), Is.Zero);
    }

    [Test]
    public void Outside_means_under_the_chart()
    {
        using SKBitmap under = Drawn(new Chart("t", "x", "y") { Legend = Corner.Outside }.Line("name", [0.9, 0.9]).Limits(0, 1, 0, 1));
        using SKBitmap within = Drawn(new Chart("t", "x", "y") { Legend = Corner.LowerRight }.Line("name", [0.9, 0.9]).Limits(0, 1, 0, 1));
        Assert.That(Count(under, Blue, top: 0.93), Is.GreaterThan(20));
        Assert.That(Count(within, Blue, top: 0.93), Is.Zero);
    }

    [Test]
    public void On_a_logarithmic_axis_equal_factors_are_equal_distances_and_what_is_not_positive_is_left_out()
    {
        double[] powers = [1, 10, 100, 1000];
        Chart chart = new Chart("t", "x", "y") { LogX = true, LogY = true }.Line("", powers, powers);
        using SKBitmap straight = Drawn(chart.Limits(1, 1000, 1, 1000));
        for (double at = 0.2; at < 0.9; at += 0.1)
            Assert.That(Count(straight, Blue, at, at + 0.1), Is.GreaterThan(100), "a straight line goes through all");
        using SKBitmap most = Drawn(new Chart("t", "x", "y") { LogY = true }.Line("", [0, -1, 1, double.NaN, 10], dots: true));
        using SKBitmap those = Drawn(new Chart("t", "x", "y") { LogY = true }.Line("", [2, 4], [1, 10], dots: true));
        Assert.That(most.Bytes, Is.EqualTo(those.Bytes));
    }

    [Test]
    public void A_limit_has_a_word_at_its_right_end()
    {
        using SKBitmap with = Drawn(Steady(0.5).Limit("a limit", 0.75)), without = Drawn(Steady(0.5));
        const uint Grey = 0xff6e7781;
        Assert.That(Count(with, Grey, left: 0.85), Is.GreaterThan(Count(without, Grey, left: 0.85) + 100));
        Assert.That(Count(with, Grey, left: 0.3, right: 0.6), Is.GreaterThan(200), "the line");
    }

    [Test]
    public void Places_and_heights_are_as_many() =>
        Assert.That(() => new Chart("t", "x", "y").Line("loss", [1, 2, 3], [1, 2]),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("Chart: 'loss' has 3 places and 2 heights; expected as many of each."));
}
