using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

public class DeterminismTests
{
    static readonly MambaConfig Config = new() { DModel = 24, NLayer = 2, VocabSize = 16 };

    static TrainOptions Options(int length, int batch, string dtype = "float32", string task = "induction-heads") => new()
    {
        Task = task,
        Seed = 11,
        Dtype = dtype,
        DataTokens = 4,
        Stages = [new(length, batch, 1000)],
        LearningRate = 3e-3,
        Clip = 1,
        WeightDecay = 0.1,
    };

    static (double[] Losses, double[] Weights) Train(Device device, TrainOptions options, MambaConfig config, int steps)
    {
        using var trainer = new Trainer(options, config, device);
        double[] losses = [.. Enumerable.Range(0, steps).Select(_ => trainer.Step().Loss)];
        return (losses, [.. trainer.Model.Parameters.SelectMany(p => p.Value.ToDoubles())]);
    }

    // Large enough that every kernel of the step is shared among the threads.
    [Test]
    public void A_seed_gives_the_same_bits_twice_and_on_any_number_of_threads([Values("float32", "float64")] string dtype,
        [Values("induction-heads", "selective-copying")] string task)
    {
        TrainOptions options = Options(90, 6, dtype, task);
        (double[] Losses, double[] Weights) On(int threads)
        {
            using var device = new HostDevice(threads);
            return Train(device, options, Config, steps: 6);
        }
        (double[] losses, double[] weights) = On(1);
        foreach (int threads in (int[])[1, 2, 3, 5])
        {
            (double[] othersLosses, double[] othersWeights) = On(threads);
            Assert.That(othersLosses, Is.EqualTo(losses), $"{threads} threads");
            Assert.That(othersWeights, Is.EqualTo(weights), $"{threads} threads");
        }
        Assert.That(losses.Distinct().Count(), Is.EqualTo(6));
    }

    [Test]
    public void Another_seed_gives_another_curve()
    {
        using var device = new HostDevice(2);
        double[] one = Train(device, Options(20, 2), Config, 3).Losses, two = Train(device, Options(20, 2) with { Seed = 12 }, Config, 3).Losses;
        Assert.That(one.Zip(two).Count(p => p.First == p.Second), Is.Zero);
    }

    // 1e-4 in float32 and 1e-9 in float64 over the first twenty steps, by which time rounding has been through the
    // optimizer nineteen times.
    [Test]
    public void The_first_twenty_losses_agree_on_every_device([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values("float32", "float64")] string dtype)
    {
        bool tiny = device == "ilgpu-cpu";
        MambaConfig config = tiny ? Config with { DModel = 8, NLayer = 1, SsmCfg = new SsmConfig { DState = 4 } } : Config;
        TrainOptions options = tiny ? Options(8, 2, dtype) : Options(33, 4, dtype);
        double[] expected = Train(TestDevices.Open("cpu"), options, config, steps: 20).Losses;
        double[] actual = Train(TestDevices.Open(device), options, config, steps: 20).Losses;
        Assert.That(expected.Zip(actual, (a, b) => Math.Abs(a - b) / a).Max(), Is.LessThan(dtype == "float32" ? 1e-4 : 1e-9));
    }
}
