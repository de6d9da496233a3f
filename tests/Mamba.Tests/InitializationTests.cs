using MathNet.Numerics.Distributions;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>
/// A fresh model's weights have the distributions of the official code. Tested by Kolmogorov and Smirnov's D: with the right
/// distribution √n·D exceeds 2.22 once in ten thousand draws. The seeds are fixed, so a test that passes keeps passing.
/// </summary>
public class InitializationTests
{
    static Device Cpu => TestDevices.Open("cpu-256");
    static readonly MambaConfig Config = new() { DModel = 128, NLayer = 4, VocabSize = 250, TieEmbeddings = false };

    static double[] Values(MambaConfig config, string name, ulong seed = 7)
    {
        using var model = new MambaLM(config, Cpu, seed, DType.Float64);
        return [.. model.Parameters.Where(p => p.Name.EndsWith(name, StringComparison.Ordinal)).SelectMany(p => p.Value.ToDoubles())];
    }

    static void ExpectDistribution(double[] values, Func<double, double> cumulative)
    {
        Assert.That(values, Has.Length.GreaterThanOrEqualTo(1000));
        double[] sorted = [.. values.Order()];
        double d = 0;
        for (int i = 0; i < sorted.Length; i++)
        {
            double f = cumulative(sorted[i]);
            d = Math.Max(d, Math.Max((i + 1.0) / sorted.Length - f, f - (double)i / sorted.Length));
        }
        Assert.That(d * Math.Sqrt(sorted.Length), Is.LessThan(2.22));
        double correlation = MathNet.Numerics.Statistics.Correlation.Pearson(values[1..], values[..^1]);
        Assert.That(Math.Abs(correlation) * Math.Sqrt(values.Length), Is.LessThan(3.9), "neighbours have nothing to do with each other");
    }

    static void ExpectUniform(double[] values, double bound)
    {
        Assert.That(values, Has.All.InRange(-bound, bound));
        ExpectDistribution(values, x => ContinuousUniform.CDF(-bound, bound, x));
    }

    static double Softplus(double x) => Math.Log(1 + Math.Exp(x));

    [Test]
    public void A_starts_as_minus_one_to_n([Values(1, 5, 16)] int n)
    {
        MambaConfig config = Config with { SsmCfg = new SsmConfig { DState = n } };
        double[] expected = [.. Enumerable.Range(0, 4 * 256 * n).Select(i => Math.Log(1 + i % n))];
        Assert.That(Values(config, "A_log"), Is.EqualTo(expected));
    }

    [Test]
    public void D_and_the_norms_start_as_one_and_biases_as_zero()
    {
        MambaConfig config = Config with { RmsNorm = false, SsmCfg = new SsmConfig { Bias = true } };
        Assert.That(Values(config, "mixer.D"), Is.EqualTo(Enumerable.Repeat(1.0, 4 * 256)));
        Assert.That(Values(config, "norm.weight").Concat(Values(config, "norm_f.weight")), Is.EqualTo(Enumerable.Repeat(1.0, 5 * 128)));
        foreach ((string name, int count) in new[] { ("norm.bias", 4 * 128), ("norm_f.bias", 128), ("in_proj.bias", 4 * 512), ("out_proj.bias", 4 * 128) })
            Assert.That(Values(config, name), Is.EqualTo(new double[count]), name);
    }

    [Test]
    public void The_step_size_starts_log_uniform()
    {
        double[] dt = [.. Values(Config, "dt_proj.bias").Select(x => Softplus(x))];
        Assert.That(dt, Has.All.InRange(0.001 * (1 - 1e-12), 0.1 * (1 + 1e-12)));
        ExpectDistribution([.. dt.Select(x => Math.Log(x))], x => ContinuousUniform.CDF(Math.Log(0.001), Math.Log(0.1), x));
    }

