using NUnit.Framework;

namespace Mamba.Tests;

public class SelectiveScanTests
{
    public static readonly PlainScan[] Cases =
    [
        new(1, 1, 1, 1),
        new(2, 3, 5, 16),
        new(2, 33, 3, 5),
        new(1, 32, 17, 4),
        new(1, 65, 8, 3) { Groups = 2 },
        new(2, 7, 12, 16) { Groups = 3, Initial = false },
        new(1, 7, 9, 17) { Skip = false, Gate = false, Bias = false, Softplus = false, Initial = false },
        new(2, 5, 6, 9) { Gate = false },
        new(1, 6, 10, 2) { Skip = false },
        new(2, 5, 7, 6) { Bias = false },
        new(2, 5, 7, 6) { Softplus = false },
        new(2, 35, 7, 5) { ConstantB = true },
        new(2, 35, 7, 5) { ConstantC = true },
        new(1, 34, 5, 6) { ConstantB = true, ConstantC = true },
        new(2, 1, 130, 1),
    ];

    [Test]
    public void Forward_is_algorithm_2([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [ValueSource(nameof(Cases))] PlainScan c,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var scope = new TensorScope();
        Tensor[] inputs = c.Inputs(dtype, TestDevices.Open(device)), outputs = c.Apply(inputs);
        double[][] expected = c.Expected(inputs);
        double tolerance = dtype == DType.Float64 ? 1e-13 : 1e-5;       // float32: tens of steps, each off by an ulp or two
        Assert.Multiple(() =>
        {
            Assert.That(TestData.RelativeError(outputs[0].ToDoubles(), expected[0]), Is.LessThan(tolerance));
            Assert.That(TestData.RelativeError(outputs[1].ToDoubles(), expected[1]), Is.LessThan(tolerance));
        });
    }

    [Test]
    public void Gradients_agree_with_central_differences([ValueSource(nameof(Cases))] PlainScan c, [Values("cpu-128", "cpu-256", "cpu-512")] string device)
    {
        if (c.B * c.L * c.D * c.N > 3000)
            c = c with { L = Math.Min(c.L, 33), D = Math.Min(c.D, 9) };
        using var scope = new TensorScope();
        Assert.That(GradCheck.LargestError(x => c.Apply(x), c.Inputs(DType.Float64, TestDevices.Open(device))), Is.LessThan(1e-8));
    }

    [Test]
    public void Gradients_agree_on_every_device([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [ValueSource(nameof(Cases))] PlainScan c,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        double[][] Gradients(Device on, DType type)
        {
            using var tape = new Tape();
            Tensor[] inputs = [.. c.Inputs(dtype, on).Select(x => Tape.Watch(x.To(type)))], outputs = c.Apply(inputs);
            Gradients gradients = tape.Backward([.. outputs.Select((y, i) => (y, TestData.Random(y.Shape, type, on, 20 + i)))]);
            return [.. inputs.Where(gradients.Contains).Select(x => gradients[x].ToDoubles())];
        }

        double[][] expected = Gradients(TestDevices.Open("cpu-256"), DType.Float64), actual = Gradients(TestDevices.Open(device), dtype);
        double tolerance = dtype == DType.Float64 ? 1e-12 : 2e-5;
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        for (int i = 0; i < expected.Length; i++)
            Assert.That(TestData.RelativeError(actual[i], expected[i]), Is.LessThan(tolerance), $"input {i}");
    }

    [Test]
    public void The_bits_do_not_depend_on_the_number_of_threads()
    {
        var c = new PlainScan(3, 70, 200, 16);
        double[][] Run(int threads)
        {
            using var device = new Gpu.HostDevice(threads);
            using var tape = new Tape();
            Tensor[] inputs = [.. c.Inputs(DType.Float32, device).Select(Tape.Watch)], outputs = c.Apply(inputs);
            Gradients gradients = tape.Backward([.. outputs.Select((y, i) => (y, TestData.Random(y.Shape, DType.Float32, device, 20 + i)))]);
            return [.. outputs.Select(y => y.ToDoubles()), .. inputs.Where(gradients.Contains).Select(x => gradients[x].ToDoubles())];
        }

        double[][] one = Run(1);
        foreach (int threads in new[] { 2, 3, 7 })
            Assert.That(Run(threads), Is.EqualTo(one), $"{threads} threads");
    }

    [Test]
    public void Pieces_with_carried_state_equal_the_whole()
    {
        var device = TestDevices.Open("cpu-256");
        using var scope = new TensorScope();
        var c = new PlainScan(1, 70, 9, 5) { Initial = false };
        Tensor[] x = c.Inputs(DType.Float64, device), whole = c.Apply(x);
        Tensor Piece(Tensor t, int from, int to) => t.View((70, t.Shape[2])).Rows(from, to - from).View((1, to - from, t.Shape[2]));
        Tensor? state = null;
        var y = new List<double>();
        foreach ((int from, int to) in new[] { (0, 1), (1, 33), (33, 70) })
        {
            Tensor Of(int i) => Piece(x[i], from, to);
            ScanResult piece = Ops.SelectiveScan(Of(0), Of(1), x[2], Of(3), Of(4), x[5], Of(6), x[7], true, state);
            state = piece.LastState;
            y.AddRange(piece.Y.ToDoubles());
        }
        Assert.Multiple(() =>
        {
            Assert.That(TestData.RelativeError(y, whole[0].ToDoubles()), Is.LessThan(1e-14));
            Assert.That(TestData.RelativeError(state!.ToDoubles(), whole[1].ToDoubles()), Is.LessThan(1e-14));
        });
    }

    [Test]
    public void A_wrong_shape_is_named_in_one_line()
    {
        var device = TestDevices.Open("cpu-256");
        using var scope = new TensorScope();
        Tensor[] x = new PlainScan(2, 64, 128, 16).Inputs(DType.Float32, device);
        Tensor wrong = Tensor.Zeros((2, 64, 8), DType.Float32, device);
        Assert.That(() => Ops.SelectiveScan(x[0], x[1], x[2], wrong, x[4]), Throws.TypeOf<MambaException>()
            .With.Message.EqualTo("SelectiveScan: B has shape (2, 64, 8); expected (b=2, l=64, n=16). n comes from A (128, 16)."));
    }
}
