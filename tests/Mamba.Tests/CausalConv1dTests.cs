using NUnit.Framework;
using static Mamba.Tests.Agreement;

namespace Mamba.Tests;

public class CausalConv1dTests
{
    static readonly (int B, int L, int D, int K)[] Sizes =
        [(1, 1, 1, 1), (2, 3, 5, 2), (1, 2, 17, 4), (2, 37, 3, 4), (1, 70, 19, 3), (3, 5, 33, 5), (1, 7, 4, 6), (1, 1, 3, 7), (2, 33, 2, 8), (1, 2, 600, 4),
            (0, 4, 3, 4), (2, 0, 3, 4)];

    static Input[] Inputs((int B, int L, int D, int K) s) =>
        [Input.Random((s.B, s.L, s.D), 1, -2, 2), Input.Random((s.D, s.K), 2), Input.Random(s.D, 3), Input.Random((s.B, s.K, s.D), 4, -2, 2)];

    static Func<Tensor[], Tensor[]> Conv(bool silu, bool bias, bool state) =>
        x => [Ops.CausalConv1d(x[0], x[1], bias ? x[2] : null, silu, state ? x[3] : null)];

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

    // A tap that reaches across a reset, or before x where there is no state, meets a zero.
    static double[] Plain((int B, int L, int D, int K) s, Input[] inputs, bool silu, bool bias, bool state, int[]? reset = null)
    {
        double[] y = new double[s.B * s.L * s.D];
        for (int b = 0; b < s.B; b++)
            for (int t = 0; t < s.L; t++)
            {
                int first = t;      // of the sequence token t is in, or of the state
                while (first > -s.K && (first < 0 || reset is null || reset[b * s.L + first] == 0))
                    first--;
                for (int c = 0; c < s.D; c++)
                {
                    double sum = bias ? inputs[2].Values[c] : 0;
                    for (int j = 0; j < s.K; j++)
                    {
                        int at = t - (s.K - 1) + j;
                        if (at >= first)
                            sum += inputs[1].Values[c * s.K + j] * (at >= 0 ? inputs[0].Values[(b * s.L + at) * s.D + c] : state
                                ? inputs[3].Values[(b * s.K + s.K + at) * s.D + c] : 0);
                    }
                    y[(b * s.L + t) * s.D + c] = silu ? sum / (1 + Math.Exp(-sum)) : sum;
                }
            }
        return y;
    }

    [Test]
    public void Outputs_are_those_of_a_plain_loop([ValueSource(nameof(Sizes))] (int B, int L, int D, int K) s, [Values] bool silu, [Values] bool bias,
        [Values] bool state)
    {
        using var scope = new TensorScope();
        Input[] inputs = Inputs(s);
        Device device = TestDevices.Open("cpu-256");
        Tensor y = Conv(silu, bias, state)([.. inputs.Select(x => x.On(device))])[0];
        Assert.That(TestData.RelativeError(y.ToDoubles(), Plain(s, inputs, silu, bias, state)), Is.LessThan(1e-14));
    }

