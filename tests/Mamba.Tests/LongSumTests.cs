using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>
/// Float32 sums over a million rows, tokens or elements, where a running sum of equal numbers would be off by some 10⁻⁴: each addition rounds the same
/// way. Compared with the same sums in float64.
/// </summary>
public class LongSumTests
{
    const int Rows = 1 << 20;

    /// <summary>Devices that take a million rows in a test's time; the host at each width, which changes the order of its sums.</summary>
    static readonly string[] Devices = ["cpu-128", "cpu-256", "cpu-512", "opencl:0", "cuda:0"];

    // One third in float32 uses every digit.
    static readonly double[] Constants = [1 / 3.0f, 1.9999999f, 0.7f, 1.1f];

    static double[] Equal(long count, double x) => [.. Enumerable.Repeat(x, (int)count)];

    static Tensor Filled(Shape shape, double x, DType dtype, Device on) => Tensor.From(Equal(shape.Count, x), shape, dtype, on);

    [Test]
    public void The_mean_of_equal_losses_is_the_loss([ValueSource(nameof(Devices))] string device)
    {
        Device on = TestDevices.Open(device);
        foreach (double constant in Constants)
        {
            using var scope = new TensorScope();
            Tensor target = Tensor.From(new int[Rows], Rows, on);
            double[] logits = [.. Enumerable.Range(0, 2 * Rows).Select(i => i % 2 == 0 ? 0 : constant)];
            double loss = Ops.CrossEntropy(Tensor.From(logits, (Rows, 2), DType.Float32, on), target).Item();
            double exact = Math.Log(1 + Math.Exp((float)constant));
            Assert.That(Math.Abs(loss - exact) / exact, Is.LessThan(2e-6), $"logits 0 and {constant}");
        }
    }

    [Test]
    public void Losses_that_are_infinite_or_no_number_are_so_in_the_mean([ValueSource(nameof(Devices))] string device,
        [Values(double.PositiveInfinity, double.NaN)] double bad)
    {
        Device on = TestDevices.Open(device);
        using var scope = new TensorScope();
        double[] losses = TestData.Uniform(100, 1, 0, 2);
        losses[37] = bad;
        // logits (0, x): the loss of target 0 is log(1 + e^x), x itself where it is infinite
        Tensor logits = Tensor.From([.. losses.SelectMany(x => (double[])[0, x])], (100, 2), DType.Float32, on);
        double value = Ops.CrossEntropy(logits, Tensor.From(new int[100], 100, on)).Item();
        Assert.That(double.IsFinite(value), Is.False);
    }

    [Test]
    public void Sums_of_equal_numbers_are_their_multiple([ValueSource(nameof(Devices))] string device, [Values(0, 1)] int axis)
    {
        Device on = TestDevices.Open(device);
        foreach (double constant in Constants)
        {
            using var scope = new TensorScope();
            Tensor x = Filled(axis == 0 ? (Rows, 3) : (1, Rows), constant, DType.Float32, on);
            double[] means = Ops.Mean(x, axis).ToDoubles();
            Assert.That(means, Has.All.EqualTo((double)(float)constant).Within(3e-6 * constant));
        }
    }

    [Test]
    public void A_row_of_a_million_is_normed_and_made_a_softmax([ValueSource(nameof(Devices))] string device)
    {
        Device on = TestDevices.Open(device);
        using var scope = new TensorScope();
        double[] Of(Func<Tensor, Tensor, Tensor> op, DType dtype) => op(Filled((1, Rows), 1.1f, dtype, on), Filled(Rows, 1, dtype, on)).ToDoubles();
        foreach ((string name, Func<Tensor, Tensor, Tensor> op) in ((string, Func<Tensor, Tensor, Tensor>)[])[
            ("RmsNorm", (x, w) => Ops.RmsNorm(x, w)), ("Softmax", (x, _) => Ops.Softmax(x)), ("LogSoftmax", (x, _) => Ops.LogSoftmax(x))])
            Assert.That(TestData.RelativeError(Of(op, DType.Float32), Of(op, DType.Float64)), Is.LessThan(3e-6), name);
    }

    // Two rows of three.
    static readonly double[] Values = [1.1f, 0.4f, 0.9f, 0.3f, 0.8f, 0.5f];

