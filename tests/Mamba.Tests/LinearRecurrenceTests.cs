using CsCheck;
using Mamba.Gpu;
using NUnit.Framework;
using static Mamba.Tests.Agreement;

namespace Mamba.Tests;

public class LinearRecurrenceTests
{
    static readonly LinearScan[] Algorithms = Enum.GetValues<LinearScan>();
    static readonly int[] Lengths = [0, 1, 2, 3, 7, 8, 31, 64, 65, 257, 1030], Widths = [1, 5, 16, 97];

    // The simulator runs a few thousand threads a second: shapes of every kind of tree up to four levels are enough to find a wrong index.
    static readonly (int B, int L, int M)[] Tiny = [(1, 0, 3), (3, 1, 2), (1, 2, 3), (2, 3, 2), (1, 5, 1), (2, 7, 3), (1, 8, 2), (1, 9, 1)];

    static IEnumerable<(int B, int L, int M)> Shapes(string device) =>
        device == "ilgpu-cpu" ? Tiny : new[] { 1, 3 }.SelectMany(b => Lengths.SelectMany(l => Widths.Select(m => (b, l, m))));

    // Half an ulp is 6e-8 (1.1e-16 in float64). With |a| ≤ 0.95, and ½ on the mean, an error has shrunk to half after a step:
    // what is alive at once, relative to the largest |h|, is about two roundings of a, of x and of h itself, and da has h and g.
    // So eight halves; the largest seen in all shapes is 2.2e-7 (4.3e-16).
    static double Tolerance(DType dtype) => dtype == DType.Float32 ? 5e-7 : 1e-15;

    static Input[] Inputs(int b, int l, int m, bool initial, double size = 0.95, int seed = 1)
    {
        Input a = Input.Random((b, l, m), seed, -size, size), x = Input.Random((b, l, m), seed + 1);
        return initial ? [a, x, Input.Random((b, m), seed + 2)] : [a, x];
    }

    static Func<Tensor[], Tensor[]> Recurrence(LinearScan algorithm) =>
        x => [Ops.LinearRecurrence(x[0], x[1], x.Length > 2 ? x[2] : null, algorithm)];

    static double[] PlainLoop(int b, int l, int m, Input[] inputs)
    {
        double[] a = inputs[0].Values, x = inputs[1].Values, h = new double[b * l * m];
        for (int i = 0; i < b; i++)
            for (int c = 0; c < m; c++)
            {
                double state = inputs.Length > 2 ? inputs[2].Values[i * m + c] : 0;
                for (int t = 0; t < l; t++)
                {
                    int at = (i * l + t) * m + c;
                    h[at] = state = a[at] * state + x[at];
                }
            }
        return h;
    }

    // g_t = dh_t + a_{t+1} g_{t+1}; the gradients of a, x and the initial state
    static double[][] PlainGradients(int b, int l, int m, Input[] inputs, double[] dh)
    {
        double[] a = inputs[0].Values, h = PlainLoop(b, l, m, inputs), da = new double[a.Length], dx = new double[a.Length], dInitial = new double[b * m];
        for (int i = 0; i < b; i++)
            for (int c = 0; c < m; c++)
            {
                double carried = 0;                 // a_{t+1} g_{t+1}
                for (int t = l - 1; t >= 0; t--)
                {
                    int at = (i * l + t) * m + c;
                    dx[at] = dh[at] + carried;
                    da[at] = dx[at] * (t > 0 ? h[at - m] : inputs.Length > 2 ? inputs[2].Values[i * m + c] : 0);
                    carried = a[at] * dx[at];
                }
                dInitial[i * m + c] = carried;
            }
        return inputs.Length > 2 ? [da, dx, dInitial] : [da, dx];
    }

