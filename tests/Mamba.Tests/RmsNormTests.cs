using NUnit.Framework;
using static Mamba.Tests.Agreement;

namespace Mamba.Tests;

public class RmsNormTests
{
    static readonly (int Rows, int D)[] Sizes = [(1, 1), (3, 5), (2, 17), (70, 3), (5, 65), (3, 257), (0, 4)];

    // Gradients are compared at eps 0.1: with d = 1 and a small eps they are differences of nearly equal numbers.
    static readonly string[] Used = ["y", "residual", "both"];

    [Test]
    public void Three_and_four_have_the_norm_of_twelve_and_a_half()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        double[] y = Ops.RmsNorm(Tensor.From([3.0, 4.0], (1, 2), device), Tensor.From([1.0, 2.0], 2, device), eps: 0).ToDoubles();
        Assert.That(y, Is.EqualTo(new[] { 3 / Math.Sqrt(12.5), 8 / Math.Sqrt(12.5) }).Within(1e-15));
    }

    [Test]
    public void Rows_are_normed_as_by_a_plain_loop([ValueSource(nameof(Sizes))] (int Rows, int D) size)
    {
        using var scope = new TensorScope();
        Input x = Input.Random((size.Rows, size.D), 1, -3, 3), weight = Input.Random(size.D, 2);
        double[] expected = new double[x.Values.Length];
        for (int row = 0; row < size.Rows; row++)
        {
            double squares = 0;
            for (int i = 0; i < size.D; i++)
                squares += x.Values[row * size.D + i] * x.Values[row * size.D + i];
            for (int i = 0; i < size.D; i++)
                expected[row * size.D + i] = x.Values[row * size.D + i] / Math.Sqrt(squares / size.D + 1e-5) * weight.Values[i];
        }
        Device device = TestDevices.Open("cpu-256");
        Assert.That(TestData.RelativeError(Ops.RmsNorm(x.On(device), weight.On(device)).ToDoubles(), expected), Is.LessThan(1e-14));
    }

    [Test]
    public void Every_device_agrees([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Sizes))] (int Rows, int D) size) =>
        Check(device, dtype, x => [Ops.RmsNorm(x[0], x[1], eps: 0.1)], [Input.Random((size.Rows, size.D), 3), Input.Random(size.D, 4)]);

    [Test]
    public void Every_device_adds_the_residual([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Sizes))] (int Rows, int D) size) =>
        Check(device, dtype, AddRmsNorm("both"), Residual(size.Rows, size.D));

    [Test]
    public void Gradients_are_those_of_differences([ValueSource(nameof(Sizes))] (int Rows, int D) size) =>
        Assert.That(GradientError(x => [Ops.RmsNorm(x[0], x[1], eps: 0.1)], [Input.Random((size.Rows, size.D), 5), Input.Random(size.D, 6)]),
            Is.LessThan(1e-8));

    [Test]
    public void Gradients_with_a_residual_are_those_of_differences([ValueSource(nameof(Used))] string used, [Values(1, 5, 33)] int d) =>
        Assert.That(GradientError(AddRmsNorm(used), Residual(3, d)), Is.LessThan(1e-8));

    [Test]
    public void The_sum_is_what_is_normed()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        Tensor x = Tensor.From([1.0, 2.0], 2, device), residual = Tensor.From([2.0, 2.0], 2, device), weight = Tensor.From([1.0, 1.0], 2, device);
        (Tensor y, Tensor sum) = Ops.AddRmsNorm(x, residual, weight);
        Assert.That(sum.ToDoubles(), Is.EqualTo(new[] { 3.0, 4.0 }));
        Assert.That(y.ToDoubles(), Is.EqualTo(Ops.RmsNorm(sum, weight).ToDoubles()));
        Assert.That(Ops.AddRmsNorm(x, null, weight).Residual, Is.SameAs(x));
    }

    [Test]
    public void The_number_of_cores_changes_no_bit()
    {
        double[][] On(int threads)
        {
            using var device = new Gpu.HostDevice(threads);
            using var tape = new Tape();
            Tensor x = Tape.Watch(TestData.Random((1000, 65), DType.Float32, device, 1)), weight = Tape.Watch(TestData.Random(65, DType.Float32, device, 2));
            Tensor y = Ops.RmsNorm(x, weight);
            Gradients gradients = tape.Backward([(y, TestData.Random(y.Shape, DType.Float32, device, 3))]);
            return [y.ToDoubles(), gradients[x].ToDoubles(), gradients[weight].ToDoubles()];
        }
        Assert.That(On(3), Is.EqualTo(On(1)));
    }

    [Test]
    public void A_weight_of_another_size_is_refused()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        Tensor x = Tensor.Zeros((2, 4), DType.Float32, device);
        Assert.That(() => Ops.RmsNorm(x, Tensor.Zeros(3, DType.Float32, device)),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("RmsNorm: weight has shape (3); expected (4). d comes from x (2, 4)."));
        Assert.That(() => Ops.RmsNorm(x, Tensor.Zeros(4, DType.Float64, device)),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("RmsNorm: weight is float64; expected float32, as x."));
    }

    static Input[] Residual(int rows, int d) => [Input.Random((rows, d), 7), Input.Random((rows, d), 8), Input.Random(d, 9)];

    static Func<Tensor[], Tensor[]> AddRmsNorm(string used) => x =>
    {
        (Tensor y, Tensor residual) = Ops.AddRmsNorm(x[0], x[1], x[2], eps: 0.1);
        return used switch { "y" => [y], "residual" => [residual], _ => [y, residual] };
    };
}
