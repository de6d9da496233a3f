using Mamba.Gpu;
using MathNet.Numerics;
using NUnit.Framework;

namespace Mamba.Tests;

public class ElementwiseTests
{
    /// <summary>An op, the formula it stands for, its derivative, and where to try it.</summary>
    public sealed record Function(string Name, Func<Tensor, Tensor> Op, Func<double, double> F, Func<double, double> Derivative,
        double Low = -6, double High = 6)
    {
        public override string ToString() => Name;
    }

    static double Sigma(double x) => 1 / (1 + Math.Exp(-x));
    static double Softplus(double x) => x > 20 ? x : Math.Max(x, 0) + Log1p(Math.Exp(-Math.Abs(x)));

    static double Phi(double x) => SpecialFunctions.Erfc(-x / Math.Sqrt(2)) / 2;
    static double Phi3(double x) => Sigma(2 * Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x));

    // log(1 + e) without cancellation: Kahan's correction of log by the rounding of 1 + e
    static double Log1p(double e) => 1 + e == 1 ? e : Math.Log(1 + e) * (e / (1 + e - 1));

    public static readonly Function[] Functions =
    [
        new("Neg", x => -x, x => -x, x => -1),
        new("Exp", x => x.Exp(), Math.Exp, Math.Exp),
        new("Log", x => x.Log(), Math.Log, x => 1 / x, 0.1),
        new("Sqrt", x => x.Sqrt(), Math.Sqrt, x => 0.5 / Math.Sqrt(x), 0.1),
        new("Square", x => x.Square(), x => x * x, x => 2 * x),
        new("Reciprocal", x => x.Reciprocal(), x => 1 / x, x => -1 / (x * x), 0.3),
        new("Abs", x => x.Abs(), Math.Abs, x => Math.Sign(x)),
        new("Relu", x => x.Relu(), x => Math.Max(x, 0), x => x > 0 ? 1 : 0),
        new("Sigmoid", x => x.Sigmoid(), Sigma, x => Sigma(x) * Sigma(-x)),
        new("Silu", x => x.Silu(), x => x * Sigma(x), x => Sigma(x) * (1 + x * Sigma(-x))),
        new("Softplus", x => x.Softplus(), Softplus, x => x > 20 ? 1 : Sigma(x), -25, 25),
        new("Tanh", x => x.Tanh(), Math.Tanh, x => 1 / (Math.Cosh(x) * Math.Cosh(x)), -2, 2),
        new("Erf", x => x.Erf(), SpecialFunctions.Erf, x => 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x), -3, 3),
        new("Gelu", x => x.Gelu(), x => x * Phi(x), x => Phi(x) + x * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI)),
        new("Gelu tanh", x => x.Gelu(tanh: true), x => x * Phi3(x), x =>
            Phi3(x) + x * 2 * Phi3(x) * Phi3(-x) * Math.Sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x), -3, 3),
        new("Pow", x => x.Pow(1.7), x => Math.Pow(x, 1.7), x => 1.7 * Math.Pow(x, 0.7), 0.2, 4),
        new("x + s", x => x + 0.75, x => x + 0.75, x => 1),
        new("x − s", x => x - 0.75, x => x - 0.75, x => 1),
        new("s − x", x => 0.75 - x, x => 0.75 - x, x => -1),
        new("x · s", x => x * 0.75, x => x * 0.75, x => 0.75),
        new("x / s", x => x / 0.75, x => x / 0.75, x => 1 / 0.75),
        new("s / x", x => 0.75 / x, x => 0.75 / x, x => -0.75 / (x * x), 0.3),
        new("Maximum", x => Ops.Maximum(x, 0.5), x => Math.Max(x, 0.5), x => x < 0.5 ? 0 : 1),
        new("Minimum", x => Ops.Minimum(x, 0.5), x => Math.Min(x, 0.5), x => x > 0.5 ? 0 : 1),
        new("Clamp", x => x.Clamp(-1, 2), x => Math.Clamp(x, -1, 2), x => x is < -1 or > 2 ? 0 : 1),
    ];

    // float32: exp by polynomial is good to 2e-7, and Pow multiplies the logarithm's 1e-7 by up to 1.7 ln 4
    [Test]
    public void Each_function_and_its_derivative_follow_the_formula(
        [ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [ValueSource(nameof(Functions))] Function function)
    {
        foreach (DType dtype in new[] { DType.Float64, DType.Float32 })
            foreach (int count in new[] { 1, 67 })
            {
                using var tape = new Tape();
                Tensor x = Tape.Watch(TestData.Random(count, dtype, TestDevices.Open(device), seed: 1, function.Low, function.High));
                Tensor dy = TestData.Random(count, dtype, x.Device, seed: 2);
                Tensor y = function.Op(x);
                double[] at = x.ToDoubles(), weights = dy.ToDoubles();
                Tensor dx = tape.Backward([(y, dy)])[x];
                double tolerance = dtype == DType.Float64 ? 3e-15 : 1e-6;
                Assert.That(TestData.RelativeError(y.ToDoubles(), [.. at.Select(function.F)]), Is.LessThan(tolerance), $"{dtype} forward");
                double[] expected = [.. at.Zip(weights, (v, d) => d * function.Derivative(v))];
                Assert.That(TestData.RelativeError(dx.ToDoubles(), expected), Is.LessThan(tolerance), $"{dtype} backward");
            }
    }

    [Test]
    public void Each_gradient_is_the_difference_quotient([ValueSource(nameof(Functions))] Function function)
    {
        using var scope = new TensorScope();
        // away from the corners at −1, 0, ½, 2 by more than the two steps of the difference
        double[] values = [.. TestData.Uniform(65, seed: 3, function.Low, function.High)
            .Select(v => new[] { -1, 0, 0.5, 2 }.Any(corner => Math.Abs(v - corner) < 0.02) ? v + 0.05 : v)
            .Where(v => Math.Abs(v) < 12)];
        Tensor x = Tensor.From<double>(values, values.Length, TestDevices.Open("cpu"));
        Assert.That(GradCheck.LargestError(xs => [function.Op(xs[0])], [x]), Is.LessThan(1e-8));
    }

    [Test]
    public void The_ends_of_the_range_are_exact([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        foreach (DType dtype in new[] { DType.Float64, DType.Float32 })
        {
            Tensor x = Tensor.From([-1000, 0, 1000, 20.5, -50], 5, dtype, TestDevices.Open(device));
            Assert.Multiple(() =>
            {
                Assert.That(x.Exp().ToDoubles()[..3], Is.EqualTo(new[] { 0, 1, double.PositiveInfinity }));
                Assert.That(x.Sigmoid().ToDoubles()[..3], Is.EqualTo(new[] { 0, 0.5, 1 }));
                Assert.That(x.Tanh().ToDoubles()[..3], Is.EqualTo(new double[] { -1, 0, 1 }));
                Assert.That(x.Silu().ToDoubles()[1..3], Is.EqualTo(new double[] { 0, 1000 }));
                Assert.That(x.Softplus().ToDoubles()[0], Is.Zero);
                Assert.That(x.Softplus().ToDoubles()[2..4], Is.EqualTo(new[] { 1000, 20.5 }));
                Assert.That(x.Softplus().ToDoubles()[4], Is.EqualTo(Math.Exp(-50)).Within(1e-6 * Math.Exp(-50)), "log1p keeps the digits of e^−50");
            });
        }
    }

    [Test]
    public void Tanh_keeps_its_relative_precision_near_0_and_across_its_seam([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        foreach (double at in new[] { 1e-12, 1e-3, 0.3, 0.624, 0.626, -0.624, -0.626, -1e-5 })
        {
            double y = Tensor.From([at], 1, DType.Float64, TestDevices.Open(device)).Tanh().Item();
            Assert.That(y, Is.EqualTo(Math.Tanh(at)).Within(1e-15 * Math.Abs(at)));
        }
    }

    // the seams of the three ranges: 0.46875 and 4, of erf and, times √2, of gelu
    static readonly double[] AroundTheSeams = [.. new[] { 0, 1e-300, 1e-9, 0.3, 0.46875, 0.4687499999, 0.6629126, 0.66291260736, 1, 2.5, 3.99999, 4, 4.00001,
        5.656854, 5.65686, 5.9, 8, 20, 37 }
        .SelectMany(x => new[] { x, -x })];

    [Test]
    public void Erf_keeps_its_digits_across_its_seams([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        foreach ((DType dtype, double tolerance) in new[] { (DType.Float64, 1e-15), (DType.Float32, 3e-7) })
        {
            Tensor x = Tensor.From(AroundTheSeams, AroundTheSeams.Length, dtype, TestDevices.Open(device));
            double[] at = x.ToDoubles(), y = x.Erf().ToDoubles();
            for (int i = 0; i < at.Length; i++)
                Assert.That(y[i], Is.EqualTo(SpecialFunctions.Erf(at[i])).Within(tolerance * Math.Abs(SpecialFunctions.Erf(at[i]))), $"{dtype} erf {at[i]:R}");
        }
    }

    // −x Φ(−x), by mpmath with 40 digits
    static readonly (double X, double Y)[] GeluOfMinus =
    [
        (1e-300, -5.00000000000000013e-301), (1e-09, -4.99999999601057751e-10), (0.3, -0.114626573343314206), (0.46875, -0.149823830398648887),
        (0.6629126, -0.168176462400033351), (0.66291260736, -0.168176462704722625), (0.6629126074, -0.168176462706378545), (1, -0.158655253931457051),
        (2.5, -0.0155241633144403379), (3.99999, -0.000126690003922774211), (4, -0.000126684967332479685), (4.00001, -0.000126679930929547699),
        (5.656854, -4.36066518734130704e-8), (5.65686, -4.36051743592530806e-8), (5.9, -1.07232963922866285e-8), (8, -4.9767684594174273e-15),
        (20, -5.50724823721246739e-88), (37, -2.11846135233409342e-298),
    ];

    // Relative to Φ itself: x Φ(x) for negative x is no difference of nearly equal numbers. A device that rounds products loses x²/2 ulps of the exponential.
    [Test]
    public void Gelu_keeps_its_digits_in_the_tail([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        foreach ((DType dtype, double tolerance, double half) in new[] { (DType.Float64, 1e-15, 1.2e-16), (DType.Float32, 4e-7, 6e-8) })
            foreach (double sign in new[] { -1, 1 })
            {
                Tensor x = Tensor.From([.. GeluOfMinus.Select(g => sign * g.X)], GeluOfMinus.Length, dtype, TestDevices.Open(device));
                double[] at = x.ToDoubles(), y = x.Gelu().ToDoubles();
                for (int i = 0; i < at.Length; i++)
                {
                    // at the float32 nearest to X: by the slope of −x Φ(−x) there, (½ − x) y′/y ≈ −x in the tail
                    double expected = sign < 0 ? GeluOfMinus[i].Y : at[i] + GeluOfMinus[i].Y, size = Math.Abs(at[i]);
                    double moved = dtype == DType.Float32 ? 6e-8 * (1 + size * size) : 0;
                    double rounding = device.StartsWith("cpu", StringComparison.Ordinal) ? 0 : size * size / 2 * half;
                    if (dtype == DType.Float64 || Math.Abs(expected) > 1e-30)       // the range of float32
                        Assert.That(y[i], Is.EqualTo(expected).Within((tolerance + moved + rounding) * Math.Abs(expected)), $"{dtype} gelu {at[i]:R}");
                }
            }
    }

    [Test]
    public void Gelu_and_erf_are_as_flat_as_they_should_be_far_away(
        [ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [Values] bool tanh)
    {
        foreach (DType dtype in new[] { DType.Float64, DType.Float32 })
        {
            using var tape = new Tape();
            Tensor x = Tape.Watch(Tensor.From([-1e30, -1000, 1000, 1e30, double.PositiveInfinity, double.NaN], 6, dtype, TestDevices.Open(device)));
            Tensor y = x.Gelu(tanh), e = x.Erf(), ones = Ops.Fill(x.Like(), 1);
            double[] at = x.ToDoubles();
            Assert.Multiple(() =>
            {
                Assert.That(y.ToDoubles(), Is.EqualTo((double[])[0, 0, .. at[2..]]));
                Assert.That(e.ToDoubles(), Is.EqualTo(new[] { -1, -1, 1, 1, 1, double.NaN }));
                Assert.That(tape.Backward([(y, ones)])[x].ToDoubles(), Is.EqualTo(new[] { 0, 0, 1, 1, 1, double.NaN }));
                Assert.That(tape.Backward([(e, ones)])[x].ToDoubles(), Is.EqualTo(new[] { 0, 0, 0, 0, 0, double.NaN }));
            });
        }
    }

    /// <summary>A function of the user's own, as <see cref="Ops.Apply{F}(string, Tensor, double)"/> shows it.</summary>
    public struct Swish : IUnary
    {
        static V IUnary.Forward<V, M, T>(V x, V s) => x / (V.Of(1) + V.Exp(-s * x));

        static V IUnary.Derivative<V, M, T>(V x, V y, V s)
        {
            V sigma = V.Of(1) / (V.Of(1) + V.Exp(-s * x));
            return sigma * (V.Of(1) + s * x * (V.Of(1) - sigma));
        }
    }

    [Test]
    public void A_function_of_ones_own_needs_no_kernel([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        foreach (DType dtype in new[] { DType.Float64, DType.Float32 })
        {
            using var tape = new Tape();
            Tensor x = Tape.Watch(TestData.Random(67, dtype, TestDevices.Open(device), 1, -3, 3));
            Tensor y = Ops.Apply<Swish>("Swish", x, 1.5);
            double[] at = x.ToDoubles();
            double tolerance = dtype == DType.Float64 ? 3e-15 : 1e-6;
            Assert.That(TestData.RelativeError(y.ToDoubles(), [.. at.Select(v => v * Sigma(1.5 * v))]), Is.LessThan(tolerance));
            Assert.That(TestData.RelativeError(tape.Backward(y.Sum())[x].ToDoubles(), [.. at.Select(v => Sigma(1.5 * v) * (1 + 1.5 * v * Sigma(-1.5 * v)))]),
                Is.LessThan(tolerance));
        }
    }

    [Test]
    public void The_tapes_helpers_fill_and_add_in_place([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        foreach (DType dtype in new[] { DType.Float64, DType.Float32 })
        {
            Tensor whole = Ops.Fill(Tensor.Empty(67, dtype, TestDevices.Open(device)), 2), part = whole.Part(16, 37);
            Tensor x = Tensor.From(TestData.Uniform(37, seed: 1), 37, dtype, whole.Device);
            Tensor sum = Ops.AddUnrecorded(part, x);
            Ops.AddInto(part, x);
            double[] expected = [.. Enumerable.Repeat(2.0, 16), .. sum.ToDoubles(), .. Enumerable.Repeat(2.0, 14)];
            Assert.That(whole.ToDoubles(), Is.EqualTo(expected), "only the part changes");
            Assert.That(TestData.RelativeError(sum.ToDoubles(), [.. x.ToDoubles().Select(v => v + 2)]), Is.LessThan(1e-7));
        }
    }

    [Test]
    public void Nothing_is_computed_for_nothing([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var tape = new Tape();
        Tensor x = Tape.Watch(Tensor.Empty((3, 0), DType.Float32, TestDevices.Open(device)));
        Tensor y = Ops.AddUnrecorded(Ops.Fill(x, 1), x).Silu() + x.Silu() * 2;
        Ops.AddInto(y, x);
        Assert.That(y.Shape, Is.EqualTo(new Shape(3, 0)));
        Assert.That(tape.Backward([(y, y.Like())])[x].Shape, Is.EqualTo(x.Shape));
    }

    [Test]
    public void Token_ids_are_refused_in_one_line()
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.From<int>([1, 2, 3], 3, TestDevices.Open("cpu"));
        Assert.That(() => x.Silu(), Throws.TypeOf<MambaException>().With.Message.EqualTo("Silu: x is int32 (3); expected float32 or float64."));
    }
}
