using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>How far back a scan looks.</summary>
public class ReachTests
{
    static readonly string[] Schemes = [.. Discretization.All.Select(scheme => scheme.Name)];

    static Tensor Of(Shape shape, params double[] values) => Tensor.From(values, shape, TestDevices.Open("cpu"));

    static Tensor Constant(double value, Shape shape) => Of(shape, [.. Enumerable.Repeat(value, (int)shape.Count)]);

    [Test]
    public void Equals_the_sums_over_the_hidden_attention([ValueSource(nameof(Schemes))] string scheme, [Values(1, 2, 65)] int l, [Values(1, 19)] int d)
    {
        const int B = 2, N = 3;
        using var scope = new TensorScope();
        Device cpu = TestDevices.Open("cpu");
        Tensor delta = TestData.Random((B, l, d), DType.Float64, cpu, 1, 0.01, 0.9), A = TestData.Random((d, N), DType.Float64, cpu, 2, -2, -0.05),
            b = TestData.Random((B, l, N), DType.Float64, cpu, 3), c = TestData.Random((B, l, N), DType.Float64, cpu, 4);
        var discretization = Discretization.Named(scheme);
        double[] m = Ops.HiddenAttention(delta, A, b, c, deltaSoftplus: false, discretization: discretization).ToDoubles();     // (b, d, l, l)
        double[] mean = new double[B * d], field = new double[l];
        for (int channel = 0; channel < B * d; channel++)
            for (int i = 0; i < l; i++)
            {
                double[] row = [.. m[((channel * l + i) * l)..((channel * l + i) * l + i + 1)].Select(Math.Abs)];
                mean[channel] += row.Select((value, j) => value * (i - j)).Sum() / row.Sum() / l;
                for (int j = 0; j <= i; j++)
                    field[i - j] += row[j] / (B * d * (l - (i - j)));
            }
        var reach = Reach.Of(delta, A, b, c, discretization);
        Assert.Multiple(() =>
        {
            Assert.That(reach.Mean, Is.EqualTo(mean).Within(1e-11));
            Assert.That(reach.ReceptiveField, Is.EqualTo(field).Within(1e-13));
            Assert.That(reach.HalfLives, Is.EqualTo(Reach.HalfLivesOf(delta, A, discretization)).And.Count.EqualTo(d * N));
        });
    }

    [Test]
    public void A_decay_of_1_and_steps_of_a_tenth_halve_a_state_in_seven_tokens()
    {
        double[] half = Reach.HalfLivesOf(Constant(0.1, (1, 9, 1)), Of((1, 1), -1));
        Assert.That(half, Is.EqualTo(new[] { 6.931471805599453 }).Within(1e-12));
    }

    [Test]
    public void A_state_that_halves_at_every_token_reaches_as_far_as_its_series_says()
    {
        // |M| of three tokens: 1; ½ 1; ¼ ½ 1. Mean distances 0, (½)/(3/2), (½ + ½)/(7/4).
        Tensor ones = Constant(1, (1, 3, 1));
        var reach = Reach.Of(ones, Of((1, 1), -Math.Log(2)), ones, ones);
        Assert.That(reach.Mean, Is.EqualTo(new[] { (0 + 1 / 3.0 + 4 / 7.0) / 3 }).Within(1e-14));
        Assert.That(reach.ReceptiveField, Is.EqualTo(new[] { 1, 0.5, 0.25 }).Within(1e-14));
        Assert.That(reach.HalfLives, Is.EqualTo(new[] { 1.0 }).Within(1e-14));
    }

    [TestCase("exponential-euler", 0.60653065971263342)]
    [TestCase("zoh", 0.60653065971263342)]
    [TestCase("euler", 0.5)]
    [TestCase("backward-euler", 1 / 1.5)]
    [TestCase("bilinear", 0.75 / 1.25)]
    [TestCase("exponential-trapezoidal", 0.60653065971263342)]
    public void Half_lives_are_those_of_the_discretization(string scheme, double left)
    {
        // The median step of the channels, 0.25 and 0.5, not the mean: one step is long.
        Tensor delta = Of((1, 3, 2), 0.25, 0.5, 0.2, 0.4, 100, 100), A = Of((2, 1), -2, -1);
        double[] half = Reach.HalfLivesOf(delta, A, Discretization.Named(scheme));
        Assert.That(half, Is.EqualTo(new[] { Math.Log(2) / -Math.Log(left), Math.Log(2) / -Math.Log(left) }).Within(1e-12));
    }

    [Test]
    public void The_median_of_an_even_number_of_steps_is_the_middle_of_two() =>
        Assert.That(Reach.HalfLivesOf(Of((2, 2, 1), 1, 4, 2, 100), Of((1, 1), -1)), Is.EqualTo(new[] { Math.Log(2) / 3 }).Within(1e-14));

