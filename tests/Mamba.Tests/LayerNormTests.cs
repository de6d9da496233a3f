using NUnit.Framework;
using static Mamba.Tests.Agreement;

namespace Mamba.Tests;

public class LayerNormTests
{
    static readonly (int Rows, int D)[] Sizes = [(1, 1), (3, 5), (2, 17), (70, 3), (3, 257)];

    [Test]
    public void Rows_are_normed_as_by_a_plain_loop([ValueSource(nameof(Sizes))] (int Rows, int D) size, [Values] bool affine)
    {
        using var scope = new TensorScope();
        Input x = Input.Random((size.Rows, size.D), 1, 99, 101), weight = Input.Random(size.D, 2), bias = Input.Random(size.D, 3);
        double[] expected = new double[x.Values.Length];
        for (int row = 0; row < size.Rows; row++)
        {
            double[] values = x.Values[(row * size.D)..((row + 1) * size.D)];
            double mean = values.Average(), variance = values.Select(v => (v - mean) * (v - mean)).Average();
            for (int i = 0; i < size.D; i++)
                expected[row * size.D + i] = (values[i] - mean) / Math.Sqrt(variance + 1e-5) * (affine ? weight.Values[i] : 1) + (affine ? bias.Values[i] : 0);
        }
        Device device = TestDevices.Open("cpu-256");
        Tensor y = affine ? Ops.LayerNorm(x.On(device), weight.On(device), bias.On(device)) : Ops.LayerNorm(x.On(device));
        double scale = Math.Max(1e-30, expected.Max(Math.Abs));
        Assert.That(y.ToDoubles().Zip(expected, (a, b) => Math.Abs(a - b)).Max() / scale, Is.LessThan(1e-11));
    }

    [Test]
    public void Every_device_agrees([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Sizes))] (int Rows, int D) size) =>
        Check(device, dtype, x => [Ops.LayerNorm(x[0], x[1], x[2], eps: 0.1)], Inputs(size.Rows, size.D), float32: 2e-5);

    [Test]
    public void Gradients_are_those_of_differences([ValueSource(nameof(Sizes))] (int Rows, int D) size, [Values] bool weight, [Values] bool bias) =>
        Assert.That(GradientError(x => [Ops.LayerNorm(x[0], weight ? x[1] : null, bias ? x[2] : null, eps: 0.1)], Inputs(size.Rows, size.D)),
            Is.LessThan(1e-8));

    static Input[] Inputs(int rows, int d) => [Input.Random((rows, d), 4), Input.Random(d, 5), Input.Random(d, 6)];
}
