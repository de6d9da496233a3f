using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>
/// What a mask hides counts for nothing, be it NaN or infinite: sequences before and after in a packed row, padding, ignored targets, what a
/// function with a threshold does not look at. And what no mask hides is not lost.
/// </summary>
public class MaskingTests
{
    const double NaN = double.NaN, Infinity = double.PositiveInfinity;

    static readonly string[] Schemes = [.. Discretization.All.Select(d => d.Name)];

    static ScanAlgorithm Algorithm(string name) =>
        name.StartsWith("chunked into ", StringComparison.Ordinal) ? ScanAlgorithm.ChunkedInto(int.Parse(name[13..])) : ScanAlgorithm.Named(name);

    static readonly string[] Algorithms = [.. ScanAlgorithm.All.Select(a => a.Name), "chunked into 2", "chunked into 4"];

    // ---- the selective scan ------------------------------------------------------------------------------------------

    // Three sequences in a row of L tokens, of D channels and N states; the one in the middle, Start to End, is looked at.
    sealed record Packed(int L, int D, int N, int Start, int End)
    {
        public DType DType { get; init; } = DType.Float64;
        public string Scheme { get; init; } = "exponential-euler";
        public string Algorithm { get; init; } = "chunked";
        public bool Complex { get; init; }

        Shape Pairs(Shape shape) => Complex ? shape.Append(2) : shape;

        // u, delta, B, C, z; A, D, initial state, previous input; dy, gradient of the last state
        double[][] Values() => [.. Shapes.Select((shape, i) => i switch
        {
            1 => TestData.Uniform(shape.Count, i, -3, 1),
            5 => TestData.Uniform(shape.Count, i, -2, -0.1),
            _ => TestData.Uniform(shape.Count, i),
        })];

        Shape[] Shapes => [(1, L, D), (1, L, D), Pairs((1, L, N)), Pairs((1, L, N)), (1, L, D), Pairs((D, N)), D, State, State, (1, L, D), State];
        Shape State => Pairs((1, D, N));
        static bool IsPerToken(int input) => input is < 5 or 9;
        static readonly string[] Names = ["u", "delta", "B", "C", "z", "A", "D", "initialState", "previousInput", "dy", "dLastState"];

        // the outputs and gradients of the tokens in the middle: y, du, ddelta, dB, dC, dz
        double[][] Middle(Device on, double[][] values, bool alone)
        {
            int start = alone ? Start : 0, length = alone ? End - Start : L;
            using var tape = new Tape();
            Tensor Of(int i)
            {
                var all = Tensor.From(values[i], Shapes[i], DType, on);
                return IsPerToken(i) ? Ops.Slice(all, 1, start, length) : all;
            }
            Tensor[] x = [.. Enumerable.Range(0, 9).Select(i => Tape.Watch(Of(i)))];
            var scheme = Discretization.Named(Scheme);
            Tensor? reset = alone ? null : Tensor.From([.. Enumerable.Range(0, L).Select(t => t == 0 || t == Start || t == End ? 1 : 0)], (1, L), on);
            ScanResult r = Ops.SelectiveScan(x[0], x[1], x[5], x[2], x[3], x[6], x[4], initialState: alone ? null : x[7], reset: reset,
                discretization: scheme, algorithm: MaskingTests.Algorithm(Algorithm), previousInput: alone || !scheme.LooksBack ? null : x[8]);
            Gradients gradients = tape.Backward(alone ? [(r.Y, Of(9))] : [(r.Y, Of(9)), (r.LastState, Of(10))]);
            if (!alone)
                foreach (Tensor hidden in scheme.LooksBack ? new[] { x[7], x[8] } : [x[7]])
                    Assert.That(gradients[hidden].ToDoubles(), Is.All.Zero, "the first token is a start: what is before counts for nothing");
            return [.. new[] { r.Y }.Concat(x[..5].Select(input => gradients[input])).Select(g => Ops.Slice(g, 1, Start - start, End - Start).ToDoubles())];
        }

        // Every value outside of the middle is poison, or those of one input.
        public void Check(Device on, double poison, int? input = null)
        {
            double[][] clean = Values(), poisoned = [.. clean.Select(v => (double[])v.Clone())];
            foreach (int i in input is null ? Inputs : [input.Value])
                for (int j = 0, row = poisoned[i].Length / (IsPerToken(i) ? L : 1); j < poisoned[i].Length; j++)
                    if (!IsPerToken(i) || j / row < Start || j / row >= End)
                        poisoned[i][j] = poison;
            double[][] expected = Middle(on, clean, alone: true), actual = Middle(on, poisoned, alone: false);
            string[] what = ["y", "du", "ddelta", "dB", "dC", "dz"];
            for (int i = 0; i < expected.Length; i++)
                Assert.That(TestData.RelativeError(actual[i], expected[i]), Is.LessThan(DType == DType.Float64 ? 1e-12 : 2e-5),
                    $"{what[i]}, {poison} in {(input is null ? "all" : Names[input.Value])}");
        }
    }

