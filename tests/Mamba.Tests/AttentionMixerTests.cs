using NUnit.Framework;

namespace Mamba.Tests;

public class AttentionMixerTests
{
    const int Model = 8, L = 7;

    static readonly MambaConfig Base = new() { DModel = Model, NLayer = 2, VocabSize = 11 };

    static IEnumerable<AttentionConfig> Settings() =>
        from heads in (int[])[1, 2, 4]
        from rotary in (bool[])[false, true]
        from most in (int?[])[null, L]
        select new AttentionConfig { Heads = heads, Rotary = rotary, MaxLength = most };

    static (AttentionMixer Mixer, ParameterSet Parameters) Build(AttentionConfig settings, Device device, DType dtype = DType.Float64)
    {
        var mixer = new AttentionMixer(Base with { Mixer = settings });
        ParameterSet parameters = mixer.Initialize(device, dtype, seed: 3);
        foreach (Parameter parameter in parameters)             // positions that start near 0 could hide a mistake
        {
            using Tensor larger = parameter.Value * (parameter.Name == "positions" ? 30 : 2);
            parameter.Value = larger;
        }
        return (mixer, parameters);
    }

    static Tensor Random(int b, int l, Device device) => Ops.Normal((b, l, Model), DType.Float64, device, (ulong)(100 * b + l));

    static double Difference(Tensor a, Tensor b) => a.ToDoubles().Zip(b.ToDoubles(), (x, y) => Math.Abs(x - y)).DefaultIfEmpty().Max();

    // Vaswani et al., one query at a time; starts: where the sequence of each token starts
    static double[] Plain(double[] x, Dictionary<string, double[]> p, AttentionConfig settings, int[] starts)
    {
        int l = starts.Length, width = Model / settings.Heads, half = width / 2;
        double[] y = new double[l * Model], heads = new double[l * Model];
        double[] Project(int t, int first) => [.. Enumerable.Range(first, Model).Select(row => Enumerable.Range(0, Model).Sum(i =>
            p["in_proj.weight"][row * Model + i] * (x[t * Model + i] + (settings.MaxLength is null ? 0 : p["positions"][(t - starts[t]) * Model + i]))))];
        double[] Turn(double[] v, int t)
        {
            if (!settings.Rotary)
                return v;
            double[] turned = [.. v];
            for (int h = 0; h < settings.Heads; h++)
                for (int i = 0; i < half; i++)
                {
                    var number = new System.Numerics.Complex(v[h * width + i], v[h * width + half + i])
                        * System.Numerics.Complex.FromPolarCoordinates(1, (t - starts[t]) * Math.Pow(10000, -2.0 * i / width));
                    (turned[h * width + i], turned[h * width + half + i]) = (number.Real, number.Imaginary);
                }
            return turned;
        }
        for (int t = 0; t < l; t++)
            for (int h = 0; h < settings.Heads; h++)
            {
                double[] q = Turn(Project(t, 0), t);
                double[] weights = [.. Enumerable.Range(starts[t], t + 1 - starts[t]).Select(s => Math.Exp(Enumerable.Range(h * width, width)
                    .Sum(i => q[i] * Turn(Project(s, Model), s)[i]) / Math.Sqrt(width)))];
                for (int s = starts[t]; s <= t; s++)
                    for (int i = h * width; i < (h + 1) * width; i++)
                        heads[t * Model + i] += weights[s - starts[t]] / weights.Sum() * Project(s, 2 * Model)[i];
            }
        for (int t = 0; t < l; t++)
            for (int o = 0; o < Model; o++)
                y[t * Model + o] = Enumerable.Range(0, Model).Sum(i => p["out_proj.weight"][o * Model + i] * heads[t * Model + i]);
        return y;
    }

