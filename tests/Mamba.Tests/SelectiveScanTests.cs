using NUnit.Framework;

namespace Mamba.Tests;

public class SelectiveScanTests
{
    /// <summary>One setting of the scan: sizes and flags.</summary>
    public sealed record Case(int B, int L, int D, int N, int G = 0, bool Skip = true, bool Gate = true, bool Bias = true, bool Softplus = true,
        bool Initial = true, bool ConstantB = false, bool ConstantC = false)
    {
        public Tensor[] Inputs(DType dtype, Device device)
        {
            Shape Projection(bool constant) => constant ? (D, N) : G > 0 ? (B, L, G, N) : (B, L, N);
            Tensor R(Shape shape, int seed, double low = -1, double high = 1) => TestData.Random(shape, dtype, device, seed, low, high);
            return [R((B, L, D), 1), Softplus ? R((B, L, D), 2, -3, 2) : R((B, L, D), 2, 0.01, 1), R((D, N), 3, -2, -0.1), R(Projection(ConstantB), 4), R(Projection(ConstantC), 5),
                R(D, 6), R((B, L, D), 7), R(D, 8, -0.5, 0.5), R((B, D, N), 9)];
        }

        public Tensor[] Apply(Tensor[] x)
        {
            ScanResult result = Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], Skip ? x[5] : null, Gate ? x[6] : null, Bias ? x[7] : null, Softplus, Initial ? x[8] : null);
            return [result.Y, result.LastState];
        }

        /// <summary>Algorithm 2 by plain loops.</summary>
        public (double[] Y, double[] Last) Expected(Tensor[] inputs)
        {
            double[][] x = [.. inputs.Select(t => t.ToDoubles())];
            double[] y = new double[B * L * D], last = new double[B * D * N];
            int groups = Math.Max(1, G);
            for (int b = 0; b < B; b++)
            {
                for (int d = 0; d < D; d++)
                {
                    double[] h = new double[N];
                    for (int n = 0; n < N; n++)
                        h[n] = Initial ? x[8][(b * D + d) * N + n] : 0;
                    for (int t = 0; t < L; t++)
                    {
                        int at = (b * L + t) * D + d;
                        double delta = x[1][at] + (Bias ? x[7][d] : 0), sum = Skip ? x[5][d] * x[0][at] : 0;
                        if (Softplus && delta <= 20)
                            delta = Math.Log(1 + Math.Exp(delta));
                        for (int n = 0; n < N; n++)
                        {
                            int token = ((b * L + t) * groups + d / (D / groups)) * N + n, channel = d * N + n;
                            h[n] = Math.Exp(delta * x[2][channel]) * h[n] + delta * x[3][ConstantB ? channel : token] * x[0][at];
                            sum += x[4][ConstantC ? channel : token] * h[n];
                        }
                        y[at] = sum * (Gate ? x[6][at] / (1 + Math.Exp(-x[6][at])) : 1);
                    }
                    for (int n = 0; n < N; n++)
                        last[(b * D + d) * N + n] = h[n];
                }
            }
            return (y, last);
        }
    }

    public static readonly Case[] Cases =
    [
        new(1, 1, 1, 1),
        new(2, 3, 5, 16),
        new(2, 33, 3, 5),
        new(1, 32, 17, 4),
        new(1, 65, 8, 3, G: 2),
        new(2, 7, 12, 16, G: 3, Initial: false),
        new(1, 7, 9, 17, Skip: false, Gate: false, Bias: false, Softplus: false, Initial: false),
        new(2, 5, 6, 9, Gate: false),
        new(1, 6, 10, 2, Skip: false),
        new(2, 5, 7, 6, Bias: false),
        new(2, 5, 7, 6, Softplus: false),
        new(2, 35, 7, 5, ConstantB: true),
        new(2, 35, 7, 5, ConstantC: true),
        new(1, 34, 5, 6, ConstantB: true, ConstantC: true),
        new(2, 1, 130, 1),
    ];

    [Test]
    public void Forward_is_algorithm_2([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [ValueSource(nameof(Cases))] Case c,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var scope = new TensorScope();
        Tensor[] inputs = c.Inputs(dtype, TestDevices.Open(device)), outputs = c.Apply(inputs);
        (double[] y, double[] last) = c.Expected(inputs);
        double tolerance = dtype == DType.Float64 ? 1e-13 : 1e-5;       // float32: tens of steps, each off by an ulp or two
        Assert.Multiple(() =>
        {
            Assert.That(TestData.RelativeError(outputs[0].ToDoubles(), y), Is.LessThan(tolerance));
            Assert.That(TestData.RelativeError(outputs[1].ToDoubles(), last), Is.LessThan(tolerance));
        });
    }

    [Test]
    public void Gradients_agree_with_central_differences([ValueSource(nameof(Cases))] Case c, [Values("cpu-128", "cpu-256", "cpu-512")] string device)
    {
        if (c.B * c.L * c.D * c.N > 3000)
            c = c with { L = Math.Min(c.L, 33), D = Math.Min(c.D, 9) };
        using var scope = new TensorScope();
        Assert.That(GradCheck.LargestError(c.Apply, c.Inputs(DType.Float64, TestDevices.Open(device))), Is.LessThan(1e-8));
    }

    [Test]
    public void Gradients_agree_on_every_device([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [ValueSource(nameof(Cases))] Case c,
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
        var c = new Case(3, 70, 200, 16);
        double[][] Run(int threads)
        {
            using var device = new Gpu.HostDevice(threads);
            using var tape = new Tape();
            Tensor[] inputs = [.. c.Inputs(DType.Float32, device).Select(Tape.Watch)], outputs = c.Apply(inputs);
            Gradients gradients = tape.Backward([.. outputs.Select((y, i) => (y, TestData.Random(y.Shape, DType.Float32, device, 20 + i)))]);
            return [.. outputs.Select(y => y.ToDoubles()), .. inputs.Select(x => gradients[x].ToDoubles())];
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
        var c = new Case(1, 70, 9, 5, Initial: false);
        Tensor[] x = c.Inputs(DType.Float64, device), whole = c.Apply(x);
        Tensor Piece(Tensor t, int from, int to) => t.View((70, t.Shape[2])).Rows(from, to - from).View((1, to - from, t.Shape[2]));
        Tensor? state = null;
        var y = new List<double>();
        foreach ((int from, int to) in new[] { (0, 1), (1, 33), (33, 70) })
        {
            ScanResult piece = Ops.SelectiveScan(Piece(x[0], from, to), Piece(x[1], from, to), x[2], Piece(x[3], from, to), Piece(x[4], from, to), x[5], Piece(x[6], from, to), x[7], true, state);
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
        Tensor[] x = new Case(2, 64, 128, 16).Inputs(DType.Float32, device);
        Tensor wrong = Tensor.Zeros((2, 64, 8), DType.Float32, device);
        Assert.That(() => Ops.SelectiveScan(x[0], x[1], x[2], wrong, x[4]), Throws.TypeOf<MambaException>()
            .With.Message.EqualTo("SelectiveScan: B has shape (2, 64, 8); expected (b=2, l=64, n=16). n comes from A (128, 16)."));
    }
}
