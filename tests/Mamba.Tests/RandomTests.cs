using NUnit.Framework;

namespace Mamba.Tests;

public class RandomTests
{
    // kat_vectors of the authors' Random123: philox4x32, 10 rounds; counter, key, words
    [TestCase(0UL, 0UL, 0UL, 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u)]
    [TestCase(ulong.MaxValue, ulong.MaxValue, ulong.MaxValue, 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu)]
    [TestCase(0x85a308d3243f6a88UL, 0x0370734413198a2eUL, 0x299f31d0a4093822UL, 0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u)]
    public void Philox_gives_the_known_answers(ulong counter, ulong stream, ulong seed, uint a, uint b, uint c, uint d)
    {
        Philox words = Philox.At(seed, stream, counter);
        Assert.That((words.A, words.B, words.C, words.D), Is.EqualTo((a, b, c, d)));
    }

    [Test]
    public void Every_device_draws_the_same_uniform_bits([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        foreach (int count in new[] { 1, 3, 65, 257 })
        {
            var random = new PhiloxRandom(0x123456789abcdefUL, stream: 7);
            float[] expected = [.. Enumerable.Range(0, count).Select(_ => (random.NextUInt32() >> 8) * (1f / (1 << 24)))];
            float[] drawn = Ops.Uniform(count, DType.Float32, TestDevices.Open(device), 0x123456789abcdefUL, 7).ToArray<float>();
            Assert.That(drawn, Is.EqualTo(expected));
            float[] scaled = Ops.Uniform(count, DType.Float32, TestDevices.Open(device), 0x123456789abcdefUL, 7, -0.3, 1.1).ToArray<float>();
            Assert.That(scaled,
                Is.EqualTo(expected.Select(u => (float)-0.3 + (float)((float)(1.1 - -0.3) * u)).ToArray()), "product and sum rounded one after the other");
        }
    }

    [Test]
    public void A_float64_stream_is_that_of_PhiloxRandom([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        foreach (int count in new[] { 1, 3, 65 })
        {
            var uniform = new PhiloxRandom(11, stream: ulong.MaxValue);
            double[] drawn = Ops.Uniform(count, DType.Float64, TestDevices.Open(device), 11, ulong.MaxValue).ToArray<double>();
            Assert.That(drawn, Is.EqualTo(Enumerable.Range(0, count).Select(_ => uniform.NextDouble()).ToArray()));
            var normal = new PhiloxRandom(11, stream: 5);
            double[] expected = [.. Enumerable.Range(0, count).Select(_ => 2 + 3 * normal.NextNormal())];
            Assert.That(TestData.RelativeError(Ops.Normal(count, DType.Float64, TestDevices.Open(device), 11, 5, 2, 3).ToDoubles(), expected),
                Is.LessThan(1e-14));
        }
    }

    // float32: the logarithm is good to some 3e-7 where u is small
    [Test]
    public void Float32_normals_are_Box_and_Mullers([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        var random = new PhiloxRandom(3, stream: 1);
        double[] expected = new double[257];
        for (int i = 0; i < expected.Length; i++)
        {
            double u = (random.NextUInt32() >> 8) / 16777216.0, w = (random.NextUInt32() >> 8) / 16777216.0;
            expected[i] = Math.Sqrt(-2 * Math.Log(1 - u)) * Math.Cos(2 * Math.PI * w);
        }
        Assert.That(TestData.RelativeError(Ops.Normal(257, DType.Float32, TestDevices.Open(device), 3, 1).ToDoubles(), expected), Is.LessThan(1e-6));
    }

    // n = 200,000: a mean of n samples is off by σ/√n, the bounds are 5 of those
    [TestCase(DType.Float32)]
    [TestCase(DType.Float64)]
    public void Moments_are_those_of_the_distribution(DType dtype)
    {
        const int N = 200_000;
        using var scope = new TensorScope();
        double[] uniform = Ops.Uniform(N, dtype, TestDevices.Open("cpu"), seed: 1, low: -2, high: 4).ToDoubles();
        double[] normal = Ops.Normal(N, dtype, TestDevices.Open("cpu"), seed: 2, mean: 1, deviation: 2).ToDoubles();
        double Moment(double[] x, double mean, int power) => x.Average(v => Math.Pow(v - mean, power));
        double unit = 5 / Math.Sqrt(N);
        Assert.Multiple(() =>
        {
            Assert.That(uniform, Is.All.InRange(-2, 4));
            Assert.That(uniform.Average(), Is.EqualTo(1).Within(unit * Math.Sqrt(3)));
            Assert.That(Moment(uniform, 1, 2), Is.EqualTo(3).Within(unit * Math.Sqrt(16.2 - 9)));
            Assert.That(normal.Average(), Is.EqualTo(1).Within(unit * 2));
            Assert.That(Moment(normal, 1, 2), Is.EqualTo(4).Within(unit * 4 * Math.Sqrt(2)));
            Assert.That(Moment(normal, 1, 3), Is.EqualTo(0).Within(unit * 8 * Math.Sqrt(15)));
            Assert.That(Moment(normal, 1, 4), Is.EqualTo(48).Within(unit * 16 * Math.Sqrt(96)));
        });
    }

    [Test]
    public void Seeds_and_streams_are_different_numbers_and_the_same_ones_the_same()
    {
        using var scope = new TensorScope();
        double[] Draw(ulong seed, ulong stream) => Ops.Normal(100, DType.Float32, TestDevices.Open("cpu"), seed, stream).ToDoubles();
        double[] first = Draw(1, 2), again = Draw(1, 2);
        Assert.That(again, Is.EqualTo(first));
        Assert.That(first.Intersect(Draw(1, 3)), Is.Empty);
        Assert.That(first.Intersect(Draw(2, 2)), Is.Empty);
    }

    [Test]
    public void A_part_is_drawn_without_touching_its_neighbours([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        Tensor whole = Tensor.Zeros(50, DType.Float32, TestDevices.Open(device));
        Ops.FillUniform(whole.Part(16, 17), seed: 1, stream: 0, low: 1, high: 2);
        double[] values = whole.ToDoubles();
        Assert.That(values[16..33], Is.All.InRange(1, 2));
        Assert.That(values[..16].Concat(values[33..]), Is.All.Zero);
    }

    [Test]
    public void A_range_that_is_none_is_refused_in_one_line()
    {
        Device device = TestDevices.Open("cpu");
        Assert.That(() => Ops.Uniform(3, DType.Float32, device, 1, low: 2, high: 1),
            Throws.TypeOf<MambaException>().With.Message.StartsWith("Uniform: the range is 2 to 1"));
        Assert.That(() => Ops.Normal(3, DType.Float32, device, 1, deviation: -1),
            Throws.TypeOf<MambaException>().With.Message.StartsWith("Normal: the standard deviation is -1"));
    }
}
