using Mamba.Learn;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>What a chapter claims: an error code for what is false, also where the error is no number. (ChapterTests runs whole chapters.)</summary>
public class LessonTests
{
    static int EndOf(Action<Lesson> claim)
    {
        using var lesson = new Lesson([]);
        claim(lesson);
        return lesson.End();
    }

    [TestCase(0.0, ExpectedResult = 0)]
    [TestCase(1e-3, ExpectedResult = 0)]
    [TestCase(-1e-3, ExpectedResult = 0)]
    [TestCase(1.1e-3, ExpectedResult = 1)]
    [TestCase(-1.1e-3, ExpectedResult = 1)]
    [TestCase(double.NaN, ExpectedResult = 1)]
    [TestCase(double.PositiveInfinity, ExpectedResult = 1)]
    public int A_sentence_holds_if_its_error_is_small(double error) => EndOf(lesson => lesson.Claim("small", error, within: 1e-3));

    [TestCase(true, true, ExpectedResult = 0)]
    [TestCase(false, true, ExpectedResult = 1)]
    [TestCase(true, false, ExpectedResult = 1)]
    public int One_false_sentence_is_enough(bool first, bool second) => EndOf(lesson =>
    {
        lesson.Claim("first", first);
        lesson.Claim("second", second);
    });

    [Test]
    public void A_chapter_that_claims_nothing_has_failed() => Assert.That(EndOf(_ => { }), Is.EqualTo(1));

    [Test]
    public void A_number_that_is_none_is_the_worst()
    {
        Assert.That(Lesson.Worst([0.5, -2, 1]), Is.EqualTo(2));
        Assert.That(Lesson.Worst([]), Is.Zero);
        Assert.That(Lesson.Worst([0.5, double.NaN, 1]), Is.NaN);
        Assert.That(Lesson.Apart([1, 2, 3], [1, 2.5, 3]), Is.EqualTo(0.5));
        Assert.That(Lesson.Apart([1, double.NaN], [1, 2]), Is.NaN);
        Assert.That(() => Lesson.Apart([1, 2], [1, 2, 3]),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("Apart: 2 numbers and 3; expected as many of each."));
    }

    [Test]
    public void Models_lie_beside_the_chapter()
    {
        using var lesson = new Lesson([], chapter: Path.Combine(TestData.Root, "learn", "99-none.cs"));
        Assert.That(Path.Exists(Path.Combine(lesson.Model("induction-heads"), "config.json")), Is.True);
    }
}
