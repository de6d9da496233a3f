using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

public class ReduceTests
{
    // whole numbers, so that every order of summation gives the same bits
    static Tensor Whole(Shape shape, DType dtype, Device device, int seed = 1) =>
        Tensor.From([.. TestData.Uniform(shape.Count, seed, -9, 9).Select(v => Math.Round(v))], shape, dtype, device);

    static double[] Reduce(double[] x, long outer, long n, long inner, Func<IEnumerable<double>, double> f) =>
        [.. from o in Range(outer) from i in Range(inner) select f(Range(n).Select(k => x[(o * n + k) * inner + i]))];

    static IEnumerable<long> Range(long count)
    {
        for (long i = 0; i < count; i++)
            yield return i;
    }

    [Test]
    public void Sum_Mean_and_Max_go_along_any_axis([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        foreach (DType dtype in new[] { DType.Float64, DType.Float32 })
            foreach ((long outer, long n, long inner) in new[] { (3L, 5L, 17L), (1, 65, 3), (2, 70, 1), (3, 1, 1), (1, 3, 1), (2, 17, 16) })
            {
                using var scope = new TensorScope();
                Tensor x = Whole((outer, n, inner), dtype, TestDevices.Open(device));
                double[] values = x.ToDoubles(), sum = Reduce(values, outer, n, inner, Enumerable.Sum);
                Assert.That(x.Sum(1).ToDoubles(), Is.EqualTo(sum));
                Assert.That(x.Max(-2, keepDim: true).ToDoubles(), Is.EqualTo(Reduce(values, outer, n, inner, Enumerable.Max)));
                Assert.That(TestData.RelativeError(x.Mean(1).ToDoubles(), [.. sum.Select(v => v / n)]), Is.LessThan(dtype == DType.Float64 ? 3e-16 : 2e-7));
                Assert.That(x.Sum().Item(), Is.EqualTo(values.Sum()));
                Assert.That((x.Sum(1).Shape, x.Max(1, keepDim: true).Shape, x.Sum().Shape),
                    Is.EqualTo((new Shape(outer, inner), new Shape(outer, 1, inner), new Shape())));
            }
    }

    // more than one block of 64 rows or 4096 columns, and more than a block of blocks
    [Test]
    public void Long_sums_take_several_passes([ValueSource(typeof(TestDevices), nameof(TestDevices.Fast))] string device)
    {
        foreach ((long outer, long n, long inner) in new[] { (1L, 70001L, 1L), (3, 9001, 1), (1, 5003, 37), (2, 129, 5), (1, 64, 16) })
        {
            using var scope = new TensorScope();
            Tensor x = Whole((outer, n, inner), DType.Float32, TestDevices.Open(device));
            Assert.That(x.Sum(1).ToDoubles(), Is.EqualTo(Reduce(x.ToDoubles(), outer, n, inner, Enumerable.Sum)), $"{x.Shape}");
            Assert.That(x.Max(1).ToDoubles(), Is.EqualTo(Reduce(x.ToDoubles(), outer, n, inner, Enumerable.Max)), $"{x.Shape}");
        }
    }

    [Test]
    public void Sums_are_the_same_bits_on_any_number_of_cores()
    {
        float[]? rows = null, columns = null;
        foreach (int threads in new[] { 1, 2, 5 })
        {
            using var device = new HostDevice(threads);
            using var scope = new TensorScope();
            Tensor x = TestData.Random((3001, 37), DType.Float32, device, seed: 1);
            rows ??= x.Sum().ToArray<float>();
            columns ??= x.Sum(0).ToArray<float>();
            Assert.That(x.Sum().ToArray<float>(), Is.EqualTo(rows));
            Assert.That(x.Sum(0).ToArray<float>(), Is.EqualTo(columns));
        }
    }

    [Test]
    public void A_float32_sum_of_a_million_loses_nothing_to_its_length()
    {
        using var scope = new TensorScope();
        Tensor x = TestData.Random(1_000_003, DType.Float32, TestDevices.Open("cpu"), seed: 1, 0, 1);
        Assert.That(x.Sum().Item(), Is.EqualTo(x.ToDoubles().Sum()).Within(1e-6 * 500_000));      // one after another would be 1e-4 off
    }

    [Test]
    public void SumTo_undoes_any_broadcast([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        foreach (DType dtype in new[] { DType.Float64, DType.Float32 })
            foreach (long[] to in new long[][]
            {
                [], [5], [4, 1], [3, 1, 5], [1, 3, 1, 1], [2, 1, 1, 5], [2, 3, 4, 1], [1, 1, 1, 1], [2, 1, 4, 1], [2, 3, 4, 5],
            })
            {
                using var scope = new TensorScope();
                var shape = new Shape(to);
                Tensor x = Whole((2, 3, 4, 5), dtype, TestDevices.Open(device));
                double[] expected = new double[shape.Count], values = x.ToDoubles();
                double[] index = Ops.Expand(Tensor.From([.. Range(shape.Count).Select(i => (double)i)], shape, dtype, x.Device), x.Shape).ToDoubles();
                for (int i = 0; i < values.Length; i++)
                    expected[(int)index[i]] += values[i];
                Tensor y = x.SumTo(shape);
                Assert.That(y.ToDoubles(), Is.EqualTo(expected), $"{shape}");
                Assert.That(y.Shape, Is.EqualTo(shape));
            }
    }

    [Test]
    public void Expand_repeats([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.From<double>([1, 2, 3], (3, 1), TestDevices.Open(device));
        Assert.That(x.Expand((2, 3, 2)).ToDoubles(), Is.EqualTo(new double[] { 1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3 }));
        Assert.That(x.Reshape(3).Expand((2, 3)).ToDoubles(), Is.EqualTo(new double[] { 1, 2, 3, 1, 2, 3 }));
    }

    [Test]
    public void ArgMax_finds_the_first_largest([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        foreach (DType dtype in new[] { DType.Float64, DType.Float32 })
            foreach (int n in new[] { 1, 3, 5, 16, 17, 65, 257 })
            {
                using var scope = new TensorScope();
                Tensor x = Whole((5, n), dtype, TestDevices.Open(device));     // few values, so many are largest
                double[] values = x.ToDoubles();
                int[] expected = [.. Enumerable.Range(0, 5).Select(row => Array.IndexOf(values, values[(row * n)..((row + 1) * n)].Max(), row * n) - row * n)];
                Tensor y = x.ArgMax();
                Assert.That(y.ToArray<int>(), Is.EqualTo(expected), $"{n}");
                Assert.That(y.Shape, Is.EqualTo(new Shape(5)));
                Assert.That((x - 1000.0).ArgMax().ToArray<int>(), Is.EqualTo(expected), $"{n}, all negative");
            }
    }

    [Test]
    public void ArgMax_of_a_row_of_minus_infinity_is_its_first_element([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        Tensor x = Ops.Fill(Tensor.Empty((2, 19), DType.Float32, TestDevices.Open(device)), double.NegativeInfinity);
        Assert.That(x.ArgMax().ToArray<int>(), Is.EqualTo(new int[2]));
        Assert.That(x.Max(1).ToDoubles(), Is.All.EqualTo(double.NegativeInfinity));
    }

    [Test]
    public void Gradients_are_the_difference_quotients()
    {
        using var scope = new TensorScope();
        Tensor x = TestData.Random((3, 5, 7), DType.Float64, TestDevices.Open("cpu"), seed: 1);
        Assert.Multiple(() =>
        {
            for (int axis = -3; axis < 3; axis++)
            {
                Assert.That(GradCheck.LargestError(xs => [xs[0].Sum(axis), xs[0].Sum(axis, keepDim: true)], [x]), Is.LessThan(1e-8));
                Assert.That(GradCheck.LargestError(xs => [xs[0].Mean(axis), xs[0].Mean(axis, keepDim: true)], [x]), Is.LessThan(1e-8));
                Assert.That(GradCheck.LargestError(xs => [xs[0].Max(axis), xs[0].Max(axis, keepDim: true)], [x]), Is.LessThan(1e-8));
            }
            Assert.That(GradCheck.LargestError(xs => [xs[0].Sum(), xs[0].Mean()], [x]), Is.LessThan(1e-8));
            Assert.That(GradCheck.LargestError(xs => [xs[0].SumTo((5, 1)), xs[0].SumTo((3, 1, 7)), xs[0].SumTo((1, 1, 1))], [x]), Is.LessThan(1e-8));
            Assert.That(GradCheck.LargestError(xs => [xs[0].Expand((2, 3, 5, 7)), xs[0].Sum(1, keepDim: true).Expand((3, 2, 7))], [x]), Is.LessThan(1e-8));
        });
    }

    [Test]
    public void Equal_largest_elements_share_the_gradient()
    {
        using var tape = new Tape();
        Tensor x = Tape.Watch(Tensor.From<double>([1, 4, 4, 0, 4, 4, 2, 9], (2, 4), TestDevices.Open("cpu")));
        Assert.That(tape.Backward(x.Max(1).Sum())[x].ToDoubles(), Is.EqualTo(new[] { 0, 0.5, 0.5, 0, 0, 0, 0, 1 }));
    }

    [Test]
    public void The_sum_of_nothing_is_0_and_its_maximum_an_error([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.Empty((3, 0), DType.Float32, TestDevices.Open(device));
        Assert.That(x.Sum(1).ToDoubles(), Is.EqualTo(new double[3]));
        Assert.That(x.Sum(0).Count, Is.Zero);
        Assert.That(x.Sum().Item(), Is.Zero);
        Assert.That(() => x.Max(1), Throws.TypeOf<MambaException>().With.Message.EqualTo("Max: axis 1 of (3, 0) is empty; nothing is its largest element."));
        Assert.That(() => x.ArgMax(), Throws.TypeOf<MambaException>().With.Message.Contains("expected an innermost axis of 1 to"));
    }

    [Test]
    public void What_does_not_fit_is_said_in_one_line()
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.Zeros((2, 3), DType.Float32, TestDevices.Open("cpu"));
        Assert.Multiple(() =>
        {
            Assert.That(() => x.Sum(2), Throws.TypeOf<MambaException>().With.Message.EqualTo("Sum: axis 2 is not one of (2, 3); expected -2 to 1."));
            Assert.That(() => x.SumTo((2, 2)), Throws.TypeOf<MambaException>().With.Message.EqualTo("SumTo: (2, 2) does not broadcast to (2, 3)."));
            Assert.That(() => x.Expand(3), Throws.TypeOf<MambaException>().With.Message.EqualTo("Expand: (2, 3) does not broadcast to (3)."));
        });
    }
}
