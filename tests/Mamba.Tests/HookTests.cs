using NUnit.Framework;

namespace Mamba.Tests;

public class HookTests
{
    static readonly MambaConfig Small = new() { DModel = 10, NLayer = 2, VocabSize = 11, SsmCfg = new SsmConfig { DState = 5 } };

    static Device Cpu => TestDevices.Open("cpu-256");

    static MambaLM Model(MambaConfig config, Device device, DType dtype = DType.Float64) => TestData.Stirred(config, device, dtype);

    static Tensor Tokens(Shape shape, Device device, int seed = 1) => TestData.Tokens(shape, device, seed);

    static Hook Nothing(Site site, Indices? positions = null) => Hook.Change(site, (values, _) => values * 1, positions: positions);

    // ---- a change that changes nothing ---------------------------------------------------------------

    static readonly Site[] Sites = Enum.GetValues<Site>();

    [Test]
    public void A_hook_that_changes_nothing_gives_the_bits_of_the_plain_run([Values("cpu-128", "cpu-256", "cpu-512", "opencl:0", "ilgpu-cpu")] string name,
        [ValueSource(nameof(Sites))] Site site, [Values] bool recorded, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        Device device = TestDevices.Open(name);
        using MambaLM model = Model(Small, device, dtype);
        foreach ((int b, int l) in (ReadOnlySpan<(int, int)>)[(1, 1), (2, 7), (1, 33)])
            foreach (Indices? positions in (ReadOnlySpan<Indices?>)[null, 0, l - 1, 2..5])
            {
                if (positions?.Largest >= l)
                    continue;
                using TensorScope scope = recorded ? new Tape() : new TensorScope();
                Tensor tokens = Tokens((b, l), device);
                double[] plain = model.Forward(tokens).ToDoubles();
                Assert.That(model.Forward(tokens, hooks: [Nothing(site, positions)]).ToDoubles(), Is.EqualTo(plain), $"b {b} l {l} at {positions}");
            }
    }

    [Test]
    public void So_it_does_with_every_discretization([ValueSource(typeof(Discretization), nameof(Discretization.All))] Discretization discretization)
    {
        using MambaLM model = Model(Small with { Discretization = discretization }, Cpu, DType.Float32);
        using var scope = new TensorScope();
        Tensor tokens = Tokens((2, 9), Cpu), reset = Tensor.From([.. Enumerable.Range(0, 18).Select(i => i % 4 == 3 ? 1 : 0)], (2, 9), Cpu);
        foreach (Site site in Sites)
            Assert.That(model.Forward(tokens, reset: reset, hooks: [Nothing(site)]).ToDoubles(), Is.EqualTo(model.Forward(tokens, reset: reset).ToDoubles()),
                site.ToString());
    }

    [Test]
    public void So_it_does_with_every_algorithm([ValueSource(typeof(ScanAlgorithm), nameof(ScanAlgorithm.All))] ScanAlgorithm algorithm)
    {
        using MambaLM model = Model(Small with { ScanAlgorithm = algorithm }, Cpu, DType.Float32);
        using var scope = new TensorScope();
        Tensor tokens = Tokens((2, 9), Cpu);
        Assert.That(model.Forward(tokens, hooks: [Nothing(Site.H, [2, 5])]).ToDoubles(), Is.EqualTo(model.Forward(tokens).ToDoubles()));
    }

    [Test]
    public void So_it_does_where_the_scan_is_cut_into_segments([Values("cpu", "opencl:0")] string name, [Values] bool recorded)
    {
        Device device = TestDevices.Open(name);
        using MambaLM model = Model(Small with { DModel = 4, NLayer = 1 }, device, DType.Float32);
        using TensorScope scope = recorded ? new Tape() : new TensorScope();
        Tensor tokens = Tokens((1, 4096), device);
        Assert.That(model.Forward(tokens, hooks: [Nothing(Site.H, 1500)]).ToDoubles(), Is.EqualTo(model.Forward(tokens).ToDoubles()));
    }

