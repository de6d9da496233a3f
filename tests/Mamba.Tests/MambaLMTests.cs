using NUnit.Framework;

namespace Mamba.Tests;

public class MambaLMTests
{
    static Device Cpu => TestDevices.Open("cpu-256");
    static readonly MambaConfig Base = new() { DModel = 8, NLayer = 2, VocabSize = 11 };

    static readonly Dictionary<string, MambaConfig> Configs = new(StringComparer.Ordinal)
    {
        ["plain"] = Base,
        ["d_model 10"] = Base with { DModel = 10 },
        ["d_model 33"] = Base with { DModel = 33, NLayer = 1 },
        ["expand 1"] = Base with { SsmCfg = new SsmConfig { Expand = 1 } },
        ["expand 3"] = Base with { SsmCfg = new SsmConfig { Expand = 3 } },
        ["d_state 1"] = Base with { SsmCfg = new SsmConfig { DState = 1 } },
        ["d_state 5"] = Base with { SsmCfg = new SsmConfig { DState = 5 } },
        ["d_conv 1"] = Base with { SsmCfg = new SsmConfig { DConv = 1 } },
        ["d_conv 8"] = Base with { SsmCfg = new SsmConfig { DConv = 8 } },
        ["dt_rank 3"] = Base with { SsmCfg = new SsmConfig { DtRank = 3 } },
        ["biases"] = Base with { SsmCfg = new SsmConfig { Bias = true, ConvBias = false } },
        ["LayerNorm"] = Base with { RmsNorm = false, NormEpsilon = 1e-3 },
        ["untied"] = Base with { TieEmbeddings = false, PadVocabSizeMultiple = 1 },
        ["everything"] = Base with
        {
            DModel = 10,
            RmsNorm = false,
            TieEmbeddings = false,
            SsmCfg = new SsmConfig { Expand = 3, DState = 5, DConv = 3, DtRank = 3, Bias = true },
        },
    };

    static string[] Names => [.. Configs.Keys];

    static MambaLM Model(MambaConfig config, Device device, DType dtype = DType.Float64) => TestData.Stirred(config, device, dtype);

    static Tensor Tokens(Shape shape, Device device, int seed = 1, int classes = 11) => TestData.Tokens(shape, device, seed, classes);

    // ---- parameters --------------------------------------------------------------------------------

    [Test]
    public void Parameters_have_their_official_names_and_shapes()
    {
        using var model = new MambaLM(new MambaConfig { DModel = 24, NLayer = 2, VocabSize = 50 }, Cpu);
        string[] Layer(int i) =>
        [
            $"backbone.layers.{i}.mixer.A_log (48, 16)",
            $"backbone.layers.{i}.mixer.D (48)",
            $"backbone.layers.{i}.mixer.in_proj.weight (96, 24)",
            $"backbone.layers.{i}.mixer.conv1d.weight (48, 1, 4)",
            $"backbone.layers.{i}.mixer.conv1d.bias (48)",
            $"backbone.layers.{i}.mixer.x_proj.weight (34, 48)",
            $"backbone.layers.{i}.mixer.dt_proj.weight (48, 2)",
            $"backbone.layers.{i}.mixer.dt_proj.bias (48)",
            $"backbone.layers.{i}.mixer.out_proj.weight (24, 48)",
            $"backbone.layers.{i}.norm.weight (24)",
        ];
        Assert.That(model.Parameters.Select(p => p.ToString()),
            Is.EqualTo((string[])["backbone.embedding.weight (56, 24)", .. Layer(0), .. Layer(1), "backbone.norm_f.weight (24)"]));
        Assert.That(model.Parameters.ElementCount, Is.EqualTo(model.Parameters.Sum(p => p.Value.Count)));
    }

    [Test]
    public void Options_add_and_remove_parameters()
    {
        string[] Of(MambaConfig config)
        {
            using var model = new MambaLM(config, Cpu);
            return [.. model.Parameters.Select(p => p.ToString())];
        }
        var config = new MambaConfig { DModel = 24, NLayer = 1, VocabSize = 50 };
        string[] plain = Of(config);
        const string Mixer = "backbone.layers.0.mixer.";
        Assert.That(Of(config with { SsmCfg = new SsmConfig { Bias = true } }).Except(plain, StringComparer.Ordinal),
            Is.EqualTo(new[] { Mixer + "in_proj.bias (96)", Mixer + "out_proj.bias (24)" }));
        Assert.That(plain.Except(Of(config with { SsmCfg = new SsmConfig { ConvBias = false } }), StringComparer.Ordinal),
            Is.EqualTo(new[] { Mixer + "conv1d.bias (48)" }));
        Assert.That(Of(config with { RmsNorm = false }).Except(plain, StringComparer.Ordinal),
            Is.EqualTo(new[] { "backbone.layers.0.norm.bias (24)", "backbone.norm_f.bias (24)" }));
        Assert.That(Of(config with { TieEmbeddings = false }).Except(plain, StringComparer.Ordinal), Is.EqualTo(new[] { "lm_head.weight (56, 24)" }));
    }

