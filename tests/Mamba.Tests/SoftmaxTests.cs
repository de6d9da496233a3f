using NUnit.Framework;
using static Mamba.Tests.Agreement;

namespace Mamba.Tests;

public class SoftmaxTests
{
    static readonly (int Rows, int D)[] Sizes = [(1, 1), (3, 5), (2, 17), (0, 3), (3, 257)];

    [Test]
    public void Softmax_of_logarithms_is_their_share([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.From([Math.Log(1), Math.Log(2), Math.Log(5)], 3, TestDevices.Open(device));
        Assert.That(Ops.Softmax(x).ToDoubles(), Is.EqualTo(new[] { 0.125, 0.25, 0.625 }).Within(1e-15));
        Assert.That(Ops.LogSoftmax(x).ToDoubles(), Is.EqualTo(new[] { Math.Log(0.125), Math.Log(0.25), Math.Log(0.625) }).Within(1e-15));
    }

    [Test]
    public void Large_and_infinite_inputs_do_not_overflow([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.From([1e30f, 1e30f, -1e30f, float.NegativeInfinity, 0f], 5, TestDevices.Open(device));
        Assert.That(Ops.Softmax(x).ToDoubles(), Is.EqualTo(new[] { 0.5, 0.5, 0, 0, 0 }));
    }

    [Test]
    public void The_largest_is_found_wherever_it_is([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [Values(1, 5, 17)] int d)
    {
        using var scope = new TensorScope();
        float[] x = new float[d * d];
        double[] expected = new double[d * d];
        for (int row = 0; row < d; row++)
            (x[row * d + row], expected[row * d + row]) = (1e30f, 1);
        Assert.That(Ops.Softmax(Tensor.From(x, (d, d), TestDevices.Open(device))).ToDoubles(), Is.EqualTo(expected));
    }

    [Test]
    public void Rows_are_as_by_a_plain_loop([ValueSource(nameof(Sizes))] (int Rows, int D) size)
    {
        using var scope = new TensorScope();
        Input x = Input.Random((size.Rows, size.D), 1, -20, 20);
        double[] softmax = new double[x.Values.Length], log = new double[x.Values.Length];
        for (int row = 0; row < size.Rows; row++)
        {
            double sum = 0;
            for (int i = 0; i < size.D; i++)
                sum += Math.Exp(x.Values[row * size.D + i]);
            for (int i = 0; i < size.D; i++)
            {
                softmax[row * size.D + i] = Math.Exp(x.Values[row * size.D + i]) / sum;
                log[row * size.D + i] = x.Values[row * size.D + i] - Math.Log(sum);
            }
        }
        Device device = TestDevices.Open("cpu-256");
        Assert.That(TestData.RelativeError(Ops.Softmax(x.On(device)).ToDoubles(), softmax), Is.LessThan(1e-14));
        Assert.That(TestData.RelativeError(Ops.LogSoftmax(x.On(device)).ToDoubles(), log), Is.LessThan(1e-14));
    }

    [Test]
    public void Every_device_agrees([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Sizes))] (int Rows, int D) size, [Values] bool log) =>
        Check(device, dtype, x => [log ? Ops.LogSoftmax(x[0]) : Ops.Softmax(x[0])], [Input.Random((size.Rows, size.D), 2, -5, 5)]);

    [Test]
    public void Gradients_are_those_of_differences([ValueSource(nameof(Sizes))] (int Rows, int D) size, [Values] bool log) =>
        Assert.That(GradientError(x => [log ? Ops.LogSoftmax(x[0]) : Ops.Softmax(x[0])], [Input.Random((size.Rows, size.D), 3, -2, 2)]), Is.LessThan(1e-8));
}