    [Test]
    public void So_it_does_from_a_state_and_leaves_the_state_of_the_plain_run()
    {
        using MambaLM model = Model(Small, Cpu, DType.Float32);
        using MambaState plain = model.NewState(2), hooked = model.NewState(2);
        using var scope = new TensorScope();
        foreach (int l in (ReadOnlySpan<int>)[4, 3, 1])
        {
            Tensor tokens = Tokens((2, l), Cpu, seed: l);
            Tensor expected = model.Forward(tokens, plain), actual = model.Forward(tokens, hooked, hooks: [Nothing(Site.H, [1, 5, 7])]);
            Assert.That(actual.ToDoubles(), Is.EqualTo(expected.ToDoubles()));
        }
        foreach ((MixerState a, MixerState b) in plain.Layers.Zip(hooked.Layers))
            foreach ((StateTensor x, StateTensor y) in a.Tensors.Zip(b.Tensors))
                Assert.That(y.Value.ToDoubles(), Is.EqualTo(x.Value.ToDoubles()), x.Name);
    }

    // ---- changes, against plain loops ---------------------------------------------------------------

    /// <summary>y of a scan by loops, each value passed through <paramref name="change"/>(site, t, channel, state, value).</summary>
    static double[] Loops(ScanInputs x, Func<Site, int, int, int, double, double> change)
    {
        int b = (int)x.Batch, l = (int)x.Length, d = (int)x.Channels, n = (int)x.States;
        double[] u = x.U.ToDoubles(), raw = x.Delta.ToDoubles(), a = x.A.ToDoubles(), B = x.B.ToDoubles(), C = x.C.ToDoubles(), skip = x.D!.ToDoubles(),
            z = x.Z!.ToDoubles(), bias = x.DeltaBias!.ToDoubles(), y = new double[u.Length];
        for (int row = 0; row < b; row++)
            for (int c = 0; c < d; c++)
            {
                double[] h = new double[n];
                for (int t = 0; t < l; t++)
                {
                    int at = (row * l + t) * d + c;
                    double delta = change(Site.Delta, t, c, 0, Math.Log(1 + Math.Exp(raw[at] + bias[c]))), input = change(Site.U, t, c, 0, u[at]);
                    double sum = skip[c] * input;
                    for (int s = 0; s < n; s++)
                    {
                        int ofState = (row * l + t) * n + s;
                        h[s] = change(Site.H, t, c, s, Math.Exp(delta * a[c * n + s]) * h[s] + delta * change(Site.B, t, 0, s, B[ofState]) * input);
                        sum += change(Site.C, t, 0, s, C[ofState]) * h[s];
                    }
                    double gate = change(Site.Z, t, c, 0, z[at]);
                    y[at] = change(Site.Y, t, c, 0, sum) * gate / (1 + Math.Exp(-gate));
                }
            }
        return y;
    }

    static ScanInputs Scan(int b, int l, int d, int n, DType dtype, Device device) => new()
    {
        U = TestData.Random((b, l, d), dtype, device, 1),
        Delta = TestData.Random((b, l, d), dtype, device, 2),
        A = TestData.Random((d, n), dtype, device, 3, -2, -0.1),
        B = TestData.Random((b, l, n), dtype, device, 4),
        C = TestData.Random((b, l, n), dtype, device, 5),
        D = TestData.Random(d, dtype, device, 6),
        Z = TestData.Random((b, l, d), dtype, device, 7),
        DeltaBias = TestData.Random(d, dtype, device, 8),
    };

    static Tensor Run(ScanInputs x, params Hook[] hooks) => HookedLayer.Of(hooks, 0, 0, null)!.Scan(x, null).Y;

