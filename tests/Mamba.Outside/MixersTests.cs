using Mamba.Examples;
using NUnit.Framework;

namespace Mamba.Outside;

/// <summary>
/// What every kind of mixer must do, the library's and those written outside alike: a token at a time and in pieces as all at once, packed as apart, with the
/// gradients that differences give, through a state that is cloned, saved and loaded.
/// </summary>
public class MixersTests
{
    const int L = 7;

    static readonly MambaConfig Small = new()
    {
        DModel = 6,
        NLayer = 2,
        VocabSize = 11,
        // At the usual initial step sizes, some thousandths, the gradient of A_log is too small for differences to judge.
        SsmCfg = new SsmConfig { DState = 3, DConv = 3, DtRank = 2, DtMin = 0.5, DtMax = 1 },
    };

    static MixersTests()
    {
        Mixers.Register<OwnMixer.Settings>();
        Mixers.Register<JambaMamba.Settings>();
        Discretization.Register(OwnDiscretization.Midpoint);
        ScanAlgorithm.Register(new OwnAlgorithm());
    }

    static IEnumerable<TestCaseData> Models()
    {
        TestCaseData Case(string name, MambaConfig config) => new TestCaseData(config).SetArgDisplayNames(name);
        yield return Case("Mamba1", Small);
        yield return Case("MLP", Small with { DIntermediate = 5 });
        yield return Case("MLP, LayerNorm, own head", Small with { DIntermediate = 130, RmsNorm = false, TieEmbeddings = false });
        yield return Case("MinGru", Small with { Mixer = new OwnMixer.Settings() });
        yield return Case("FalconMamba", Small with { SsmCfg = Small.SsmCfg with { MixerRmsEps = 1e-6 } });
        yield return Case("JambaMamba", Small with { Mixer = new JambaMamba.Settings { DState = 3, DConv = 3, DtRank = 2 } });
        yield return Case("Selection, S4D", Small with
        {
            Mixer = new SelectionConfig { DState = 3, DConv = 3, DtRank = 2, SelectiveDelta = false, SelectiveB = false, SelectiveC = false, Complex = true },
        });
        yield return Case("midpoint", Small with { Discretization = OwnDiscretization.Midpoint });
        yield return Case("halves", Small with { ScanAlgorithm = new OwnAlgorithm() });
        foreach (Discretization scheme in Discretization.All.Where(d => d != Discretization.ExponentialEuler))
            yield return Case(scheme.Name, Small with { Discretization = scheme });
        foreach (ScanAlgorithm algorithm in ScanAlgorithm.All.Where(a => a != ScanAlgorithm.Chunked))
            yield return Case(algorithm.Name, Small with { ScanAlgorithm = algorithm, Discretization = Discretization.ExponentialTrapezoidal });
    }

    static Tensor Tokens(int b, int l, Device device) => Tensor.From([.. Enumerable.Range(0, b * l).Select(i => i * i % 11)], (b, l), device);

    static MambaLM Open(MambaConfig config, Device device)
    {
        var model = new MambaLM(config, device, seed: 1, DType.Float64);
        for (int i = 0; i < model.Parameters.Count; i++)        // at special values a mistake could hide
        {
            Parameter parameter = model.Parameters[i];
            using Tensor noise = Ops.Normal(parameter.Shape, DType.Float64, device, (ulong)i + 5), sum = parameter.Value + noise * 0.2;
            parameter.Value = sum;
        }
        return model;
    }

    static double Difference(Tensor a, Tensor b) => a.ToDoubles().Zip(b.ToDoubles(), (x, y) => Math.Abs(x - y)).DefaultIfEmpty().Max();

