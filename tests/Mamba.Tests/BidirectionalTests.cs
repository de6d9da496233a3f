using NUnit.Framework;

namespace Mamba.Tests;

public class BidirectionalTests
{
    static readonly SsmConfig Small = new() { DState = 3, DConv = 3, DtRank = 2, DtMin = 0.5, DtMax = 1 };

    static readonly MambaConfig Base = new() { DModel = 6, NLayer = 2, VocabSize = 11, Mixer = Small };

    static readonly MixerConfig[] Kinds =
    [
        Small,
        Small with { MixerRmsEps = 1e-6 },
        new SelectionConfig { DState = 2, DConv = 3, DtRank = 2, DtMin = 0.5, DtMax = 1, SelectiveDelta = false, SelectiveC = false, Complex = true },
        new AttentionConfig { Heads = 3 },
        new BidirectionalConfig { Inner = Small },
    ];

    static MambaConfig Config(MixerConfig inner, bool tied) => Base with { Mixer = new BidirectionalConfig { Inner = inner, Tied = tied } };

    static (Mixer Mixer, ParameterSet Parameters) Build(MambaConfig config, Device device)
    {
        Mixer mixer = config.Mixer.Build(config, 0);
        ParameterSet parameters = mixer.Initialize(device, DType.Float64, seed: 3);
        for (int i = 0; i < parameters.Count; i++)          // initial values are alike in both directions here and there
        {
            using Tensor noise = Ops.Normal(parameters[i].Shape, DType.Float64, device, (ulong)i + 5), sum = parameters[i].Value + noise * 0.2;
            parameters[i].Value = sum;
        }
        return (mixer, parameters);
    }

    static Tensor Random(int b, int l, Device device) => Ops.Normal((b, l, Base.DModel), DType.Float64, device, (ulong)(100 * b + l));

    static double Difference(Tensor a, Tensor b)
    {
        Assert.That(a.Shape, Is.EqualTo(b.Shape));
        return a.ToDoubles().Zip(b.ToDoubles(), (x, y) => Math.Abs(x - y)).DefaultIfEmpty().Max();
    }

    static readonly bool[] OffOn = [false, true];

