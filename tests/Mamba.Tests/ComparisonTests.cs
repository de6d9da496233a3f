using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Masks, and what chooses by them.</summary>
public class ComparisonTests
{
    public sealed record Question(string Name, Func<Tensor, Tensor, Tensor> Op, Func<Tensor, double, Tensor> WithNumber, Func<double, double, bool> Holds)
    {
        public override string ToString() => Name;
    }

    public static readonly Question[] Questions =
    [
        new("Greater", Ops.Greater, Ops.Greater, (a, b) => a > b),
        new("Less", Ops.Less, Ops.Less, (a, b) => a < b),
        new("Equal", Ops.Equal, Ops.Equal, (a, b) => a == b),
        new("NotEqual", Ops.NotEqual, Ops.NotEqual, (a, b) => a != b),
        new("a > b", (a, b) => a > b, (x, s) => x > s, (a, b) => a > b),
        new("a < b", (a, b) => a < b, (x, s) => x < s, (a, b) => a < b),
        new("s < x", (a, b) => b < a, (x, s) => s < x, (a, b) => a > b),
        new("s > x", (a, b) => b > a, (x, s) => s > x, (a, b) => a < b),
    ];

    const double Infinity = double.PositiveInfinity, NaN = double.NaN;

    static readonly double[] Special = [0, -0.0, 1, -1, 1.5, Infinity, -Infinity, NaN, 1e-3, 1];

    [Test]
    public void A_mask_is_1_where_it_holds_and_NaN_is_neither_less_nor_equal(
        [ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [ValueSource(nameof(Questions))] Question question,
            [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var scope = new TensorScope();
        int n = Special.Length;
        Tensor row = Tensor.From(Special, n, dtype, TestDevices.Open(device)), column = Ops.Reshape(row, (n, 1));
        Tensor all = question.Op(column, row), same = question.Op(row, Tensor.From([.. Special.Reverse()], n, dtype, row.Device));
        Assert.That((all.Shape, all.DType), Is.EqualTo((new Shape(n, n), DType.Int32)));
        Assert.That(all.ToArray<int>(), Is.EqualTo(Special.SelectMany(a => Special.Select(b => question.Holds(a, b) ? 1 : 0)).ToArray()));
        Assert.That(same.ToArray<int>(), Is.EqualTo(Special.Select((a, i) => question.Holds(a, Special[n - 1 - i]) ? 1 : 0).ToArray()));
        foreach (double s in new[] { 1, 0, NaN, Infinity })
            Assert.That(question.WithNumber(row, s).ToArray<int>(), Is.EqualTo(Special.Select(a => question.Holds(a, s) ? 1 : 0).ToArray()), $"with {s}");
        Assert.That(question.WithNumber(Tensor.From([2.0], new Shape(), dtype, row.Device), 2).Item(), Is.EqualTo(question.Holds(2, 2) ? 1 : 0));
        Assert.That(question.Op(Tensor.Zeros((0, 3), dtype, row.Device), row[..3]).Shape, Is.EqualTo(new Shape(0, 3)));
    }

    [Test]
    public void Long_rows_are_compared_to_their_end(
        [ValueSource(typeof(TestDevices), nameof(TestDevices.Fast))] string device, [Values(1, 1023, 1025, 3001)] int n)
    {
        using var scope = new TensorScope();
        Tensor a = TestData.Random((3, n), DType.Float32, TestDevices.Open(device), 1), b = TestData.Random(n, DType.Float32, a.Device, 2);
        double[] x = a.ToDoubles(), y = b.ToDoubles();
        Assert.That((a > b).ToArray<int>(), Is.EqualTo(x.Select((v, i) => v > y[i % n] ? 1 : 0).ToArray()));
    }

    [Test]
    public void A_float_condition_chooses_where_it_is_not_zero(
        [ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var tape = new Tape();
        Tensor condition = Tape.Watch(Tensor.From([0, -0.0, 1, NaN, -2, 1e-30], 6, dtype, TestDevices.Open(device)));
        Tensor a = Tape.Watch(Tensor.From([1.0, 2, 3, 4, 5, 6], 6, DType.Float64, condition.Device)),
            b = Tape.Watch(Tensor.From([-1.0], 1, DType.Float64, a.Device));
        Tensor y = Ops.Where(condition, a, b);
        Assert.That(y.ToDoubles(), Is.EqualTo(new double[] { -1, -1, 3, 4, 5, 6 }));
        Gradients gradients = tape.Backward(y.Sum());
        Assert.That(gradients[a].ToDoubles(), Is.EqualTo(new double[] { 0, 0, 1, 1, 1, 1 }));
        Assert.That(gradients[b].ToDoubles(), Is.EqualTo(new double[] { 2 }));
        Assert.That(gradients.Contains(condition), Is.False);
    }

    [Test]
    public void What_cannot_be_compared_is_said_in_one_line()
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open("cpu-256");
        Tensor x = Tensor.Zeros((2, 3), DType.Float32, on), ids = Tensor.Zeros(3, DType.Int32, on);
        void Refused(Func<Tensor> f, string message) => Assert.That(f, Throws.TypeOf<MambaException>().With.Message.EqualTo(message));
        Refused(() => Ops.Greater(x, x.To(DType.Float64)), "Greater: b is float64 (2, 3) on cpu; expected float32 on cpu, as a.");
        Refused(() => Ops.Equal(ids, ids), "Equal: a is int32 (3); expected float32 or float64.");
        Refused(() => Ops.Equal(ids, 1), "Equal: x is int32 (3); expected float32 or float64.");
        Refused(() => Ops.Less(x, x[.., 1..]), "Less: (2, 3) and (2, 2) do not broadcast: extents 3 and 2 meet, and neither is 1.");
    }
}
