using NUnit.Framework;

namespace Mamba.Tests;

public class SelectionTests
{
    const int L = 7;

    static readonly SelectionConfig Small = new() { DState = 3, DConv = 3, DtRank = 2, DtMin = 0.5, DtMax = 1 };

    static readonly MambaConfig Base = new() { DModel = 6, NLayer = 2, VocabSize = 11, Mixer = Small };

    static readonly bool[] OffOn = [false, true];

    static IEnumerable<SelectionConfig> Every() =>
        from delta in OffOn
        from b in OffOn
        from c in OffOn
        from complex in OffOn
        from gate in OffOn
        select Small with { SelectiveDelta = delta, SelectiveB = b, SelectiveC = c, Complex = complex, Gate = gate };

    static IEnumerable<TestCaseData> Settings() => Every().Select(s => new TestCaseData(s).SetArgDisplayNames(
        $"{(s.SelectiveDelta ? "delta " : "")}{(s.SelectiveB ? "B " : "")}{(s.SelectiveC ? "C " : "")}{(s.Complex ? "complex " : "")}"
        + (s.Gate ? "gate" : "")));

    static MambaLM Open(MixerConfig mixer, Device device, DType dtype = DType.Float64)
    {
        var model = new MambaLM(Base with { Mixer = mixer }, device, seed: 1, dtype);
        for (int i = 0; i < model.Parameters.Count; i++)        // at special values a mistake could hide
        {
            Parameter parameter = model.Parameters[i];
            using Tensor noise = Ops.Normal(parameter.Shape, dtype, device, (ulong)i + 5), sum = parameter.Value + noise * 0.2;
            parameter.Value = sum;
        }
        return model;
    }

    static Tensor Tokens(int b, int l, Device device) => Tensor.From([.. Enumerable.Range(0, b * l).Select(i => i * i % 11)], (b, l), device);

    static double Difference(Tensor a, Tensor b)
    {
        Assert.That(a.Shape, Is.EqualTo(b.Shape));
        return a.ToDoubles().Zip(b.ToDoubles(), (x, y) => Math.Abs(x - y)).DefaultIfEmpty().Max();
    }

