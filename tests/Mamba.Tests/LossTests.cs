using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Losses against plain loops.</summary>
public class LossTests
{
    static readonly Shape[] OddShapes = [1, new Shape(), 7, (3, 5), (2, 1, 33)];

    [Test]
    public void The_mean_squared_error_is_that_of_a_loop(
        [ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        foreach (Shape shape in OddShapes)
        {
            using var tape = new Tape();
            Tensor x = Tape.Watch(TestData.Random(shape, dtype, TestDevices.Open(device), 1)), target = Tape.Watch(TestData.Random(shape, dtype, x.Device, 2));
            Tensor loss = Ops.MeanSquaredError(x, target);
            Gradients gradients = tape.Backward(loss);
            double[] difference = [.. x.ToDoubles().Zip(target.ToDoubles(), (a, b) => a - b)];
            double tolerance = dtype == DType.Float64 ? 1e-14 : 2e-6;
            Assert.That(loss.Shape, Is.EqualTo(new Shape()));
            Assert.That(loss.Item(), Is.EqualTo(difference.Average(d => d * d)).Within(tolerance));
            Assert.That(TestData.RelativeError(gradients[x].ToDoubles(), [.. difference.Select(d => 2 * d / shape.Count)]), Is.LessThan(tolerance));
            Assert.That(TestData.RelativeError(gradients[target].ToDoubles(), [.. difference.Select(d => -2 * d / shape.Count)]), Is.LessThan(tolerance));
        }
    }

    [Test]
    public void The_binary_cross_entropy_is_that_of_a_loop(
        [ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        foreach (Shape shape in OddShapes)
        {
            using var tape = new Tape();
            Tensor x = Tape.Watch(TestData.Random(shape, dtype, TestDevices.Open(device), 1, -6, 6)),
                target = Tape.Watch(TestData.Random(shape, dtype, x.Device, 2, 0, 1));
            Tensor loss = Ops.BinaryCrossEntropy(x, target);
            Gradients gradients = tape.Backward(loss);
            double[] at = x.ToDoubles(), t = target.ToDoubles(), sigma = [.. at.Select(v => 1 / (1 + Math.Exp(-v)))];
            double tolerance = dtype == DType.Float64 ? 1e-14 : 2e-6;
            Assert.That(loss.Item(), Is.EqualTo(sigma.Zip(t, (s, p) => -p * Math.Log(s) - (1 - p) * Math.Log(1 - s)).Average()).Within(10 * tolerance));
            Assert.That(TestData.RelativeError(gradients[x].ToDoubles(), [.. sigma.Zip(t, (s, p) => (s - p) / shape.Count)]), Is.LessThan(tolerance));
            Assert.That(TestData.RelativeError(gradients[target].ToDoubles(), [.. at.Select(v => -v / shape.Count)]), Is.LessThan(tolerance));
        }
    }

    // logits where the probability is 0 or 1 to rounding, and the corner at 0
    [Test]
    public void Large_logits_neither_overflow_nor_lose_their_digits(
        [ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        foreach ((double x, double t, double loss, double slope) in new[]
        {
            (1000, 1, 0, 0), (1000, 0, 1000, 1), (-1000, 0, 0, 0), (-1000, 1, 1000, -1), (0, 0.25, Math.Log(2), 0.25), (30, 1, Math.Exp(-30), -Math.Exp(-30)),
                (-25, 0, Math.Exp(-25), Math.Exp(-25)),
        })
        {
            using var tape = new Tape();
            Tensor logit = Tape.Watch(Tensor.From([x], 1, dtype, TestDevices.Open(device))),
                y = Ops.BinaryCrossEntropy(logit, Tensor.From([t], 1, dtype, logit.Device));
            Assert.That(y.Item(), Is.EqualTo(loss).Within(1e-6 * loss), $"{x}, {t}");
            Assert.That(tape.Backward(y)[logit].Item(), Is.EqualTo(slope).Within(dtype == DType.Float64 ? 2e-16 : 1e-7), $"{x}, {t}");
        }
    }

    [Test]
    public void Nothing_is_broadcast_against_a_target()
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.Zeros((3, 1), DType.Float32, TestDevices.Open("cpu-256"));
        foreach ((string name, Func<Tensor, Tensor, Tensor> f) in new (string, Func<Tensor, Tensor, Tensor>)[] { ("MeanSquaredError", Ops.MeanSquaredError),
            ("BinaryCrossEntropy", Ops.BinaryCrossEntropy) })
        {
            Assert.That(() => f(x, Tensor.Zeros(3, DType.Float32, x.Device)),
                Throws.TypeOf<MambaException>().With.Message.EqualTo($"{name}: target has shape (3); expected (3, 1). Nothing is broadcast."));
            Assert.That(() => f(x, Tensor.Zeros((3, 1), DType.Int32, x.Device)),
                Throws.TypeOf<MambaException>().With.Message.StartsWith($"{name}: target is int32"));
        }
    }
}