    [Test]
    public void Every_device_agrees([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Sizes))] (int B, int L, int D, int K) s, [Values] bool all) =>
        Check(device, dtype, Conv(silu: all, bias: all, state: all), Inputs(s));

    [Test]
    public void Gradients_are_those_of_differences([ValueSource(nameof(Sizes))] (int B, int L, int D, int K) s, [Values] bool silu, [Values] bool bias,
        [Values] bool state) =>
        Assert.That(GradientError(Conv(silu, bias, state), Inputs(s.D > 100 ? (s.B, s.L, 40, s.K) : s)), Is.LessThan(1e-8));

    [Test]
    public void Pieces_of_a_sequence_give_the_bits_of_the_whole([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(1, 3, 4, 8)] int k)
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open(device);
        Tensor weight = TestData.Random((5, k), DType.Float32, on, 1), bias = TestData.Random(5, DType.Float32, on, 2);
        Tensor x = TestData.Random((1, 40, 5), DType.Float32, on, 3);
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

    // ---- several sequences in a row ------------------------------------------------------------------

    static readonly string[] Masks = ["nowhere", "first", "last", "everywhere", "every second", "two in a row", "by chance"];

    // (b, l); the batch rows differ
    static int[] Mask(string where, int batch, int length)
    {
        var random = new Random(5);
        return [.. Enumerable.Range(0, batch * length).Select(i => (row: i / length, t: i % length)).Select(at => where switch
        {
            "first" => at.t == 0,
            "last" => at.t == length - 1,
            "everywhere" => true,
            "every second" => (at.t + at.row) % 2 == 0,
            "two in a row" => (at.t - at.row) % 11 is 3 or 4,
            "by chance" => random.Next(7) == 0,
            _ => false,
        }).Select(starts => starts ? 1 + random.Next(3) : 0)];
    }

    static Func<Tensor[], Tensor[]> Packed(int[] reset, bool silu, bool bias, bool state) => x =>
        [Ops.CausalConv1d(x[0], x[1], bias ? x[2] : null, silu, state ? x[3] : null, Tensor.From(reset, (x[0].Shape[0], x[0].Shape[1]), x[0].Device))];

    static Func<Tensor[], Tensor[]> StateAfter(int[] reset, bool previous) => x =>
        [Ops.ConvState(x[0], (int)x[3].Shape[1], previous ? x[3] : null, Tensor.From(reset, (x[0].Shape[0], x[0].Shape[1]), x[0].Device))];

    [Test]
    public void Taps_do_not_reach_across_a_reset([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [ValueSource(nameof(Masks))] string mask)
    {
        Device on = TestDevices.Open(device);
        foreach ((int B, int L, int D, int K) s in Sizes)
        {
            using var scope = new TensorScope();
            Input[] inputs = Inputs(s);
            int[] reset = Mask(mask, s.B, s.L);
            foreach (bool all in (bool[])[false, true])
            {
                double[] y = Packed(reset, all, all, all)([.. inputs.Select(x => x.On(on))])[0].ToDoubles();
                Assert.That(TestData.RelativeError(y, Plain(s, inputs, all, all, all, reset)), Is.LessThan(1e-12), $"{s}, {all}");
            }
        }
    }

    [Test]
    public void Every_device_agrees_on_resets([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype,
        [Values("everywhere", "two in a row", "by chance")] string mask, [Values] bool all)
    {
        foreach ((int B, int L, int D, int K) s in Sizes)
        {
            Check(device, dtype, Packed(Mask(mask, s.B, s.L), silu: all, bias: all, state: all), Inputs(s));
            Check(device, dtype, StateAfter(Mask(mask, s.B, s.L), all), Inputs(s));
        }
    }

    [Test]
    public void Gradients_with_resets_are_those_of_differences([ValueSource(nameof(Masks))] string mask, [Values] bool all)
    {
        foreach ((int B, int L, int D, int K) s in Sizes.Select(s => s with { D = Math.Min(s.D, 19) }))
        {
            Assert.That(GradientError(Packed(Mask(mask, s.B, s.L), silu: all, bias: all, state: all), Inputs(s)), Is.LessThan(1e-8), $"{s}");
            Assert.That(GradientError(StateAfter(Mask(mask, s.B, s.L), all), Inputs(s)), Is.LessThan(1e-8), $"{s}");
        }
    }

    [Test]
    public void Resets_at_chance_places_and_sizes([Range(0, 39)] int seed)
    {
        using var scope = new TensorScope();
        var random = new Random(seed);
        (int B, int L, int D, int K) s = (random.Next(1, 4), random.Next(1, 90), random.Next(1, 40), random.Next(1, 9));
        int often = random.Next(1, 20);
        int[] reset = [.. Enumerable.Range(0, s.B * s.L).Select(_ => random.Next(often) == 0 ? 1 : 0)];
        bool silu = random.Next(2) == 0, bias = random.Next(2) == 0, state = random.Next(2) == 0;
        Input[] inputs = Inputs(s);
        double[][] actual = Evaluate("cpu-256", DType.Float64, Packed(reset, silu, bias, state), inputs);
        Assert.That(TestData.RelativeError(actual[0], Plain(s, inputs, silu, bias, state, reset)), Is.LessThan(1e-14));

        // Apart: each run of a row between resets is a convolution of its own, the first one after the state.
        double[][] apart = Evaluate("cpu-256", DType.Float64, x =>
        {
            var rows = new List<Tensor>();
            for (int b = 0; b < s.B; b++)
            {
                int[] starts = [.. Enumerable.Range(0, s.L).Where(t => t == 0 || reset[b * s.L + t] != 0), s.L];
                rows.Add(Ops.Concat(1,
                    [.. starts.Zip(starts.Skip(1),
                    (from, to) => Ops.CausalConv1d(Ops.Slice(Ops.Slice(x[0], 0, b, 1), 1, from, to - from), x[1], bias ? x[2] : null, silu,
                    state && reset[b * s.L + from] == 0 ? Ops.Slice(x[3], 0, b, 1) : null))]));
            }
            return [Ops.Concat(0, [.. rows])];
        }, inputs);
        string[] names = ["y", "dx", "dweight", "dbias", "dstate"];
        foreach ((string name, double[] a, double[] b) in names.Zip(actual, apart))
            Assert.That(TestData.RelativeError(a.Length == 0 ? new double[b.Length] : a, b.Length == 0 ? new double[a.Length] : b), Is.LessThan(1e-13), name);
    }

    [Test]
    public void A_mask_of_zeros_gives_the_bits_of_no_mask([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [Values(1, 4, 8)] int k)
    {
        Input[] inputs = Inputs((2, 70, 19, k));
        double[][] with = Evaluate(device, DType.Float32, Packed(new int[140], true, true, true), inputs),
            without = Evaluate(device, DType.Float32, Conv(true, true, true), inputs);
        Assert.That(with, Is.EqualTo(without));
    }

    [Test]
    public void A_state_has_nothing_from_before_the_last_reset()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        Tensor x = Tensor.From([1.0, 2, 3, 4], (1, 4, 1), device), previous = Tensor.From([7.0, 8, 9], (1, 3, 1), device);
        double[] After(Tensor x, params int[] reset) => Ops.ConvState(x, previous, Tensor.From(reset, (1, reset.Length), device)).ToDoubles();
        Assert.That(After(x, 1, 0, 0, 0), Is.EqualTo(new double[] { 2, 3, 4 }));
        Assert.That(After(x, 0, 0, 1, 0), Is.EqualTo(new double[] { 0, 3, 4 }));
        Assert.That(After(x, 1, 1, 1, 1), Is.EqualTo(new double[] { 0, 0, 4 }));
        Assert.That(After(x.Slice(1, 0, 1), 0), Is.EqualTo(new double[] { 8, 9, 1 }));
        Assert.That(After(x.Slice(1, 0, 1), 1), Is.EqualTo(new double[] { 0, 0, 1 }));
        Assert.That(After(x.Slice(1, 0, 2), 0, 1), Is.EqualTo(new double[] { 0, 0, 2 }));
        Assert.That(After(x.Slice(1, 0, 0)), Is.EqualTo(new double[] { 7, 8, 9 }));
    }

    [Test]
    public void A_mask_that_does_not_fit_is_refused()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        Tensor x = Tensor.Zeros((1, 2, 3), DType.Float32, device), weight = Tensor.Zeros((3, 4), DType.Float32, device);
        void Refused(Func<Tensor> op, string message) => Assert.That(() => op(), Throws.TypeOf<MambaException>().With.Message.EqualTo(message));
        Refused(() => Ops.CausalConv1d(x, weight, reset: Tensor.From([1, 0, 0], (1, 3), device)),
            "CausalConv1d: reset has shape (1, 3); expected (1, 2). b and l come from x (1, 2, 3).");
        Refused(() => Ops.CausalConv1d(x, weight, reset: Tensor.Zeros((1, 2), DType.Float32, device)), "CausalConv1d: reset is float32; expected int32.");
        Refused(() => Ops.ConvState(x, 4, reset: Tensor.From([1, 0], (2, 1), device)),
            "ConvState: reset has shape (2, 1); expected (1, 2). b and l come from x (1, 2, 3).");
    }

    [Test]
    public void The_number_of_cores_changes_no_bit()
    {
        double[][] On(int threads)
        {
            using var device = new Gpu.HostDevice(threads);
            using var tape = new Tape();
            Tensor x = Tape.Watch(TestData.Random((2, 300, 33), DType.Float32, device, 1));
            Tensor weight = Tape.Watch(TestData.Random((33, 4), DType.Float32, device, 2));
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
            Throws.TypeOf<MambaException>().With.Message.EqualTo("CausalConv1d: weight has shape (3, 9); expected (d=3, k), k from 1 to 8. d comes from x "
                + "(1, 2, 3)."));
    }
}