    [Test]
    public void With_everything_selective_and_real_it_is_the_block_of_Mamba([Values(DType.Float32, DType.Float64)] DType dtype, [Values(1, 7, 70)] int l,
        [ValueSource(nameof(OffOn))] bool bias)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        var plain = new SsmConfig { DState = 3, DConv = 3, DtRank = 2, Bias = bias };
        using MambaLM selection = new(Base with { Mixer = new SelectionConfig { DState = 3, DConv = 3, DtRank = 2, Bias = bias } }, device, seed: 1, dtype),
            mamba = new(Base with { Mixer = plain }, device, seed: 1, dtype);
        Assert.That(selection.Parameters.Select(p => (p.Name, p.Shape, p.Decay)), Is.EqualTo(mamba.Parameters.Select(p => (p.Name, p.Shape, p.Decay))));
        Assert.That(selection.Parameters.SelectMany(p => p.Value.ToDoubles()), Is.EqualTo(mamba.Parameters.SelectMany(p => p.Value.ToDoubles())));
        Tensor tokens = Tokens(2, l, device);
        Assert.That(selection.Forward(tokens).ToDoubles(), Is.EqualTo(mamba.Forward(tokens).ToDoubles()));
        using MambaState a = selection.NewState(2), b = mamba.NewState(2);
        selection.Forward(tokens, a);
        mamba.Forward(tokens, b);
        foreach ((StateTensor x, StateTensor y) in a.Layers.SelectMany(layer => layer.Tensors).Zip(b.Layers.SelectMany(layer => layer.Tensors)))
            Assert.That(x.Value.ToDoubles(), Is.EqualTo(y.Value.ToDoubles()), x.Name);
    }

    // The recurrence written out with complex numbers, a token at a time, from the parameters.
    [TestCaseSource(nameof(Settings))]
    public void It_computes_the_recurrence_it_says(SelectionConfig settings)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        MambaConfig config = Base with { Mixer = settings };
        Mixer block = settings.Build(config, 0);
        using ParameterSet parameters = block.Initialize(device, DType.Float64, seed: 4);
        var p = parameters.ToDictionary(q => q.Name, q => q.Value.ToDoubles(), StringComparer.Ordinal);
        Tensor hidden = Ops.Normal((1, L, 6), DType.Float64, device, 9);
        double[] input = hidden.ToDoubles(), y = block.Forward(hidden).ToDoubles();
        const int Model = 6, D = 12, N = 3, R = 2;
        int part = settings.Complex ? 2 : 1;
        double[] expected = new double[L * Model];
        double[][] xs = new double[L][];
        var h = new System.Numerics.Complex[D, N];
        static double Silu(double v) => v / (1 + Math.Exp(-v));
        static double Softplus(double v) => Math.Log(1 + Math.Exp(v));
        for (int t = 0; t < L; t++)
        {
            double[] In(int first, int count) => [.. Enumerable.Range(first, count).Select(row =>
                Enumerable.Range(0, Model).Sum(i => p["in_proj.weight"][row * Model + i] * input[t * Model + i]))];
            xs[t] = In(0, D);
            double[] z = settings.Gate ? In(D, D) : [];
            double[] u = [.. Enumerable.Range(0, D).Select(c => Silu(p["conv1d.bias"][c] + Enumerable.Range(0, 3).Sum(j =>
                t - 2 + j < 0 ? 0 : p["conv1d.weight"][c * 3 + j] * xs[t - 2 + j][c])))];
            double[] projected = !p.TryGetValue("x_proj.weight", out double[]? w) ? []
                : [.. Enumerable.Range(0, w.Length / D).Select(row => Enumerable.Range(0, D).Sum(c => w[row * D + c] * u[c]))];
            int ofB = settings.SelectiveDelta ? R : 0, ofC = ofB + (settings.SelectiveB ? N * part : 0);
            System.Numerics.Complex Number(double[] values, int i) => part == 1 ? values[i] : new System.Numerics.Complex(values[2 * i], values[2 * i + 1]);
            for (int c = 0; c < D; c++)
            {
                double delta = Softplus(p["dt_proj.bias"][c]
                    + (settings.SelectiveDelta ? Enumerable.Range(0, R).Sum(r => p["dt_proj.weight"][c * R + r] * projected[r]) : 0));
                System.Numerics.Complex sum = 0;
                for (int s = 0; s < N; s++)
                {
                    System.Numerics.Complex a = new(-Math.Exp(p["A_log"][c * N + s]), settings.Complex ? p["A_imag"][c * N + s] : 0);
                    System.Numerics.Complex b = settings.SelectiveB ? Number(projected[ofB..], s) : Number(p["B"], c * N + s);
                    System.Numerics.Complex ofY = settings.SelectiveC ? Number(projected[ofC..], s) : Number(p["C"], c * N + s);
                    h[c, s] = System.Numerics.Complex.Exp(delta * a) * h[c, s] + delta * b * u[c];
                    sum += ofY * h[c, s];
                }
                double scanned = part * sum.Real + p["D"][c] * u[c];
                for (int i = 0; i < Model; i++)
                    expected[t * Model + i] += p["out_proj.weight"][i * D + c] * scanned * (settings.Gate ? Silu(z[c]) : 1);
            }
        }
        Assert.That(y, Is.EqualTo(expected).Within(1e-12));
    }

    [TestCaseSource(nameof(Settings))]
    public void Only_the_parameters_that_are_needed_are_there(SelectionConfig s)
    {
        Dictionary<string, Shape> shapes = s.Build(Base with { Mixer = s }, 0).Parameters.ToDictionary(p => p.Name, p => p.Shape, StringComparer.Ordinal);
        int width = s.Complex ? 6 : 3, rows = (s.SelectiveDelta ? 2 : 0) + (s.SelectiveB ? width : 0) + (s.SelectiveC ? width : 0);
        Shape ofA = s.Complex ? (12, 3, 2) : (12, 3);
        Assert.That(shapes.GetValueOrDefault("x_proj.weight"), Is.EqualTo(rows == 0 ? default : new Shape(rows, 12)));
        Assert.That(shapes.GetValueOrDefault("dt_proj.weight"), Is.EqualTo(s.SelectiveDelta ? new Shape(12, 2) : default));
        Assert.That(shapes.GetValueOrDefault("B"), Is.EqualTo(s.SelectiveB ? default : ofA));
        Assert.That(shapes.GetValueOrDefault("C"), Is.EqualTo(s.SelectiveC ? default : ofA));
        Assert.That(shapes.GetValueOrDefault("A_imag"), Is.EqualTo(s.Complex ? new Shape(12, 3) : default));
        Assert.That(shapes["in_proj.weight"], Is.EqualTo(new Shape(s.Gate ? 24 : 12, 6)));
    }

    [TestCaseSource(nameof(Settings))]
    public void Steps_and_pieces_equal_the_whole(SelectionConfig settings)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        using MambaLM model = Open(settings, device);
        Tensor tokens = Tokens(2, L, device), whole = model.Forward(tokens);
        using MambaState stepping = model.NewState(2), pieces = model.NewState(2);
        Assert.That(((MambaBlockState)pieces.Layers[0]).Ssm.Value.Shape, Is.EqualTo(new Shape(2, settings.Complex ? 6 : 3, 12)));
        for (int t = 0; t < L; t++)
            Assert.That(Difference(model.Step(tokens[.., t], stepping), whole[.., t]), Is.LessThan(1e-12), $"step {t}");
        int start = 0;
        foreach (int count in (int[])[1, 0, 4, 2])
        {
            int end = start + count;
            Assert.That(Difference(model.Forward(tokens[.., start..end], pieces), whole[.., start..end]), Is.LessThan(1e-12), $"piece from {start}");
            start = end;
        }
    }

    [TestCaseSource(nameof(Settings))]
    public void Packed_sequences_are_those_run_apart(SelectionConfig settings)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        using MambaLM model = Open(settings, device);
        Tensor tokens = Tokens(1, L, device), packed = model.Forward(tokens, reset: Packing.Resets(device, L, [3, 1, 3]));
        foreach ((int start, int end) in ((int, int)[])[(0, 3), (3, 4), (4, 7)])
            Assert.That(Difference(packed[.., start..end], model.Forward(tokens[.., start..end])), Is.LessThan(1e-12), $"{start} to {end}");
    }

    [TestCaseSource(nameof(Settings))]
    public void Gradients_agree_with_differences_from_a_state_too(SelectionConfig settings)
    {
        using Device device = Device.Open("cpu");
        using MambaLM model = Open(settings, device);
        Tensor tokens = Tokens(2, L, device), reset = Packing.Resets(device, 4, [1, 3], [4]);
        GradReport report = GradCheck.Run(() =>
        {
            using MambaState state = model.NewState(2);
            state.CarryGradient = true;
            Tensor first = Ops.CrossEntropy(model.Forward(tokens[.., ..3], state), tokens[.., ..3], classes: 11);
            return first + Ops.CrossEntropy(model.Forward(tokens[.., 3..], state, reset: reset), tokens[.., 3..], classes: 11);
        }, model.Parameters);
        Assert.That(report.Passed, report.ToString());
        tokens.Dispose();
        reset.Dispose();
    }

    [Test]
    public void A_starts_as_Table_8_says()
    {
        using Device device = Device.Open("cpu");
        Dictionary<string, double[]> Values(SelectionConfig settings)
        {
            Mixer block = settings.Build(Base with { Mixer = settings }, 0);
            using ParameterSet parameters = block.Initialize(device, DType.Float64, seed: 1);
            return parameters.ToDictionary(p => p.Name, p => p.Value.ToDoubles(), StringComparer.Ordinal);
        }
        double[] A(SelectionConfig settings) => [.. Values(settings)["A_log"].Select(v => -Math.Exp(v))];
        Assert.That(A(Small), Is.EqualTo(Enumerable.Range(0, 36).Select(i => -1.0 - i % 3)).Within(1e-14));
        Assert.That(A(Small with { AInit = "s4d-real" }), Is.EqualTo(A(Small)));
        Assert.That(A(Small with { AInit = "minus-half" }), Is.All.EqualTo(-0.5).Within(1e-15));
        Assert.That(A(Small with { Complex = true }), Is.All.EqualTo(-0.5).Within(1e-15));
        Assert.That(Values(Small with { Complex = true })["A_imag"], Is.EqualTo(Enumerable.Range(0, 36).Select(i => Math.PI * (i % 3))));
        double[] logs = Values(Small with { AInit = "random", DState = 100 })["A_log"];            // 1,200 draws of N(0, 1)
        Assert.That((logs.Average(), logs.Average(v => v * v)), Is.EqualTo((0.0, 1.0)).Using<(double, double)>((a, e) =>
            Math.Abs(a.Item1 - e.Item1) < 0.1 && Math.Abs(a.Item2 - e.Item2) < 0.15 ? 0 : 1));
        foreach (bool complex in OffOn)
        {
            Dictionary<string, double[]> values = Values(Small with { SelectiveB = false, SelectiveC = false, Complex = complex, DState = 100 });
            Assert.That(values["B"].Select((v, i) => v == (complex && i % 2 == 1 ? 0 : 1)), Is.All.True);
            Assert.That(values["C"].Average(v => v * v), Is.EqualTo(complex ? 0.5 : 1).Within(0.1));
        }
    }

    [Test]
    public void Config_json_keeps_every_setting()
    {
        SelectionConfig[] more = [Small with { AInit = "random", Expand = 3, Bias = true }, Small with { AInit = "minus-half" }];
        foreach (SelectionConfig settings in Every().Concat(more))
        {
            MambaConfig config = Base with { Mixer = settings }, read = MambaConfig.FromJson(config.ToJson());
            Assert.That(read.Mixer, Is.EqualTo(settings));
            Assert.That(read.ToJson(), Is.EqualTo(config.ToJson()));
        }
        MambaConfig written = MambaConfig.FromJson("""
            { "d_model": 8, "n_layer": 1, "ssm_cfg": { "layer": "Selection", "selective_b": false, "complex": true, "a_init": "s4d-lin", "d_state": 8,
              "gate": false } }
            """);
        Assert.That(written.Mixer, Is.EqualTo(new SelectionConfig { SelectiveB = false, Complex = true, AInit = "s4d-lin", DState = 8, Gate = false }));
        void Fails(SelectionConfig settings, string message) => Assert.That(() => (Base with { Mixer = settings }).Validate(),
            Throws.TypeOf<MambaException>().With.Message.EqualTo(message));
        Fails(Small with { AInit = "s4d-lin" },
            "MambaConfig: ssm_cfg.a_init is 's4d-lin' and complex false; expected s4d-real, minus-half, random.");
        Fails(Small with { AInit = "hippo", Complex = true }, "MambaConfig: ssm_cfg.a_init is 'hippo' and complex true; expected s4d-lin.");
        Fails(Small with { MixerRmsEps = 0.1 },
            "MambaConfig: ssm_cfg.mixer_rms_eps is 0.1; a block of the kind Selection has no such norms, expected null.");
        MambaConfig unfused = Base with { Mixer = Small with { Complex = true }, ScanAlgorithm = ScanAlgorithm.Blelloch };
        Assert.That(unfused.Validate, Throws.TypeOf<MambaException>()
            .With.Message.EqualTo("MambaConfig: scan_algorithm is blelloch and ssm_cfg.complex true; complex A is computed by chunked alone."));
        Fails(Small with { DState = 0 }, "MambaConfig: d_state is 0; expected 1 to 256.");
    }

    [Test]
    public void Real_blocks_with_B_and_C_of_every_token_can_be_traced_and_others_say_why_not()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        Tensor tokens = Tokens(1, L, device);
        foreach (SelectionConfig settings in Every())
        {
            using MambaLM model = Open(settings, device);
            if (settings is { Complex: false, SelectiveB: true, SelectiveC: true })
            {
                using ModelTrace trace = model.Trace(tokens);
                Assert.That(trace.Layers[1].H.Shape, Is.EqualTo(new Shape(1, L, 3, 12)));
            }
            else
            {
                Assert.That(() => model.Trace(tokens), Throws.TypeOf<MambaException>().With.Message.EqualTo("Hooks: layer 0 is a Selection block whose A is "
                    + "complex, or whose B or C is constant; expected a real A, and B and C of every token."));
            }
        }
    }

    [Test]
    public void Other_discretizations_and_algorithms_work_too()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        Tensor tokens = Tokens(2, L, device);
        foreach (SelectionConfig settings in Every().Where(s => s.Gate && s.SelectiveDelta))
            foreach (Discretization scheme in (Discretization[])[Discretization.ZeroOrderHold, Discretization.ExponentialTrapezoidal])
            {
                MambaConfig config = Base with { Mixer = settings, Discretization = scheme };
                ScanAlgorithm other = settings.Complex ? ScanAlgorithm.Chunked : ScanAlgorithm.Reference;       // complex A has the fused kernel alone
                using MambaLM fused = new(config, device, seed: 1, DType.Float64),
                    plain = new(config with { ScanAlgorithm = other }, device, seed: 1, DType.Float64);
                using MambaState state = fused.NewState(2);
                Tensor whole = plain.Forward(tokens);
                Assert.That(Difference(fused.Forward(tokens), whole), Is.LessThan(1e-12));
                Assert.That(Difference(fused.Forward(tokens[.., ..3], state), whole[.., ..3]), Is.LessThan(1e-12));
                Assert.That(Difference(fused.Forward(tokens[.., 3..], state), whole[.., 3..]), Is.LessThan(1e-12));
            }
    }
}
