using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Samples as 256 tokens.</summary>
public class MuLawTests
{
    // worked by hand: f(x) = ln(1 + 255 |x|) / ln 256, the token (f + 1) / 2 · 255 rounded; f(0.1) = ln 26.5 / ln 256 = 0.59099
    [TestCase(-1f, 0)]
    [TestCase(-0.1f, 52)]
    [TestCase(-0.001f, 122)]
    [TestCase(0f, 128)]
    [TestCase(0.001f, 133)]
    [TestCase(0.1f, 203)]
    [TestCase(0.5f, 239)]
    [TestCase(1f, 255)]
    [TestCase(1.5f, 255)]
    [TestCase(float.NegativeInfinity, 0)]
    public void A_sample_has_the_token_of_the_curve(float sample, int token) => Assert.That(MuLaw.Encode(sample), Is.EqualTo(token));

    [Test]
    public void A_token_is_the_token_of_its_sample()
    {
        for (int token = 0; token < MuLaw.Count; token++)
            Assert.That(MuLaw.Encode(MuLaw.Decode(token)), Is.EqualTo(token));
        Assert.That((MuLaw.Decode(0), MuLaw.Decode(255)), Is.EqualTo((-1f, 1f)));
        Assert.That(MuLaw.Decode(128), Is.EqualTo((Math.Pow(256, 1 / 255.0) - 1) / 255).Within(1e-9));
    }

    [Test]
    public void A_sample_is_within_half_a_step_of_the_curve()
    {
        // the curve is steepest at 1: dx/df = ln 256 · (1 + 255 x) / 255, and half a step is 1/255
        foreach (double x in TestData.Uniform(10_000, 1))
            Assert.That(MuLaw.Decode(MuLaw.Encode((float)x)), Is.EqualTo(x).Within(Math.Log(256) * (1 + 255 * Math.Abs(x)) / 255 / 255 * 1.03 + 1e-6));
    }

    [Test]
    public void What_is_no_sample_or_token_is_refused()
    {
        Assert.That(DataFolder.Refused(() => MuLaw.Encode(float.NaN)), Does.Contain("NaN"));
        Assert.That(DataFolder.Refused(() => MuLaw.Decode(256)), Does.Contain("token 256"));
        Assert.That(DataFolder.Refused(() => MuLaw.Decode(-1)), Does.Contain("token -1"));
    }
}