    [Test]
    public void Only_matrices_decay()
    {
        using MambaLM model = Model(Configs["everything"] with { SsmCfg = new SsmConfig { Bias = true } }, Cpu);
        Assert.That(model.Parameters.Where(p => !p.Decay).Select(p => p.Name.Split('.')[^1]).Distinct(StringComparer.Ordinal),
            Is.EquivalentTo(new[] { "A_log", "D", "bias", "weight" }));
        Assert.That(model.Parameters.Where(p => !p.Decay && p.Name.EndsWith("weight", StringComparison.Ordinal)), Has.All.Property("Name").Contains("norm"));
        Assert.That(model.Parameters.Where(p => p.Decay), Has.All.Property("Name").EndsWith(".weight"));
        Assert.That(model.Parameters.Where(p => p.Decay), Has.All.Property("Shape").Property("Rank").GreaterThan(1));
    }

    // ---- one computation, several ways ---------------------------------------------------------------

    [Test]
    public void A_token_at_a_time_equals_the_whole([ValueSource(nameof(Names))] string config, [Values("cpu-256", "opencl:0")] string device)
    {
        using var scope = new TensorScope();
        using MambaLM model = Model(Configs[config], TestDevices.Open(device));
        using MambaState state = model.NewState(3);
        Tensor tokens = Tokens((3, 12), model.Parameters.Device);
        int[] ids = tokens.ToArray<int>();
        double[] whole = model.Forward(tokens).ToDoubles();
        int v = Configs[config].PaddedVocabSize;
        double worst = 0;
        for (int t = 0; t < 12; t++)
        {
            double[] step = model.Step(Tensor.From([ids[t], ids[12 + t], ids[24 + t]], 3, model.Parameters.Device), state).ToDoubles();
            double[] expected = [.. Enumerable.Range(0, 3).SelectMany(b => whole[((b * 12 + t) * v)..((b * 12 + t + 1) * v)])];
            worst = Math.Max(worst, TestData.RelativeError(step, expected));
        }
        Assert.That(worst, Is.LessThan(1e-12));
        Assert.That(state.Position, Is.EqualTo(12));
    }

    [Test]
    public void Pieces_equal_the_whole([ValueSource(nameof(Names))] string config)
    {
        using var scope = new TensorScope();
        using MambaLM model = Model(Configs[config], Cpu);
        using MambaState whole = model.NewState(2), pieces = model.NewState(2);
        int[] sizes = [5, 0, 1, 2, 70, 1, 11];
        int length = sizes.Sum(), v = Configs[config].PaddedVocabSize, start = 0;
        Tensor tokens = Tokens((2, length), Cpu);
        double[] expected = model.Forward(tokens, whole).ToDoubles();
        for (int round = 0; round < 2; round++)
        {
            start = 0;
            foreach (int size in sizes)
            {
                double[] logits = model.Forward(tokens.Slice(1, start, size), pieces).ToDoubles();
                double[] part = [.. Enumerable.Range(0, 2).SelectMany(b => expected[((b * length + start) * v)..((b * length + start + size) * v)])];
                Assert.That(TestData.RelativeError(logits, part), Is.LessThan(1e-12), $"tokens {start} to {start + size}");
                start += size;
            }
            Assert.That(pieces.Position, Is.EqualTo(whole.Position));
            foreach ((MambaBlockState a, MambaBlockState b) in whole.Blocks().Zip(pieces.Blocks()))
            {
                Assert.That(TestData.RelativeError(b.Conv.Value.ToDoubles(), a.Conv.Value.ToDoubles()), Is.LessThan(1e-12));
                Assert.That(TestData.RelativeError(b.Ssm.Value.ToDoubles(), a.Ssm.Value.ToDoubles()), Is.LessThan(1e-12));
            }
            pieces.Reset();
        }
        Assert.That(pieces.Blocks().SelectMany(l => l.Conv.Value.ToDoubles().Concat(l.Ssm.Value.ToDoubles())), Has.All.Zero);
    }

    [Test]
    public void The_last_position_alone_is_the_last_of_all([ValueSource(nameof(Names))] string config, [Values(1, 2, 40)] int length)
    {
        using var scope = new TensorScope();
        using MambaLM model = Model(Configs[config], Cpu);
        Tensor tokens = Tokens((3, length), Cpu);
        int v = Configs[config].PaddedVocabSize;
        Tensor last = model.Forward(tokens, lastOnly: true);
        double[] all = model.Forward(tokens).ToDoubles();
        Assert.That(last.Shape, Is.EqualTo(new Shape(3, v)));
        double[] expected = [.. Enumerable.Range(0, 3).SelectMany(b => all[(((b + 1) * length - 1) * v)..((b + 1) * length * v)])];
        if (3 * length > 8)     // the head's product of three rows is another than that of many, see HostFewRows
            Assert.That(TestData.RelativeError(last.ToDoubles(), expected), Is.LessThan(1e-14));
        else
            Assert.That(last.ToDoubles(), Is.EqualTo(expected), "to the bit");
    }

