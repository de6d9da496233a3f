using NUnit.Framework;

namespace Mamba.Tests;

public class GradCheckTests
{
    static Device Host => TestDevices.Open("cpu-256");

    static Tensor R(Shape shape, int seed, double low = -1, double high = 1) => TestData.Random(shape, DType.Float64, Host, seed, low, high);

    static Tensor Of(Shape shape, params double[] values) => Tensor.From(values, shape, DType.Float64, Host);

    /// <summary>a · b whose gradient of b is off by a factor at one element.</summary>
    static Tensor WrongMul(Tensor a, Tensor b, int at, double factor)
    {
        Tensor y = Ops.Mul(a, b).Clone();
        return Tape.Record("WrongMul", y, [a, b], dy =>
        {
            double[] db = Ops.Mul(dy, a).ToDoubles();
            db[at] *= factor;
            return [Ops.Mul(dy, b), Tensor.From(db, b.Shape, DType.Float64, Host)];
        });
    }

    [Test]
    public void A_right_gradient_passes_and_the_report_says_how_sure_that_is()
    {
        using var scope = new TensorScope();
        GradReport report = GradCheck.Run(x => [Ops.RmsNorm(x[0], x[1])], [R((2, 3, 5), 1), R(5, 2)], ["x", "weight"]);
        Assert.Multiple(() =>
        {
            Assert.That(report.Passed);
            Assert.That(report.Inputs.Select(i => (i.Name, i.Elements, i.Directions)), Is.EqualTo(new[] { ("x", 30, 0), ("weight", 5, 0) }));
            Assert.That(report.RelativeError, Is.LessThan(1e-9));
            Assert.That(report.EstimatedError, Is.InRange(1e-16, 1e-8));
            Assert.That(() => report.ThrowIfFailed(), Throws.Nothing);
        });
    }

    [Test]
    public void The_estimated_error_covers_the_true_one([Values(0.05, 0.3, 1, 5)] double x)
    {
        // sin of something steep: the derivative is known
        using var scope = new TensorScope();
        GradReport report = GradCheck.Run(v => [Ops.Exp(Ops.Mul(Ops.Square(v[0]), -3.0))], [Of(1, x)]);
        GradSample sample = report.Inputs[0].Worst!;
        double weight = GradCheck.Weight(0, 0), exact = weight * -6 * x * Math.Exp(-3 * x * x);
        Assert.That(Math.Abs(sample.Numeric - exact), Is.LessThanOrEqualTo(4 * (sample.Truncation + sample.Rounding)));
    }

    [Test]
    public void A_wrong_element_is_named_with_both_values([Values(0, 7, 14)] int at)
    {
        using var scope = new TensorScope();
        Tensor a = R((3, 5), 1, 0.5, 1), b = R((3, 5), 2);
        GradReport report = GradCheck.Run(x => [WrongMul(x[0], x[1], at, 1.001)], [a, b], ["a", "b"]);
        GradSample worst = report.Worst!.Worst!;
        double right = a.ToDoubles()[at] * GradCheck.Weight(0, at);
        Assert.Multiple(() =>
        {
            Assert.That(report.Verdict, Is.EqualTo(GradVerdict.Differs));
            Assert.That(report.Inputs[0].Verdict, Is.EqualTo(GradVerdict.Agrees));
            Assert.That(report.Worst.Name, Is.EqualTo("b"));
            Assert.That(worst.Index, Is.EqualTo(new long[] { at / 5, at % 5 }));
            Assert.That(worst.Analytic, Is.EqualTo(1.001 * right).Within(1e-12));
            Assert.That(worst.Numeric, Is.EqualTo(right).Within(1e-12));
            Assert.That(() => report.ThrowIfFailed(), Throws.TypeOf<MambaException>().With.Message.Matches(
                $@"^GradCheck: The derivative of b \(3, 5\) at \({at / 5}, {at % 5}\) is wrong: analytic \S+, numeric \S+; "
                + @"they differ by \S+, \S+ of the gradient, and the numeric one is good to \S+\.$"));
        });
    }

