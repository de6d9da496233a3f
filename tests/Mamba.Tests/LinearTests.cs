using Mamba.Gpu;
using NUnit.Framework;
using static Mamba.Tests.Agreement;

namespace Mamba.Tests;

public class LinearTests
{
    static readonly int[] Extents = [0, 1, 7, 13, 65, 129];
    static readonly (int Rows, int O, int I)[] Tiny = [(1, 1, 1), (5, 17, 3), (0, 2, 3), (3, 0, 2), (2, 3, 0)];

    static IEnumerable<(int Rows, int O, int I)> Sizes(string device) => device == "ilgpu-cpu"
        ? Tiny
        : from rows in Extents from o in Extents from i in Extents select (rows, o, i);

    static void ExpectRows(Tensor y, Input x, Input weight, Input? bias, int rows, int start, int o, int i, string what)
    {
        (double[] values, double[] magnitudes) = PlainMatMul.Multiply(x.Values, weight.Values, rows, o, i, false, true, offsetB: (long)start * i);
        if (bias is { } b)
            for (int at = 0; at < values.Length; at++)
            {
                values[at] += b.Values[start + at % o];
                magnitudes[at] += Math.Abs(b.Values[start + at % o]);
            }
        PlainMatMul.Expect(y, values, magnitudes, i, what);
    }

    [Test]
    public void Every_size_is_that_of_a_plain_loop([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values] bool bias)
    {
        Device on = TestDevices.Open(device);
        foreach ((int rows, int o, int i) in Sizes(device))
        {
            using var scope = new TensorScope();
            Input x = Input.Random((rows, i), 1), weight = Input.Random((o, i), 2), b = Input.Random(o, 3);
            Tensor y = Ops.Linear(x.On(on, dtype), weight.On(on, dtype), bias ? b.On(on, dtype) : null);
            Assert.That(y.Shape, Is.EqualTo(new Shape(rows, o)));
            ExpectRows(y, x, weight, bias ? b : null, rows, 0, o, i, $"rows={rows}, o={o}, i={i}");
        }
    }

