using System.Numerics;
using CsCheck;
using Mamba.Gpu;
using MathNet.Numerics.IntegralTransforms;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Every form of the selective scan: discretizations, algorithms, complex states, packing, pieces, segments of time.</summary>
public class SelectiveScanFormsTests
{
    static IEnumerable<TestCaseData> AlgorithmsAndSchemes =>
        ScanAlgorithm.All.SelectMany(_ => Discretization.All,
        (algorithm, scheme) => new TestCaseData(algorithm, scheme).SetArgDisplayNames(algorithm.Name, scheme.Name));

    [TestCaseSource(nameof(AlgorithmsAndSchemes))]
    public void Every_input_has_a_gradient_at_any_length_from_any_output(ScanAlgorithm algorithm, Discretization scheme)
    {
        const int B = 2, D = 3, N = 2;
        Device on = TestDevices.Open("cpu-256");
        foreach (int l in (int[])[0, 1, 2, 3])
            foreach (bool initial in (bool[])[false, true])
                foreach (bool reset in (bool[])[false, true])
                    for (int k = 0; k < (scheme.LooksBack ? 3 : 2); k++)
                    {
                        double[][] Gradients(ScanAlgorithm by)
                        {
                            using var tape = new Tape();
                            Tensor Of(int seed, Shape shape, double low = -1, double high = 1) =>
                                Tape.Watch(TestData.Random(shape, DType.Float64, on, seed, low, high));
                            Tensor?[] x =
                            [
                                Of(1, (B, l, D)), Of(2, (B, l, D)), Of(3, (D, N), -2, -0.1), Of(4, (B, l, N)), Of(5, (B, l, N)), Of(6, D), Of(7, (B, l, D)),
                                    Of(8, D),
                                initial ? Of(9, (B, D, N)) : null, initial && scheme.LooksBack ? Of(10, (B, D, N)) : null,
                            ];
                            Tensor? mask = reset ? Tensor.From([.. Enumerable.Range(0, B * l).Select(i => i % 3 == 1 ? 1 : 0)], (B, l), on) : null;
                            ScanResult r = Ops.SelectiveScan(x[0]!, x[1]!, x[2]!, x[3]!, x[4]!, x[5], x[6], x[7], initialState: x[8], reset: mask,
                                discretization: scheme, algorithm: by, previousInput: x[9]);
                            Tensor y = k == 0 ? r.Y : k == 1 ? r.LastState : r.LastInput!;
                            Gradients gradients = tape.Backward([(y, TestData.Random(y.Shape, DType.Float64, on, 11))]);
                            return [.. x.OfType<Tensor>().Select(t => gradients[t].ToDoubles())];
                        }
                        double[][] actual = Gradients(algorithm), expected = Gradients(ScanAlgorithm.Chunked);
                        for (int i = 0; i < expected.Length; i++)
                            Assert.That(actual[i], Is.EqualTo(expected[i]).Within(1e-13),
                                $"l {l}, initial {initial}, reset {reset}, output {k}: gradient of input {i}");
                    }
    }

    [Test]
    public void Every_input_of_the_hidden_attention_has_a_gradient_at_any_length([Values(0, 1, 2)] int l, [Values] bool bias)
    {
        foreach (Discretization scheme in Discretization.All)
        {
            using var tape = new Tape();
            Device on = TestDevices.Open("cpu-256");
            Tensor Of(int seed, Shape shape, double low = -1, double high = 1) => Tape.Watch(TestData.Random(shape, DType.Float64, on, seed, low, high));
            Tensor delta = Of(1, (2, l, 3)), A = Of(2, (3, 2), -2, -0.1), B = Of(3, (2, l, 2)), C = Of(4, (2, l, 2)), deltaBias = Of(5, 3);
            Tensor m = Ops.HiddenAttention(delta, A, B, C, bias ? deltaBias : null, discretization: scheme);
            Gradients gradients = tape.Backward([(m, TestData.Random(m.Shape, DType.Float64, on, 6))]);
            foreach (Tensor x in bias ? (Tensor[])[delta, A, B, C, deltaBias] : [delta, A, B, C])
                Assert.That(gradients[x].IsFinite(), $"{scheme.Name}: {x.Describe()}");
        }
    }

