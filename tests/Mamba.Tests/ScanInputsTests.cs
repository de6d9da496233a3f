using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>The scan over <see cref="ScanInputs"/>, whose states are channels last, and algorithms of one's own.</summary>
public class ScanInputsTests
{
    static readonly string[] Schemes = [.. Discretization.All.Select(d => d.Name)];
    static readonly string[] Algorithms = [.. ScanAlgorithm.All.Select(a => a.Name)];

    // (b, d, n) or (b, d, n, 2) → (b, rows, d)
    static Tensor ChannelsLast(Tensor state, PlainScan c) => Ops.Transpose(Ops.Reshape(state, (c.B, c.D, c.Complex ? 2 * c.N : c.N)));

    static double[][] Run(PlainScan c, DType dtype, Func<Tensor[], (Tensor[] Outputs, Tensor[] Seeds)> apply)
    {
        using var tape = new Tape();
        Tensor[] x = [.. c.Inputs(dtype, TestDevices.Open("cpu-256")).Select(Tape.Watch)];
        (Tensor[] outputs, Tensor[] seeds) = apply(x);
        Gradients gradients = tape.Backward([.. outputs.Zip(seeds)]);
        return [outputs[0].ToDoubles(), .. x.Select(t => gradients.Contains(t) ? gradients[t].ToDoubles() : [])];
    }

    static Tensor Seed(Tensor y, int i) => TestData.Random(y.Shape, y.DType, y.Device, 20 + i);

    static void AreTheSame(PlainScan c, DType dtype, string algorithm)
    {
        ScanAlgorithm by = ScanAlgorithm.Named(algorithm);
        double[][] usual = Run(c, dtype, x =>
        {
            Tensor[] y = c.Apply(x, by);
            return (y, [.. y.Select(Seed)]);
        });
        double[][] channelsLast = Run(c, dtype, x =>
        {
            Tensor[] y = (c with { ChannelsLast = true }).Apply([.. x[..8], ChannelsLast(x[8], c), ChannelsLast(x[9], c)], by), states = c.Apply(x);
            Assert.That(y[1].Shape, Is.EqualTo((Shape)(c.B, c.Complex ? 2 * c.N : c.N, c.D)));
            return (y, [Seed(states[0], 0), .. states.Skip(1).Select((s, i) => ChannelsLast(Seed(s, i + 1), c))]);
        });
        Assert.That(channelsLast, Is.EqualTo(usual));
    }

    [Test]
    public void States_channels_last_are_those_of_the_op_transposed([ValueSource(nameof(Schemes))] string scheme, [Values] bool isComplex,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        foreach ((int b, int l, int d) in new[] { (2, 35, 5), (1, 1, 1), (1, 0, 3) })
            AreTheSame(new PlainScan(b, l, d, 3) { Discretization = Discretization.Named(scheme), Complex = isComplex, Resets = [1, 9] }, dtype, "chunked");
    }

    [Test]
    public void Every_algorithm_has_its_states_channels_last([ValueSource(nameof(Algorithms))] string algorithm, [ValueSource(nameof(Schemes))] string scheme)
    {
        foreach (int l in new[] { 0, 1, 9 })
            AreTheSame(new PlainScan(2, l, 3, 2) { Discretization = Discretization.Named(scheme), Resets = [2] }, DType.Float64, algorithm);
    }

    [Test]
    public void States_n_counts_numbers_and_rows_counts_elements([Values] bool isComplex)
    {
        using var scope = new TensorScope();
        Tensor[] given = new PlainScan(2, 3, 4, 5) { Complex = isComplex, Groups = 2 }.Inputs(DType.Float32, TestDevices.Open("cpu-256"));
        var x = new ScanInputs { U = given[0], Delta = given[1], A = given[2], B = given[3], C = given[4] };
        Assert.Multiple(() =>
        {
            Assert.That((x.Batch, x.Length, x.Channels, x.States, x.Groups), Is.EqualTo((2L, 3L, 4L, 5L, 2L)));
            Assert.That(x.Rows, Is.EqualTo(isComplex ? 10 : 5));
        });
    }