    [Test]
    public void A_state_that_does_not_fade_has_no_half_life_and_one_that_is_gone_at_once_has_none_left()
    {
        Tensor delta = Constant(0.5, (1, 3, 1)), A = Of((1, 5), 0, 1, -2, -3, -5);
        double[] half = Reach.HalfLivesOf(delta, A, Discretization.Euler);                                  // α = 1, 1.5, 0, −0.5, −1.5
        Assert.That(half, Is.EqualTo(new[] { double.PositiveInfinity, double.PositiveInfinity, 0, 1, double.PositiveInfinity }).Within(1e-12));
    }

    [Test]
    public void What_is_not_finite_or_zero_counts_for_nothing()
    {
        double nan = double.NaN;
        Tensor delta = Of((1, 3, 3), nan, 1, 1, nan, 1, nan, nan, 1, 1), A = Constant(-Math.Log(2), (3, 1));
        Tensor ones = Constant(1, (1, 3, 1));
        var reach = Reach.Of(delta, A, ones, ones);
        Assert.Multiple(() =>
        {
            Assert.That(reach.Mean[0], Is.NaN, "no token is left");
            Assert.That(reach.Mean[1], Is.EqualTo((0 + 1 / 3.0 + 4 / 7.0) / 3).Within(1e-14), "another channel's NaN");
            Assert.That(reach.Mean[2], Is.Zero, "the first token alone is left");
            Assert.That(reach.ReceptiveField, Is.EqualTo(new[] { 1, 0.5, 0.25 }).Within(1e-14));
            Assert.That(reach.HalfLives, Is.EqualTo(new[] { nan, 1, 1 }).Within(1e-14));
        });
        var none = Reach.Of(Constant(1, (1, 3, 1)), Of((1, 1), -1), ones, Constant(0, (1, 3, 1)));
        Assert.That(none.Mean, Is.EqualTo(new[] { nan }));
        Assert.That(none.ReceptiveField, Is.EqualTo(new double[3]));
    }

    [Test]
    public void No_token_is_no_reach()
    {
        var reach = Reach.Of(Of((1, 0, 2)), Constant(-1, (2, 3)), Of((1, 0, 3)), Of((1, 0, 3)));
        Assert.That(reach.Mean, Is.EqualTo(new[] { double.NaN, double.NaN }));
        Assert.That(reach.ReceptiveField, Is.Empty);
        Assert.That(reach.HalfLives, Is.EqualTo(Enumerable.Repeat(double.NaN, 6)));
    }

    [Test]
    public void Any_device_and_dtype_will_do([Values("cpu", "opencl:0", "cuda:0")] string device)
    {
        using var scope = new TensorScope();
        Tensor[] x = [TestData.Random((1, 9, 5), DType.Float32, TestDevices.Open(device), 1, 0.01, 0.9),
            TestData.Random((5, 2), DType.Float32, TestDevices.Open(device), 2, -2, -0.1),
            TestData.Random((1, 9, 2), DType.Float32, TestDevices.Open(device), 3), TestData.Random((1, 9, 2), DType.Float32, TestDevices.Open(device), 4)];
        Tensor[] wide = [.. x.Select(tensor => tensor.To(TestDevices.Open("cpu"), DType.Float64))];
        Reach actual = Reach.Of(x[0], x[1], x[2], x[3]), expected = Reach.Of(wide[0], wide[1], wide[2], wide[3]);
        Assert.That(actual.Mean, Is.EqualTo(expected.Mean));
        Assert.That(actual.ReceptiveField, Is.EqualTo(expected.ReceptiveField));
        Assert.That(actual.HalfLives, Is.EqualTo(expected.HalfLives));
    }

    [Test]
    public void States_too_small_for_full_precision_count_as_zero()
    {
        Tensor ones = Constant(1, (1, 40, 1));
        var reach = Reach.Of(ones, Of((1, 1), -20), ones, ones);                                            // e^{−20·34} < 1e−290
        Assert.That(reach.ReceptiveField[33], Is.GreaterThan(0));
        Assert.That(reach.ReceptiveField[34], Is.Zero);
    }

    [Test]
    public void Shapes_that_do_not_fit_are_named()
    {
        Tensor delta = Constant(1, (1, 3, 2)), A = Constant(-1, (2, 4)), p = Constant(1, (1, 3, 4));
        string Message(Tensor delta, Tensor A, Tensor b, Tensor c) => Assert.Throws<MambaException>(() => Reach.Of(delta, A, b, c))!.Message;
        Assert.Multiple(() =>
        {
            Assert.That(Message(A, A, p, p), Is.EqualTo("Reach: delta has shape (2, 4); expected (b, l, d)."));
            Assert.That(Message(delta, Constant(-1, (3, 4)), p, p), Is.EqualTo("Reach: A has shape (3, 4); expected (d=2, n). d comes from delta (1, 3, 2)."));
            Assert.That(Message(delta, A, p, Constant(1, (1, 3, 1))),
                Is.EqualTo("Reach: C has shape (1, 3, 1); expected (1, 3, 4). b, l come from delta (1, 3, 2), n from A (2, 4)."));
        });
    }
}