    [Test]
    public void It_is_attention_written_out([ValueSource(nameof(Settings))] AttentionConfig settings)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        (AttentionMixer mixer, ParameterSet parameters) = Build(settings, device);
        using ParameterSet owned = parameters;
        Dictionary<string, double[]> p = parameters.ToDictionary(q => q.Name, q => q.Value.ToDoubles(), StringComparer.Ordinal);
        Tensor x = Random(1, L, device);
        Assert.That(mixer.Forward(x).ToDoubles(), Is.EqualTo(Plain(x.ToDoubles(), p, settings, new int[L])).Within(1e-13));
        Assert.That(mixer.Forward(x, reset: Packing.Resets(device, L, [3, 1])).ToDoubles(),
            Is.EqualTo(Plain(x.ToDoubles(), p, settings, [0, 0, 0, 3, 4, 4, 4])).Within(1e-13));
    }

    [Test]
    public void A_token_sees_those_up_to_it_of_its_sequence_and_no_other([ValueSource(nameof(Settings))] AttentionConfig settings)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        (AttentionMixer mixer, ParameterSet parameters) = Build(settings, device);
        using ParameterSet owned = parameters;
        Tensor reset = Packing.Resets(device, L, [3, 4]);
        for (int to = 0; to < L; to++)
        {
            using var tape = new Tape();
            Tensor x = Tape.Watch(Random(1, L, device));
            double[] gradient = tape.Backward(Ops.Sum(mixer.Forward(x, reset: reset)[.., to]))[x].ToDoubles();
            for (int from = 0; from < L; from++)
                Assert.That(gradient.AsSpan(from * Model, Model).ContainsAnyExcept(0.0), Is.EqualTo(from <= to && from < 3 == to < 3), $"{from} to {to}");
        }
    }

    [Test]
    public void Packed_and_padded_sequences_are_those_run_alone([ValueSource(nameof(Settings))] AttentionConfig settings)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        (AttentionMixer mixer, ParameterSet parameters) = Build(settings, device);
        using ParameterSet owned = parameters;
        Tensor x = Random(2, L, device), packed = mixer.Forward(x, reset: Packing.Resets(device, L, [3, 1, 3], [2]));
        foreach ((int row, int start, int end) in ((int, int, int)[])[(0, 0, 3), (0, 3, 4), (0, 4, 7), (1, 0, 2), (1, 2, 7)])
            Assert.That(Difference(packed[row..(row + 1), start..end], mixer.Forward(x[row..(row + 1), start..end])), Is.LessThan(1e-13), $"{row}: {start}");
    }

    [Test]
    public void Gradients_are_those_of_differences([ValueSource(nameof(Settings))] AttentionConfig settings)
    {
        using Device device = Device.Open("cpu");
        using var model = new MambaLM(Base with { Mixer = settings, NLayer = 1 }, device, seed: 1, DType.Float64);
        Tensor tokens = Tensor.From([3, 1, 4, 1, 5, 9, 2, 6, 5, 3], (2, 5), device), reset = Packing.Resets(device, 5, [2, 3], [5]);
        GradReport report = GradCheck.Run(() => Ops.CrossEntropy(model.Forward(tokens), tokens, classes: 11)
            + Ops.CrossEntropy(model.Forward(tokens, reset: reset), tokens, classes: 11), model.Parameters);
        Assert.That(report.Passed, report.ToString());
        tokens.Dispose();
        reset.Dispose();
    }

    [Test]
    public void Nothing_and_one_token_run([ValueSource(nameof(Settings))] AttentionConfig settings, [Values(0, 1)] int l)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        (AttentionMixer mixer, ParameterSet parameters) = Build(settings, device);
        using ParameterSet owned = parameters;
        foreach (Tensor? reset in (Tensor?[])[null, Tensor.Zeros((2, l), DType.Int32, device)])
            Assert.That(mixer.Forward(Random(2, l, device), reset: reset).Shape, Is.EqualTo(new Shape(2, l, Model)));
    }

    [Test]
    public void Sequences_longer_than_there_are_positions_are_one_clear_line()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        (AttentionMixer mixer, ParameterSet parameters) = Build(new AttentionConfig { Heads = 2, MaxLength = 4 }, device);
        using ParameterSet owned = parameters;
        Tensor x = Random(1, L, device);
        Assert.That(() => mixer.Forward(x), Throws.TypeOf<MambaException>()
            .With.Message.EqualTo("AttentionMixer: a sequence has 7 tokens; expected at most 4, max_length of the settings."));
        Assert.That(mixer.Forward(x, reset: Packing.Resets(device, L, [3, 4])).IsFinite());      // no sequence is
        Assert.That(() => mixer.Forward(x, reset: Tensor.Zeros((1, 3), DType.Int32, device)), Throws.TypeOf<MambaException>()
            .With.Message.EqualTo("AttentionMixer: reset has shape (1, 3); expected (1, 7). b and l come from hidden (1, 7, 8)."));
    }

    [Test]
    public void There_is_no_state_no_step_and_no_hook()
    {
        using Device device = Device.Open("cpu");
        using var model = new MambaLM(Base with { Mixer = new AttentionConfig { Heads = 2 } }, device, seed: 1);
        using var scope = new TensorScope();
        Assert.That(() => model.NewState(1), Throws.TypeOf<MambaException>().With.Message.EqualTo("AttentionMixer: attention looks back at every token: "
            + "there is no state to go on from, and no step; expected Forward over whole sequences, without a state."));
        Assert.That(() => model.Forward(Tensor.From([1, 2], (1, 2), device), hooks: [Hook.Wipe(Site.Y)]),
            Throws.TypeOf<MambaException>().With.Message.Contains("has no scan that a hook could reach"));
    }

    [Test]
    public void Config_json_keeps_every_setting()
    {
        foreach (AttentionConfig settings in Settings().Append(new AttentionConfig { Rotary = false }))
        {
            MambaConfig config = Base with { Mixer = settings }, read = MambaConfig.FromJson(config.ToJson());
            Assert.That(read.Mixer, Is.EqualTo(settings));
            Assert.That(read.ToJson(), Is.EqualTo(config.ToJson()));
        }
        void Fails(AttentionConfig settings, string message) => Assert.That(() => (Base with { Mixer = settings }).Validate(),
            Throws.TypeOf<MambaException>().With.Message.EqualTo(message));
        Fails(new AttentionConfig { Heads = 3, Rotary = false }, "MambaConfig: d_model is 8 and heads 3; expected d_model to be a multiple of heads.");
        Fails(new AttentionConfig { Heads = 8 },
            "MambaConfig: d_model is 8 and heads 8; expected d_model to be a multiple of heads and the width of a head even, as rotary positions need it.");
        Fails(new AttentionConfig { Heads = 0 }, "MambaConfig: heads is 0; expected 1 or more.");
        Fails(new AttentionConfig { Heads = 2, MaxLength = 0 }, "MambaConfig: max_length is 0; expected 1 or more.");
    }
}