    [Test]
    public void A_wrong_element_of_a_large_input_is_found_by_a_direction_and_narrowed_down([Values(0, 1234, 1999)] int at)
    {
        using var scope = new TensorScope();
        Tensor[] inputs = [R((20, 100), 1, 0.5, 1), R((20, 100), 2)];
        GradReport report = GradCheck.Run(x => [WrongMul(x[0], x[1], at, -1)], inputs, ["a", "b"], new GradCheckOptions { Elements = 4 });
        Assert.That(report.Worst!.Name, Is.EqualTo("b"));
        Assert.That(report.Worst.Worst!.Index, Is.EqualTo(new long[] { at / 100, at % 100 }));
        Assert.That(report.Worst.Verdict, Is.EqualTo(GradVerdict.Differs));
    }

    [Test]
    public void A_gradient_of_one_part_in_a_million_too_much_is_found()
    {
        using var scope = new TensorScope();
        Assert.That(GradCheck.Run(x => [WrongMul(x[0], x[1], 3, 1 + 1e-6)], [R(7, 1, 0.5, 1), R(7, 2)]).Verdict, Is.EqualTo(GradVerdict.Differs));
    }

    [Test]
    public void A_missing_gradient_is_found_and_named()
    {
        using var scope = new TensorScope();
        static Tensor Half(Tensor[] x) => Tape.Record("Half", Ops.Mul(x[0], x[1]).Clone(), [x[0], x[1]], dy => [Ops.Mul(dy, x[1]), null]);
        GradReport report = GradCheck.Run(x => [Half(x)], [R(3, 1), R(3, 2, 0.5, 1)], ["a", "b"]);
        Assert.That(report.ToString(), Does.StartWith("The derivative of b (3) at (").And.Contain("is wrong: analytic 0, numeric "));
    }

    [Test]
    public void A_gradient_that_is_no_number_is_wrong()
    {
        using var scope = new TensorScope();
        GradReport report = GradCheck.Run(x => [Tape.Record("Nan", x[0].Clone(), [x[0]], dy => [Ops.Mul(dy, double.NaN)])], [R(3, 1)]);
        Assert.That(report.ToString(), Does.Contain("wrong: analytic NaN"));
    }

    static readonly TestCaseData[] Kinks =
    [
        new TestCaseData((Func<Tensor, Tensor>)Ops.Abs, 0.0).SetArgDisplayNames("abs"),
        new TestCaseData((Func<Tensor, Tensor>)Ops.Relu, 0.0).SetArgDisplayNames("relu"),
        new TestCaseData((Func<Tensor, Tensor>)(x => Ops.Maximum(x, 0.25)), 0.25).SetArgDisplayNames("maximum with a number"),
        new TestCaseData((Func<Tensor, Tensor>)(x => Ops.Minimum(x, 0.25)), 0.25).SetArgDisplayNames("minimum with a number"),
        new TestCaseData((Func<Tensor, Tensor>)(x => Ops.Clamp(x, -1, 0.5)), 0.5).SetArgDisplayNames("clamp"),
        new TestCaseData((Func<Tensor, Tensor>)(x => Ops.Maximum(x, Ops.Square(x))), 1.0).SetArgDisplayNames("maximum of two"),
        new TestCaseData((Func<Tensor, Tensor>)(x => Ops.Max(Ops.Concat(0, x, Ops.Square(x)), 0)), 1.0).SetArgDisplayNames("max of an axis"),
        new TestCaseData((Func<Tensor, Tensor>)(x => Ops.Add(Ops.Exp(x), Ops.Mul(Ops.Abs(x), 0.01))), 0.0)
            .SetArgDisplayNames("a small kink in something smooth"),
    ];

