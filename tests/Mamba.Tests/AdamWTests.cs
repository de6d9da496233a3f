using NUnit.Framework;

namespace Mamba.Tests;

public class AdamWTests
{
    const double LearningRate = 1e-2, Beta1 = 0.9, Beta2 = 0.95, Eps = 1e-8, Decay = 0.1;

    [Test]
    public void Ten_steps_are_those_of_PyTorch([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values] bool decayAll)
    {
        Device on = TestDevices.Open(device);
        using var scope = new TensorScope();
        using var parameters = new ParameterSet([new Parameter("bias", 7, decay: false), new Parameter("weight", (3, 11))], dtype, on);
        using var optimizer = new AdamW(parameters, LearningRate, Beta1, Beta2, Eps, Decay, decayAll);
        double[][] p = [TestData.Uniform(7, 1), TestData.Uniform(33, 2)], m = [new double[7], new double[33]], v = [new double[7], new double[33]];
        for (int i = 0; i < 2; i++)
            parameters[i].Value.WriteRounded(p[i]);
        for (int step = 1; step <= 10; step++)
        {
            double lr = optimizer.LearningRate = LearningRate / step;
            var gradients = new Gradients(parameters);
            for (int i = 0; i < 2; i++)
            {
                double[] g = TestData.Uniform(p[i].Length, 10 * step + i);
                gradients.FlatOf(parameters).Part(parameters.OffsetOf(parameters[i].Value), parameters[i].Shape).WriteRounded(g);
                for (int j = 0; j < g.Length; j++)
                {
                    if (decayAll || parameters[i].Decay)
                        p[i][j] *= 1 - lr * Decay;
                    m[i][j] = Beta1 * m[i][j] + (1 - Beta1) * g[j];
                    v[i][j] = Beta2 * v[i][j] + (1 - Beta2) * g[j] * g[j];
                    double denominator = Math.Sqrt(v[i][j]) / Math.Sqrt(1 - Math.Pow(Beta2, step)) + Eps;
                    p[i][j] -= lr / (1 - Math.Pow(Beta1, step)) * m[i][j] / denominator;
                }
            }
            optimizer.Step(gradients);
        }
        Assert.That(optimizer.StepCount, Is.EqualTo(10));
        for (int i = 0; i < 2; i++)
            Assert.That(TestData.RelativeError(parameters[i].Value.ToDoubles(), p[i]), Is.LessThan(dtype == DType.Float64 ? 1e-14 : 1e-6));
    }

