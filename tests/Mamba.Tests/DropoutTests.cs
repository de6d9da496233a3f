using NUnit.Framework;

namespace Mamba.Tests;

public class DropoutTests
{
    [Test]
    public void Every_device_drops_the_same_elements_and_scales_the_rest(
        [ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        foreach (int count in new[] { 1, 2, 3, 4, 5, 67, 257 })
            foreach (double p in new[] { 0.1, 0.5, 0.9 })
            {
                using var tape = new Tape();
                Tensor x = Tape.Watch(TestData.Random(count, dtype, TestDevices.Open(device), 1)), dy = TestData.Random(count, dtype, x.Device, 2);
                Tensor y = Ops.Dropout(x, p, seed: 0x123456789abcdefUL, stream: 7);
                var random = new PhiloxRandom(0x123456789abcdefUL, stream: 7);
                bool[] kept = [.. Enumerable.Range(0, count).Select(_ => random.NextUInt32() / 4294967296.0 >= p)];
                double Scaled(double v) => dtype == DType.Float32 ? (float)v * (float)(1 / (1 - p)) : v * (1 / (1 - p));
                double[] Expected(Tensor of) => [.. of.ToDoubles().Select((v, i) => kept[i] ? Scaled(v) : 0)];
                Assert.That(y.ToDoubles(), Is.EqualTo(Expected(x)), $"{count} with p {p}");
                Assert.That(tape.Backward([(y, dy)])[x].ToDoubles(), Is.EqualTo(Expected(dy)), "the same mask on the way back");
            }
    }

    // n = 200,000 draws of 0 or 1/(1 − p): a standard deviation of √(p/(1−p)/n), the bound is 5 of those
    [Test]
    public void The_mean_stays([Values(0.1, 0.5, 0.9)] double p)
    {
        const int N = 200_000;
        using var scope = new TensorScope();
        Tensor ones = Ops.Fill(Tensor.Empty(N, DType.Float64, TestDevices.Open("cpu")), 1);
        Assert.That(ones.Dropout(p, seed: 5).ToDoubles().Average(), Is.EqualTo(1).Within(5 * Math.Sqrt(p / (1 - p) / N)));
        Assert.That(ones.Dropout(p, seed: 5).ToDoubles(), Is.Not.EqualTo(ones.Dropout(p, seed: 5, stream: 1).ToDoubles()));
        Assert.That(ones.Dropout(p, seed: 5).ToDoubles(), Is.Not.EqualTo(ones.Dropout(p, seed: 6).ToDoubles()));
    }

    [Test]
    public void What_is_dropped_is_zero_even_if_it_was_not_a_number([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        Tensor x = Ops.Fill(Tensor.Empty(64, DType.Float32, TestDevices.Open(device)), double.NaN);
        double[] y = x.Dropout(0.5, seed: 1).ToDoubles(), mask = Ops.Fill(x.Like(), 1).Dropout(0.5, seed: 1).ToDoubles();
        Assert.That(mask, Does.Contain(0.0).And.Contain(2.0));
        Assert.That(y, Is.EqualTo(mask.Select(m => m == 0 ? 0 : double.NaN)));
    }

    [Test]
    public void Nothing_dropped_is_the_tensor_itself_and_other_parts_are_refused()
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.Zeros(3, DType.Float32, TestDevices.Open("cpu-256"));
        Assert.That(x.Dropout(0, seed: 1), Is.SameAs(x));
        foreach (double p in new[] { -0.1, 1, 2, double.NaN })
            Assert.That(() => x.Dropout(p, seed: 1),
                Throws.TypeOf<MambaException>().With.Message.EqualTo(FormattableString.Invariant($"Dropout: p is {p}; expected a number from 0 to below 1.")));
        Assert.That(() => Tensor.Zeros(3, DType.Int32, x.Device).Dropout(0, seed: 1),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("Dropout: x is int32 (3); expected float32 or float64."));
    }
}
