using NUnit.Framework;
using static Mamba.Tests.Agreement;

namespace Mamba.Tests;

public class EmbeddingTests
{
    static readonly (int Rows, int Vocabulary, int D)[] Sizes = [(1, 1, 1), (7, 3, 5), (40, 100, 17), (5, 2, 257), (0, 3, 2)];

    static int[] Tokens(int rows, int vocabulary) => [.. Enumerable.Range(0, rows).Select(i => i * i * 31 % vocabulary)];

    [Test]
    public void Rows_are_picked_and_their_gradients_added([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Sizes))] (int Rows, int Vocabulary, int D) size)
    {
        Device on = TestDevices.Open(device);
        using var tape = new Tape();
        int[] tokens = Tokens(size.Rows, size.Vocabulary);
        // Multiples of 1/8, so that sums are exact in any order.
        double[] values = [.. Enumerable.Range(0, size.Vocabulary * size.D).Select(i => (i % 31 - 15) / 8.0)];
        double[] seeds = [.. Enumerable.Range(0, size.Rows * size.D).Select(i => (i * 7 % 29 - 14) / 8.0)];
        Tensor weight = Tape.Watch(Tensor.From(values, (size.Vocabulary, size.D), dtype, on));
        Tensor y = Ops.Embedding(Tensor.From(tokens, size.Rows, on), weight);
        double[] expected = new double[seeds.Length], expectedGradient = new double[values.Length];
        for (int row = 0; row < size.Rows; row++)
            for (int i = 0; i < size.D; i++)
            {
                expected[row * size.D + i] = values[tokens[row] * size.D + i];
                expectedGradient[tokens[row] * size.D + i] += seeds[row * size.D + i];
            }
        Assert.That(y.Shape, Is.EqualTo(new Shape(size.Rows, size.D)));
        Assert.That(y.ToDoubles(), Is.EqualTo(expected));
        Assert.That(tape.Backward([(y, Tensor.From(seeds, y.Shape, dtype, on))])[weight].ToDoubles(), Is.EqualTo(expectedGradient));
    }

    [Test]
    public void Gradients_are_those_of_differences() =>
        Assert.That(GradientError(x => [Ops.Embedding(Tensor.From(Tokens(6, 4), (2, 3), x[0].Device), x[0])], [Input.Random((4, 5), 1)]), Is.LessThan(1e-8));

    [Test]
    public void A_token_outside_gives_NaN_and_no_gradient([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(-1, 2, int.MaxValue, int.MinValue)] int token)
    {
        Device on = TestDevices.Open(device);
        using var tape = new Tape();
        Tensor weight = Tape.Watch(Tensor.From([1.0, 2, 3, 4, 5, 6], (2, 3), on));
        Tensor y = Ops.Embedding(Tensor.From([token, 1], 2, on), weight);
        Assert.That(y.ToDoubles(), Is.EqualTo(new[] { double.NaN, double.NaN, double.NaN, 4, 5, 6 }));
        double[] gradient = tape.Backward([(y, Tensor.From([1.0, 1, 1, 7, 8, 9], y.Shape, on))])[weight].ToDoubles();
        Assert.That(gradient, Is.EqualTo(new double[] { 0, 0, 0, 7, 8, 9 }));
    }

    [Test]
    public void Tokens_must_be_integers()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        Assert.That(() => Ops.Embedding(Tensor.From([1f], 1, device), Tensor.From([1f], (1, 1), device)),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("Embedding: tokens is float32; expected int32."));
    }
}