    [TestCaseSource(nameof(Models))]
    public void Steps_and_pieces_equal_the_whole(MambaConfig config)
    {
        using Device device = Device.Open("cpu");
        using MambaLM model = Open(config, device);
        foreach (int b in (int[])[1, 3])
        {
            using var scope = new TensorScope();
            Tensor tokens = Tokens(b, L, device), whole = model.Forward(tokens);
            using MambaState stepping = model.NewState(b), pieces = model.NewState(b);
            for (int t = 0; t < L; t++)
                Assert.That(Difference(model.Step(tokens[.., t], stepping), whole[.., t]), Is.LessThan(1e-12), $"step {t}");
            int start = 0;
            foreach (int count in (int[])[1, 0, 4, 2])
            {
                int end = start + count;
                Assert.That(Difference(model.Forward(tokens[.., start..end], pieces), whole[.., start..end]), Is.LessThan(1e-12), $"piece from {start}");
                start = end;
            }
            Assert.That((stepping.Position, pieces.Position), Is.EqualTo(((long)L, (long)L)));
            foreach ((StateTensor a, StateTensor e) in stepping.Layers.SelectMany(layer => layer.Tensors).Zip(pieces.Layers.SelectMany(layer => layer.Tensors)))
                Assert.That(Difference(a.Value, e.Value), Is.LessThan(1e-12), a.Name);
        }
    }

    [TestCaseSource(nameof(Models))]
    public void Packed_sequences_are_those_run_apart(MambaConfig config)
    {
        using Device device = Device.Open("cpu");
        using MambaLM model = Open(config, device);
        using var scope = new TensorScope();
        Tensor tokens = Tokens(1, L, device), packed = model.Forward(tokens, reset: Packing.Resets(device, L, [3, 1, 3]));
        foreach ((int start, int end) in ((int, int)[])[(0, 3), (3, 4), (4, 7)])
            Assert.That(Difference(packed[.., start..end], model.Forward(tokens[.., start..end])), Is.LessThan(1e-12), $"{start} to {end}");
    }

    [TestCaseSource(nameof(Models))]
    public void Gradients_agree_with_differences_from_a_state_too(MambaConfig config)
    {
        using Device device = Device.Open("cpu");
        using MambaLM model = Open(config, device);
        Tensor tokens = Tokens(2, L, device), targets = Tokens(2, L, device);
        GradReport report = GradCheck.Run(() =>
        {
            using MambaState state = model.NewState(2);
            state.CarryGradient = true;
            Tensor first = Ops.CrossEntropy(model.Forward(tokens[.., ..3], state), targets[.., ..3], classes: 11);
            return first + Ops.CrossEntropy(model.Forward(tokens[.., 3..], state), targets[.., 3..], classes: 11);
        }, model.Parameters);
        Assert.That(report.Passed, report.ToString());
        tokens.Dispose();
        targets.Dispose();
    }