    static readonly string[] Schemes = [.. Discretization.All.Select(d => d.Name)];
    static readonly string[] Hosts = ["cpu-128", "cpu-256", "cpu-512"];

    static IEnumerable<PlainScan> Cases()
    {
        foreach (string scheme in Schemes)
        {
            yield return new(2, 35, 5, 5) { Discretization = Discretization.Named(scheme) };
            yield return new(1, 7, 3, 2) { Discretization = Discretization.Named(scheme), Complex = true };
            yield return new(2, 34, 17, 3) { Discretization = Discretization.Named(scheme), Resets = [1, 2, 9, 31, 32] };
            yield return new(1, 33, 4, 4) { Discretization = Discretization.Named(scheme), Complex = true, Resets = [0, 20], Groups = 2, Initial = false };
            yield return new(2, 9, 6, 6)
            {
                Discretization = Discretization.Named(scheme),
                ConstantB = true,
                ConstantC = true,
                Skip = false,
                Gate = false,
                Bias = false,
                Softplus = false
            };
        }
    }

    static readonly PlainScan[] All = [.. Cases()];

    [Test]
    public void Every_form_equals_plain_loops([ValueSource(nameof(All))] PlainScan c,
        [Values("cpu-128", "cpu-256", "cpu-512", "opencl:0", "ilgpu-cpu", "cuda:0")] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var scope = new TensorScope();
        Tensor[] inputs = c.Inputs(dtype, TestDevices.Open(device)), outputs = c.Apply(inputs);
        double[][] expected = c.Expected(inputs);
        double tolerance = dtype == DType.Float64 ? 1e-13 : 1e-5;       // tens of steps, each off by an ulp or two
        Assert.That(outputs, Has.Length.EqualTo(expected.Length));
        for (int i = 0; i < expected.Length; i++)
            Assert.That(TestData.RelativeError(outputs[i].ToDoubles(), expected[i]), Is.LessThan(tolerance), $"output {i}");
    }

    [Test]
    public void Gradients_of_every_form_agree_with_central_differences([ValueSource(nameof(All))] PlainScan c)
    {
        using var scope = new TensorScope();
        Assert.That(GradCheck.LargestError(x => c.Apply(x), c.Inputs(DType.Float64, TestDevices.Open("cpu-256"))), Is.LessThan(1e-8));
    }

    static IEnumerable<PlainScan> DeviceCases() =>
        All.Where(c => c.Discretization.Name is "zoh" or "exponential-trapezoidal" && (c.Complex || c.Resets.Count > 0));

    [Test]
    public void Gradients_of_forms_agree_on_every_device([ValueSource(nameof(DeviceCases))] PlainScan c,
        [Values("cpu-128", "cpu-512", "opencl:0", "ilgpu-cpu", "cuda:0")] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        double[][] expected = Evaluate(c, "cpu-256", DType.Float64), actual = Evaluate(c, device, dtype);
        for (int i = 0; i < expected.Length; i++)
            Assert.That(TestData.RelativeError(actual[i], expected[i]), Is.LessThan(dtype == DType.Float64 ? 1e-12 : 3e-5), $"tensor {i}");
    }

    // outputs, then the gradients of all inputs, zeros for those not used
    static double[][] Evaluate(PlainScan c, string device, DType dtype, ScanAlgorithm? algorithm = null) =>
        Evaluate(c, TestDevices.Open(device), dtype, algorithm);

    static double[][] Evaluate(PlainScan c, Device on, DType dtype, ScanAlgorithm? algorithm = null)
    {
        using var tape = new Tape();
        Tensor[] inputs = [.. c.Inputs(dtype, on).Select(Tape.Watch)], outputs = c.Apply(inputs, algorithm);
        Gradients gradients = tape.Backward([.. outputs.Select((y, i) => (y, TestData.Random(y.Shape, dtype, on, 20 + i)))]);
        return [.. outputs.Select(y => y.ToDoubles()), .. inputs.Select(x => gradients.Contains(x) ? gradients[x].ToDoubles() : new double[x.Count])];
    }