    [Test]
    public void Axes_before_the_last_are_rows([Values] bool bias)
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open("cpu-256");
        Input x = Input.Random((2, 3, 5), 1), weight = Input.Random((4, 5), 2), b = Input.Random(4, 3);
        Tensor? biasOn = bias ? b.On(on) : null;
        Tensor y = Ops.Linear(x.On(on), weight.On(on), biasOn);
        Assert.That(y.Shape, Is.EqualTo(new Shape(2, 3, 4)));
        Assert.That(y.ToDoubles(), Is.EqualTo(Ops.Linear(x.On(on).View((6, 5)), weight.On(on), biasOn).ToDoubles()));
        Tensor one = Ops.Linear(x.On(on).View((6, 5)).Rows(4, 1).View(5), weight.On(on), biasOn);
        Assert.That(one.Shape, Is.EqualTo(new Shape(4)));
        Assert.That(one.ToDoubles(), Is.EqualTo(y.ToDoubles()[16..20]));
    }

    [Test]
    public void A_split_gives_the_parts_of_the_whole([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values] bool bias)
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open(device);
        int[] sizes = [3, 0, 17, 1];
        Input x = Input.Random((9, 5), 1), weight = Input.Random((21, 5), 2), b = Input.Random(21, 3);
        Tensor[] ys = Ops.LinearSplit(x.On(on, dtype), weight.On(on, dtype), bias ? b.On(on, dtype) : null, [.. sizes.Select(s => (long)s)]);
        for (int part = 0, start = 0; part < sizes.Length; start += sizes[part++])
        {
            Assert.That(ys[part].Shape, Is.EqualTo(new Shape(9, sizes[part])));
            ExpectRows(ys[part], x, weight, bias ? b : null, 9, start, sizes[part], 5, $"part {part}");
        }
    }

    [Test]
    public void Gradients_are_those_of_differences([Values] bool bias, [Values(1, 4)] int rows, [Values(1, 5)] int o, [Values(1, 7)] int i) =>
        Assert.That(GradientError(x => [Ops.Linear(x[0], x[1], bias ? x[2] : null)], Inputs((rows, i), o, i)), Is.LessThan(1e-8));

    [Test]
    public void Gradients_of_one_row_are_those_of_differences([Values] bool bias) =>
        Assert.That(GradientError(x => [Ops.Linear(x[0], x[1], bias ? x[2] : null)], Inputs(3, 4, 3)), Is.LessThan(1e-8));

    // An output nobody uses has no gradient: its rows of the weight get 0.
    [Test]
    public void Gradients_of_a_split_are_those_of_differences([Values] bool bias, [Values("012", "0", "1", "2", "02", "21")] string used) =>
        Assert.That(GradientError(x =>
        {
            Tensor[] ys = Ops.LinearSplit(x[0], x[1], bias ? x[2] : null, 2, 1, 4);
            return [.. used.Select(c => ys[c - '0'])];
        }, Inputs((2, 3, 5), 7, 5)), Is.LessThan(1e-8));

    [Test]
    public void Every_device_agrees_with_gradients([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values] bool bias) =>
        Check(device, dtype, x => Ops.LinearSplit(x[0], x[1], bias ? x[2] : null, 3, 14),
            device == "ilgpu-cpu" ? Inputs((3, 5), 17, 5) : Inputs((70, 33), 17, 33));

    [Test]
    public void Nothing_has_gradients_of_nothing([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(0, 2)] int rows, [Values(0, 2)] int o, [Values(0, 2)] int i)
    {
        using var tape = new Tape();
        Device on = TestDevices.Open(device);
        Tensor[] inputs = [.. Inputs((rows, i), o, i).Select(x => Tape.Watch(x.On(on)))];
        Tensor y = Ops.Linear(inputs[0], inputs[1], inputs[2]);
        Gradients gradients = tape.Backward([(y, Ops.Fill(y.Like(), 1))]);
        foreach (Tensor input in inputs)
            Assert.That(gradients[input].Shape, Is.EqualTo(input.Shape));
        if (rows == 0)
            Assert.That(gradients[inputs[1]].ToDoubles().Concat(gradients[inputs[2]].ToDoubles()), Has.All.Zero);
        if (o == 0)
            Assert.That(gradients[inputs[0]].ToDoubles(), Has.All.Zero);
    }

    [Test]
    public void The_number_of_cores_changes_no_bit([Values(DType.Float32, DType.Float64)] DType dtype)
    {
        double[][] On(int threads)
        {
            using var device = new HostDevice(threads);
            using var tape = new Tape();
            Tensor[] inputs = [.. Inputs((300, 129), 97, 129).Select(x => Tape.Watch(x.On(device, dtype)))];
            Tensor[] ys = Ops.LinearSplit(inputs[0], inputs[1], inputs[2], 64, 33);
            Gradients gradients = tape.Backward([.. ys.Select((y, k) => (y, TestData.Random(y.Shape, dtype, device, 10 + k)))]);
            return [.. ys.Select(y => y.ToDoubles()), .. inputs.Select(x => gradients[x].ToDoubles())];
        }
        double[][] one = On(1);
        foreach (int threads in (int[])[2, 3, 7])
            Assert.That(On(threads), Is.EqualTo(one), $"{threads} threads");
    }

    [Test]
    public void A_row_alone_has_the_bits_it_has_among_many([Values("cpu-128", "cpu-256", "cpu-512")] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open(device);
        Tensor x = TestData.Random((130, 300), dtype, on, 1), weight = TestData.Random((65, 300), dtype, on, 2), bias = TestData.Random(65, dtype, on, 3);
        // Up to eight rows are a product of their own, see HostFewRows; from nine on there is another.
        foreach ((int count, int[] several) in new[] { (8, new[] { 1, 2, 5 }), (130, [9, 12, 65]) })
        {
            double[] whole = Ops.Linear(x.Rows(0, count), weight, bias).ToDoubles();
            foreach (int rows in several)
                foreach (int start in (int[])[0, 1, count - rows])
                    Assert.That(Ops.Linear(x.Rows(start, rows), weight, bias).ToDoubles(),
                        Is.EqualTo(whole[(start * 65)..((start + rows) * 65)]), $"{rows} of {count} rows from {start}");
        }
    }

    [Test]
    public void What_does_not_fit_is_one_clear_line()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        Tensor x = Tensor.Zeros((2, 3), DType.Float32, device), weight = Tensor.Zeros((5, 3), DType.Float32, device);
        void Refused(Func<object> linear, string message) => Assert.That(() => linear(), Throws.TypeOf<MambaException>().With.Message.EqualTo(message));

        Refused(() => Ops.Linear(x, Tensor.Zeros((5, 4), DType.Float32, device)), "Linear: weight has shape (5, 4); expected (o=5, i) with i from x (2, 3).");
        Refused(() => Ops.LinearSplit(x, weight, null, 2, 2), "Linear: weight has shape (5, 3); expected (o=4, i) with i from x (2, 3).");
        Refused(() => Ops.Linear(x, weight, Tensor.Zeros(4, DType.Float32, device)), "Linear: bias has shape (4); expected (5). o comes from weight (5, 3).");
        Refused(() => Ops.Linear(x, Tensor.Zeros((5, 3), DType.Float64, device)), "Linear: weight is float64 (5, 3) on cpu; expected float32 on cpu, as x.");
        Refused(() => Ops.Linear(x, Tensor.Zeros((5, 3), DType.Float32, device), Tensor.Zeros(5, DType.Float64, device)),
            "Linear: bias is float64 (5) on cpu; expected float32 on cpu, as x.");
        Refused(() => Ops.Linear(Tensor.From([1, 2, 3], (1, 3), device), weight), "Linear: x is int32 (1, 3); expected float32 or float64.");
    }

    static Input[] Inputs(Shape x, int o, int i) => [Input.Random(x, 5), Input.Random((o, i), 6), Input.Random(o, 7)];
}