    [TestCaseSource(nameof(Models))]
    public void A_state_is_cloned_saved_and_loaded(MambaConfig config)
    {
        string path = Path.Combine(TestContext.CurrentContext.WorkDirectory, $"state-{Guid.NewGuid():N}.safetensors");
        using Device device = Device.Open("cpu");
        using MambaLM model = Open(config, device);
        using MambaState state = model.NewState(2);
        using var scope = new TensorScope();
        try
        {
            Tensor tokens = Tokens(2, L, device);
            model.Forward(tokens[.., ..4], state);
            state.Save(path);
            using MambaState clone = state.Clone(), loaded = model.NewState(2);
            loaded.Load(path);
            double[] next = model.Forward(tokens[.., 4..], state).ToDoubles();
            Assert.That(model.Forward(tokens[.., 4..], clone).ToDoubles(), Is.EqualTo(next));
            Assert.That(model.Forward(tokens[.., 4..], loaded).ToDoubles(), Is.EqualTo(next));
            Assert.That((clone.Position, loaded.Position), Is.EqualTo(((long)L, (long)L)));
            state.Reset();
            Assert.That(Difference(model.Forward(tokens, state), model.Forward(tokens)), Is.LessThan(1e-12));
            using MambaState other = model.NewState(1);
            Assert.That(() => other.Load(path), Throws.TypeOf<MambaException>().With.Message.Contains("has shape"));
            Assert.That(() => other.CopyFrom(state), Throws.TypeOf<MambaException>());
            using MixerState one = state.Layers[0].Clone();
            Assert.That(one.Tensors.Zip(state.Layers[0].Tensors, (a, b) => Difference(a.Value, b.Value)), Is.All.Zero);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestCaseSource(nameof(Models))]
    public void Config_json_builds_the_same_model(MambaConfig config)
    {
        MambaConfig read = MambaConfig.FromJson(config.ToJson());
        Assert.That(read.ToJson(), Is.EqualTo(config.ToJson()));
        Assert.That(read.Mixer, Is.EqualTo(config.Mixer));
        Assert.That((read.Discretization, read.ScanAlgorithm.Name), Is.EqualTo((config.Discretization, config.ScanAlgorithm.Name)));
        using Device device = Device.Open("cpu");
        using MambaLM a = new(config, device, seed: 1), b = new(read, device, seed: 1);
        using var scope = new TensorScope();
        Tensor tokens = Tokens(1, L, device);
        Assert.That(b.Forward(tokens).ToDoubles(), Is.EqualTo(a.Forward(tokens).ToDoubles()));
    }

    [Test]
    public void Discretizations_make_different_models_and_algorithms_the_same()
    {
        using Device device = Device.Open("cpu");
        using MambaLM plain = Open(Small, device);
        using var scope = new TensorScope();
        Tensor tokens = Tokens(1, L, device), logits = plain.Forward(tokens);
        foreach (Discretization scheme in Discretization.All.Append(OwnDiscretization.Midpoint).Where(d => d != Discretization.ExponentialEuler))
        {
            using MambaLM model = Open(Small with { Discretization = scheme }, device);
            Assert.That(Difference(model.Forward(tokens), logits), Is.GreaterThan(1e-4), scheme.Name);
        }
        foreach (ScanAlgorithm algorithm in ScanAlgorithm.All.Append(new OwnAlgorithm()))
        {
            using MambaLM model = Open(Small with { ScanAlgorithm = algorithm }, device);
            Assert.That(Difference(model.Forward(tokens), logits), Is.LessThan(1e-12), algorithm.Name);
        }
    }

    [Test]
    public void Names_that_are_taken_or_unknown_are_one_clear_line()
    {
        Assert.That(() => MambaConfig.FromJson("""{ "d_model": 8, "n_layer": 1, "ssm_cfg": { "layer": "Mamba9" } }"""),
            Throws.TypeOf<MambaException>().With.Message.Contains("'Mamba9'; there is ").And.Message.Contains("Mamba1"));
        Assert.That(() => MambaConfig.FromJson("""{ "d_model": 8, "n_layer": 1, "discretization": "simpson" }"""),
            Throws.TypeOf<MambaException>().With.Message.Contains("midpoint"));
        Assert.That(() => Discretization.Register(new Discretization<OwnDiscretization.MidpointScheme>("zoh")), Throws.TypeOf<MambaException>());
        Assert.That(() => Mixers.Register<Impostor>(), Throws.TypeOf<MambaException>().With.Message.Contains("taken"));
        Assert.That(() => (Small with { Mixer = new OwnMixer.Settings() }).SsmCfg, Throws.TypeOf<MambaException>().With.Message.Contains("MinGru"));
    }

    sealed record Impostor : MixerConfig
    {
        public override string Layer => "Mamba1";
        public override Mixer Build(MambaConfig config, int layer) => new OwnMixer(config.DModel, 4);
    }

    [Test]
    public void A_state_of_another_kind_is_one_clear_line()
    {
        using Device device = Device.Open("cpu");
        var block = new MambaBlock(Small);
        var gru = new OwnMixer(6, 12);
        using ParameterSet first = block.Initialize(device), second = gru.Initialize(device);
        using MambaBlockState state = block.NewState(2, DType.Float32, device);
        using var scope = new TensorScope();
        Mixer mixer = gru;
        Assert.That(() => mixer.Forward(Ops.Normal((2, 3, 6), DType.Float32, device, 1), state),
            Throws.TypeOf<MambaException>().With.Message.Contains("expected a GruState"));
        Assert.That(() => ((Mixer)block).Forward(Ops.Normal((3, 3, 6), DType.Float32, device, 1), state),
            Throws.TypeOf<MambaException>().With.Message.Contains("for 2 sequences"));
    }
}