    [Test]
    public void What_is_chosen_is_changed_and_the_rest_is_not([ValueSource(nameof(Sites))] Site site,
        [Values("cpu-256", "cpu-512", "opencl:0", "ilgpu-cpu")] string name, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        Device device = TestDevices.Open(name);
        bool hasChannels = site is not (Site.B or Site.C), hasStates = site is Site.B or Site.C or Site.H;
        foreach ((int b, int l, int d, int n) in (ReadOnlySpan<(int, int, int, int)>)[(1, 1, 3, 1), (2, 9, 1, 3), (2, 6, 19, 5), (1, 3, 33, 16)])
            foreach (Indices? positions in (ReadOnlySpan<Indices?>)[null, 0, [0, 2, 5], 3..5])
                foreach (Indices? channels in (ReadOnlySpan<Indices?>)(hasChannels ? [null, 0, new[] { 2, 17 }] : [null]))
                    foreach (Indices? states in (ReadOnlySpan<Indices?>)(hasStates ? [null, 0, 1..4] : [null]))
                    {
                        if (positions?.Largest >= l || channels?.Largest >= d || states?.Largest >= n)
                            continue;
                        using var scope = new TensorScope();
                        ScanInputs x = Scan(b, l, d, n, dtype, device);
                        Hook[] hooks =
                        [
                            Hook.Scale(site, 1.75, positions: positions, channels: channels, states: states),
                            Hook.Change(site, (values, _) => values + 0.25, positions: positions, channels: channels, states: states),
                        ];
                        double[] expected = Loops(x, (where, t, c, s, value) => where == site && (positions?.Contains(t) ?? true)
                            && (channels?.Contains(c) ?? true) && (states?.Contains(s) ?? true) ? value * 1.75 + 0.25 : value);
                        Assert.That(TestData.RelativeError(Run(x, hooks).ToDoubles(), expected), Is.LessThan(dtype == DType.Float64 ? 1e-13 : 2e-6),
                            $"b {b} l {l} d {d} n {n}: {hooks[0]}");
                    }
    }

    /// <summary>Against the scan a token at a time, whose states are changed by hand and read by C·h + D u.</summary>
    [Test]
    public void Changed_states_are_carried_on_by_every_discretization(
        [ValueSource(typeof(Discretization), nameof(Discretization.All))] Discretization discretization)
    {
        using var scope = new TensorScope();
        const int B = 2, L = 9, D = 5, N = 3;
        ScanInputs x = Scan(B, L, D, N, DType.Float64, Cpu) with
        {
            Discretization = discretization,
            Reset = Tensor.From([.. Enumerable.Range(0, B * L).Select(i => i is 4 or 10 or 14 ? 1 : 0)], (B, L), Cpu),
        };
        foreach (Indices positions in (ReadOnlySpan<Indices>)[0, [3, 4, 5], [1, 6, 8], 0..])
        {
            Tensor? h = null, input = null;
            var expected = new List<double[]>();
            for (int t = 0; t < L; t++)
            {
                Tensor Of(Tensor values) => Ops.Slice(values, 1, t, 1);
                ScanOutputs step = Ops.SelectiveScan(x with
                {
                    U = Of(x.U),
                    Delta = Of(x.Delta),
                    B = Of(x.B),
                    C = Of(x.C),
                    Z = null,
                    Reset = Of(x.Reset!),
                    InitialState = h,
                    PreviousInput = input,
                });
                h = positions.Contains(t) ? step.LastState * -2 + 0.5 : step.LastState;
                input = step.LastInput;
                Tensor y = Ops.Sum(Ops.Reshape(Of(x.C), (B, N, 1)) * h, 1) + x.D! * Ops.Reshape(Of(x.U), (B, D));
                expected.Add((y * Ops.Silu(Ops.Reshape(Of(x.Z!), (B, D)))).ToDoubles());
            }
            double[] actual = Ops.Transpose(Run(x, Hook.Change(Site.H, (states, _) => states * -2 + 0.5, positions: positions)), 0, 1).ToDoubles();   // (l, b, d)
            Assert.That(TestData.RelativeError(actual, [.. expected.SelectMany(values => values)]), Is.LessThan(1e-13), $"{positions}");
        }
    }

    [Test]
    public void Set_wipe_and_clamp_do_what_they_say()
    {
        using var scope = new TensorScope();
        ScanInputs x = Scan(1, 8, 5, 3, DType.Float64, Cpu);
        (Hook, Func<double, double>)[] all =
        [
            (Hook.Set(Site.H, 0.5, positions: [1, 4]), _ => 0.5), (Hook.Wipe(Site.H, positions: [1, 4]), _ => 0),
            (Hook.Clamp(Site.H, -0.1, 0.2, positions: [1, 4]), v => Math.Clamp(v, -0.1, 0.2)),
        ];
        foreach ((Hook hook, Func<double, double> change) in all)
            Assert.That(TestData.RelativeError(Run(x, hook).ToDoubles(),
                Loops(x, (site, t, _, _, value) => site == Site.H && t is 1 or 4 ? change(value) : value)), Is.LessThan(1e-13), hook.ToString());
    }