    [Test]
    public void Two_halves_and_three_are_worked_out_by_hand([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [ValueSource(nameof(Algorithms))] LinearScan algorithm)
    {
        using var tape = new Tape();
        Device on = TestDevices.Open(device);
        Tensor a = Tape.Watch(Tensor.From([0.5, 2, -1], (1, 3, 1), on)), x = Tape.Watch(Tensor.From([1.0, 1, 3], (1, 3, 1), on));
        Tensor initial = Tape.Watch(Tensor.From([4.0], (1, 1), on));
        Assert.That(Ops.LinearRecurrence(a, x, algorithm: algorithm).ToDoubles(), Is.EqualTo(new[] { 1.0, 3, 0 }));
        Tensor h = Ops.LinearRecurrence(a, x, initial, algorithm);
        Assert.That(h.ToDoubles(), Is.EqualTo(new[] { 3.0, 7, -4 }));
        Gradients gradients = tape.Backward([(h, Tensor.From([1.0, 1, 1], (1, 3, 1), on))]);
        Assert.That(gradients[x].ToDoubles(), Is.EqualTo(new[] { 1.0, 0, 1 }));             // g_2 = 1, g_1 = 1 − 1, g_0 = 1 + 2·0
        Assert.That(gradients[a].ToDoubles(), Is.EqualTo(new[] { 4.0, 0, 7 }));             // g_t h_{t−1}
        Assert.That(gradients[initial].ToDoubles(), Is.EqualTo(new[] { 0.5 }));
    }

    [Test]
    public void Every_device_and_algorithm_is_a_plain_loop([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Algorithms))] LinearScan algorithm, [Values] bool initial)
    {
        Device on = TestDevices.Open(device);
        foreach ((int b, int l, int m) in Shapes(device))
        {
            using var scope = new TensorScope();
            Input[] inputs = Inputs(b, l, m, initial);
            Tensor h = Recurrence(algorithm)([.. inputs.Select(x => x.On(on, dtype))])[0];
            Assert.That(h.Shape, Is.EqualTo(new Shape(b, l, m)));
            Assert.That(TestData.RelativeError(h.ToDoubles(), PlainLoop(b, l, m, inputs)), Is.LessThan(Tolerance(dtype)), $"({b}, {l}, {m})");
        }
    }

    [Test]
    public void There_may_be_more_elements_than_a_device_has_threads([ValueSource(typeof(TestDevices), nameof(TestDevices.Fast))] string device,
        [ValueSource(nameof(Algorithms))] LinearScan algorithm)
    {
        const int L = 1100, M = 1000;           // 1.1 million, more than 2^20 threads
        using var scope = new TensorScope();
        Input[] inputs = Inputs(1, L, M, initial: true);
        Tensor h = Recurrence(algorithm)([.. inputs.Select(x => x.On(TestDevices.Open(device), DType.Float32))])[0];
        Assert.That(TestData.RelativeError(h.ToDoubles(), PlainLoop(1, L, M, inputs)), Is.LessThan(Tolerance(DType.Float32)));
    }

    [Test]
    public void Every_device_and_algorithm_has_the_gradients_of_a_plain_loop([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Algorithms))] LinearScan algorithm, [Values] bool initial)
    {
        foreach ((int b, int l, int m) in Shapes(device))
        {
            Input[] inputs = Inputs(b, l, m, initial);
            double[][] expected = PlainGradients(b, l, m, inputs, TestData.Uniform(b * l * m, seed: 100)),
                actual = Evaluate(device, dtype, Recurrence(algorithm), inputs);
            for (int i = 0; i < expected.Length; i++)
                Assert.That(TestData.RelativeError(actual[1 + i], expected[i]), Is.LessThan(Tolerance(dtype)), $"({b}, {l}, {m}), gradient of input {i}");
        }
    }

    [Test]
    public void Gradients_are_those_of_differences([ValueSource(nameof(Algorithms))] LinearScan algorithm, [Values] bool initial,
        [Values(0, 1, 2, 3, 7, 8, 19)] int l, [Values(1, 5)] int m) =>
        Assert.That(GradientError(Recurrence(algorithm), Inputs(2, l, m, initial, size: 1.5)), Is.LessThan(1e-8));

    [Test]
    public void Gradients_are_the_same_whichever_of_the_others_is_wanted([ValueSource(nameof(Algorithms))] LinearScan algorithm, [Values(0, 1, 2)] int only)
    {
        using var tape = new Tape();
        Device device = TestDevices.Open("cpu-256");
        Input[] inputs = Inputs(2, 9, 5, initial: true);
        Tensor[] some = [.. inputs.Select(x => x.On(device))];
        Tape.Watch(some[only]);
        Tensor h = Recurrence(algorithm)(some)[0];
        Gradients gradients = tape.Backward([(h, TestData.Random(h.Shape, DType.Float64, device, seed: 100))]);
        Assert.That(gradients[some[only]].ToDoubles(), Is.EqualTo(Evaluate("cpu-256", DType.Float64, Recurrence(algorithm), inputs)[1 + only]));
        Assert.That(some.Count(gradients.Contains), Is.EqualTo(1));
    }

    [Test]
    public void The_three_algorithms_have_the_same_gradients([ValueSource(nameof(Lengths))] int l, [ValueSource(nameof(Widths))] int m, [Values] bool initial)
    {
        Input[] inputs = Inputs(2, l, m, initial);
        double[][][] all = [.. Algorithms.Select(algorithm => Evaluate("cpu", DType.Float64, Recurrence(algorithm), inputs))];
        foreach (double[][] other in all[1..])
            for (int i = 0; i < other.Length; i++)
                Assert.That(TestData.RelativeError(other[i], all[0][i]), Is.LessThan(1e-12));
    }

    [Test]
    public void The_three_algorithms_agree_for_any_shape() =>
        Gen.Select(Gen.Int[0, 3], Gen.Int[0, 300], Gen.Int[0, 40], Gen.Int[0, 1000], Gen.Bool).Sample((b, l, m, seed, initial) =>
        {
            Input[] inputs = Inputs(b, l, m, initial, seed: seed);
            double[] expected = PlainLoop(b, l, m, inputs);
            double[][][] all = [.. Algorithms.Select(algorithm => Evaluate("cpu", DType.Float64, Recurrence(algorithm), inputs))];
            return all.All(one => TestData.RelativeError(one[0], expected) < 1e-13
                && Enumerable.Range(1, inputs.Length).All(i => TestData.RelativeError(one[i], all[0][i]) < 1e-12));
        }, iter: 200, threads: 1);

    [Test]
    public void The_operator_is_associative_to_rounding()
    {
        Gen<(double A, double X)> step = Gen.Select(Gen.Double[-4, 4], Gen.Double[-4, 4]);
        Gen.Select(step, step, step).Sample((first, second, third) =>
        {
            var (p, q, r) = (Step(first), Step(second), Step(third));
            ((double a, double x), (double a2, double x2)) = (Values(p.Then(q).Then(r)), Values(p.Then(q.Then(r))));
            // A product of three is rounded twice, a sum of three terms four times at most, on each side.
            const double Ulp = 2.3e-16;
            double scale = Math.Abs(third.A * second.A * first.X) + Math.Abs(third.A * second.X) + Math.Abs(third.X);
            return Math.Abs(a - a2) <= 2 * Ulp * Math.Abs(a) + 1e-300 && Math.Abs(x - x2) <= 4 * Ulp * scale + 1e-300;
        }, iter: 10_000);
    }

    [Test]
    public void A_step_after_another_is_their_composition_applied_to_a_state() =>
        Gen.Select(Gen.Int[-9, 9], Gen.Int[-9, 9], Gen.Int[-9, 9], Gen.Int[-9, 9], Gen.Int[-9, 9]).Sample((a1, x1, a2, x2, h) =>
        {
            var (first, second, state) = (Step((a1, x1)), Step((a2, x2)), Double256.Splat(h));
            Assert.That(Values(first.Then(second)), Is.EqualTo(((double)a2 * a1, (double)a2 * x1 + x2)));
            return Double256.First(first.Then(second).From(state)) == Double256.First(second.From(first.From(state)));
        }, iter: 1000);

    static LinearStep<Double256, HostMemory<double>, double> Step((double A, double X) step) => new(Double256.Splat(step.A), Double256.Splat(step.X));

    static (double A, double X) Values(LinearStep<Double256, HostMemory<double>, double> step) => (Double256.First(step.A), Double256.First(step.X));

    [Test]
    public void The_number_of_threads_changes_no_bit([ValueSource(nameof(Algorithms))] LinearScan algorithm, [Values(DType.Float32, DType.Float64)] DType dtype,
        [Values(1, 97, 200)] int m)
    {
        double[][] On(int threads)
        {
            using var device = new HostDevice(threads);
            using var tape = new Tape();
            Tensor[] inputs = [.. Inputs(3, 301, m, initial: true).Select(x => Tape.Watch(x.On(device, dtype)))];
            Tensor h = Recurrence(algorithm)(inputs)[0];
            Gradients gradients = tape.Backward([(h, TestData.Random(h.Shape, dtype, device, 3))]);
            return [h.ToDoubles(), .. inputs.Select(x => gradients[x].ToDoubles())];
        }
        double[][] one = On(1);
        foreach (int threads in (int[])[2, 3, 7])
            Assert.That(On(threads), Is.EqualTo(one), $"{threads} threads");
    }

    [Test]
    public void The_sequential_walk_has_the_bits_of_every_vector_width([Values(DType.Float32, DType.Float64)] DType dtype)
    {
        double[][] On(string device) => Evaluate(device, dtype, Recurrence(LinearScan.Sequential), Inputs(2, 67, 97, initial: true));
        Assert.That(On("cpu-128"), Is.EqualTo(On("cpu-256")));
        Assert.That(On("cpu-512"), Is.EqualTo(On("cpu-256")));
    }

    [Test]
    public void A_coefficient_of_zero_forgets_what_was_before([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [ValueSource(nameof(Algorithms))] LinearScan algorithm, [Values(0, 1, 4, 8)] int reset)
    {
        const int L = 9, M = 3;
        Input[] inputs = Inputs(1, L, M, initial: true), others = Inputs(1, L, M, initial: true, seed: 50);
        Array.Clear(inputs[0].Values, reset * M, M);
        foreach (int i in new[] { 0, 1 })       // the same from the reset on, another past
            Array.Copy(inputs[i].Values, reset * M, others[i].Values, reset * M, (L - reset) * M);
        double[][] one = Evaluate(device, DType.Float32, Recurrence(algorithm), inputs), other = Evaluate(device, DType.Float32, Recurrence(algorithm), others);
        Assert.That(other[0].Skip(reset * M), Is.EqualTo(one[0].Skip(reset * M)), "not a bit of h");
        Assert.That(one[0].Skip(reset * M).Take(M), Is.EqualTo(inputs[1].Values.Skip(reset * M).Take(M).Select(x => (double)(float)x)));
        if (reset == 0)
            Assert.That(one[3], Is.All.Zero, "the initial state has no gradient");
    }

    [Test]
    public void Coefficients_that_grow_or_change_sign_work([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [ValueSource(nameof(Algorithms))] LinearScan algorithm, [Values(-3, -1, 1, 3)] int a)
    {
        const int L = 13;
        using var scope = new TensorScope();
        Device on = TestDevices.Open(device);
        double[] x = [.. Enumerable.Range(0, L).Select(t => t % 3 - 1.0)];
        Input[] inputs = [new((1, L, 1), [.. Enumerable.Repeat((double)a, L)]), new((1, L, 1), x), new((1, 1), [2])];
        Tensor h = Recurrence(algorithm)([.. inputs.Select(i => i.On(on))])[0];
        Assert.That(h.ToDoubles(), Is.EqualTo(PlainLoop(1, L, 1, inputs)), "whole numbers are exact in any order");
    }

    [Test]
    public void Pieces_of_a_sequence_give_the_whole([ValueSource(nameof(Algorithms))] LinearScan algorithm)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        Tensor[] inputs = [.. Inputs(1, 40, 5, initial: true).Select(x => x.On(device))];
        double[] whole = Recurrence(algorithm)(inputs)[0].ToDoubles();
        Tensor state = inputs[2];
        var pieces = new List<double>();
        foreach ((int start, int length) in new[] { (0, 1), (1, 16), (17, 23) })
        {
            Tensor h = Ops.LinearRecurrence(inputs[0].Slice(1, start, length), inputs[1].Slice(1, start, length), state, algorithm);
            pieces.AddRange(h.ToDoubles());
            state = h.Slice(1, length - 1, 1).Reshape((1, 5));
        }
        Assert.That(TestData.RelativeError(pieces, whole), Is.LessThan(1e-14));
    }

    [Test]
    public void Without_steps_the_initial_state_has_a_gradient_of_zero([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [ValueSource(nameof(Algorithms))] LinearScan algorithm)
    {
        double[][] results = Evaluate(device, DType.Float32, Recurrence(algorithm), Inputs(2, 0, 3, initial: true));
        Assert.That(results[^1], Is.EqualTo(new double[6]));
    }

    [Test]
    public void Nothing_is_left_alive_when_the_tape_closes([ValueSource(nameof(Algorithms))] LinearScan algorithm)
    {
        using var device = new HostDevice(threads: 1);
        using var scope = new TensorScope();
        Tensor[] inputs = [.. Inputs(2, 9, 3, initial: true).Select(x => Tape.Watch(x.On(device)))];
        int live = device.Memory.LiveBuffers;
        using (var tape = new Tape())
        {
            Tensor h = Recurrence(algorithm)(inputs)[0];
            Assert.That(device.Memory.LiveBuffers, Is.EqualTo(live + 1), "scratch goes back at once");
            tape.Backward(h.Square().Mean());
        }
        Assert.That(device.Memory.LiveBuffers, Is.EqualTo(live));
    }

    [Test]
    public void What_does_not_fit_is_said_in_one_line()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        Tensor Zeros(Shape shape, DType dtype = DType.Float32) => Tensor.Zeros(shape, dtype, device);
        void Refused(Tensor a, Tensor x, Tensor? initial, string message) =>
            Assert.That(() => Ops.LinearRecurrence(a, x, initial), Throws.TypeOf<MambaException>().With.Message.EqualTo("LinearRecurrence: " + message));

        Tensor good = Zeros((2, 3, 4));
        Refused(Zeros((3, 4)), good, null, "a has shape (3, 4); expected (b, l, m).");
        Refused(good, Zeros((2, 3, 5)), null, "x has shape (2, 3, 5); expected (2, 3, 4). The shape comes from a.");
        Refused(good, good, Zeros((2, 3)), "initial has shape (2, 3); expected (2, 4). b and m come from a (2, 3, 4).");
        Refused(good, Zeros((2, 3, 4), DType.Float64), null, "x is float64; expected float32, as a.");
        Refused(good, good, Zeros((2, 4), DType.Float64), "initial is float64; expected float32, as a.");
        Refused(Tensor.From([1, 2], (1, 2, 1), device), Tensor.From([1, 2], (1, 2, 1), device), null, "a is int32 (1, 2, 1); expected float32 or float64.");
        Assert.That(() => Ops.LinearRecurrence(good, good, algorithm: (LinearScan)7),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("LinearRecurrence: algorithm is 7; expected one of Sequential, KoggeStone, Blelloch."));
    }
}