    // Those of Packed that differ from sequence to sequence.
    static readonly int[] Inputs = [0, 1, 2, 3, 4, 7, 8, 9, 10];

    [Test]
    public void A_sequence_is_the_same_between_sequences_of_NaN([ValueSource(nameof(Algorithms))] string algorithm,
        [ValueSource(nameof(Schemes))] string scheme)
    {
        var packed = new Packed(100, 3, 2, 37, 70) { Algorithm = algorithm, Scheme = scheme };
        foreach (double poison in new[] { NaN, Infinity, -Infinity })
            packed.Check(TestDevices.Open("cpu-256"), poison);
    }

    [Test]
    public void A_NaN_in_any_one_input_reaches_no_other_sequence([ValueSource(nameof(Algorithms))] string algorithm, [ValueSource(nameof(Inputs))] int input)
    {
        foreach (string scheme in new[] { "exponential-euler", "exponential-trapezoidal" })
            foreach (double poison in new[] { NaN, Infinity })
                new Packed(70, 2, 2, 33, 66) { Algorithm = algorithm, Scheme = scheme }.Check(TestDevices.Open("cpu-256"), poison, input);
    }

    [Test]
    public void Complex_states_keep_NaN_to_their_sequence([Values("chunked", "chunked into 2", "chunked into 4")] string algorithm,
        [ValueSource(nameof(Schemes))] string scheme)
    {
        foreach (double poison in new[] { NaN, Infinity })
            new Packed(100, 3, 2, 37, 70) { Algorithm = algorithm, Scheme = scheme, Complex = true }.Check(TestDevices.Open("cpu-256"), poison);
    }

    [Test]
    public void A_complex_state_is_zero_where_both_its_parts_are([Values] bool imaginary,
        [Values("cpu-128", "cpu-256", "cpu-512", "opencl:0", "cuda:0")] string device)
    {
        const int L = 96;
        using var scope = new TensorScope();
        Device on = TestDevices.Open(device);
        Tensor Pairs(Shape shape, double value) =>
            Tensor.From([.. Enumerable.Range(0, (int)shape.Count).Select(i => i % 2 == (imaginary ? 1 : 0) ? value : 0)], shape, DType.Float64, on);
        Tensor u = TestData.Random((1, L, 3), DType.Float64, on, 1), delta = TestData.Random((1, L, 3), DType.Float64, on, 2, 0.01, 0.1);
        var A = Tensor.From([-1.0, 0, -2, 0, -3, 0], (3, 1, 2), DType.Float64, on);
        double[] Run(int segments) =>
            Ops.SelectiveScan(u, delta, A, Pairs((1, L, 1, 2), 1), Pairs((1, L, 1, 2), 1), deltaSoftplus: false,
            algorithm: ScanAlgorithm.ChunkedInto(segments)).Y.ToDoubles();
        Assert.That(TestData.RelativeError(Run(3), Run(1)), Is.LessThan(1e-14));
    }