    [Test]
    public void Sequences_of_a_batch_know_nothing_of_each_other([ValueSource(nameof(Names))] string config)
    {
        using var scope = new TensorScope();
        using MambaLM model = Model(Configs[config], Cpu);
        Tensor tokens = Tokens((4, 9), Cpu);
        double[] together = model.Forward(tokens).ToDoubles();
        int size = together.Length / 4;
        for (int b = 0; b < 4; b++)
            Assert.That(TestData.RelativeError(model.Forward(tokens.Rows(b, 1)).ToDoubles(), together[(b * size)..((b + 1) * size)]), Is.LessThan(1e-12));
    }

    [Test]
    public void The_future_does_not_reach_back([ValueSource(nameof(Names))] string config)
    {
        using var scope = new TensorScope();
        using MambaLM model = Model(Configs[config], Cpu);
        int v = Configs[config].PaddedVocabSize;
        int[] ids = Tokens((1, 20), Cpu).ToArray<int>();
        double[] before = model.Forward(Tensor.From(ids, (1, 20), Cpu)).ToDoubles();
        ids[13] = (ids[13] + 1) % 11;
        double[] after = model.Forward(Tensor.From(ids, (1, 20), Cpu)).ToDoubles();
        Assert.That(after[..(13 * v)], Is.EqualTo(before[..(13 * v)]));
        Assert.That(after[(13 * v)..(14 * v)], Is.Not.EqualTo(before[(13 * v)..(14 * v)]));
    }

    [Test]
    public void The_observer_sees_the_residual_stream()
    {
        using var scope = new TensorScope();
        using MambaLM model = Model(Base, Cpu);
        var seen = new List<Tensor>();
        double[] logits = model.Forward(Tokens((2, 5), Cpu), observe: (i, hidden) =>
        {
            Assert.That(i, Is.EqualTo(seen.Count));
            seen.Add(hidden);
        }).ToDoubles();
        Assert.That(seen.Select(x => x.Shape), Is.EqualTo(new Shape[] { (2, 5, 8), (2, 5, 8) }));
        Tensor head = Ops.Linear(Ops.RmsNorm(seen[1], model.Parameters["backbone.norm_f.weight"]!), model.Parameters["backbone.embedding.weight"]!);
        Assert.That(TestData.RelativeError(head.ToDoubles(), logits), Is.LessThan(1e-14));
    }

    // ---- gradients ---------------------------------------------------------------------------------

    static readonly Dictionary<string, MambaConfig> Checked = new(StringComparer.Ordinal)
    {
        ["plain"] = new() { DModel = 4, NLayer = 2, VocabSize = 5, SsmCfg = new SsmConfig { DState = 3 } },
        ["LayerNorm, biases, untied"] = new()
        {
            DModel = 3,
            NLayer = 2,
            VocabSize = 5,
            RmsNorm = false,
            TieEmbeddings = false,
            SsmCfg = new SsmConfig { DState = 2, Bias = true, DConv = 2, DtRank = 2 },
        },
        ["no biases, one state, wide"] = new()
        {
            DModel = 3,
            NLayer = 1,
            VocabSize = 8,
            SsmCfg = new SsmConfig { DState = 1, ConvBias = false, DConv = 1, Expand = 3 },
        },
    };

    static string[] CheckedNames => [.. Checked.Keys];

