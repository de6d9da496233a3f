using NUnit.Framework;
using static Mamba.Tests.Agreement;

namespace Mamba.Tests;

public class CrossEntropyTests
{
    const int Ignored = -100;

    static readonly (int Rows, int V, int Classes)[] Sizes = [(1, 1, 1), (3, 5, 5), (4, 17, 13), (6, 65, 65), (3, 264, 257)];

    static int[] Targets(int rows, int classes) => [.. Enumerable.Range(0, rows).Select(i => i % 3 == 2 ? Ignored : i * 7919 % classes)];

    [Test]
    public void Equal_logits_cost_the_logarithm_of_their_number([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open(device);
        Tensor logits = Tensor.From([.. Enumerable.Repeat(3.0, 8)], (2, 4), on);
        Tensor loss = Ops.CrossEntropy(logits, Tensor.From([1, 3], 2, on));
        Assert.That(loss.Shape, Is.EqualTo(new Shape()));
        Assert.That(loss.Item(), Is.EqualTo(Math.Log(4)).Within(1e-15));
    }

    [Test]
    public void The_loss_is_that_of_a_plain_loop([ValueSource(nameof(Sizes))] (int Rows, int V, int Classes) size)
    {
        using var scope = new TensorScope();
        Input x = Input.Random((size.Rows, size.V), 1, -9, 9);
        int[] targets = Targets(size.Rows, size.Classes);
        double sum = 0;
        int count = 0;
        for (int row = 0; row < size.Rows; row++)
        {
            if (targets[row] == Ignored)
                continue;
            sum += Math.Log(Enumerable.Range(0, size.Classes).Sum(j => Math.Exp(x.Values[row * size.V + j]))) - x.Values[row * size.V + targets[row]];
            count++;
        }
        Device device = TestDevices.Open("cpu-256");
        Tensor loss = Ops.CrossEntropy(x.On(device), Tensor.From(targets, size.Rows, device), classes: size.Classes);
        Assert.That(loss.Item(), Is.EqualTo(sum / count).Within(1e-13));
    }

    [Test]
    public void Every_device_agrees([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Sizes))] (int Rows, int V, int Classes) size) =>
        Check(device, dtype, Loss(size), [Input.Random((size.Rows, size.V), 2, -5, 5)]);

    [Test]
    public void Gradients_are_those_of_differences([ValueSource(nameof(Sizes))] (int Rows, int V, int Classes) size) =>
        Assert.That(GradientError(Loss(size), [Input.Random((size.Rows, size.V), 3, -2, 2)]), Is.LessThan(1e-8));

    [Test]
    public void Ignored_targets_cost_nothing_even_if_all_are([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [Values(0, 2)] int rows)
    {
        Device on = TestDevices.Open(device);
        using var tape = new Tape();
        Tensor logits = Tape.Watch(Tensor.From([.. Enumerable.Repeat(double.PositiveInfinity, rows * 3)], (rows, 3), on));
        Tensor loss = Ops.CrossEntropy(logits, Tensor.From([.. Enumerable.Repeat(7, rows)], rows, on), ignoreIndex: 7);
        Assert.That(loss.Item(), Is.Zero);
        Assert.That(tape.Backward([(loss, Tensor.From([1.0], new Shape(), on))])[logits].ToDoubles(), Is.All.Zero);
    }

    [Test]
    public void A_target_outside_makes_the_loss_NaN([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(-1, 3, int.MaxValue, int.MinValue)] int target)
    {
        Device on = TestDevices.Open(device);
        using var tape = new Tape();
        Tensor logits = Tape.Watch(Tensor.From([1.0, 2, 3, 4, 1, 2, 3, 4], (2, 4), on));
        Tensor loss = Ops.CrossEntropy(logits, Tensor.From([0, target], 2, on), classes: 3);
        Assert.That(loss.Item(), Is.NaN);
        double[] gradient = tape.Backward([(loss, Tensor.From([1.0], new Shape(), on))])[logits].ToDoubles();
        Assert.That(gradient[..3], Is.All.Not.NaN);
        Assert.That(gradient[4..7], Is.All.NaN);
    }

    [Test]
    public void Rows_with_the_largest_logit_at_the_target_are_counted()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        Tensor logits = Tensor.From([1f, 2f, 9f, 3f, 2f, 9f, 5f, 5f, 9f, 0f, 1f, 9f], (4, 3), device);
        Assert.That(Ops.CountCorrect(logits, Tensor.From([1, 1, 0, Ignored], 4, device), classes: 2), Is.EqualTo(new CorrectCount(2, 3, 0)));
    }

    static Func<Tensor[], Tensor[]> Loss((int Rows, int V, int Classes) size) => x =>
        [Ops.CrossEntropy(x[0], Tensor.From(Targets(size.Rows, size.Classes), size.Rows, x[0].Device), classes: size.Classes)];
}