    [Test]
    public void On_every_device([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values("sequential", "kogge-stone", "blelloch", "chunked", "chunked into 3")] string algorithm, [Values] bool lookBack,
            [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        var packed = new Packed(67, 2, 1, 33, 65) { Algorithm = algorithm, Scheme = lookBack ? "exponential-trapezoidal" : "exponential-euler", DType = dtype };
        packed.Check(TestDevices.Open(device), NaN);
        if (device != "ilgpu-cpu")
        {
            (packed with { L = 100, D = 17, N = 5, Start = 1, End = 2 }).Check(TestDevices.Open(device), Infinity);
            (packed with { L = 97, D = 9, N = 4, Start = 31, End = 96 }).Check(TestDevices.Open(device), NaN);
        }
    }

    [Test]
    public void A_row_that_is_cut_into_segments_by_itself_keeps_NaN_to_its_sequence([Values(2048, 4100)] int length, [Values(1, 19)] int channels)
    {
        Device device = TestDevices.Open("cpu-512");
        using (new TensorScope())
        {
            Tensor u = Tensor.Zeros((1, length, channels), DType.Float32, device), A = Tensor.Zeros((channels, 4), DType.Float32, device);
            Tensor B = Tensor.Zeros((1, length, 4), DType.Float32, device);
            Assert.That(ScanPlan.For(new ScanInputs { U = u, Delta = u, A = A, B = B, C = B }, host: true).Segments, Is.GreaterThan(1));
        }
        foreach ((int start, int end) in new[] { (100, length - 100), (1024, 1025), (1023, length - 1) })
            new Packed(length, channels, 4, start, end) { DType = DType.Float32 }.Check(device, NaN);
    }

    [Test]
    public void The_last_state_is_that_of_the_last_sequence([ValueSource(nameof(Algorithms))] string algorithm, [ValueSource(nameof(Schemes))] string scheme)
    {
        const int L = 70, Start = 40;
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        Tensor R(Shape shape, int seed, double low = -1, double high = 1) => TestData.Random(shape, DType.Float64, device, seed, low, high);
        Tensor A = R((3, 2), 1, -2, -0.1), u = R((1, L, 3), 2), delta = R((1, L, 3), 3), B = R((1, L, 2), 4), C = R((1, L, 2), 5);
        Tensor Poisoned(Tensor x) =>
            Ops.Where(Tensor.From([.. Enumerable.Range(0, L).Select(t => t < Start ? 1 : 0)], (1, L, 1), device), Tensor.From([NaN], 1, DType.Float64, device),
            x);
        Tensor Rest(Tensor x) => Ops.Slice(x, 1, Start, L - Start);
        ScanResult packed = Ops.SelectiveScan(Poisoned(u), Poisoned(delta), A, Poisoned(B), Poisoned(C),
            initialState: Tensor.From([.. Enumerable.Repeat(NaN, 6)], (1, 3, 2), DType.Float64, device),
            reset: Packing.Resets(device, L, [Start, L - Start]), discretization: Discretization.Named(scheme), algorithm: Algorithm(algorithm));
        ScanResult alone = Ops.SelectiveScan(Rest(u), Rest(delta), A, Rest(B), Rest(C), discretization: Discretization.Named(scheme),
            algorithm: Algorithm(algorithm));
        Assert.That(TestData.RelativeError(packed.LastState.ToDoubles(), alone.LastState.ToDoubles()), Is.LessThan(1e-13));
        if (alone.LastInput is not null)
            Assert.That(packed.LastInput!.ToDoubles(), Is.EqualTo(alone.LastInput.ToDoubles()));
    }

    [Test]
    public void A_NaN_reaches_no_token_before_it_and_all_after_it([ValueSource(nameof(Algorithms))] string algorithm)
    {
        const int L = 70, At = 35;
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        double[] u = TestData.Uniform(L, 1);
        Tensor Run(double[] u)
        {
            Tensor R(Shape shape, int seed, double low = -1, double high = 1) => TestData.Random(shape, DType.Float64, device, seed, low, high);
            return Ops.SelectiveScan(Tensor.From(u, (1, L, 1), DType.Float64, device), R((1, L, 1), 2), R((1, 2), 3, -2, -0.1), R((1, L, 2), 4),
                R((1, L, 2), 5), algorithm: Algorithm(algorithm)).Y;
        }
        double[] clean = Run(u).ToDoubles();
        u[At] = NaN;
        double[] y = Run(u).ToDoubles();
        Assert.That(y.Take(At), Is.EqualTo(clean.Take(At)));
        Assert.That(y.Skip(At), Is.All.NaN);
    }

    [Test]
    public void A_state_of_zero_stays_one_however_much_decays_of_growth_multiply_to([Values("chunked", "chunked into 2", "chunked into 4", "kogge-stone",
        "blelloch")] string algorithm,
        [Values("cpu-512", "opencl:0", "cuda:0")] string device, [Values] bool backward)
    {
        // e^{0.5·256} is beyond float32; the sequence holds something at one end alone, so that nothing grows far
        const int L = 1024, D = 3, N = 2;
        Device on = TestDevices.Open(device);
        double[][] Run(ScanAlgorithm how)
        {
            using var tape = new Tape();
            Tensor R(Shape shape, int seed, int first, int end) =>
                Tensor.From([.. TestData.Uniform(shape.Count, seed).Select((x, i) => i / shape[^1] >= first && i / shape[^1] < end ? x : 0)], shape,
                DType.Float32, on);
            Tensor u = Tape.Watch(R((1, L, D), 1, L - 9, backward ? 0 : L)), A = Tensor.From([.. Enumerable.Repeat(0.5, D * N)], (D, N), DType.Float32, on);
            Tensor one = Tensor.From([.. Enumerable.Repeat(1.0, L * D)], (1, L, D), DType.Float32, on);
            ScanResult r = Ops.SelectiveScan(u, one, A, R((1, L, N), 2, 0, L), R((1, L, N), 3, 0, L), deltaSoftplus: false, algorithm: how);
            return [r.Y.ToDoubles(), r.LastState.ToDoubles(), tape.Backward([(r.Y, R((1, L, D), 4, 0, backward ? 9 : 0))])[u].ToDoubles()];
        }
        double[][] expected = Run(ScanAlgorithm.Sequential), actual = Run(Algorithm(algorithm));
        Assert.That(expected.SelectMany(x => x), Is.All.Matches<double>(double.IsFinite));
        Assert.That(expected[backward ? 2 : 0], Is.Not.All.Zero);
        for (int i = 0; i < expected.Length; i++)
            Assert.That(TestData.RelativeError(actual[i], expected[i]), Is.LessThan(1e-5), $"tensor {i}");
    }

    [Test]
    public void Lanes_past_the_last_channel_add_nothing_of_a_constant_B_or_C([Values("cpu-128", "cpu-256", "cpu-512")] string device, [Values] bool constantB,
        [Values(1, 2)] int groups, [Values(3, 37)] int perGroup)
    {
        // The first channel of each row of n lies behind the last one of the row before, and those of a group behind the group before.
        const int L = 40, N = 3;
        int d = groups * perGroup;
        double[] Gradient(double poison)
        {
            Device on = TestDevices.Open(device);
            using var tape = new Tape();
            Tensor R(Shape shape, int seed, double low = -1, double high = 1) => TestData.Random(shape, DType.Float64, on, seed, low, high);
            double[] values = TestData.Uniform(d * N, 5);
            values[(groups - 1) * perGroup * N + N - 1] = poison;          // of the last group's first channel, the last n
            Tensor constant = Tensor.From(values, (d, N), DType.Float64, on), varying = Tape.Watch(R((1, L, groups, N), 4));
            ScanResult r = Ops.SelectiveScan(R((1, L, d), 1), R((1, L, d), 2), R((d, N), 3, -2, -0.1), constantB ? constant : varying,
                constantB ? varying : constant);
            return tape.Backward([(r.Y, R((1, L, d), 6))])[varying].ToDoubles();
        }
        double[] clean = Gradient(0.5), poisoned = Gradient(NaN);
        for (int i = 0; i < clean.Length; i++)
            Assert.That(poisoned[i], i % (groups * N) == groups * N - 1 ? Is.NaN : Is.EqualTo(clean[i]), $"group {i / N % groups}, n {i % N}");
    }

    [Test]
    public void The_attention_matrix_has_zeros_across_a_start([ValueSource(nameof(Schemes))] string scheme)
    {
        const int L = 7, D = 2, N = 2;
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        double[] delta = TestData.Uniform(L * D, 1), b = TestData.Uniform(L * N, 2), c = TestData.Uniform(L * N, 3);
        foreach (int t in new[] { 0, 1, 5, 6 })
            (delta[t * D], b[t * N], c[t * N + 1]) = (NaN, Infinity, NaN);
        double[] m = Ops.HiddenAttention(Tensor.From(delta, (1, L, D), DType.Float64, device), TestData.Random((D, N), DType.Float64, device, 4, -2, -0.1),
            Tensor.From(b, (1, L, N), DType.Float64, device),
            Tensor.From(c, (1, L, N), DType.Float64, device), reset: Packing.Resets(device, L, [2, 3, 2]),
                discretization: Discretization.Named(scheme)).ToDoubles();
        for (int channel = 0; channel < D; channel++)
            for (int i = 2; i < 5; i++)
                for (int j = 0; j < L; j++)
                    Assert.That(m[(channel * L + i) * L + j], j >= 2 && j <= i ? Is.Not.NaN.And.Not.Zero : Is.Zero, $"channel {channel}, M({i}, {j})");
    }

    [Test]
    public void A_gradient_of_A_is_there_at_length_1([ValueSource(nameof(Algorithms))] string algorithm, [ValueSource(nameof(Schemes))] string scheme)
    {
        Device device = TestDevices.Open("cpu-256");
        double[] Of(ScanAlgorithm how)
        {
            using var tape = new Tape();
            Tensor R(Shape shape, int seed, double low = -1, double high = 1) => TestData.Random(shape, DType.Float64, device, seed, low, high);
            Tensor A = Tape.Watch(R((3, 2), 1, -2, -0.1));
            return tape.Backward([(Ops.SelectiveScan(R((2, 1, 3), 2), R((2, 1, 3), 3), A, R((2, 1, 2), 4), R((2, 1, 2), 5),
                discretization: Discretization.Named(scheme), algorithm: how).Y, R((2, 1, 3), 6))])[A].ToDoubles();
        }
        Assert.That(TestData.RelativeError(Of(Algorithm(algorithm)), Of(ScanAlgorithm.Sequential)), Is.LessThan(1e-13));
    }

    // ---- the linear recurrence -----------------------------------------------------------------------------------------

    static readonly LinearScan[] Scans = Enum.GetValues<LinearScan>();

    // h and the gradients of a, x and the initial state, for rows of l steps, m channels
    static double[][] Recurrence(string device, LinearScan algorithm, int l, int m, double[] a, double[] x, double[]? initial, double[] dh, int[]? reset,
        DType dtype = DType.Float64)
    {
        Device on = TestDevices.Open(device);
        using var tape = new Tape();
        int b = x.Length / (l * m);
        Tensor at = Tape.Watch(Tensor.From(a, (b, l, m), dtype, on)), xt = Tape.Watch(Tensor.From(x, (b, l, m), dtype, on));
        Tensor? it = initial is null ? null : Tape.Watch(Tensor.From(initial, (b, m), dtype, on));
        Tensor h = Ops.LinearRecurrence(at, xt, it, algorithm, reset is null ? null : Tensor.From(reset, (b, l), on));
        Gradients gradients = tape.Backward([(h, Tensor.From(dh, (b, l, m), dtype, on))]);
        return [h.ToDoubles(), gradients[at].ToDoubles(), gradients[xt].ToDoubles(), it is null ? [] : gradients[it].ToDoubles()];
    }

    [Test]
    public void Sequences_of_a_recurrence_are_those_run_apart([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [ValueSource(nameof(Scans))] LinearScan algorithm,
        [Values] bool initial, [Values(NaN, Infinity)] double poison)
    {
        foreach ((int b, int l, int m) in device == "ilgpu-cpu" ? new[] { (1, 1, 1), (2, 3, 2), (1, 9, 1) }
            : [(1, 1, 1), (2, 2, 3), (1, 3, 17), (2, 7, 5), (1, 8, 1), (3, 9, 33), (2, 33, 3), (1, 130, 2)])
        {
            var random = new Random(l);
            int[] reset = [.. Enumerable.Range(0, b * l).Select(_ => random.Next(l < 10 ? 3 : 25) == 0 ? -7 : 0)];        // any mark but 0
            double[] a = TestData.Uniform(b * l * m, 1), x = TestData.Uniform(b * l * m, 2), dh = TestData.Uniform(b * l * m, 3),
                before = TestData.Uniform(b * m, 4);
            // the a of a start is not looked at: it is poison
            for (int i = 0; i < a.Length; i++)
                if (reset[i / m] != 0)
                    a[i] = poison;
            // every second sequence is poison
            double[] badX = (double[])x.Clone(), badDh = (double[])dh.Clone(), badBefore = (double[])before.Clone();
            bool[] bad = new bool[b * l];
            for (int row = 0; row < b; row++)
            {
                bool poisoned = row % 2 == 0;
                if (poisoned)
                    badBefore.AsSpan(row * m, m).Fill(poison);
                for (int t = 0; t < l; t++)
                {
                    poisoned ^= reset[row * l + t] != 0;
                    bad[row * l + t] = poisoned;
                    if (poisoned)
                    {
                        badX.AsSpan((row * l + t) * m, m).Fill(poison);
                        badDh.AsSpan((row * l + t) * m, m).Fill(poison);
                    }
                }
            }
            double[][] actual = Recurrence(device, algorithm, l, m, a, badX, initial ? badBefore : null, badDh, reset);
            for (int row = 0; row < b; row++)
            {
                for (int start = 0, end; start < l; start = end)
                {
                    end = start + 1;
                    while (end < l && reset[row * l + end] == 0)
                        end++;
                    if (bad[row * l + start])
                        continue;
                    bool first = initial && start == 0 && reset[row * l] == 0;
                    double[] Part(double[] v) => v[((row * l + start) * m)..((row * l + end) * m)];
                    double[][] expected = Recurrence("cpu-256", LinearScan.Sequential, end - start, m, Part(a), Part(x),
                        first ? before[(row * m)..((row + 1) * m)] : null, Part(dh), reset: null);
                    for (int i = 0; i < 3; i++)
                        Assert.That(TestData.RelativeError(Part(actual[i]), expected[i]), Is.LessThan(1e-13),
                            $"({b}, {l}, {m}), row {row} from {start}, tensor {i}");
                    if (first)
                        Assert.That(TestData.RelativeError(actual[3][(row * m)..((row + 1) * m)], expected[3]), Is.LessThan(1e-13),
                            $"({b}, {l}, {m}), row {row}, initial");
                }
                for (int t = 0; t < l; t++)
                    if (reset[row * l + t] != 0)
                        Assert.That(actual[1].Skip((row * l + t) * m).Take(m), Is.All.Zero, "the a of a start has no gradient");
                if (initial && reset[row * l] != 0)
                    Assert.That(actual[3].Skip(row * m).Take(m), Is.All.Zero, "an initial state behind a start has no gradient");
            }
        }
    }

    [Test]
    public void Where_no_sequence_starts_a_recurrence_loses_no_NaN([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [ValueSource(nameof(Scans))] LinearScan algorithm,
        [Values(0, 1, 2, 5, 7, 8, 12)] int at, [Values(NaN, Infinity)] double coefficient, [Values] bool initial)
    {
        // From a step whose coefficient is NaN on, all is, even where the state is 0 all along; infinity times 0 is NaN too. A start would hide it.
        const int L = 13;
        double[] a = [.. Enumerable.Repeat(0.5, L)], zeros = new double[L];
        a[at] = coefficient;
        double[] h = Recurrence(device, algorithm, L, 1, a, zeros, initial ? [0] : null, zeros, reset: null)[0];
        Assert.That(h, Is.EqualTo(Enumerable.Range(0, L).Select(t => t >= at && (at > 0 || initial) ? NaN : 0)));
        int[] reset = [.. Enumerable.Range(0, L).Select(t => t == at ? 1 : 0)];
        Assert.That(Recurrence(device, algorithm, L, 1, a, zeros, initial ? [0] : null, zeros, reset)[0], Is.All.Zero);
        // so does what comes in
        double[] x = new double[L];
        x[at] = NaN;
        a[at] = 0;
        Assert.That(Recurrence(device, algorithm, L, 1, a, x, initial ? [0] : null, zeros, reset: null)[0],
            Is.EqualTo(Enumerable.Range(0, L).Select(t => t >= at ? NaN : 0)));
    }

    [Test]
    public void Products_of_coefficients_may_leave_the_range_where_the_state_is_zero([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [ValueSource(nameof(Scans))] LinearScan algorithm)
    {
        const int L = 33;
        double[] a = [.. Enumerable.Repeat(1e10, L)], x = new double[L], dh = new double[L];
        (x[L - 2], dh[1]) = (3, 5);
        double[][] actual = Recurrence(device, algorithm, L, 1, a, x, [0], dh, reset: null, DType.Float32);
        Assert.That(actual[0], Is.EqualTo(Enumerable.Range(0, L).Select(t => t == L - 2 ? 3 : t == L - 1 ? (double)3e10f : 0)));
        Assert.That(actual[2], Is.EqualTo(Enumerable.Range(0, L).Select(t => t == 0 ? (double)5e10f : t == 1 ? 5 : 0)));
    }

    [Test]
    public void A_reset_mask_that_does_not_fit_is_said_in_one_line()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        var x = Tensor.Zeros((2, 3, 4), DType.Float32, device);
        Assert.That(() => Ops.LinearRecurrence(x, x, reset: Tensor.From(new int[6], (3, 2), device)),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("LinearRecurrence: reset has shape (3, 2); expected (2, 3). b and l come from a (2, 3, 4)."));
        Assert.That(() => Ops.LinearRecurrence(x, x, reset: Tensor.Zeros((2, 3), DType.Float32, device)),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("LinearRecurrence: reset is float32; expected int32."));
    }

    // ---- the convolution -----------------------------------------------------------------------------------------------

    [Test]
    public void A_convolution_keeps_NaN_to_its_sequence([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device, [Values(1, 2, 4, 8)] int k,
        [Values] bool silu, [Values(NaN, Infinity)] double poison)
    {
        const int L = 41, D = 3, Start = 30, End = 36;
        Device on = TestDevices.Open(device);
        double[][] Middle(double[] x, double[] dy, double[] state, bool alone)
        {
            int start = alone ? Start : 0, length = alone ? End - Start : L;
            using var tape = new Tape();
            Tensor Of(double[] v) => Tensor.From(v[(start * D)..((start + length) * D)], (1, length, D), DType.Float64, on);
            Tensor xs = Tape.Watch(Of(x)), before = Tape.Watch(Tensor.From(state, (1, k, D), DType.Float64, on));
            Tensor weight = TestData.Random((D, k), DType.Float64, on, 4), bias = TestData.Random(D, DType.Float64, on, 5);
            Tensor? reset = alone ? null : Tensor.From([.. Enumerable.Range(0, L).Select(t => t is 0 or Start or End ? 1 : 0)], (1, L), on);
            Tensor y = Ops.CausalConv1d(xs, weight, bias, silu, alone ? null : before, reset);
            Gradients gradients = tape.Backward([(y, Of(dy))]);
            if (!alone)
                Assert.That(gradients[before].ToDoubles(), Is.All.Zero);
            return [.. new[] { y, gradients[xs] }.Select(v => Ops.Slice(v, 1, Start - start, End - Start).ToDoubles())];
        }
        double[] x = TestData.Uniform(L * D, 1), dy = TestData.Uniform(L * D, 2), badX = (double[])x.Clone(), badDy = (double[])dy.Clone();
        for (int i = 0; i < x.Length; i++)
            if (i / D is < Start or >= End)
                badX[i] = badDy[i] = poison;
        double[][] expected = Middle(x, dy, new double[k * D], alone: true), actual = Middle(badX, badDy, [.. Enumerable.Repeat(poison, k * D)], alone: false);
        for (int i = 0; i < 2; i++)
            Assert.That(TestData.RelativeError(actual[i], expected[i]), Is.LessThan(1e-14), i == 0 ? "y" : "dx");
    }

    [Test]
    public void The_state_of_a_convolution_takes_nothing_from_before_a_start([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        Device on = TestDevices.Open(device);
        using var tape = new Tape();
        Tensor x = Tape.Watch(Tensor.From([NaN, 1.0, 2.0], (1, 3, 1), on)), previous = Tape.Watch(Tensor.From([.. Enumerable.Repeat(NaN, 4)], (1, 4, 1), on));
        Tensor state = Ops.ConvState(x, 4, previous, Tensor.From([0, 1, 0], (1, 3), on));
        Assert.That(state.ToDoubles(), Is.EqualTo(new[] { 0.0, 0, 1, 2 }));
        Gradients gradients = tape.Backward([(state, Tensor.From([NaN, Infinity, 3.0, 4.0], (1, 4, 1), on))]);
        Assert.That(gradients[x].ToDoubles(), Is.EqualTo(new[] { 0.0, 3, 4 }));
        Assert.That(gradients[previous].ToDoubles(), Is.All.Zero);
    }

    // ---- cross-entropy -------------------------------------------------------------------------------------------------

    [Test]
    public void Ignored_rows_and_columns_past_the_classes_count_for_nothing([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype,
        [Values(4, 17, 70)] int vocabulary, [Values(1.0, NaN, Infinity)] double dLoss)
    {
        int classes = vocabulary - 2;
        int[] targets = [-100, 1, -100, 0, -100];
        Device on = TestDevices.Open(device);
        double[] logits = TestData.Uniform(5 * vocabulary, 1), clean = (double[])logits.Clone();
        for (int i = 0; i < logits.Length; i++)
            if (targets[i / vocabulary] < 0 || i % vocabulary >= classes)
                (logits[i], clean[i]) = (i % 2 == 0 ? NaN : Infinity, 0);
        (double Loss, double[] Gradient) Run(double[] values, int[] targets)
        {
            using var tape = new Tape();
            Tensor x = Tape.Watch(Tensor.From(values, (5, vocabulary), dtype, on)), loss = Ops.CrossEntropy(x, Tensor.From(targets, 5, on), classes: classes);
            return (loss.ToDoubles()[0], tape.Backward([(loss, Tensor.From([dLoss], new Shape(), dtype, on))])[x].ToDoubles());
        }
        (double Loss, double[] Gradient) expected = Run(clean, targets), actual = Run(logits, targets);
        Assert.That(actual.Loss, Is.EqualTo(expected.Loss).And.Not.NaN);
        for (int i = 0; i < logits.Length; i++)
            Assert.That(actual.Gradient[i],
                targets[i / vocabulary] < 0 || i % vocabulary >= classes ? Is.Zero : double.IsFinite(dLoss) ? Is.EqualTo(expected.Gradient[i]).And.Not.Zero
                : Is.Not.InRange(-1e30, 1e30), $"row {i / vocabulary}, column {i % vocabulary}");
        (double Loss, double[] Gradient) none = Run(logits, [-100, -100, -100, -100, -100]);
        Assert.That(none.Loss, Is.Zero);
        Assert.That(none.Gradient, Is.All.Zero);
    }

    // ---- choices and thresholds ----------------------------------------------------------------------------------------

    [Test]
    public void What_is_not_chosen_counts_for_nothing([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        Device on = TestDevices.Open(device);
        using var tape = new Tape();
        Tensor T(Shape shape, params double[] values) => Tape.Watch(Tensor.From(values, shape, dtype, on));
        Tensor a = T((2, 2), 1, NaN, 3, NaN), b = T(2, Infinity, 5);
        Tensor y = Ops.Where(Tensor.From([1, 0], 2, on), a, b);
        Assert.That(y.ToDoubles(), Is.EqualTo(new[] { 1.0, 5, 3, 5 }));
        Gradients gradients = tape.Backward([(y, T((2, 2), 10, NaN, 30, NaN))]);
        Assert.That(gradients[a].ToDoubles(), Is.EqualTo(new[] { 10.0, 0, 30, 0 }));
        Assert.That(gradients[b].ToDoubles(), Is.EqualTo(new[] { 0, NaN }));

        Tensor rows = Ops.Where(Tensor.From([0, -3, 2], (3, 1), on), T(new Shape(), 7), T((1, 5), 1, 2, 3, 4, NaN));
        Assert.That(rows.ToDoubles(), Is.EqualTo(new[] { 1, 2, 3, 4, NaN, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7 }));
        Assert.That(Ops.Where(Tensor.From([1], new Shape(), on), T(new Shape(), 7), T(new Shape(), NaN)).ToDoubles(), Is.EqualTo(new[] { 7.0 }));
        Assert.That(Ops.Where(Tensor.From(Array.Empty<int>(), (0, 3), on), T((1, 3), 1, 2, 3), T(3, 1, 2, 3)).Shape, Is.EqualTo(new Shape(0, 3)));
    }

    [Test]
    public void Where_says_what_does_not_fit_in_one_line()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        Tensor Zeros(Shape shape, DType dtype = DType.Float32) => Tensor.Zeros(shape, dtype, device);
        var condition = Tensor.From([1, 0, 1], 3, device);
        void Refused(Tensor condition, Tensor a, Tensor b, string message) =>
            Assert.That(() => Ops.Where(condition, a, b), Throws.TypeOf<MambaException>().With.Message.EqualTo("Where: " + message));
        Refused(condition, condition, Zeros(3), "a is int32 (3); expected float32 or float64.");
        Refused(condition, Zeros(2), Zeros(1), "(3) and (2) do not broadcast: extents 3 and 2 meet, and neither is 1.");
    }

    static IEnumerable<TestCaseData> Thresholds()
    {
        TestCaseData Case(string name, Func<Tensor, Tensor> f, double hidden, double seen) => new TestCaseData(f, hidden, seen).SetArgDisplayNames(name);
        yield return Case("relu", Ops.Relu, -1, 1);
        yield return Case("clamp below", x => Ops.Clamp(x, 0.5, 2), 0.4, 1);
        yield return Case("clamp above", x => Ops.Clamp(x, 0.5, 2), 2.1, 1);
        yield return Case("maximum with a number", x => Ops.Maximum(x, 0.5), 0.4, 1);
        yield return Case("minimum with a number", x => Ops.Minimum(x, 0.5), 1, 0.4);
        yield return Case("maximum, first", x => Ops.Maximum(x, Like(x, 0.5)), 0.4, 1);
        yield return Case("maximum, second", x => Ops.Maximum(Like(x, 0.5), x), 0.4, 1);
        yield return Case("minimum, first", x => Ops.Minimum(x, Like(x, 0.5)), 1, 0.4);
        yield return Case("minimum, second", x => Ops.Minimum(Like(x, 0.5), x), 1, 0.4);
        yield return Case("largest", x => Ops.Max(Ops.Concat(1, x, Like(x, 0.5)), 1), 0.4, 1);

        static Tensor Like(Tensor x, double value) => Tensor.From([.. Enumerable.Repeat(value, (int)x.Count)], x.Shape, x.DType, x.Device);
    }

    [TestCaseSource(nameof(Thresholds))]
    public void Where_a_threshold_hides_x_no_gradient_comes_through(Func<Tensor, Tensor> f, double hidden, double seen)
    {
        foreach (string device in TestDevices.All.Where(d => d != "cuda:0"))
            foreach (double poison in new[] { NaN, Infinity })
            {
                using var tape = new Tape();
                Tensor x = Tape.Watch(Tensor.From([hidden, seen, hidden], (3, 1), TestDevices.Open(device))), y = f(x);
                double[] dx = tape.Backward([(y, Tensor.From([poison, poison, 1], y.Shape, x.Device))])[x].ToDoubles();
                Assert.That(dx, Is.EqualTo(new[] { 0, poison, 0 }), device);
            }
    }

    [Test]
    public void What_is_not_taken_has_a_gradient_of_zero([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        Device on = TestDevices.Open(device);
        using var tape = new Tape();
        Tensor x = Tape.Watch(Tensor.From([NaN, 1.0, NaN], (1, 3), on)), weight = Tape.Watch(Tensor.From([NaN, 1.0, NaN], (3, 1), on));
        Tensor poison = Tensor.From([NaN], (1, 1), on);
        Gradients gradients = tape.Backward([(Ops.Slice(x, 1, 1, 1), poison),
            (Ops.Embedding(Tensor.From([1, -7], 2, on), weight), Tensor.From([NaN, Infinity], (2, 1), on))]);
        Assert.That(gradients[x].ToDoubles(), Is.EqualTo(new[] { 0, NaN, 0 }));
        Assert.That(gradients[weight].ToDoubles(), Is.EqualTo(new[] { 0, NaN, 0 }));
    }

    // ---- a model -------------------------------------------------------------------------------------------------------

    [Test]
    public void A_token_that_is_none_spoils_its_own_sequence_alone([Values("cpu-512", "opencl:0", "cuda:0")] string device)
    {
        // Such a token's embedding is NaN. The logits of sequences beside it are their own, and so is their loss where its targets are ignored.
        Device on = TestDevices.Open(device);
        using var model = new MambaLM(new MambaConfig { DModel = 6, NLayer = 2, VocabSize = 11, SsmCfg = new SsmConfig { DState = 3 } }, on, seed: 1,
            DType.Float64);
        using var scope = new TensorScope();
        int[] tokens = [3, 1, 99, 2, 7, 7, 0, 4, 99, 5], targets = [-100, -100, -100, -100, 7, 0, 4, -100, -100, -100];
        Tensor reset = Packing.Resets(on, 10, [4, 4, 1]), packed = model.Forward(Tensor.From(tokens, (1, 10), on), reset: reset);
        Tensor alone = model.Forward(Tensor.From(tokens[4..8], (1, 4), on));
        Assert.That(TestData.RelativeError(Ops.Slice(packed, 1, 4, 4).ToDoubles(), alone.ToDoubles()), Is.LessThan(1e-13));
        Assert.That(TestData.RelativeError(Ops.Slice(packed, 1, 0, 2).ToDoubles(), model.Forward(Tensor.From(tokens[..2], (1, 2), on)).ToDoubles()),
            Is.LessThan(1e-13), "tokens before it");
        Assert.That(Ops.Slice(packed, 1, 2, 2).ToDoubles(), Is.All.NaN);
        double loss = Ops.CrossEntropy(packed, Tensor.From(targets, (1, 10), on)).ToDoubles()[0];
        Assert.That(loss, Is.EqualTo(Ops.CrossEntropy(alone, Tensor.From(targets[4..8], (1, 4), on)).ToDoubles()[0]).Within(1e-12));
    }
}