    [Test]
    public void It_is_the_sum_of_a_mixer_and_of_one_over_the_mirrored_sequence([ValueSource(nameof(OffOn))] bool tied, [Values(1, 2, 7)] int l)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        (Mixer mixer, ParameterSet parameters) = Build(Config(Small, tied), device);
        using ParameterSet owned = parameters;
        var both = (BidirectionalMixer)mixer;
        Tensor x = Random(2, l, device);
        // mirrored token by token, not by the op
        Tensor Mirror(Tensor t) => Ops.Concat(1, [.. Enumerable.Range(0, l).Select(i => t[.., (l - 1 - i)..(l - i)])]);
        Tensor expected = both.ForwardMixer.Forward(x) + Mirror(both.BackwardMixer.Forward(Mirror(x)));
        Assert.That(Difference(mixer.Forward(x), expected), Is.Zero);
        Assert.That(ReferenceEquals(both.ForwardMixer, both.BackwardMixer), Is.EqualTo(tied));
        string[] names = [.. parameters.Select(p => p.Name.Split('.')[0]).Distinct(StringComparer.Ordinal)];
        Assert.That(names, Is.EqualTo(tied ? new[] { "forward" } : ["forward", "backward"]));
        Assert.That(parameters.Count, Is.EqualTo((tied ? 1 : 2) * Small.Build(Base, 0).Parameters.Count()));
    }

    [Test]
    public void Every_token_sees_every_other_of_its_sequence([ValueSource(nameof(OffOn))] bool tied)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        (Mixer mixer, ParameterSet parameters) = Build(Config(Small, tied), device);
        using ParameterSet owned = parameters;
        const int L = 5;
        Tensor reset = Packing.Resets(device, L, [2, 3]);
        for (int to = 0; to < L; to++)
        {
            using var tape = new Tape();
            Tensor x = Tape.Watch(Random(1, L, device));
            double[] gradient = tape.Backward(Ops.Sum(mixer.Forward(x, reset: reset)[.., to]))[x].ToDoubles();
            for (int from = 0; from < L; from++)
                Assert.That(gradient.AsSpan(from * Base.DModel, Base.DModel).ContainsAnyExcept(0.0), Is.EqualTo(from < 2 == to < 2), $"{from} to {to}");
        }
    }

    [Test]
    public void Packed_and_padded_sequences_are_those_run_alone([ValueSource(nameof(Kinds))] MixerConfig inner, [ValueSource(nameof(OffOn))] bool tied)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        (Mixer mixer, ParameterSet parameters) = Build(Config(inner, tied), device);
        using ParameterSet owned = parameters;
        // two rows of 9 tokens: 3, 1 and 5; and 4 with 5 of padding behind
        int[][] lengths = [[3, 1, 5], [4, 5]];
        Tensor x = Random(2, 9, device), packed = mixer.Forward(x, reset: Packing.Resets(device, 9, [3, 1], [4]));
        for (int row = 0; row < 2; row++)
        {
            int start = 0;
            foreach (int length in lengths[row])
            {
                int end = start + length;
                Tensor alone = mixer.Forward(x[row..(row + 1), start..end]);
                Assert.That(Difference(packed[row..(row + 1), start..end], alone), Is.LessThan(1e-13), $"row {row}, {start} to {end}");
                start = end;
            }
        }
    }

    [Test]
    public void Mirrored_input_gives_mirrored_output_where_directions_are_tied([ValueSource(nameof(Kinds))] MixerConfig inner, [Values(1, 2, 7, 8)] int l)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        foreach (bool tied in OffOn)
        {
            if (inner is BidirectionalConfig && tied)
                continue;               // of an untied one
            (Mixer mixer, ParameterSet parameters) = Build(Config(inner, tied), device);
            using ParameterSet owned = parameters;
            Tensor x = Random(2, l, device), reset = Packing.Resets(device, l, [(l + 1) / 2], [l]);
            foreach (Tensor? r in (Tensor?[])[null, reset])
            {
                double difference = Difference(mixer.Forward(Ops.Reverse(x, r), reset: r), Ops.Reverse(mixer.Forward(x, reset: r), r));
                Assert.That(difference, tied || l == 1 ? Is.Zero : Is.GreaterThan(1e-3));
            }
        }
    }

    [Test]
    public void Gradients_are_those_of_differences([ValueSource(nameof(Kinds))] MixerConfig inner, [ValueSource(nameof(OffOn))] bool tied)
    {
        using Device device = Device.Open("cpu");
        using var model = new MambaLM(Config(inner, tied) with { NLayer = 1 }, device, seed: 1, DType.Float64);
        Tensor tokens = Tensor.From([3, 1, 4, 1, 5, 9, 2, 6, 5, 3], (2, 5), device), reset = Packing.Resets(device, 5, [2, 3], [5]);
        GradReport report = GradCheck.Run(() => Ops.CrossEntropy(model.Forward(tokens, reset: reset), tokens, classes: 11), model.Parameters);
        Assert.That(report.Passed, report.ToString());
        tokens.Dispose();
        reset.Dispose();
    }

    [Test]
    public void Nothing_and_one_token_run([ValueSource(nameof(Kinds))] MixerConfig inner, [Values(0, 1)] int l)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        (Mixer mixer, ParameterSet parameters) = Build(Config(inner, false), device);
        using ParameterSet owned = parameters;
        Assert.That(mixer.Forward(Random(2, l, device)).Shape, Is.EqualTo(new Shape(2, l, Base.DModel)));
    }

    [Test]
    public void Config_json_names_it_and_what_is_inside()
    {
        foreach (MixerConfig inner in Kinds)
        {
            MambaConfig config = Config(inner, tied: true), read = MambaConfig.FromJson(config.ToJson());
            Assert.That(read.Mixer, Is.EqualTo(config.Mixer));
            Assert.That(read.ToJson(), Is.EqualTo(config.ToJson()));
        }
        MambaConfig usual = MambaConfig.FromJson("""{ "d_model": 8, "n_layer": 1, "ssm_cfg": { "layer": "Bidirectional" } }""");
        Assert.That(usual.Mixer, Is.EqualTo(new BidirectionalConfig()));
        Assert.That(Mixers.Names, Does.Contain("Bidirectional"));
        void Fails(string settings, string message) =>
            Assert.That(() => MambaConfig.FromJson($$"""{ "d_model": 8, "n_layer": 1, "ssm_cfg": { "layer": "Bidirectional", {{settings}} } }""").Validate(),
                Throws.TypeOf<MambaException>().With.Message.Contains(message));
        Fails("\"inner\": null", "'inner'");
        Fails("\"inner\": { \"layer\": \"Mamba9\" }", "'Mamba9'; there is ");
        Fails("\"inner\": { \"d_state\": 300 }", "d_state is 300; expected 1 to 256");
    }

    [Test]
    public void There_is_no_state_and_no_step()
    {
        using Device device = Device.Open("cpu");
        using var model = new MambaLM(Config(Small, tied: false), device, seed: 1);
        using var plain = new MambaLM(Base, device, seed: 1);
        using MambaState state = plain.NewState(1);
        using var scope = new TensorScope();
        Tensor tokens = Tensor.From([1, 2, 3], (1, 3), device), hidden = Tensor.Zeros((1, 3, 6), DType.Float32, device);
        Mixer mixer = model.Backbone.Layers[0].Mixer;
        const string Line = "BidirectionalMixer: a bidirectional layer reads to the end of a sequence: there is no state to go on from, and no step; "
            + "expected Forward over whole sequences, without a state.";
        Action[] refused = [() => model.NewState(1), () => model.Forward(tokens, state), () => mixer.Step(hidden[.., 0], state.Layers[0]),
            () => mixer.NewState(1, DType.Float32, device), () => model.Generate([1], count: 1)];
        foreach (Action act in refused)
            Assert.That(act, Throws.TypeOf<MambaException>().With.Message.EqualTo(Line));
        Assert.That(model.Forward(tokens).Shape, Is.EqualTo(new Shape(1, 3, 16)));
    }

    [Test]
    public void Hooks_and_traces_say_that_they_cannot_follow()
    {
        using Device device = Device.Open("cpu");
        using var model = new MambaLM(Config(Small, tied: false), device, seed: 1);
        using var scope = new TensorScope();
        Tensor tokens = Tensor.From([1, 2, 3], (1, 3), device);
        Assert.That(() => model.Trace(tokens), Throws.TypeOf<MambaException>());
        Assert.That(() => model.Forward(tokens, hooks: [Hook.Wipe(Site.Y)]),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("Hooks: layer 0 is bidirectional: one of its two scans is over the mirrored "
                + "sequence; hooks and traces follow one scan, forward in time."));
    }

    [Test]
    public void A_model_is_trained_saved_and_loaded()
    {
        string path = Path.Combine(TestContext.CurrentContext.WorkDirectory, $"bidirectional-{Guid.NewGuid():N}");
        using Device device = Device.Open("cpu");
        MambaConfig config = Config(Small, tied: false);
        using var model = new MambaLM(config, device, seed: 1);
        using var optimizer = new AdamW(model.Parameters, 1e-2);
        Tensor tokens = Tensor.From([.. Enumerable.Range(0, 24).Select(i => i * i % 11)], (2, 12), device);
        double first = 0, last = 0;
        for (int step = 0; step < 40; step++)
        {
            using var tape = new Tape();
            Tensor loss = Ops.CrossEntropy(model.Forward(tokens), tokens, classes: 11);
            last = loss.Item();
            first = step == 0 ? last : first;
            optimizer.Step(tape.Backward(loss));
        }
        Assert.That(last, Is.LessThan(first / 4));
        try
        {
            Directory.CreateDirectory(path);
            File.WriteAllText(Path.Combine(path, "config.json"), config.ToJson());
            Weights.Save(Path.Combine(path, "model.safetensors"), model);
            using MambaLM again = ModelFolder.Load(path, device);
            using var scope = new TensorScope();
            Assert.That(again.Forward(tokens).ToDoubles(), Is.EqualTo(model.Forward(tokens).ToDoubles()));
        }
        finally
        {
            Directory.Delete(path, recursive: true);
        }
        tokens.Dispose();
    }
}
