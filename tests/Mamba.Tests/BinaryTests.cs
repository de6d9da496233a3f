using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

public class BinaryTests
{
    public sealed record Function(string Name, Func<Tensor, Tensor, Tensor> Op, Func<double, double, double> F)
    {
        public override string ToString() => Name;
    }

    public static readonly Function[] Functions =
    [
        new("Add", (a, b) => a + b, (a, b) => a + b),
        new("Sub", (a, b) => a - b, (a, b) => a - b),
        new("Mul", (a, b) => a * b, (a, b) => a * b),
        new("Div", (a, b) => a / b, (a, b) => a / b),
        new("Maximum", Ops.Maximum, Math.Max),
        new("Minimum", Ops.Minimum, Math.Min),
    ];

    // the extents of a and b; the last walks five axes that nothing can merge
    static readonly (long[] A, long[] B)[] Pairs =
    [
        ([37], [37]),
        ([2, 3, 17], [17]),
        ([17], [2, 3, 17]),
        ([2, 3, 17], [2, 3, 1]),
        ([2, 3, 17], [3, 1]),
        ([2, 1, 17], [3, 1]),
        ([], [3, 5]),
        ([3, 5], [1]),
        ([1, 1], [1]),
        ([5, 1], [1, 65]),
        ([2, 1, 3, 1, 5], [4, 1, 2, 1]),
    ];