    [Test]
    public void Clipping_scales_to_the_norm_and_no_further([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        Device on = TestDevices.Open(device);
        using var scope = new TensorScope();
        using var first = new ParameterSet([new Parameter("a", 9001)], dtype, on);
        using var second = new ParameterSet([new Parameter("b", 3)], dtype, on);
        var gradients = new Gradients(first);
        double[] a = TestData.Uniform(9001, 1), b = [3, -4, 0.5];
        gradients.FlatOf(first).Part(0, 9001).WriteRounded(a);
        gradients.FlatOf(second).Part(0, 3).WriteRounded(b);
        double norm = Math.Sqrt(a.Sum(x => x * x) + b.Sum(x => x * x)), tolerance = dtype == DType.Float64 ? 1e-13 : 1e-6;
        Assert.That(gradients.Norm, Is.EqualTo(norm).Within(tolerance * norm));

        Assert.That(gradients.ClipNorm(1000), Is.SameAs(gradients));
        Assert.That(gradients.FlatOf(second).Part(0, 3).ToDoubles(), Is.EqualTo(b), "A norm below the limit changes nothing.");

        gradients.ClipNorm(2);
        Assert.That(gradients.Norm, Is.EqualTo(norm).Within(tolerance * norm), "After clipping, the norm is that of before.");
        Assert.That(TestData.RelativeError(gradients.FlatOf(first).Part(0, 9001).ToDoubles(), [.. a.Select(x => x * 2 / (norm + 1e-6))]),
            Is.LessThan(tolerance));
        Assert.That(TestData.RelativeError(gradients.FlatOf(second).Part(0, 3).ToDoubles(), [.. b.Select(x => x * 2 / (norm + 1e-6))]), Is.LessThan(tolerance));
    }

    // the elements of a set, and their gradients
    static (ParameterSet Set, Gradients Gradients) Of(double[] g, DType dtype, Device on, string name = "a")
    {
        var set = new ParameterSet([new Parameter(name, g.Length)], dtype, on);
        var gradients = new Gradients(set);
        gradients.FlatOf(set).Part(0, g.Length).WriteRounded(g);
        return (set, gradients);
    }

    [Test]
    public void A_norm_overflows_or_vanishes_only_where_it_has_to([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        Device on = TestDevices.Open(device);
        double[] sizes = dtype == DType.Float32
            ? [2.4e-38, 1e-30, 1e-25, 1e-20, 1e-15, 1e-12, 1, 1e15, 1e18, 1e20, 1e30, 3e35]
            : [4.6e-308, 1e-280, 1e-170, 1e-140, 1, 1e140, 1e154, 1e170, 1e290, 1e305];
        foreach (double size in sizes)
            foreach (int count in (int[])[1, 3, 17, 4096, 4101, 9001])
            {
                using var scope = new TensorScope();
                // of one size, and falling off by a factor of 1000 within a block
                double[] even = [.. TestData.Uniform(count, 1, 0.5, 1).Select(x => x * size)];
                double[] uneven = [.. Enumerable.Range(0, count).Select(i => i % 2 == 0 ? size : -size / 1000)];
                foreach (double[] g in (double[][])[even, uneven])
                {
                    (ParameterSet set, Gradients gradients) = Of(g, dtype, on);
                    using (set)
                    {
                        double norm = size * Math.Sqrt(gradients.FlatOf(set).ToDoubles().Sum(x => x / size * (x / size)));
                        bool lost = size / 1000 < (dtype == DType.Float64 ? 2.3e-308 : 1.18e-38);     // what is subnormal may count as zero
                        double relative = dtype == DType.Float64 ? 1e-13 : 3e-6;
                        Assert.That(gradients.Norm, Is.EqualTo(norm).Within(relative * norm + (lost ? 1e-5 * norm : 0)), $"{count} of {size}");
                        Assert.That(gradients.IsFinite);
                    }
                }
            }
    }

    [Test]
    public void Blocks_of_zeros_and_of_other_sizes_add_up_to_the_norm([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        Device on = TestDevices.Open(device);
        using var scope = new TensorScope();
        double[] g = new double[5 * 4096 + 7];
        g[4096 + 3] = 3e20;
        g[3 * 4096] = 4e20;
        g.AsSpan(4 * 4096, 4096).Fill(1e-30);
        (ParameterSet set, Gradients gradients) = Of(g, DType.Float32, on);
        using (set)
            Assert.That(gradients.Norm, Is.EqualTo(5e20).Within(1e14));
        (set, gradients) = Of(new double[9001], DType.Float32, on);
        using (set)
            Assert.That((gradients.Norm, gradients.IsFinite, gradients.NonFinite), Is.EqualTo((0.0, true, (Parameter?)null)));
    }

    [Test]
    public void Clipping_of_large_gradients_leaves_their_direction([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values(1, 1e-3)] double clip)
    {
        Device on = TestDevices.Open(device);
        foreach (double size in dtype == DType.Float32 ? (double[])[1e18, 1e25, 3e37] : [1e18, 1e160, 1e305])
        {
            using var scope = new TensorScope();
            double[] g = [.. TestData.Uniform(33, 1).Select(x => x * size)];
            double norm = size * Math.Sqrt(g.Sum(x => x / size * (x / size)));
            (ParameterSet set, Gradients gradients) = Of(g, dtype, on);
            using (set)
            {
                double[] clipped = gradients.ClipNorm(clip).FlatOf(set).Part(0, 33).ToDoubles();
                double[] expected = [.. g.Select(x => x / norm * clip)];
                Assert.That(TestData.RelativeError(clipped, expected), Is.LessThan(dtype == DType.Float64 ? 1e-13 : 1e-6), $"{size}");
            }
        }
    }

    [Test]
    public void A_norm_that_is_no_number_is_told_and_scales_nothing([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values(double.NaN, double.PositiveInfinity, double.NegativeInfinity)] double bad,
        [Values(0, 4000, 9000)] int at)
    {
        using var scope = new TensorScope();
        double[] g = TestData.Uniform(9001, 1);
        g[at] = bad;
        Parameter[] parameters = [new("first", 3), new("second", 9001), new("third", 5)];
        using var set = new ParameterSet(parameters, dtype, TestDevices.Open(device));
        var gradients = new Gradients(set);
        gradients.FlatOf(set).Part(set.OffsetOf(set[1].Value), 9001).WriteRounded(g);
        double[] before = gradients.FlatOf(set).ToDoubles();
        gradients.ClipNorm(0.5);
        Assert.That(gradients.Norm, Is.EqualTo(double.IsNaN(bad) ? bad : double.PositiveInfinity));
        Assert.That(gradients.IsFinite, Is.False);
        Assert.That(gradients.NonFinite?.Name, Is.EqualTo("second"));
        Assert.That(gradients.FlatOf(set).ToDoubles(), Is.EqualTo(before));
    }

    [Test]
    public void A_norm_beyond_the_largest_number_is_infinite_though_every_gradient_is_finite()
    {
        using var scope = new TensorScope();
        (ParameterSet set, Gradients gradients) = Of([.. Enumerable.Repeat(3e38, 9)], DType.Float32, TestDevices.Open("cpu-256"));
        using (set)
            Assert.That((gradients.Norm, gradients.IsFinite, gradients.NonFinite), Is.EqualTo((double.PositiveInfinity, false, (Parameter?)null)));
    }

    [Test]
    public void A_caller_can_leave_out_a_step_that_would_end_in_NaN()
    {
        using var set = new ParameterSet([new Parameter("a", 3)], DType.Float32, TestDevices.Open("cpu-256"));
        using var optimizer = new AdamW(set, 0.1);
        foreach (double factor in (double[])[1, double.NaN, 2])
        {
            using var tape = new Tape();
            Gradients gradients = tape.Backward((set[0].Value * factor).Sum()).ClipNorm(1);
            if (gradients.IsFinite)
                optimizer.Step(gradients);
        }
        Assert.That(optimizer.StepCount, Is.EqualTo(2));
        Assert.That(set[0].Value.ToDoubles(), Is.All.LessThan(0).And.All.GreaterThan(-1));
    }

    [Test]
    public void The_rate_warms_up_and_follows_half_a_cosine()
    {
        Schedule schedule = new Schedule.WarmupCosine(Warmup: 10, Total: 110, Peak: 1, Floor: 0.2);
        Assert.That(schedule.LearningRate(0), Is.EqualTo(0.1).Within(1e-15));
        Assert.That(schedule.LearningRate(9), Is.EqualTo(1).Within(1e-15));
        Assert.That(schedule.LearningRate(10), Is.EqualTo(1).Within(1e-15));
        Assert.That(schedule.LearningRate(60), Is.EqualTo(0.6).Within(1e-15));
        Assert.That(schedule.LearningRate(110), Is.EqualTo(0.2));
        Assert.That(schedule.LearningRate(1000), Is.EqualTo(0.2));
        Assert.That(new Schedule.Constant(0.3).LearningRate(5), Is.EqualTo(0.3));
    }

    [Test]
    public void An_impossible_number_is_refused()
    {
        using var parameters = new ParameterSet([new Parameter("a", 1)], DType.Float32, TestDevices.Open("cpu-256"));
        Assert.That(() => new AdamW(parameters, 1e-3, beta1: 1), Throws.TypeOf<MambaException>());
        foreach (double bad in (double[])[double.NaN, double.PositiveInfinity])
        {
            Assert.That(() => new AdamW(parameters, bad), Throws.TypeOf<MambaException>().With.Message.Contains("learning rate"));
            Assert.That(() => new AdamW(parameters, 1e-3, eps: bad), Throws.TypeOf<MambaException>().With.Message.Contains("eps"));
            Assert.That(() => new AdamW(parameters, 1e-3, weightDecay: bad), Throws.TypeOf<MambaException>().With.Message.Contains("weight decay"));
        }
    }
}