    // Weights of rows, each the sum of a million parts that repeat: what a few of them give in float64, so many times.
    [Test]
    public void Gradients_of_weights_that_every_row_has_a_part_in_keep_their_digits([ValueSource(nameof(Devices))] string device)
    {
        const int D = 3, L = 1024, Few = 4 * L;
        Device on = TestDevices.Open(device);
        (string Name, Shape Weight, Func<Tensor, int, Tensor> Op)[] ops =
        [
            ("RmsNorm", D, (w, rows) => Ops.RmsNorm(Varied((rows, D), w), w)),
            ("LayerNorm", D, (w, rows) => Ops.LayerNorm(Varied((rows, D), w), w, w)),
            ("Linear's bias", D, (w, rows) => Ops.Linear(Varied((rows, 1), w), Filled((D, 1), 1, w.DType, on), w)),
            ("CausalConv1d", (D, 4), (w, rows) => Ops.CausalConv1d(Filled((rows / L, L, D), 1.1f, w.DType, on), w, null, silu: false)),
            ("CausalConv1d's bias", D, (w, rows) =>
                Ops.CausalConv1d(Filled((rows / L, L, D), 1.1f, w.DType, on), Filled((D, 4), 0.1f, w.DType, on), w, silu: true)),
            ("Embedding", (16, D), (w, rows) => Ops.Embedding(Tensor.From(new int[rows], rows, on), w)),
        ];
        foreach ((string name, Shape shape, Func<Tensor, int, Tensor> op) in ops)
        {
            double[] Gradient(DType dtype, int rows)
            {
                using var tape = new Tape();
                Tensor w = Tape.Watch(Filled(shape, 0.9f, dtype, on)), y = op(w, rows);
                return tape.Backward([(y, Filled(y.Shape, 0.7f, dtype, on))])[w].ToDoubles();
            }
            double[] exact = [.. Gradient(DType.Float64, Few).Select(x => x * (Rows / Few))];
            Assert.That(TestData.RelativeError(Gradient(DType.Float32, Rows), exact), Is.LessThan(1e-5), name);
            Assert.That(TestData.RelativeError(Gradient(DType.Float64, Rows), exact), Is.LessThan(1e-12), name);
        }

        Tensor Varied(Shape shape, Tensor like) =>
            Tensor.From([.. Enumerable.Range(0, (int)shape.Count).Select(i => Values[i % Values.Length])], shape, like.DType, on);
    }

    [Test]
    public void What_the_scan_sums_over_a_million_tokens_keeps_its_digits([Values("cpu-128", "cpu-256", "cpu-512")] string device,
        [Values] bool constant, [Values(1, null)] int? segments)
    {
        const int L = Rows, D = 3, N = 2;
        Device on = TestDevices.Open(device);
        (string, double[])[] Gradients(DType dtype)
        {
            using var tape = new Tape();
            Tensor u = Filled((1, L, D), 0.7f, dtype, on), delta = Filled((1, L, D), 0.3f, dtype, on), A = Tape.Watch(Filled((D, N), -0.9f, dtype, on));
            Shape projection = constant ? (D, N) : (1, L, N);
            Tensor B = Tape.Watch(Filled(projection, 0.6f, dtype, on)), C = Tape.Watch(Filled(projection, 1.1f, dtype, on));
            Tensor skip = Tape.Watch(Filled(D, 0.4f, dtype, on)), bias = Tape.Watch(Filled(D, -0.2f, dtype, on));
            Tensor y = Ops.SelectiveScan(u, delta, A, B, C, skip, deltaBias: bias, algorithm: segments is { } s ? ScanAlgorithm.ChunkedInto(s) : null).Y;
            Gradients g = tape.Backward([(y, Filled(y.Shape, 0.9f, dtype, on))]);
            return [("A", g[A].ToDoubles()), ("D", g[skip].ToDoubles()), ("deltaBias", g[bias].ToDoubles()), ("B", g[B].ToDoubles()), ("C", g[C].ToDoubles())];
        }
        foreach (((string name, double[] single), (_, double[] exact)) in Gradients(DType.Float32).Zip(Gradients(DType.Float64)))
            Assert.That(TestData.RelativeError(single, exact), Is.LessThan(3e-5), $"d{name}");
    }
}