    [Test]
    public void Shapes_broadcast_as_in_numpy([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [ValueSource(nameof(Functions))] Function function)
    {
        foreach (DType dtype in new[] { DType.Float64, DType.Float32 })
            foreach ((long[] a, long[] b) in Pairs)
            {
                using var scope = new TensorScope();
                Tensor x = TestData.Random(new Shape(a), dtype, TestDevices.Open(device), seed: 1);
                Tensor y = TestData.Random(new Shape(b), dtype, x.Device, seed: 2, 0.5, 2);
                Tensor z = function.Op(x, y);
                (Shape shape, double[] expected) = Reference(function.F, x, y);
                Assert.That(z.Shape, Is.EqualTo(shape));
                // one operation, rounded once; OpenCL's float32 division may be off by 2.5 ulp
                Assert.That(TestData.RelativeError(z.ToDoubles(), expected), Is.LessThan(dtype == DType.Float64 ? 3e-16 : 2e-7), $"{x.Shape} {y.Shape}");
            }
    }

    public struct Hypot : IBinary { static V IBinary.Forward<V, M, T>(V a, V b) => V.Sqrt(a * a + b * b); }
    public struct HypotA : IBinary { static V IBinary.Forward<V, M, T>(V a, V b) => a / V.Sqrt(a * a + b * b); }
    public struct HypotB : IBinary { static V IBinary.Forward<V, M, T>(V a, V b) => b / V.Sqrt(a * a + b * b); }

    [Test]
    public void A_function_of_ones_own_brings_its_derivatives([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        foreach (DType dtype in new[] { DType.Float64, DType.Float32 })
        {
            using var tape = new Tape();
            Tensor a = Tape.Watch(TestData.Random((3, 5), dtype, TestDevices.Open(device), 1)), b = Tape.Watch(TestData.Random(5, dtype, a.Device, 2, 0.5, 2));
            Tensor y = Ops.Apply<Hypot, HypotA, HypotB>("Hypot", a, b), weights = TestData.Random((3, 5), dtype, a.Device, 3);
            Gradients gradients = tape.Backward([(y, weights)]);
            double[] x = a.ToDoubles(), z = b.ToDoubles(), w = weights.ToDoubles(), dz = new double[5];
            double Length(int i) => Math.Sqrt(x[i] * x[i] + z[i % 5] * z[i % 5]);
            for (int i = 0; i < 15; i++)
                dz[i % 5] += w[i] * z[i % 5] / Length(i);
            double tolerance = dtype == DType.Float64 ? 1e-15 : 1e-6;
            Assert.That(TestData.RelativeError(y.ToDoubles(), [.. x.Select((_, i) => Length(i))]), Is.LessThan(tolerance));
            Assert.That(TestData.RelativeError(gradients[a].ToDoubles(), [.. x.Select((v, i) => w[i] * v / Length(i))]), Is.LessThan(tolerance));
            Assert.That(TestData.RelativeError(gradients[b].ToDoubles(), dz), Is.LessThan(2 * tolerance));
            Assert.That(Ops.Apply<Hypot>("Hypot", a, b).RequiresGrad, Is.False, "without derivatives it is a value");
        }
    }

    static (Shape, double[]) Reference(Func<double, double, double> f, Tensor a, Tensor b)
    {
        int rank = Math.Max(a.Shape.Rank, b.Shape.Rank);
        long Extent(Tensor t, int axis) => axis - rank + t.Shape.Rank is >= 0 and int own ? t.Shape[own] : 1;
        var shape = new Shape([.. Enumerable.Range(0, rank).Select(i => Math.Max(Extent(a, i), Extent(b, i)))]);
        double[] x = a.ToDoubles(), y = b.ToDoubles(), z = new double[shape.Count];
        for (long i = 0; i < z.Length; i++)
        {
            long rest = i, ia = 0, ib = 0, sa = 1, sb = 1;
            for (int axis = rank - 1; axis >= 0; axis--)
            {
                long at = rest % shape[axis];
                rest /= shape[axis];
                ia += at % Extent(a, axis) * sa;
                ib += at % Extent(b, axis) * sb;
                sa *= Extent(a, axis);
                sb *= Extent(b, axis);
            }
            z[i] = f(x[ia], y[ib]);
        }
        return (shape, z);
    }

    [Test]
    public void Gradients_are_summed_over_what_was_repeated([ValueSource(nameof(Functions))] Function function)
    {
        using var scope = new TensorScope();
        foreach ((long[] a, long[] b) in Pairs)
        {
            Tensor x = TestData.Random(new Shape(a), DType.Float64, TestDevices.Open("cpu"), seed: 1, -1, 0.9);
            Tensor y = TestData.Random(new Shape(b), DType.Float64, x.Device, seed: 2, 0.92, 2);       // no pair within a step of equality
            Assert.That(GradCheck.LargestError(xs => [function.Op(xs[0], xs[1])], [x, y]), Is.LessThan(1e-8), $"{x.Shape} {y.Shape}");
            Assert.That(GradCheck.LargestError(xs => [function.Op(xs[1], xs[0])], [y, x.Square() + 0.5]), Is.LessThan(1e-8), $"{y.Shape} {x.Shape}");
        }
    }

    [Test]
    public void Equal_elements_share_the_gradient_of_their_maximum([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var tape = new Tape();
        Tensor a = Tape.Watch(Tensor.From<double>([1, 2, 3], 3, TestDevices.Open(device)));
        Tensor b = Tape.Watch(Tensor.From<double>([1, 3, 2], 3, a.Device));
        Gradients gradients = tape.Backward(Ops.Sum(Ops.Maximum(a, b)));
        Assert.That(gradients[a].ToDoubles(), Is.EqualTo(new[] { 0.5, 0, 1 }));
        Assert.That(gradients[b].ToDoubles(), Is.EqualTo(new[] { 0.5, 1, 0 }));
    }

    [Test]
    public void Operators_read_as_the_formula_they_stand_for()
    {
        using var scope = new TensorScope();
        Tensor a = TestData.Random((3, 5), DType.Float64, TestDevices.Open("cpu"), seed: 1), b = TestData.Random(5, DType.Float64, a.Device, seed: 2, 1, 2);
        Tensor Formula(Tensor a, Tensor b) => 1.0 - (a + b) * 2.0 / (b - -a * a) + (3 / b - 0.5 * a) / 4 + (1 + a);
        double[] expected = [.. a.ToDoubles().Select((x, i) =>
        {
            double y = b.ToDoubles()[i % 5];
            return 1.0 - (x + y) * 2.0 / (y - -x * x) + (3 / y - 0.5 * x) / 4 + (1 + x);
        })];
        Assert.That(TestData.RelativeError(Formula(a, b).ToDoubles(), expected), Is.LessThan(1e-15));
        Assert.That(GradCheck.LargestError(xs => [Formula(xs[0], xs[1])], [a, b]), Is.LessThan(1e-8));
    }

    [Test]
    public void One_tensor_may_stand_on_both_sides()
    {
        using var scope = new TensorScope();
        Tensor x = TestData.Random((3, 5), DType.Float64, TestDevices.Open("cpu"), seed: 1, 1, 2);
        Assert.That(GradCheck.LargestError(xs => [xs[0] * xs[0], xs[0] + xs[0], xs[0] / xs[0] - xs[0]], [x]), Is.LessThan(1e-8));
    }

    [Test]
    public void Nothing_broadcasts_with_something()
    {
        using var scope = new TensorScope();
        Tensor a = Tensor.Empty((0, 3), DType.Float32, TestDevices.Open("cpu")), b = TestData.Random(3, DType.Float32, a.Device, seed: 1);
        Assert.That((a + b).Shape, Is.EqualTo(new Shape(0, 3)));
        using var tape = new Tape();
        Tensor y = a * Tape.Watch(b);
        Assert.That(tape.Backward([(y, y.Like())])[b].ToDoubles(), Is.EqualTo(new double[3]));
    }

    [Test]
    public void A_large_product_is_the_same_whatever_it_is_cut_into()
    {
        using var scope = new TensorScope();
        Tensor a = TestData.Random((5, 3001), DType.Float32, TestDevices.Open("cpu"), seed: 1), b = TestData.Random((5, 1), DType.Float32, a.Device, seed: 2);
        float[] x = a.ToArray<float>(), y = b.ToArray<float>();
        Assert.That((a * b).ToArray<float>(), Is.EqualTo(x.Select((v, i) => v * y[i / 3001]).ToArray()));
        Assert.That((b * a).ToArray<float>(), Is.EqualTo((a * b).ToArray<float>()));
    }

    [Test]
    public void What_does_not_fit_is_said_in_one_line()
    {
        using var scope = new TensorScope();
        Tensor Of(DType dtype, params long[] extents) => Tensor.Zeros(new Shape(extents), dtype, TestDevices.Open("cpu"));
        Tensor a = Of(DType.Float32, 2, 3);
        Assert.Multiple(() =>
        {
            Assert.That(() => a + Of(DType.Float32, 2),
                Throws.TypeOf<MambaException>().With.Message.EqualTo("Add: (2, 3) and (2) do not broadcast: extents 3 and 2 meet, and neither is 1."));
            Assert.That(() => a * Of(DType.Float64, 3),
                Throws.TypeOf<MambaException>().With.Message.EqualTo("Mul: b is float64 (3) on cpu; expected float32 on cpu, as a."));
            Assert.That(() => Of(DType.Float32, 2, 1, 2, 1, 2, 1) + Of(DType.Float32, 2, 1, 2, 1, 2), Throws.TypeOf<MambaException>()
                .With.Message.EqualTo("Add: (2, 1, 2, 1, 2, 1) with (2, 1, 2, 1, 2) is a walk over 6 axes after merging; at most 5 are supported."));
        });
    }
}