    [Test]
    public void Every_parameters_gradient_is_that_of_differences([ValueSource(nameof(CheckedNames))] string name, [Values] bool lastOnly)
    {
        using var scope = new TensorScope();
        MambaConfig config = Checked[name];
        using MambaLM model = Model(config, Cpu);
        Tensor tokens = Tokens((2, 6), Cpu, seed: 3, classes: config.VocabSize);
        Tensor targets = lastOnly ? Tensor.From([1, 4], 2, Cpu) : Tensor.From([0, 1, 2, 3, -100, 4, 4, 3, 2, 1, 0, -100], (2, 6), Cpu);
        Tensor Loss() => Ops.CrossEntropy(model.Forward(tokens, lastOnly: lastOnly), targets, classes: config.VocabSize);

        Gradients gradients;
        var tape = new Tape();
        gradients = tape.Backward(Loss(), new Gradients(model.Parameters));
        double[][] analytic = [.. model.Parameters.Select(p => gradients[p].ToDoubles())];
        tape.Dispose();

        const double Step = 1e-3;
        foreach ((Parameter parameter, double[] expected) in model.Parameters.Zip(analytic))
        {
            double[] values = parameter.Value.ToDoubles(), numeric = new double[values.Length];
            for (int i = 0; i < values.Length; i++)
            {
                double x = values[i];
                double At(double at)
                {
                    using var inner = new TensorScope();
                    values[i] = at;
                    parameter.Value.WriteRounded(values);
                    return Loss().Item();
                }
                numeric[i] = (8 * (At(x + Step) - At(x - Step)) - (At(x + 2 * Step) - At(x - 2 * Step))) / (12 * Step);
                At(x);
            }
            double scale = numeric.Max(Math.Abs);
            Assert.That(expected.Zip(numeric, (a, b) => Math.Abs(a - b)).Max() / scale, Is.LessThan(1e-7), parameter.Name);
            Assert.That(scale, Is.GreaterThan(1e-5), $"{parameter.Name} matters");
        }
    }

    [Test]
    public void Gradients_flow_into_a_piece_as_into_the_whole()
    {
        // truncated back-propagation: the state is a constant, so the last piece's gradients are those of its own tokens
        using var scope = new TensorScope();
        using MambaLM model = Model(Base, Cpu);
        using MambaState state = model.NewState(1), copy = model.NewState(1);
        Tensor first = Tokens((1, 7), Cpu, 1), second = Tokens((1, 5), Cpu, 2);
        foreach (MambaState s in (MambaState[])[state, copy])
            _ = model.Forward(first, s);
        using var tape = new Tape();
        Gradients once = tape.Backward(Ops.CrossEntropy(model.Forward(second, state), second), new Gradients(model.Parameters));
        Assert.That(state.Blocks().First().Ssm.Value.ToDoubles(),
            Is.Not.EqualTo(copy.Blocks().First().Ssm.Value.ToDoubles()), "it has moved on before the backward pass reads where it was");
        Parameter weight = model.Parameters["backbone.layers.0.mixer.out_proj.weight"];
        double[] values = weight.Value.ToDoubles();
        double At(double by)
        {
            double[] moved = [.. values];
            moved[3] += by;
            weight.Value.WriteRounded(moved);
            using MambaState fresh = model.NewState(1);
            foreach ((MambaBlockState to, MambaBlockState from) in fresh.Blocks().Zip(copy.Blocks()))
            {
                to.Conv.Overwrite().CopyFrom(from.Conv.Value);
                to.Ssm.Overwrite().CopyFrom(from.Ssm.Value);
            }
            return Ops.CrossEntropy(model.Forward(second, fresh), second).Item();
        }
        double numeric = (8 * (At(1e-3) - At(-1e-3)) - (At(2e-3) - At(-2e-3))) / 12e-3;
        Assert.That(once[weight].ToDoubles()[3], Is.EqualTo(numeric).Within(1e-8));
    }

    // ---- errors ------------------------------------------------------------------------------------

    [Test]
    public void What_a_model_cannot_read_is_one_clear_line()
    {
        using var scope = new TensorScope();
        using MambaLM model = Model(Base, Cpu);
        using MambaState state = model.NewState(2);
        void Refused(Func<object> forward, string message) => Assert.That(() => forward(), Throws.TypeOf<MambaException>().With.Message.EqualTo(message));

        Refused(() => model.Forward(Tensor.From([1, 2, 3], 3, Cpu)), "MambaLM: tokens are int32 (3); expected int32 (b, l).");
        Refused(() => model.Forward(Tensor.Zeros((1, 3), DType.Float32, Cpu)), "MambaLM: tokens are float32 (1, 3); expected int32 (b, l).");
        Refused(() => model.Forward(Tokens((3, 4), Cpu), state), "MambaLM: the state is for 2 sequences; the tokens (3, 4) are 3.");
        Refused(() => model.Step(Tokens(1, Cpu), state), "MambaLM: the state is for 2 sequences; the tokens (1, 1) are 1.");
        Refused(() => model.Forward(Tokens((2, 0), Cpu), lastOnly: true), "MambaLM: there is no last position in 0 tokens.");
        Refused(() => model.Parameters["backbone.layers.2.norm.weight"], "There is no parameter 'backbone.layers.2.norm.weight'.");
    }

    [Test]
    public void Nothing_in_gives_nothing_out()
    {
        using var scope = new TensorScope();
        using MambaLM model = Model(Base, Cpu);
        Assert.That(model.Forward(Tokens((2, 0), Cpu)).Shape, Is.EqualTo(new Shape(2, 0, 16)));
        Assert.That(model.Forward(Tokens((0, 3), Cpu)).Shape, Is.EqualTo(new Shape(0, 3, 16)));
    }
}