    [Test]
    public void Errors_speak_of_the_shapes_the_caller_has()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        Tensor R(Shape shape) => Tensor.Zeros(shape, DType.Float32, device);
        Tensor u = R((2, 6, 3)), A = R((3, 4)), B = R((2, 6, 4));
        var inputs = new ScanInputs { U = u, Delta = u, A = A, B = B, C = B };
        string Of(Action run) => Assert.Throws<MambaException>(() => run())!.Message;
        Assert.Multiple(() =>
        {
            Assert.That(Of(() => Ops.SelectiveScan(u, u, A, B, B, initialState: R((2, 4, 3)))),
                Is.EqualTo("SelectiveScan: initialState has shape (2, 4, 3); expected (2, 3, 4). n comes from A (3, 4), the rest from u (2, 6, 3)."));
            Assert.That(Of(() => Ops.SelectiveScan(inputs with { InitialState = R((2, 3, 4)) })),
                Is.EqualTo("SelectiveScan: initialState has shape (2, 3, 4); expected (2, 4, 3). n comes from A (3, 4), the rest from u (2, 6, 3)."));
            Assert.That(Of(() => Ops.SelectiveScan(inputs with { PreviousInput = R((2, 4, 3)) })),
                Is.EqualTo("SelectiveScan: previousInput was given; exponential-euler does not look back, only exponential-trapezoidal does."));
            Assert.That(Of(() => Ops.SelectiveScan(inputs with { PreviousInput = R((2, 3, 4)), Discretization = Discretization.ExponentialTrapezoidal })),
                Does.StartWith("SelectiveScan: previousInput has shape (2, 3, 4); expected (2, 4, 3)."));
            Assert.That(Of(() => Ops.SelectiveScan(inputs with { Reset = R((2, 6)) })), Is.EqualTo("SelectiveScan: reset is float32; expected int32."));
            Assert.That(Of(() => Ops.SelectiveScan(inputs with { C = R((2, 6, 5)) })),
                Is.EqualTo("SelectiveScan: C has shape (2, 6, 5); expected (b=2, l=6, n=4). n comes from A (3, 4)."));
        });
    }

    /// <summary>The recurrence unrolled: h_t = Σ_{j ≤ t} (Π_{k=j+1..t} Ā_k) x_j, token by token. Real A, no resets.</summary>
    sealed class Unrolled() : ScanAlgorithm("unrolled")
    {
        protected override ScanOutputs Run(ScanInputs inputs)
        {
            var c = new ScanCoefficients(inputs);
            Tensor x = c.Sources(), h = c.InitialState();
            var all = new List<Tensor>();
            for (int t = 0; t < inputs.Length; t++)
                all.Add(h = c.Decayed(h, t) + Ops.Slice(x, 1, t, 1));
            return c.Result(all.Count == 0 ? x : Ops.Concat(1, [.. all]));
        }
    }

    [Test]
    public void An_algorithm_of_one_s_own_is_a_few_lines_and_agrees([ValueSource(nameof(Schemes))] string scheme, [Values(0, 1, 2, 33)] int l,
        [Values] bool initial)
    {
        var c = new PlainScan(2, l, 3, 2) { Discretization = Discretization.Named(scheme), Initial = initial, Resets = initial ? [1] : [] };
        double[][] Of(ScanAlgorithm? algorithm) => Run(c, DType.Float64, x =>
        {
            Tensor[] y = c.Apply(x, algorithm);
            return (y, [.. y.Select(Seed)]);
        });
        double[][] mine = Of(new Unrolled()), theirs = Of(null);
        for (int i = 0; i < theirs.Length; i++)
            Assert.That(mine[i], Is.EqualTo(theirs[i]).Within(1e-13), $"tensor {i}");
        Assert.That(new Unrolled().Cost(1, 2, 3, 4).Work, Is.NaN);
    }

    /// <summary>An algorithm that returns what it is told to.</summary>
    sealed class Wrong(Func<ScanInputs, ScanOutputs> run) : ScanAlgorithm("wrong")
    {
        protected override ScanOutputs Run(ScanInputs inputs) => run(inputs);
    }

    [Test]
    public void An_algorithm_that_returns_something_else_is_named()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        Tensor R(Shape shape, DType dtype = DType.Float32) => Tensor.Zeros(shape, dtype, device);
        var inputs = new ScanInputs { U = R((2, 6, 3)), Delta = R((2, 6, 3)), A = R((3, 4)), B = R((2, 6, 4)), C = R((2, 6, 4)) };
        string Of(ScanInputs x, Func<ScanInputs, ScanOutputs> run) => Assert.Throws<MambaException>(() => Ops.SelectiveScan(x, new Wrong(run)))!.Message;
        ScanInputs back = inputs with { Discretization = Discretization.ExponentialTrapezoidal };
        Assert.Multiple(() =>
        {
            Assert.That(Of(inputs, x => new(R((2, 6, 4)), R(x.StateShape))),
                Is.EqualTo("Scan algorithm 'wrong' returned y of shape (2, 6, 4); expected (2, 6, 3)."));
            Assert.That(Of(inputs, x => new(x.U, R((2, 3, 4)))),
                Is.EqualTo("Scan algorithm 'wrong' returned the last state of shape (2, 3, 4); expected (2, 4, 3)."));
            Assert.That(Of(inputs, x => new(R((2, 6, 3), DType.Float64), R(x.StateShape))), Does.StartWith("Scan algorithm 'wrong' returned y as float64 on "));
            Assert.That(Of(inputs, x => new(x.U, R(x.StateShape), R(x.StateShape))),
                Is.EqualTo("Scan algorithm 'wrong' returned a last input; exponential-euler does not look back and has none."));
            Assert.That(Of(back, x => new(x.U, R(x.StateShape))),
                Is.EqualTo("Scan algorithm 'wrong' returned no last input; exponential-trapezoidal looks back and needs one."));
            Assert.That(Of(back, x => new(x.U, R(x.StateShape), R((2, 3, 4)))),
                Is.EqualTo("Scan algorithm 'wrong' returned the last input of shape (2, 3, 4); expected (2, 4, 3)."));
        });
    }

    [Test]
    public void What_is_registered_is_found_by_name_and_a_name_stands_for_one()
    {
        var mine = new Unrolled();
        Assert.That(() => ScanAlgorithm.Named("unrolled"),
            Throws.TypeOf<MambaException>().With.Message.StartsWith("Scan algorithm 'unrolled' is unknown; there are reference, "));
        ScanAlgorithm.Register(mine);
        var scheme = new Discretization<SelectiveScanFormsTests.Pade02>("padé-02 of a test");
        Discretization.Register(scheme);
        Assert.Multiple(() =>
        {
            Assert.That(ScanAlgorithm.Named("unrolled"), Is.SameAs(mine));
            Assert.That(ScanAlgorithm.Named("chunked"), Is.SameAs(ScanAlgorithm.Chunked));
            Assert.That(ScanAlgorithm.All, Has.Count.EqualTo(6).And.No.Member(mine));
            Assert.That(() => ScanAlgorithm.Register(new Unrolled()),
                Throws.TypeOf<MambaException>().With.Message.StartsWith("Scan algorithm 'unrolled' is registered already"));
            Assert.That(() => ScanAlgorithm.Named("nothing"), Throws.TypeOf<MambaException>().With.Message.Contains("attention, unrolled"));
            Assert.That(Discretization.Named("padé-02 of a test"), Is.SameAs(scheme));
            Assert.That(Discretization.All, Has.Count.EqualTo(6).And.No.Member(scheme));
            Assert.That(() => Discretization.Register(new Discretization<SelectiveScanFormsTests.Pade02>("zoh")), Throws.TypeOf<MambaException>());
        });
    }

    [Test]
    public void Many_threads_may_register_at_once()
    {
        string[] names = [.. Enumerable.Range(0, 64).Select(i => $"padé-02 {i} of many")];
        Parallel.ForEach(names, name => Discretization.Register(new Discretization<SelectiveScanFormsTests.Pade02>(name)));
        Assert.That(names.Select(name => Discretization.Named(name).Name), Is.EqualTo(names));
    }
}