    [Test]
    public void Wiping_every_state_after_a_token_is_starting_a_sequence_there()
    {
        using var scope = new TensorScope();
        ScanInputs x = Scan(2, 11, 7, 4, DType.Float64, Cpu);
        Tensor wiped = Run(x, Hook.Wipe(Site.H, positions: 4));
        Tensor reset = Ops.SelectiveScan(x with { Reset = Tensor.From([.. Enumerable.Range(0, 22).Select(i => i % 11 == 5 ? 1 : 0)], (2, 11), Cpu) }).Y;
        Assert.That(Ops.Slice(wiped, 1, 5, 6).ToDoubles(), Is.EqualTo(Ops.Slice(reset, 1, 5, 6).ToDoubles()));
    }

    [Test]
    public void Hooks_work_one_after_another()
    {
        using var scope = new TensorScope();
        ScanInputs x = Scan(1, 5, 3, 2, DType.Float64, Cpu);
        double[] setThenScaled = Run(x, Hook.Set(Site.Delta, 2, positions: 1), Hook.Scale(Site.Delta, 3)).ToDoubles();
        double[] scaledThenSet = Run(x, Hook.Scale(Site.Delta, 3), Hook.Set(Site.Delta, 2, positions: 1)).ToDoubles();
        Assert.That(TestData.RelativeError(setThenScaled, Loops(x, (s, t, _, _, v) => s == Site.Delta ? (t == 1 ? 6 : 3 * v) : v)), Is.LessThan(1e-13));
        Assert.That(TestData.RelativeError(scaledThenSet, Loops(x, (s, t, _, _, v) => s == Site.Delta ? (t == 1 ? 2 : 3 * v) : v)), Is.LessThan(1e-13));
    }

    // ---- gradients ----------------------------------------------------------------------------------

    static readonly string[] Changes = ["change", "scale", "clamp", "set"];

    [Test]
    public void Gradients_flow_through_the_rest([ValueSource(nameof(Sites))] Site site, [ValueSource(nameof(Changes))] string which,
        [Values("exponential-euler", "zoh", "exponential-trapezoidal")] string discretization)
    {
        Hook hook = which switch
        {
            "change" => Hook.Change(site, (values, _) => values * values, positions: [1, 2, 4]),
            "scale" => Hook.Scale(site, -0.5, positions: 3),
            "clamp" => Hook.Clamp(site, -0.2, 0.3, positions: [0, 4]),
            _ => Hook.Set(site, 0.4, positions: 2),
        };
        Agreement.Input[] inputs =
        [
            Agreement.Input.Random((2, 5, 3), 1), Agreement.Input.Random((2, 5, 3), 2), Agreement.Input.Random((3, 2), 3, -2, -0.1),
            Agreement.Input.Random((2, 5, 2), 4), Agreement.Input.Random((2, 5, 2), 5), Agreement.Input.Random(3, 6), Agreement.Input.Random((2, 5, 3), 7),
            Agreement.Input.Random(3, 8), Agreement.Input.Random((2, 2, 3), 9),
        ];
        Assert.That(Agreement.GradientError(x => [HookedLayer.Of([hook], 0, 0, null)!.Scan(new ScanInputs
        {
            U = x[0],
            Delta = x[1],
            A = x[2],
            B = x[3],
            C = x[4],
            D = x[5],
            Z = x[6],
            DeltaBias = x[7],
            InitialState = x[8],
            Discretization = Discretization.Named(discretization),
        }, null).Y], inputs), Is.LessThan(1e-7));
    }

    // ---- patches ------------------------------------------------------------------------------------