    [TestCaseSource(nameof(Kinks))]
    public void A_kink_is_told_from_a_wrong_gradient(Func<Tensor, Tensor> function, double at)
    {
        using var scope = new TensorScope();
        GradReport report = GradCheck.Run(x => [function(x[0])], [Of(1, at)], ["x"]);
        Assert.That(report.Verdict, Is.EqualTo(GradVerdict.NotSmooth), report.ToString());
        (double left, double right) = report.Worst!.Worst!.Slopes;
        Assert.Multiple(() =>
        {
            Assert.That(Math.Abs(right - left), Is.GreaterThan(0.01));
            Assert.That(report.ToString(), Does.StartWith("The function is not smooth where the derivative of x (1) at (0) was asked for: its slope is "));
            Assert.That(GradCheck.Run(x => [function(x[0])], [Of(1, at)], options: new GradCheckOptions { AllowKinks = true }).Passed,
                "the analytic derivative lies between the slopes");
        });
    }

    [TestCaseSource(nameof(Kinks))]
    public void Near_a_kink_the_derivative_is_right(Func<Tensor, Tensor> function, double at)
    {
        using var scope = new TensorScope();
        foreach (double off in new[] { 1e-2, -1e-2, 3e-3, -1e-3, 1e-4, -1e-4 })
            GradCheck.Run(x => [function(x[0])], [Of(1, at + off)]).ThrowIfFailed();
    }

    [Test]
    public void A_kink_in_a_large_input_is_found_along_a_direction()
    {
        using var scope = new TensorScope();
        double[] values = TestData.Uniform(500, 1, 0.1, 1);
        values[333] = 0;
        GradReport report = GradCheck.Run(x => [Ops.Abs(x[0])], [Of(500, values)], options: new GradCheckOptions { Elements = 4 });
        Assert.That(report.Verdict, Is.EqualTo(GradVerdict.NotSmooth));
        Assert.That(report.Worst!.Worst!.Index, Is.EqualTo(new long[] { 333 }));
    }

    [Test]
    public void A_jump_is_not_smooth()
    {
        // 0 below 0.5, 1 from there on
        using var scope = new TensorScope();
        static Tensor Step(Tensor x) => Tensor.From([.. x.ToDoubles().Select(v => v < 0.5 ? 0.0 : 1)], x.Shape, DType.Float64, Host);
        GradReport report = GradCheck.Run(x => [Tape.Record("Step", Step(x[0]), [x[0]], dy => [Ops.Mul(dy, 0.0)])], [Of(1, 0.5)]);
        Assert.That(report.Verdict, Is.EqualTo(GradVerdict.NotSmooth), report.ToString());
    }

    [Test]
    public void Noise_makes_the_check_inconclusive_and_not_a_pass()
    {
        // values rounded to 24 bits, as a float32 kernel in between would
        using var scope = new TensorScope();
        static Tensor Each(Tensor x, Func<double, double> f) => Tensor.From([.. x.ToDoubles().Select(f)], x.Shape, DType.Float64, Host);
        GradReport report = GradCheck.Run(
            x => [Tape.Record("Rounded", Each(x[0], v => (float)Math.Sin(v)), [x[0]], dy => [Ops.Mul(dy, Each(x[0], Math.Cos))])], [R(5, 3)]);
        Assert.That(report.Verdict, Is.EqualTo(GradVerdict.Inconclusive), report.ToString());
        Assert.That(() => report.ThrowIfFailed(),
            Throws.TypeOf<MambaException>().With.Message.Contains("Differences cannot judge the derivative of input 0 (5) at ("));
    }

    [Test]
    public void Inputs_without_elements_and_inputs_that_do_not_matter_agree()
    {
        using var scope = new TensorScope();
        GradReport report = GradCheck.Run(x => [Ops.Square(x[0])], [R(3, 1), R((0, 4), 2), R(3, 3)]);
        Assert.That(report.Passed);
        Assert.That(report.Inputs.Select(i => i.RelativeError), Has.All.LessThan(1e-12));
    }