    [Test]
    public void The_step_size_has_a_floor()
    {
        MambaConfig config = Config with { SsmCfg = new SsmConfig { DtMin = 1e-6, DtMax = 1e-2, DtInitFloor = 1e-4 } };
        double[] dt = [.. Values(config, "dt_proj.bias").Select(x => Softplus(x))];
        const double Floor = 1e-4 * (1 + 1e-9);             // softplus and back
        Assert.That(dt.Min(), Is.EqualTo(1e-4).Within(1e-13));
        double share = dt.Count(x => x <= Floor) / (double)dt.Length;
        Assert.That(share, Is.EqualTo(0.5).Within(4 * 0.5 / Math.Sqrt(dt.Length)), "half of the range lies below");
        double[] above = [.. dt.Where(x => x > Floor).Select(x => Math.Log(x))];
        Assert.That(above.Max(), Is.LessThanOrEqualTo(Math.Log(1e-2) + 1e-12));
        Assert.That(above.Average(), Is.EqualTo((Math.Log(1e-4) + Math.Log(1e-2)) / 2).Within(4 * Math.Log(100) / Math.Sqrt(12.0 * above.Length)));
    }

    [Test]
    public void The_projection_of_the_step_size_keeps_its_variance([Values("auto", "3")] string rank, [Values(1.0, 0.5)] double scale)
    {
        var ssm = new SsmConfig { DtRank = rank == "auto" ? null : 3, DtScale = scale };
        double bound = scale / Math.Sqrt(rank == "auto" ? 8 : 3);
        ExpectUniform(Values(Config with { SsmCfg = ssm }, "dt_proj.weight"), bound);
        Assert.That(Values(Config with { SsmCfg = ssm with { DtInit = "constant" } }, "dt_proj.weight"), Has.All.EqualTo(bound));
    }

    [Test]
    public void Linear_maps_start_uniform_by_their_inputs()
    {
        ExpectUniform(Values(Config, "in_proj.weight"), 1 / Math.Sqrt(128));
        ExpectUniform(Values(Config, "x_proj.weight"), 1 / Math.Sqrt(256));
        ExpectUniform(Values(Config, "lm_head.weight"), 1 / Math.Sqrt(128));
    }

    [Test]
    public void The_output_projection_is_divided_by_the_root_of_the_layers([Values(1, 4)] int layers) =>
        ExpectUniform(Values(Config with { NLayer = layers }, "out_proj.weight"), 1 / Math.Sqrt(256) / Math.Sqrt(layers));

    [Test]
    public void Convolutions_start_uniform_by_their_width([Values(1, 4, 8)] int k)
    {
        MambaConfig config = Config with { SsmCfg = new SsmConfig { DConv = k } };
        ExpectUniform(Values(config, "conv1d.weight"), 1 / Math.Sqrt(k));
        ExpectUniform(Values(config, "conv1d.bias"), 1 / Math.Sqrt(k));
    }

    [Test]
    public void The_embedding_starts_normal([Values] bool tied) =>
        ExpectDistribution(Values(Config with { TieEmbeddings = tied }, "embedding.weight"), x => Normal.CDF(0, 0.02, x));

    [Test]
    public void A_seed_gives_the_same_weights_on_every_device([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        MambaConfig config = Config with { DModel = 24, NLayer = 2 };
        using var expected = new MambaLM(config, Cpu, seed: 5, DType.Float64);
        using var model = new MambaLM(config, TestDevices.Open(device), seed: 5, dtype);
        foreach ((Parameter a, Parameter b) in expected.Parameters.Zip(model.Parameters))
            Assert.That(b.Value.ToDoubles(), Is.EqualTo(a.Value.ToDoubles().Select(x => dtype == DType.Float32 ? (float)x : x)), a.Name);
    }

    [Test]
    public void Another_seed_or_layer_gives_other_weights()
    {
        foreach (string name in (string[])["embedding.weight", "in_proj.weight", "conv1d.weight", "conv1d.bias", "x_proj.weight", "dt_proj.weight",
            "dt_proj.bias", "out_proj.weight", "lm_head.weight"])
        {
            double[] one = Values(Config, name, seed: 1), two = Values(Config, name, seed: 2);
            Assert.That(one.Zip(two).Count(p => p.First == p.Second), Is.Zero, name);
            if (name[0] != 'e' && name[0] != 'l')
                Assert.That(one[..(one.Length / 4)].Intersect(one[(one.Length / 4)..(one.Length / 2)]), Is.Empty, $"{name} of two layers");
        }
    }
}