    [Test]
    public void Patching_every_state_of_a_layer_with_another_runs_gives_the_other_runs_output([Values(1, 2)] int b)
    {
        using MambaLM model = Model(Small with { NLayer = 1 }, Cpu);
        using var scope = new TensorScope();
        Tensor clean = Tokens((1, 8), Cpu, 1), other = Tokens((b, 8), Cpu, 2);
        using ModelTrace trace = model.Trace(clean);
        // y = C·h + D u: all that the block makes is the other run's if its parts are
        using ModelTrace patched = model.Trace(other, new TraceSettings
        {
            Hooks = [Hook.Patch(Site.H, trace), Hook.Patch(Site.C, trace), Hook.Patch(Site.U, trace)],
        });
        for (int row = 0; row < b; row++)
            Assert.That(TestData.RelativeError(patched[0].Y.Rows(row, 1).ToDoubles(), trace[0].Y.ToDoubles()), Is.LessThan(1e-13));
        Assert.That(patched[0].H.Rows(b - 1, 1).ToDoubles(), Is.EqualTo(trace[0].H.ToDoubles()));
    }

    [Test]
    public void Patching_a_run_with_its_own_values_changes_no_bit()
    {
        using MambaLM model = Model(Small, Cpu, DType.Float32);
        using var scope = new TensorScope();
        Tensor tokens = Tokens((1, 8), Cpu);
        using ModelTrace trace = model.Trace(tokens);
        foreach (Site site in Sites.Except([Site.H]))
            Assert.That(model.Forward(tokens, hooks: [Hook.Patch(site, trace)]).ToDoubles(), Is.EqualTo(trace.Logits.ToDoubles()), site.ToString());
        Assert.That(TestData.RelativeError(model.Forward(tokens, hooks: [Hook.Patch(Site.H, trace)]).ToDoubles(), trace.Logits.ToDoubles()), Is.LessThan(1e-5));
    }

    // ---- generation -------------------------------------------------------------------------------------

    [Test]
    public void Generation_is_steered([Values(1, 2)] int prompts)
    {
        using MambaLM model = Model(Small, Cpu);
        Hook[] hooks = [Hook.Scale(Site.Delta, 3, layers: 0), Hook.Scale(Site.Y, -1, layers: 1, channels: 0..5)];
        IReadOnlyList<int>[] all = [.. new int[][] { [1, 5, 2], [7, 3, 3, 8] }.Take(prompts)];
        GeneratedToken[] made = [.. model.Generate(all, new Generation { MaxTokens = 6, Sampler = Sampler.Greedy, Hooks = hooks })];
        bool differs = false;
        for (int i = 0; i < prompts; i++)
        {
            int[] steered = [.. made.Where(token => token.Sequence == i).Select(token => token.Id)];
            List<int> tokens = [.. all[i]];
            for (int t = 0; t < 6; t++)
            {
                using var scope = new TensorScope();
                Tensor logits = model.Forward(Tensor.From([.. tokens], (1, tokens.Count), Cpu), lastOnly: true, hooks: hooks);
                tokens.Add(Ops.ArgMax(logits).ToArray<int>()[0]);
            }
            Assert.That(steered, Is.EqualTo(tokens.Skip(all[i].Count)));
            differs = differs || !steered.SequenceEqual(model.Generate(all[i], count: 6));
        }
        Assert.That(differs);
    }

    [Test]
    public void A_hook_at_a_position_works_there_in_generation_too()
    {
        using MambaLM model = Model(Small, Cpu);
        foreach (int at in (ReadOnlySpan<int>)[1, 4])
        {
            Hook[] hooks = [Hook.Wipe(Site.H, positions: at)];
            int[] made = [.. model.Generate([1, 5, 2], new Generation { MaxTokens = 6, Sampler = Sampler.Greedy, Hooks = hooks }).Select(token => token.Id)];
            using var scope = new TensorScope();
            Tensor logits = model.Forward(Tensor.From([1, 5, 2, .. made], (1, 9), Cpu), hooks: hooks);
            Assert.That(Ops.ArgMax(logits).ToArray<int>()[2..8], Is.EqualTo(made));
        }
        var two = new Generation { Hooks = [Hook.Wipe(Site.H, positions: 1)] };
        Assert.That(() => model.Generate([[1], [2]], two), Throws.TypeOf<MambaException>().With.Message.EqualTo(
            "Generate: hooks, and 2 prompts; positions are for one."));
        Assert.That(() => model.Generate([1], two with { Cache = new PrefixCache(model) }), Throws.TypeOf<MambaException>().With.Message.EqualTo(
            "Generate: hooks, and a cache of prefixes, whose states know nothing of them."));
    }

