using NUnit.Framework;
using static Mamba.Tests.Agreement;

namespace Mamba.Tests;

public class CausalConv1dTests
{
    static readonly (int B, int L, int D, int K)[] Sizes =
        [(1, 1, 1, 1), (2, 3, 5, 2), (1, 2, 17, 4), (2, 37, 3, 4), (1, 70, 19, 3), (3, 5, 33, 5), (1, 7, 4, 6), (1, 1, 3, 7), (2, 33, 2, 8), (1, 2, 600, 4), (0, 4, 3, 4), (2, 0, 3, 4)];

    static Input[] Inputs((int B, int L, int D, int K) s) =>
        [Input.Random((s.B, s.L, s.D), 1, -2, 2), Input.Random((s.D, s.K), 2), Input.Random(s.D, 3), Input.Random((s.B, s.K, s.D), 4, -2, 2)];

    static Func<Tensor[], Tensor[]> Conv(bool silu, bool bias, bool state) => x => [Ops.CausalConv1d(x[0], x[1], bias ? x[2] : null, silu, state ? x[3] : null)];

    [Test]
    public void The_last_weight_meets_the_newest_input([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open(device);
        Tensor x = Tensor.From([1.0, 2, 3], (1, 3, 1), on), weight = Tensor.From([10.0, 1.0], (1, 2), on), bias = Tensor.From([0.5], 1, on);
        Assert.That(Ops.CausalConv1d(x, weight, bias, silu: false).ToDoubles(), Is.EqualTo(new[] { 1.5, 12.5, 23.5 }));
        Tensor state = Tensor.From([100.0, 7.0], (1, 2, 1), on);
        Assert.That(Ops.CausalConv1d(x, weight, bias, silu: false, state).ToDoubles(), Is.EqualTo(new[] { 71.5, 12.5, 23.5 }));
    }

    [Test]
    public void Outputs_are_those_of_a_plain_loop([ValueSource(nameof(Sizes))] (int B, int L, int D, int K) s, [Values] bool silu, [Values] bool bias, [Values] bool state)
    {
        using var scope = new TensorScope();
        Input[] inputs = Inputs(s);
        double[] expected = new double[s.B * s.L * s.D];
        for (int b = 0; b < s.B; b++)
            for (int t = 0; t < s.L; t++)
                for (int c = 0; c < s.D; c++)
                {
                    double sum = bias ? inputs[2].Values[c] : 0;
                    for (int j = 0; j < s.K; j++)
                    {
                        int at = t - (s.K - 1) + j;
                        double x = at >= 0 ? inputs[0].Values[(b * s.L + at) * s.D + c] : state ? inputs[3].Values[(b * s.K + s.K + at) * s.D + c] : 0;
                        sum += inputs[1].Values[c * s.K + j] * x;
                    }
                    expected[(b * s.L + t) * s.D + c] = silu ? sum / (1 + Math.Exp(-sum)) : sum;
                }
        Device device = TestDevices.Open("cpu-256");
        Tensor y = Conv(silu, bias, state)([.. inputs.Select(x => x.On(device))])[0];
        Assert.That(TestData.RelativeError(y.ToDoubles(), expected), Is.LessThan(1e-14));
    }

    [Test]
    public void Every_device_agrees([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Sizes))] (int B, int L, int D, int K) s, [Values] bool all) =>
        Check(device, dtype, Conv(silu: all, bias: all, state: all), Inputs(s));

    [Test]
    public void Gradients_are_those_of_differences([ValueSource(nameof(Sizes))] (int B, int L, int D, int K) s, [Values] bool silu, [Values] bool bias, [Values] bool state) =>
        Assert.That(GradientError(Conv(silu, bias, state), Inputs(s.D > 100 ? (s.B, s.L, 40, s.K) : s)), Is.LessThan(1e-8));

    [Test]
    public void Pieces_of_a_sequence_give_the_bits_of_the_whole([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [Values(1, 3, 4, 8)] int k)
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open(device);
        Tensor weight = TestData.Random((5, k), DType.Float32, on, 1), bias = TestData.Random(5, DType.Float32, on, 2), x = TestData.Random((1, 40, 5), DType.Float32, on, 3);
        float[] whole = Ops.CausalConv1d(x, weight, bias).ToArray<float>();
        var pieces = new List<float>();
        Tensor? state = null;
        int start = 0;
        foreach (int length in new[] { 1, 2, 20, 0, 14 })
        {
            Tensor piece = x.View((40, 5)).Rows(start, length).View((1, length, 5));
            pieces.AddRange(Ops.CausalConv1d(piece, weight, bias, state: state).ToArray<float>());
            state = Ops.ConvState(piece, k, state);
            start += length;
        }
        for (; start < 40; start++)         // the rest one by one, the state changing in place
            pieces.AddRange(Ops.CausalConv1dStep(x.View((40, 5)).Rows(start, 1), state!, weight, bias).ToArray<float>());
        Assert.That(pieces, Is.EqualTo(whole));
        Assert.That(state!.ToArray<float>(), Is.EqualTo(Ops.ConvState(x, k).ToArray<float>()));
    }

    [Test]
    public void A_state_begins_with_zeros_where_there_are_no_inputs()
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.From([1.0, 2, 3, 4], (1, 2, 2), TestDevices.Open("cpu-256"));
        Assert.That(Ops.ConvState(x, 3).ToDoubles(), Is.EqualTo(new double[] { 0, 0, 1, 2, 3, 4 }));
        Assert.That(Ops.ConvState(x, 1).ToDoubles(), Is.EqualTo(new double[] { 3, 4 }));
    }

    [Test]
    public void The_number_of_cores_changes_no_bit()
    {
        double[][] On(int threads)
        {
            using var device = new Gpu.HostDevice(threads);
            using var tape = new Tape();
            Tensor x = Tape.Watch(TestData.Random((2, 300, 33), DType.Float32, device, 1)), weight = Tape.Watch(TestData.Random((33, 4), DType.Float32, device, 2));
            Tensor y = Ops.CausalConv1d(x, weight);
            Gradients gradients = tape.Backward([(y, TestData.Random(y.Shape, DType.Float32, device, 3))]);
            return [y.ToDoubles(), gradients[x].ToDoubles(), gradients[weight].ToDoubles()];
        }
        Assert.That(On(3), Is.EqualTo(On(1)));
    }

    [Test]
    public void A_filter_that_is_too_wide_is_refused()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        Assert.That(() => Ops.CausalConv1d(Tensor.Zeros((1, 2, 3), DType.Float32, device), Tensor.Zeros((3, 9), DType.Float32, device)),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("CausalConv1d: weight has shape (3, 9); expected (d=3, k), k from 1 to 8. d comes from x (1, 2, 3)."));
    }
}
