using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>How fast the error of each rule falls as steps get smaller, on h′ = a h + u(t), whose solution is known. docs/selective-scan.md has them.</summary>
public class DiscretizationOrderTests
{
    const double A = -1.3, T = 2;

    // h(0) = 0.4
    static double Input(double t) => Math.Cos(3 * t) + 1;

    static double Solution(double t)
    {
        static double Particular(double t) => (3 * Math.Sin(3 * t) - A * Math.Cos(3 * t)) / (A * A + 9) - 1 / A;
        return Particular(t) + (0.4 - Particular(0)) * Math.Exp(A * t);
    }

    // u at the end of each step, as a scan has it: token t is the input that arrives with step t.
    static double Error(Discretization discretization, int steps, bool previous)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        double dt = T / steps;
        Tensor One(double value, Shape shape) => Tensor.From(Enumerable.Repeat(value, (int)shape.Count).ToArray(), shape, DType.Float64, device);
        Tensor u = Tensor.From([.. Enumerable.Range(1, steps).Select(i => Input(i * dt))], (1, steps, 1), DType.Float64, device);
        ScanResult r = Ops.SelectiveScan(u, One(dt, (1, steps, 1)), One(A, (1, 1)), One(1, (1, steps, 1)), One(1, (1, steps, 1)), deltaSoftplus: false,
            initialState: One(0.4, (1, 1, 1)), discretization: discretization, previousInput: previous ? One(Input(0), (1, 1, 1)) : null);
        return Math.Abs(r.LastState.ToDoubles()[0] - Solution(T));
    }

    static double Order(Discretization discretization, bool previous = false) =>
        Math.Log2(Error(discretization, 1000, previous) / Error(discretization, 2000, previous));

    [Test]
    public void Rules_of_one_token_are_of_first_order(
        [Values("exponential-euler", "zoh", "euler", "backward-euler", "bilinear")] string name) =>
        Assert.That(Order(Discretization.Named(name)), Is.EqualTo(1).Within(0.02));

    [Test]
    public void The_trapezoidal_rule_is_of_second_order_if_it_knows_the_input_before_the_first_token() =>
        Assert.That(Order(Discretization.ExponentialTrapezoidal, previous: true), Is.EqualTo(2).Within(0.02));

    [Test]
    public void It_is_of_first_order_if_it_does_not() =>
        Assert.That(Order(Discretization.ExponentialTrapezoidal), Is.EqualTo(1).Within(0.02));
}