    // ---- where hooks cannot work ----------------------------------------------------------------------

    [Test]
    public void What_is_not_there_is_said()
    {
        using MambaLM model = Model(Small, Cpu);
        using var scope = new TensorScope();
        Tensor tokens = Tokens((1, 6), Cpu);
        using ModelTrace shorter = model.Trace(Tokens((1, 3), Cpu));
        using ModelTrace first = model.Trace(tokens, new TraceSettings { Layers = 0, Values = TraceValues.H });
        (string, Func<object>)[] wrong =
        [
            ("Hook: channels of B were chosen; B is (b, l, n).", () => Hook.Wipe(Site.B, channels: 1)),
            ("Hook: states of Y were chosen; Y is (b, l, d).", () => Hook.Wipe(Site.Y, states: 1)),
            ("Hook: clamping to 2 … 1; expected the lower number first.", () => Hook.Clamp(Site.Y, 2, 1)),
            ("Hook 'wipe h, layer 2': layer 2 is chosen; the model has 0 to 1.", () => model.Forward(tokens, hooks: [Hook.Wipe(Site.H, 2)])),
            ("Hook 'wipe h, position 6': position 6 is chosen; the sequence has 0 to 5.", () => model.Forward(tokens, hooks: [Hook.Wipe(Site.H, positions: 6)])),
            ("Hook 'wipe y, channel 20': channel 20 is chosen; the layer has 0 to 19.", () => model.Forward(tokens, hooks: [Hook.Wipe(Site.Y, channels: 20)])),
            ("Hook 'scale by 2: h, state 3-5': state 5 is chosen; the layer has 0 to 4.",
                () => model.Forward(tokens, hooks: [Hook.Scale(Site.H, 2, states: 3..6)])),
            ("Hook 'wipe h, layer ': no layer is chosen.", () => model.Forward(tokens, hooks: [Hook.Wipe(Site.H, layers: 3..3)])),
            ("Hook: Y of layer 0 became float64 (1, 6, 1) on cpu; expected float64 (1, 6, 20) on cpu, as it was.",
                () => model.Forward(tokens, hooks: [Hook.Change(Site.Y, (y, _) => Ops.Slice(y, 2, 0, 1))])),
            ("Hook.Patch: position 5 is to be replaced; the other run has 3 tokens.", () => model.Forward(tokens, hooks: [Hook.Patch(Site.H, shorter, positions: 5)])),
            ("Trace: layer 1 was not traced; layers 0 were.", () => model.Forward(tokens, hooks: [Hook.Patch(Site.H, first)])),
            ("Trace: there is no 'y' of layer 0; there is A, D, h, conv.", () => model.Forward(tokens, hooks: [Hook.Patch(Site.Y, first)])),
            ("Indices: -1 was given; expected 0 or more.", () => Hook.Wipe(Site.H, -1)),
            ("Indices: the range ^2..^0 counts from the end; expected one that counts from 0.", () => Hook.Wipe(Site.H, positions: ^2..)),
        ];
        foreach ((string message, Func<object> run) in wrong)
            Assert.That(() => run(), Throws.TypeOf<MambaException>().With.Message.EqualTo(message));
    }

    [TestCase("3", "3")]
    [TestCase("0,2,4-7", "0,2,4-7")]
    [TestCase("5-6,4,0", "0,4-6")]
    [TestCase(" 1 , 2", "1-2")]
    [TestCase("", null)]
    [TestCase("1,", null)]
    [TestCase("-1", null)]
    [TestCase("3-1", null)]
    [TestCase("1-2-3", null)]
    [TestCase("x", null)]
    [TestCase("99999999999", null)]
    [TestCase("0-2147483647", null)]
    public void Indices_are_read(string text, string? expected) => Assert.That(Indices.Parse(text)?.ToString(), Is.EqualTo(expected));
}