    static void AreClose(double[][] actual, double[][] expected, double tolerance, string what = "")
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        for (int i = 0; i < expected.Length; i++)
            Assert.That(TestData.RelativeError(actual[i], expected[i]), Is.LessThan(tolerance), $"{what} tensor {i}");
    }

    // ---- algorithms ------------------------------------------------------------------------------------------------

    // One of l, n, d at a time goes through its list, the others odd and small: the reference stores everything.
    static IEnumerable<PlainScan> Sizes()
    {
        foreach (int l in new[] { 1, 2, 3, 7, 31, 64, 65, 257, 1030 })
            yield return new(2, l, 5, 3);
        foreach (int n in new[] { 1, 3, 4, 5, 16, 17, 64, 256 })
            yield return new(1, 33, 5, n);
        foreach (int d in new[] { 1, 5, 16, 96, 257 })
            yield return new(2, 7, d, 4);
        yield return new(1, 65, 257, 17) { Gate = false };
        yield return new(1, 257, 16, 64) { Skip = false };
        yield return new(2, 33, 96, 5) { Groups = 4, Bias = false };
        yield return new(2, 33, 5, 5) { Softplus = false, Initial = false };
        yield return new(2, 33, 5, 5) { ConstantB = true };
        yield return new(2, 33, 5, 5) { ConstantC = true, Skip = false, Gate = false, Bias = false, Softplus = false, Initial = false };
    }

    static readonly PlainScan[] AllSizes = [.. Sizes()];

    [Test]
    public void The_fused_kernel_equals_the_reference_with_all_gradients([ValueSource(nameof(AllSizes))] PlainScan c) =>
        AreClose(Evaluate(c, "cpu-512", DType.Float64), Evaluate(c, "cpu-512", DType.Float64, ScanAlgorithm.Reference), 1e-11);

    static readonly string[] Algorithms = [.. ScanAlgorithm.All.Select(a => a.Name)];

    [Test]
    public void Every_algorithm_equals_the_reference([ValueSource(nameof(Algorithms))] string algorithm, [ValueSource(nameof(Schemes))] string scheme,
        [Values(0, 1, 2, 7, 64, 65)] int length, [Values] bool flags)
    {
        var c = new PlainScan(2, length, 3, 2)
        {
            Discretization = Discretization.Named(scheme),
            Skip = flags,
            Gate = flags,
            Bias = flags,
            Initial = flags,
            Resets = flags ? [3, 40] : []
        };
        AreClose(Evaluate(c, "cpu-256", DType.Float64, ScanAlgorithm.Named(algorithm)), Evaluate(c, "cpu-256", DType.Float64, ScanAlgorithm.Reference), 1e-12);
    }

    [Test]
    public void Algorithms_state_their_cost([ValueSource(nameof(Algorithms))] string name)
    {
        ScanCost cost = ScanAlgorithm.Named(name).Cost(2, 1024, 64, 16);
        const double States = 2.0 * 1024 * 64 * 16;
        Assert.Multiple(() =>
        {
            Assert.That(cost.Work, Is.GreaterThanOrEqualTo(States));
            Assert.That(cost.Depth, Is.InRange(10, 1024));
            Assert.That(name == "chunked" ? cost.Elements * 16 : cost.Elements, name == "chunked" ? Is.LessThan(States) : Is.GreaterThan(States));
        });
    }

    // ---- segments of time --------------------------------------------------------------------------------------------

    [Test]
    public void Segments_of_time_change_nothing_but_rounding([Values(2, 3, 7, 1000)] int segments, [Values("cpu-256", "opencl:0", "cuda:0")] string device,
        [Values] bool isComplex)
    {
        foreach (var c in new[]
        {
            new PlainScan(2, 257, 5, 3) { Complex = isComplex },
            new PlainScan(1, 130, 3, 6) { Complex = isComplex, Resets = [40, 64, 100], Discretization = Discretization.ZeroOrderHold },
            new PlainScan(1, 130, 4, 4) { Complex = isComplex, Groups = 2, Initial = false, Gate = false, ConstantC = true },
        })
            AreClose(Evaluate(c, device, DType.Float64, ScanAlgorithm.ChunkedInto(segments)),
                Evaluate(c, "cpu-256", DType.Float64, ScanAlgorithm.ChunkedInto(1)), 1e-12, c.ToString());
    }

    [Test]
    public void A_long_row_of_few_channels_is_cut_by_itself_and_its_bits_do_not_depend_on_the_threads()
    {
        var c = new PlainScan(1, 4100, 3, 4);
        using var scope = new TensorScope();
        Tensor[] x = c.Inputs(DType.Float32, TestDevices.Open("cpu-256"));
        Assert.That(ScanPlan.For(new ScanInputs { U = x[0], Delta = x[1], A = x[2], B = x[3], C = x[4] }, host: true).Segments, Is.GreaterThan(1));
        double[][] Run(int threads)
        {
            using var device = new HostDevice(threads);
            return Evaluate(c, device, DType.Float32);
        }
        double[][] one = Run(1);
        foreach (int threads in new[] { 2, 3, 5 })
            Assert.That(Run(threads), Is.EqualTo(one), $"{threads} threads");
        AreClose(one, Evaluate(c, "cpu-256", DType.Float64), 1e-4);
    }

    [Test]
    public void Backward_in_windows_of_time_equals_backward_at_once()
    {
        // few channels, so that strips are small and the partials of dB and dC are kept a window at a time
        var c = new PlainScan(1, 1000, 96, 3);
        using var scope = new TensorScope();
        Tensor[] x = c.Inputs(DType.Float64, TestDevices.Open("cpu-256"));
        ScanPlan plan = ScanPlan.For(new ScanInputs { U = x[0], Delta = x[1], A = x[2], B = x[3], C = x[4] }, host: true);
        Assert.That(plan.Window, Is.LessThan(1000));
        AreClose(Evaluate(c, "cpu-256", DType.Float64), Evaluate(c, "cpu-256", DType.Float64, ScanAlgorithm.Sequential), 1e-11);
    }

    // ---- packing and pieces ------------------------------------------------------------------------------------------

    [Test]
    public void Packed_sequences_equal_those_run_apart([ValueSource(nameof(Schemes))] string scheme, [Values] bool isComplex)
    {
        var packed = new PlainScan(1, 50, 5, 4) { Discretization = Discretization.Named(scheme), Complex = isComplex, Initial = false };
        int[] lengths = [1, 17, 32];
        Device device = TestDevices.Open("cpu-512");
        using var tape = new Tape();
        Tensor[] x = [.. packed.Inputs(DType.Float64, device).Select(Tape.Watch)];
        Tensor reset = Tensor.From([.. Enumerable.Range(0, 50).Select(t => t is 0 or 1 or 18 ? 1 : 0)], (1, 50), device);
        Tensor together = Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], reset: reset, discretization: Discretization.Named(scheme)).Y;
        var apart = new List<Tensor>();
        for (int i = 0, start = 0; i < lengths.Length; start += lengths[i++])
        {
            Tensor Piece(int k) => Ops.Slice(x[k], 1, start, lengths[i]);
            apart.Add(Ops.SelectiveScan(Piece(0), Piece(1), x[2], Piece(3), Piece(4), x[5], Piece(6), x[7], discretization: Discretization.Named(scheme)).Y);
        }
        Tensor joined = Ops.Concat(1, [.. apart]), dy = TestData.Random((1, 50, 5), DType.Float64, device, 30);
        Assert.That(TestData.RelativeError(together.ToDoubles(), joined.ToDoubles()), Is.LessThan(1e-14));
        Gradients one = tape.Backward([(together, dy)]), other = tape.Backward([(joined, dy)]);
        foreach (int k in Enumerable.Range(0, 8))
            Assert.That(TestData.RelativeError(one[x[k]].ToDoubles(), other[x[k]].ToDoubles()), Is.LessThan(1e-13), $"input {k}");
    }

    [Test]
    public void Pieces_with_gradient_through_the_state_equal_the_unbroken_scan([ValueSource(nameof(Schemes))] string scheme, [Values] bool isComplex)
    {
        var c = new PlainScan(2, 45, 3, 3) { Discretization = Discretization.Named(scheme), Complex = isComplex };
        Device device = TestDevices.Open("cpu-256");
        using var tape = new Tape();
        Tensor[] x = [.. c.Inputs(DType.Float64, device).Select(Tape.Watch)], whole = c.Apply(x);
        bool back = Discretization.Named(scheme).LooksBack;
        Tensor state = x[8];
        Tensor? input = back ? x[9] : null;
        var pieces = new List<Tensor>();
        foreach ((int start, int length) in new[] { (0, 1), (1, 32), (33, 12) })
        {
            Tensor Piece(int k) => Ops.Slice(x[k], 1, start, length);
            ScanResult r = Ops.SelectiveScan(Piece(0), Piece(1), x[2], Piece(3), Piece(4), x[5], Piece(6), x[7], true, state,
                discretization: Discretization.Named(scheme), previousInput: input);
            pieces.Add(r.Y);
            (state, input) = (r.LastState, r.LastInput);
        }
        Tensor y = Ops.Concat(1, [.. pieces]), dy = TestData.Random(y.Shape, DType.Float64, device, 31);
        Tensor dLast = TestData.Random(state.Shape, DType.Float64, device, 32);
        Gradients broken = tape.Backward([(y, dy), (state, dLast)]), unbroken = tape.Backward([(whole[0], dy), (whole[1], dLast)]);
        Assert.That(TestData.RelativeError(y.ToDoubles(), whole[0].ToDoubles()), Is.LessThan(1e-14));
        foreach (int k in Enumerable.Range(0, back ? 10 : 9))
            Assert.That(TestData.RelativeError(broken[x[k]].ToDoubles(), unbroken[x[k]].ToDoubles()), Is.LessThan(1e-12), $"input {k}");
    }

    [Test]
    public void Any_shape_and_any_resets_agree_with_the_reference() =>
        Gen.Select(Gen.Int[1, 3], Gen.Int[1, 70], Gen.Int[1, 20], Gen.Int[1, 9], Gen.Int[0, 63], Gen.Int[0, Schemes.Length - 1],
            Gen.Int[0, 69].Array[0, 4]).Sample((b, l, d, n, flags, scheme, resets) =>
        {
            var c = new PlainScan(b, l, d, n)
            {
                Discretization = Discretization.Named(Schemes[scheme]),
                Skip = (flags & 1) != 0,
                Gate = (flags & 2) != 0,
                Bias = (flags & 4) != 0,
                Softplus = (flags & 8) != 0,
                Initial = (flags & 16) != 0,
                ConstantB = (flags & 32) != 0,
                Resets = resets,
            };
            double[][] actual = Evaluate(c, "cpu-512", DType.Float64), expected = Evaluate(c, "cpu-512", DType.Float64, ScanAlgorithm.Sequential);
            for (int i = 0; i < expected.Length; i++)
                if (TestData.RelativeError(actual[i], expected[i]) > 1e-11)
                    return false;
            return true;
        }, iter: 150);

    // ---- mathematics ---------------------------------------------------------------------------------------------------

    [Test]
    public void Theorem_1_holds_with_ZOH_and_fails_with_exponential_Euler()
    {
        // N = 1, A = −1, B = 1, delta = softplus(s): h_t = (1 − g) h_{t−1} + g u_t with g = σ(s)
        Device device = TestDevices.Open("cpu-256");
        using var scope = new TensorScope();
        const int L = 50;
        Tensor u = TestData.Random((1, L, 1), DType.Float64, device, 1), s = TestData.Random((1, L, 1), DType.Float64, device, 2, -3, 3);
        Tensor A = Tensor.From([-1.0], (1, 1), DType.Float64, device), one = Tensor.From(Enumerable.Repeat(1.0, L).ToArray(), (1, L, 1), DType.Float64, device);
        double[] x = u.ToDoubles(), gate = [.. s.ToDoubles().Select(v => 1 / (1 + Math.Exp(-v)))], expected = new double[L];
        for (int t = 0; t < L; t++)
            expected[t] = (1 - gate[t]) * (t > 0 ? expected[t - 1] : 0) + gate[t] * x[t];
        double Error(Discretization d) => TestData.RelativeError(Ops.SelectiveScan(u, s, A, one, one, discretization: d).Y.ToDoubles(), expected);
        Assert.Multiple(() =>
        {
            Assert.That(Error(Discretization.ZeroOrderHold), Is.LessThan(1e-14));
            Assert.That(Error(Discretization.ExponentialEuler), Is.GreaterThan(0.1));
        });
    }

    [Test]
    public void With_constant_delta_B_and_C_the_scan_is_a_global_convolution()
    {
        // y = K ∗ u with K_t = Σ_n C Ā^t Δ B, by Fourier transform: eq. 3 of the paper
        Device device = TestDevices.Open("cpu-256");
        using var scope = new TensorScope();
        const int L = 300, N = 4, Padded = 1024;
        const double Delta = 0.3;
        Tensor u = TestData.Random((1, L, 1), DType.Float64, device, 1);
        Tensor delta = Tensor.From(Enumerable.Repeat(Delta, L).ToArray(), (1, L, 1), DType.Float64, device);
        Tensor A = TestData.Random((1, N), DType.Float64, device, 2, -1, -0.05), B = TestData.Random((1, N), DType.Float64, device, 3);
        Tensor C = TestData.Random((1, N), DType.Float64, device, 4);
        double[] a = A.ToDoubles(), b = B.ToDoubles(), c = C.ToDoubles();
        Complex[] kernel = new Complex[Padded], signal = new Complex[Padded];
        for (int t = 0; t < L; t++)
        {
            signal[t] = u.ToDoubles()[t];
            for (int n = 0; n < N; n++)
                kernel[t] += c[n] * Math.Exp(Delta * a[n] * t) * Delta * b[n];
        }
        Fourier.Forward(kernel, FourierOptions.AsymmetricScaling);
        Fourier.Forward(signal, FourierOptions.AsymmetricScaling);
        Complex[] product = [.. kernel.Zip(signal, (k, s) => k * s)];
        Fourier.Inverse(product, FourierOptions.AsymmetricScaling);
        double[] y = Ops.SelectiveScan(u, delta, A, B, C, deltaSoftplus: false).Y.ToDoubles();
        Assert.That(TestData.RelativeError(y, [.. product.Take(L).Select(v => v.Real)]), Is.LessThan(1e-13));
    }

    [Test]
    public void The_hidden_attention_matrix_times_the_input_is_the_scan([ValueSource(nameof(Schemes))] string scheme)
    {
        var c = new PlainScan(2, 40, 3, 5) { Discretization = Discretization.Named(scheme), Gate = false, Skip = false, Initial = false, Resets = [13] };
        Device device = TestDevices.Open("cpu-256");
        using var scope = new TensorScope();
        Tensor[] x = c.Inputs(DType.Float64, device);
        // (b, d, l, l)
        Tensor m = Ops.HiddenAttention(x[1], x[2], x[3], x[4], x[7], reset: c.ResetMask(device), discretization: Discretization.Named(scheme));
        Assert.That(m.Shape, Is.EqualTo((Shape)(2, 3, 40, 40)));
        Tensor columns = Ops.Reshape(Ops.Transpose(x[0]), (2, 3, 40, 1)), y = Ops.Transpose(Ops.Reshape(Ops.MatMul(m, columns), (2, 3, 40)));
        Assert.That(TestData.RelativeError(y.ToDoubles(), c.Apply(x)[0].ToDoubles()), Is.LessThan(1e-13));
        double[] values = m.ToDoubles();
        Assert.That(Enumerable.Range(0, values.Length).Where(i => i % 40 > i / 40 % 40).Select(i => values[i]), Has.All.EqualTo(0), "nothing from the future");
    }

    [Test]
    public void Extreme_deltas_give_finite_and_correct_results([Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Hosts))] string host,
        [Values(1e-8, 1e-4, 1.0, 30.0, 1e3)] double size)
    {
        Device device = TestDevices.Open(host);
        var c = new PlainScan(2, 40, 5, 4) { Softplus = false, Bias = false, Step = size };
        double[][] got = Evaluate(c, device, dtype);
        Assert.That(got.SelectMany(v => v), Has.All.Matches<double>(double.IsFinite));
        using var scope = new TensorScope();
        Tensor[] x = c.Inputs(dtype, device);
        double[][] expected = c.Expected(x);
        for (int i = 0; i < 2; i++)
            Assert.That(TestData.RelativeError(got[i], expected[i]), Is.LessThan(dtype == DType.Float32 ? 2e-5 : 1e-12));
    }

    [Test]
    public void Softplus_and_its_slope_go_over_into_those_of_a_line([Values("cpu-128", "cpu-256", "cpu-512", "opencl:0", "cuda:0")] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        var c = new PlainScan(2, 33, 5, 2) { Step = 30 };       // raw steps of -90 to 30
        double tolerance = dtype == DType.Float32 ? 2e-5 : 1e-9;      // above 20 it is x itself, 2e-9 off at most
        double[][] got = Evaluate(c, device, dtype);
        AreClose(got, Evaluate(c, "cpu-256", DType.Float64, ScanAlgorithm.Sequential), tolerance);
        using var scope = new TensorScope();
        Assert.That(TestData.RelativeError(got[0], c.Expected(c.Inputs(dtype, TestDevices.Open("cpu-256")))[0]), Is.LessThan(tolerance));
    }

    [Test]
    public void A_large_delta_resets_the_state([Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Hosts))] string host)
    {
        // exp(Δ A) is 0, so nothing is left of what came before
        Device device = TestDevices.Open(host);
        using var scope = new TensorScope();
        var c = new PlainScan(2, 40, 5, 4) { Softplus = false, Bias = false };
        Tensor[] x = c.Inputs(dtype, device), other = [.. x];
        x[1] = other[1] = Ops.Fill(x[1].Like(), 1e4);
        other[8] = Ops.Mul(x[8], 1e3);
        Assert.That(c.Apply(other)[0].ToDoubles(), Is.EqualTo(c.Apply(x)[0].ToDoubles()));
    }

    // ---- a researcher's own discretization ------------------------------------------------------------------------------

    /// <summary>α = 1/(1 − z + z²/2), γ = α(1 − z/2): a Padé approximant nobody ships.</summary>
    public struct Pade02 : IDiscretization
    {
        public static bool Base2 => false;
        public static bool ScalesInput => true;
        public static bool LooksBack => false;
        static N IDiscretization.Alpha<N, V, M, T>(N z) => N.Of(1) / (N.Of(1) - z + z * z * N.Of(0.5f));
        static N IDiscretization.AlphaSlope<N, V, M, T>(N z, N alpha) => alpha * alpha * (N.Of(1) - z);
        static N IDiscretization.Gamma<N, V, M, T>(N z, N alpha) => alpha * (N.Of(1) - z * N.Of(0.5f));
        static N IDiscretization.GammaSlope<N, V, M, T>(N z, N alpha, N gamma) =>
            alpha * alpha * (N.Of(1) - z) * (N.Of(1) - z * N.Of(0.5f)) - alpha * N.Of(0.5f);
        static N IDiscretization.Beta<N, V, M, T>(N z, N alpha) => N.Of(0);
        static N IDiscretization.BetaSlope<N, V, M, T>(N z, N alpha) => N.Of(0);
    }

    [Test]
    public void A_new_discretization_is_a_struct_and_runs_everywhere([Values("cpu-128", "cpu-256", "cpu-512", "opencl:0", "cuda:0")] string device)
    {
        var mine = new Discretization<Pade02>("padé-02");
        Tensor[] Apply(Tensor[] x) => [Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], discretization: mine).Y];
        Agreement.Input[] inputs = [Agreement.Input.Random((1, 5, 3), 1), Agreement.Input.Random((1, 5, 3), 2), Agreement.Input.Random((3, 2), 3, -2, -0.1),
            Agreement.Input.Random((1, 5, 2), 4), Agreement.Input.Random((1, 5, 2), 5)];
        Agreement.Check(device, DType.Float64, Apply, inputs);
        Assert.That(Agreement.GradientError(Apply, inputs), Is.LessThan(1e-8));
    }

    // ---- memory ----------------------------------------------------------------------------------------------------------

    [Test]
    public void Working_memory_is_what_the_formula_says_and_at_most_a_tenth([Values] bool longRow)
    {
        (long b, long l, long d, long n) = longRow ? (1, 8192, 64, 16) : (8, 512, 256, 16);
        using var device = new HostDevice(threads: 2);
        using var scope = new TensorScope();
        Tensor R(Shape shape) => Tensor.Zeros(shape, DType.Float32, device);
        var x = new ScanInputs
        {
            U = R((b, l, d)),
            Delta = R((b, l, d)),
            A = R((d, n)),
            B = R((b, l, n)),
            C = R((b, l, n)),
            D = R(d),
            Z = R((b, l, d)),
            DeltaBias = R(d),
        };
        var gradients = ScanGradients.Of(x);
        Tensor y = x.U.Like(), last = R((b, n, d)), dy = x.U.Like();
        long given = device.Memory.LiveBytes;
        device.Memory.ResetPeak();
        Tensor boundaries = R((b, x.Chunks, n, d));
        SelectiveScanKernels.Forward(x, y, last, boundaries);
        SelectiveScanKernels.Backward(x, boundaries, dy, null, gradients);
        long extra = device.Memory.PeakBytes - given, formula = SelectiveScanKernels.WorkingBytes(x, host: true, device.Threads, device.Bits / 32);
        Assert.Multiple(() =>
        {
            Assert.That(extra, Is.InRange(formula * 0.9, formula * 1.15), "the pool rounds sizes up by at most an eighth");
            Assert.That((double)extra / given, Is.LessThan(0.1), "of inputs, outputs and gradients");
        });
    }

    // ---- far ends --------------------------------------------------------------------------------------------------------

    [Test, Explicit("Minutes, and 18 GB of memory: dotnet test --project tests/Mamba.Tests -- --filter Category=Slow"), Category("Slow")]
    public void A_million_tokens_and_more_than_2_to_the_31_elements_are_correct()
    {
        using var device = new HostDevice();
        const long L = 1 << 20, D = 2051;               // 2^31.002 elements
        using var scope = new TensorScope();
        // u serves as delta as well: two tensors of this size fit in 24 GB, three do not
        Tensor u = Ops.Uniform((1, L, D), DType.Float32, device, seed: 1, low: 0.001, high: 0.1);
        Tensor A = Ops.Uniform((D, 1), DType.Float32, device, seed: 2, low: -1, high: -0.01);
        Tensor B = Ops.Uniform((1, L, 1), DType.Float32, device, seed: 3, low: -1), C = Ops.Uniform((1, L, 1), DType.Float32, device, seed: 4, low: -1);
        Assert.That(u.Count, Is.GreaterThan(1L << 31));
        ScanResult r = Ops.SelectiveScan(u, u, A, B, C, deltaSoftplus: false);
        double[] a = A.ToDoubles(), b = B.ToDoubles(), c = C.ToDoubles(), last = r.LastState.ToDoubles();
        foreach (long d in new[] { 0, 1, 1023, 1024, D - 1 })
        {
            double h = 0, worst = 0, scale = 0;
            for (long t = 0; t < L; t++)
            {
                double x = At(u, t * D + d);
                h = Math.Exp(x * a[d]) * h + x * b[t] * x;
                scale = Math.Max(scale, Math.Abs(c[t] * h));
                worst = Math.Max(worst, Math.Abs(At(r.Y, t * D + d) - c[t] * h));
            }
            Assert.That(worst / scale, Is.LessThan(1e-4), $"channel {d}");
            Assert.That(last[d], Is.EqualTo(h).Within(1e-4 * scale));
        }

        unsafe float At(Tensor t, long i) => ((float*)((HostBuffer)t.Buffer).Pointer)[t.Offset + i];
    }
}