    [Test]
    public void Float32_is_refused_in_one_line()
    {
        using var scope = new TensorScope();
        Assert.That(() => GradCheck.Run(x => [x[0]], [TestData.Random(3, DType.Float32, Host, 1)], ["u"]),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("GradCheck: u is float32 (3); expected float64. Differences of float32 values say nothing."));
    }

    [Test]
    public void Every_parameter_of_a_model_is_checked_and_has_its_value_afterwards()
    {
        var config = new MambaConfig { DModel = 4, NLayer = 1, VocabSize = 8, SsmCfg = new SsmConfig { DState = 2 } };
        using var model = new MambaLM(config, Host, seed: 1, DType.Float64);
        using var scope = new TensorScope();
        // so long that A matters: a derivative near 0 drowns in rounding
        Tensor tokens = Tensor.From([.. Enumerable.Range(0, 24).Select(t => t * t % 7)], (2, 12), Host);
        double[] before = model.Parameters.Flat.ToDoubles();
        GradReport report = GradCheck.Run(() => Ops.CrossEntropy(model.Forward(tokens), tokens), model.Parameters);
        report.ThrowIfFailed();
        Assert.That(report.Inputs.Select(i => i.Name), Is.EqualTo(model.Parameters.Select(p => p.Name)));
        Assert.That(model.Parameters.Flat.ToDoubles(), Is.EqualTo(before));
    }

    [Test]
    public void Two_implementations_are_compared_in_values_and_gradients()
    {
        using var scope = new TensorScope();
        Tensor[] x = [R((2, 5), 1), R((2, 5), 2, 0.5, 1)];
        GradCheck.Compare(v => [Ops.Div(v[0], v[1])], v => [Ops.Mul(v[0], Ops.Reciprocal(v[1]))], x, 1e-14).ThrowIfFailed();

        ComparisonReport value = GradCheck.Compare(v => [Ops.Add(Ops.Div(v[0], v[1]), 1e-6)], v => [Ops.Div(v[0], v[1])], x, 1e-10, ["a", "b"]);
        Assert.That(value.Worst!.Name, Is.EqualTo("output 0"));
        Assert.That(value.Differences.Where(d => !d.Passed).Select(d => d.Name), Is.EqualTo(new[] { "output 0" }));

        ComparisonReport gradient = GradCheck.Compare(v => [WrongMul(v[0], v[1], 8, 2)], v => [Ops.Mul(v[0], v[1])], x, 1e-10, ["a", "b"]);
        Assert.That(gradient.Differences.Where(d => !d.Passed).Select(d => d.Name), Is.EqualTo(new[] { "gradient of b" }));
        Assert.That(gradient.Worst!.Index, Is.EqualTo(new long[] { 1, 3 }));
        Assert.That(gradient.Worst.Actual, Is.EqualTo(2 * gradient.Worst.Expected));
        Assert.That(() => gradient.ThrowIfFailed(), Throws.TypeOf<MambaException>().With.Message.Matches(@"^Compare: gradient of b \(2, 5\) at \(1, 3\) is "
            + @"\S+; expected \S+\. The difference is \S+ of the largest element; allowed is 1\.0e-10\.$"));
    }

    [Test]
    public void Implementations_of_other_shapes_are_refused_and_NaN_agrees_with_nothing()
    {
        using var scope = new TensorScope();
        Assert.That(() => GradCheck.Compare(v => [Ops.Sum(v[0], 0)], v => [v[0]], [R((2, 5), 1)]),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("Compare: the outputs have shapes (5); expected (2, 5), as the other implementation."));
        Assert.That(GradCheck.Compare(v => [Ops.Mul(v[0], double.NaN)], v => [Ops.Mul(v[0], double.NaN)], [R(3, 1)]).Passed, Is.False);
    }
}
