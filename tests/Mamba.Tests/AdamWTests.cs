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
    public void Clipping_scales_to_the_norm_and_no_further([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
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
        Assert.That(TestData.RelativeError(gradients.FlatOf(first).Part(0, 9001).ToDoubles(), [.. a.Select(x => x * 2 / (norm + 1e-6))]), Is.LessThan(tolerance));
        Assert.That(TestData.RelativeError(gradients.FlatOf(second).Part(0, 3).ToDoubles(), [.. b.Select(x => x * 2 / (norm + 1e-6))]), Is.LessThan(tolerance));
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
    public void An_impossible_beta_is_refused()
    {
        using var parameters = new ParameterSet([new Parameter("a", 1)], DType.Float32, TestDevices.Open("cpu-256"));
        Assert.That(() => new AdamW(parameters, 1e-3, beta1: 1), Throws.TypeOf<MambaException>());
    }
}
