using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

public class SequenceModelTests
{
    static readonly string[] Names = SequenceCases.Names;

    static Device Cpu => TestDevices.Open("cpu-256");

    static readonly Dictionary<string, int[]> Lengths = new(StringComparer.Ordinal)
    {
        ["one of 1"] = [1],
        ["one of 5"] = [5],
        ["all of 1"] = [1, 1, 1],
        ["all of 8"] = [8, 8],
        ["odd"] = [7, 1, 3, 7, 2],
        ["one long, many short"] = [41, 1, 2, 3, 1, 5, 4],
        ["longer than a chunk"] = [64, 65, 33],
    };

    static readonly string[] LengthNames = [.. Lengths.Keys];

    /// <summary>Outputs of each sequence; gradients of every weight, and of the numbers of each sequence.</summary>
    sealed record Outcome(double[][] Outputs, double[][] Weights, double[][] Inputs);

    /// <summary>∂L/∂output of one sequence.</summary>
    static double[] Slope(int sequence, long count) => TestData.Uniform(count, 500 + sequence);

    static Outcome Alone(SequenceModel model, int[] lengths)
    {
        using var scope = new TensorScope();
        var sum = new Gradients(model.Parameters);
        double[][] outputs = new double[lengths.Length][], inputs = new double[lengths.Length][];
        for (int i = 0; i < lengths.Length; i++)
        {
            using var tape = new Tape();
            Tensor x = SequenceCases.On(model, SequenceCases.Draw(model.Config, lengths[i], i), 1, lengths[i]);
            if (x.DType != DType.Int32)
                Tape.Watch(x);
            Tensor y = model.Forward(x);
            outputs[i] = y.ToDoubles();
            tape.Backward([(y, Tensor.From(Slope(i, y.Count), y.Shape, y.DType, y.Device))], sum);
            inputs[i] = x.DType == DType.Int32 ? [] : sum[x].ToDoubles();
        }
        return new(outputs, sum.Values(model), inputs);
    }

    /// <summary>The same of one batch. In its padding are NaN, or tokens that are none; <paramref name="more"/> steps of it behind every row.</summary>
    static Outcome Together(SequenceModel model, int[] lengths, Segments segments, int more)
    {
        using var tape = new Tape();
        (int l, int c) = (segments.Length + more, model.Config.Input?.Channels ?? 1);
        double[] values = new double[segments.Rows * l * c];
        Array.Fill(values, model.Config.Input is null ? 1 << 20 : double.NaN);
        bool[] inside = new bool[values.Length];
        for (int i = 0; i < lengths.Length; i++)
        {
            SequenceCases.Draw(model.Config, lengths[i], i).CopyTo(values, At(i));
            inside.AsSpan(At(i), lengths[i] * c).Fill(true);
        }
        Tensor x = SequenceCases.On(model, values, segments.Rows, l);
        if (x.DType != DType.Int32)
            Tape.Watch(x);
        Tensor y = model.Forward(x, segments);
        double[] all = y.ToDoubles(), slope = new double[y.Count];
        double[][] outputs = new double[lengths.Length][];
        for (int i = 0; i < lengths.Length; i++)
        {
            int width = (int)y.Shape[^1], count = y.Shape.Rank == 2 ? width : lengths[i] * width;
            int at = y.Shape.Rank == 2 ? i * width : (segments[i].Row * l + segments[i].Start) * width;
            outputs[i] = all[at..(at + count)];
            Slope(i, count).CopyTo(slope, at);
        }
        Gradients gradients = tape.Backward([(y, Tensor.From(slope, y.Shape, y.DType, y.Device))], new Gradients(model.Parameters));
        double[] dx = x.DType == DType.Int32 ? [] : gradients[x].ToDoubles();
        Assert.That(dx.Where((_, i) => !inside[i]), Is.All.Zero, "gradient of the padding");
        return new(outputs, gradients.Values(model), [.. lengths.Select((length, i) => dx.Length == 0 ? dx : dx[At(i)..(At(i) + length * c)])]);

        int At(int i) => (segments[i].Row * l + segments[i].Start) * c;
    }

    static void ExpectSame(SequenceModel model, Outcome actual, Outcome expected, double tolerance)
    {
        double worst = 0;
        void Expect(double[] a, double[] e, string what)
        {
            double error = SequenceCases.Error(a, e);
            worst = Math.Max(worst, error);
            Assert.That(error, Is.LessThan(tolerance), what);
        }
        for (int i = 0; i < expected.Outputs.Length; i++)
        {
            Expect(actual.Outputs[i], expected.Outputs[i], $"sequence {i}");
            Expect(actual.Inputs[i], expected.Inputs[i], $"gradient of sequence {i}");
        }
        foreach ((Parameter p, double[] a, double[] e) in model.Parameters.Zip(actual.Weights, expected.Weights))
            Expect(a, e, $"gradient of {p.Name}");
        TestContext.Out.WriteLine($"largest relative difference {worst:0.0e+0}");
    }

    // ---- padded, packed, alone -----------------------------------------------------------------------------------------

    [Test]
    public void A_sequence_of_a_batch_is_what_it_is_alone([ValueSource(nameof(Names))] string name, [ValueSource(nameof(LengthNames))] string lengths)
    {
        using SequenceModel model = SequenceCases.Model(name, Cpu);
        int[] all = Lengths[lengths];
        Outcome alone = Alone(model, all);
        ExpectSame(model, Together(model, all, Segments.Padded(all), more: 0), alone, 2e-12);
        ExpectSame(model, Together(model, all, Segments.Padded(all), more: 3), alone, 2e-12);
        ExpectSame(model, Together(model, all, Segments.Packed(all, patch: model.Patch), more: 0), alone, 2e-12);
        ExpectSame(model, Together(model, all, Segments.Packed(all, longest: 30, patch: model.Patch), more: 5), alone, 2e-12);
    }

    [Test]
    public void Also_in_float32([ValueSource(nameof(Names))] string name, [Values("cpu", "opencl:0", "cuda:0")] string device)
    {
        using SequenceModel model = SequenceCases.Model(name, TestDevices.Open(device), DType.Float32);
        int[] lengths = [21, 1, 2, 3, 1, 5, 4];
        Outcome alone = Alone(model, lengths);
        ExpectSame(model, Together(model, lengths, Segments.Padded(lengths), more: 1), alone, 1e-4);
        ExpectSame(model, Together(model, lengths, Segments.Packed(lengths, patch: model.Patch), more: 0), alone, 1e-4);
    }

    [Test]
    public void Also_on_every_device([Values("cpu-128", "cpu-512", "opencl:0", "ilgpu-cpu", "cuda:0")] string device,
        [Values("plain; tokens; next token", "plain; numbers; next value", "plain; patches; classes by a gate", "plain; tokens; classes by the mean")]
        string name)
    {
        using SequenceModel model = SequenceCases.Model(name, TestDevices.Open(device));
        int[] lengths = [5, 1, 3];
        ExpectSame(model, Together(model, lengths, Segments.Packed(lengths, patch: model.Patch), more: 1), Alone(model, lengths), 2e-12);
    }

    [Test]
    public void Many_sequences_of_chance_lengths([Range(0, 11)] int seed)
    {
        var random = new Random(seed);
        using SequenceModel model = SequenceCases.Model(Names[seed * 5 % Names.Length], Cpu);
        int[] lengths = [.. Enumerable.Range(0, random.Next(1, 12)).Select(_ => random.Next(1, random.Next(2, 60)))];
        Outcome alone = Alone(model, lengths);
        ExpectSame(model, Together(model, lengths, Segments.Padded(lengths), random.Next(4)), alone, 2e-12);
        ExpectSame(model, Together(model, lengths, Segments.Packed(lengths, random.Next(90), model.Patch), random.Next(4)), alone, 2e-12);
    }

    [Test]
    public void Without_segments_the_second_sequence_sees_the_first()
    {
        using var scope = new TensorScope();
        using SequenceModel model = SequenceCases.Model("plain; tokens; next token", Cpu);
        Tensor x = Tensor.From([1, 2, 3, 4], (1, 4), Cpu);
        Assert.That(TestData.RelativeError(model.Forward(x).ToDoubles(), model.Forward(x, Segments.Packed([2, 2], 4)).ToDoubles()), Is.GreaterThan(1e-3));
    }

    [Test]
    public void Mean_and_deviation_are_of_the_channels_before_the_patches()
    {
        using var scope = new TensorScope();
        MambaConfig raw = SequenceCases.Config("plain; patches; regression") with { Input = new InputConfig { Channels = 2, Patch = 3 } };
        using SequenceModel plain = SequenceCases.Model(raw, Cpu),
            scaled = SequenceCases.Model(raw with { Input = raw.Input with { Mean = [1e6, -3], Deviation = [1e-3, 7] } }, Cpu),
            shifted = SequenceCases.Model(raw with { Input = raw.Input with { Mean = [1, 2] } }, Cpu),
            wider = SequenceCases.Model(raw with { Input = raw.Input with { Deviation = [4, 0.5] } }, Cpu);
        double[] z = TestData.Uniform(14, 1);
        double[] Of(SequenceModel model, Func<double, int, double> from) =>
            model.Forward(Tensor.From([.. z.Select((value, i) => from(value, i % 2))], (1, 7, 2), Cpu)).ToDoubles();
        double[] expected = Of(plain, (value, _) => value);
        Assert.That(TestData.RelativeError(Of(scaled, (value, c) => c == 0 ? value * 1e-3 + 1e6 : value * 7 - 3), expected), Is.LessThan(1e-5),
            "the numbers themselves are rounded at 1e6");
        Assert.That(TestData.RelativeError(Of(shifted, (value, c) => value + 1 + c), expected), Is.LessThan(1e-13));
        Assert.That(TestData.RelativeError(Of(wider, (value, c) => value * (c == 0 ? 4 : 0.5)), expected), Is.LessThan(1e-13));
    }

    [Test]
    public void A_large_mean_costs_no_digits_of_float32()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu");
        MambaConfig config = SequenceCases.Config("plain; numbers; regression");
        using SequenceModel plain = SequenceCases.Model(config with { Input = new InputConfig() }, device, DType.Float32),
            far = SequenceCases.Model(config with { Input = new InputConfig { Mean = [65536], Deviation = [1.0 / 3] } }, device, DType.Float32);
        float[] steps = [.. Enumerable.Range(0, 20).Select(i => i * 5 % 7 / 8f)];       // 65536 + i/128 is a float32
        double[] expected = plain.Forward(Tensor.From(Array.ConvertAll(steps, v => v * 3), (1, 20, 1), device)).ToDoubles();
        double[] actual = far.Forward(Tensor.From(Array.ConvertAll(steps, v => v + 65536), (1, 20, 1), device)).ToDoubles();
        Assert.That(TestData.RelativeError(actual, expected), Is.LessThan(1e-5));
    }

    // ---- what the heads are --------------------------------------------------------------------------------------------

    // lengths that differ, and fill as many patches: each a row of its own, the longest first
    [Test]
    public void Sequences_of_as_many_patches_keep_their_order([Values] Pooling pool, [Values("5 8", "15 16 14", "9 9 16 10")] string lengths)
    {
        using var scope = new TensorScope();
        MambaConfig config = SequenceCases.Config("plain; patches; regression");
        config = config with { Input = config.Input! with { Patch = 8 }, Head = config.Head! with { Pool = pool } };
        using SequenceModel model = SequenceCases.Model(config, Cpu);
        int[] counts = [.. lengths.Split(' ').Select(int.Parse)];
        float[][] values = [.. counts.Select((count, i) => Array.ConvertAll(SequenceCases.Draw(config, count, i), value => (float)value))];
        Segments packed = Segments.Packed(counts, patch: 8);
        double[] said = model.Forward(packed.Values(values, SequenceCases.Channels, Cpu, DType.Float64), packed).ToDoubles();
        for (int i = 0; i < counts.Length; i++)
        {
            Segments one = Segments.Padded([counts[i]]);
            double[] alone = model.Forward(one.Values([values[i]], SequenceCases.Channels, Cpu, DType.Float64), one).ToDoubles();
            Assert.That(TestData.RelativeError(said[(i * alone.Length)..((i + 1) * alone.Length)], alone), Is.LessThan(1e-12));
        }
    }

    [Test]
    public void A_gate_that_lets_nothing_through_is_a_mean_still([Values] bool packed)
    {
        using var scope = new TensorScope();
        MambaConfig config = SequenceCases.Config("plain; tokens; regression");
        MambaConfig plain = config with { Head = config.Head! with { Pool = Pooling.Mean } };
        using SequenceModel model = SequenceCases.Model(config, Cpu, DType.Float32), mean = SequenceCases.Model(plain, Cpu, DType.Float32);
        model.Parameters["gate.bias"].Value.Fill(-1000);
        foreach (Parameter parameter in mean.Parameters)
            parameter.Value.CopyFrom(model.Parameters[parameter.Name].Value);
        Segments? segments = packed ? Segments.Packed([4, 3], 7) : null;
        Tensor x = TestData.Tokens((1, 7), Cpu);
        Assert.That(TestData.RelativeError(model.Forward(x, segments).ToDoubles(), mean.Forward(x, segments).ToDoubles()), Is.LessThan(1e-5));
    }

    [Test]
    public void Poolings_are_what_they_say([Values] Pooling pool, [Values] bool packed)
    {
        using var scope = new TensorScope();
        MambaConfig config = SequenceCases.Config("plain; tokens; regression");
        using SequenceModel model = SequenceCases.Model(config with { Head = config.Head! with { Pool = pool } }, Cpu);
        int[] lengths = packed ? [4, 3] : [4];
        Segments? segments = packed ? Segments.Packed(lengths, 7) : null;
        Tensor x = TestData.Tokens((1, packed ? 7 : 4), Cpu), features = model.Features(x, segments);
        int d = config.DModel, at = 0;
        double[] h = features.ToDoubles(), head = Of("head.weight"), bias = Of("head.bias");
        var expected = new List<double>();
        foreach (int length in lengths)
        {
            double[][] rows = [.. Enumerable.Range(at, length).Select(t => h[(t * d)..((t + 1) * d)])];
            double[] vector = pool switch
            {
                Pooling.Last => rows[^1],
                Pooling.Mean => [.. Enumerable.Range(0, d).Select(i => rows.Average(row => row[i]))],
                _ => Weighted(rows),
            };
            expected.AddRange(bias.Select((b, o) => b + vector.Select((v, i) => v * head[o * d + i]).Sum()));
            at += length;
        }
        Assert.That(TestData.RelativeError(model.Forward(x, segments).ToDoubles(), expected), Is.LessThan(1e-13));

        double[] Of(string name) => model.Parameters.Single(p => p.Name == name).Value.ToDoubles();

        double[] Weighted(double[][] rows)
        {
            (double[] w, double[] b) = (Of("gate.weight"), Of("gate.bias"));
            return [.. Enumerable.Range(0, d).Select(i =>
            {
                double[] weights = [.. rows.Select(row => 1 / (1 + Math.Exp(-b[i] - row.Select((v, j) => v * w[i * d + j]).Sum())))];
                return rows.Select((row, t) => weights[t] * row[i]).Sum() / weights.Sum();
            })];
        }
    }

    [Test]
    public void A_head_for_the_next_token_is_a_language_models([Values] bool tied)
    {
        using var scope = new TensorScope();
        MambaConfig config = SequenceCases.Config("plain; tokens; next token") with { TieEmbeddings = tied };
        using SequenceModel model = SequenceCases.Model(config, Cpu);
        using MambaLM language = TestData.Stirred(config with { Head = null }, Cpu);
        Tensor tokens = TestData.Tokens((2, 9), Cpu);
        Assert.That(model.Forward(tokens).ToDoubles(), Is.EqualTo(language.Forward(tokens).ToDoubles()));
        Assert.That(model.Parameters.Select(p => p.Name),
            Is.EqualTo(language.Parameters.Select(p => p.Name.Replace("lm_head", "head", StringComparison.Ordinal))));
        Assert.That(model.Blocks.Count(), Is.EqualTo(config.NLayer));
    }

    [Test]
    public void A_state_goes_on_where_the_piece_before_ended([Values("plain; tokens; next token", "looks back; numbers; next value")] string name)
    {
        using var scope = new TensorScope();
        using SequenceModel model = SequenceCases.Model(name, Cpu);
        using MambaState state = model.NewState(2);
        Tensor x = SequenceCases.On(model, [.. SequenceCases.Draw(model.Config, 9, 1), .. SequenceCases.Draw(model.Config, 9, 2)], 2, 9);
        Tensor[] parts = [model.Forward(x[.., ..4], state: state), model.Forward(x[.., 4..4], state: state), model.Forward(x[.., 4..], state: state)];
        Assert.That(TestData.RelativeError(Ops.Concat(1, parts).ToDoubles(), model.Forward(x).ToDoubles()), Is.LessThan(1e-13));
        Assert.That(state.Position, Is.EqualTo(9));
    }

    [Test]
    public void The_same_seed_is_the_same_model_and_dropout_changes_what_it_says()
    {
        using var scope = new TensorScope();
        MambaConfig config = SequenceCases.Config("plain; tokens; classes by a gate");
        using SequenceModel a = new(config, Cpu, seed: 3), b = new(config, Cpu, seed: 3), c = new(config, Cpu, seed: 4);
        Tensor x = TestData.Tokens((2, 6), Cpu);
        double[] plain = a.Forward(x).ToDoubles();
        Assert.That(b.Forward(x).ToDoubles(), Is.EqualTo(plain));
        Assert.That(c.Forward(x).ToDoubles(), Is.Not.EqualTo(plain));
        Assert.That(a.Forward(x, dropout: new Dropout(0.5, 1, 1)).ToDoubles(), Is.Not.EqualTo(plain));
    }

    // ---- gradients -----------------------------------------------------------------------------------------------------

    [Test]
    public void Gradients_agree_with_differences([ValueSource(nameof(Names))] string name)
    {
        using var scope = new TensorScope();
        using SequenceModel model = SequenceCases.Model(name, Cpu);
        int p = model.Patch, odd = p == 1 ? 0 : 1;      // 3, 3 and 2 positions
        Segments segments = Segments.Packed([3 * p - odd, 3 * p, 2 * p - odd], longest: 5 * p, patch: p);
        int l = segments.Length + 1;
        Tensor x = SequenceCases.On(model, SequenceCases.Draw(model.Config, segments.Rows * l, 1), segments.Rows, l);
        (string, Tensor)[] by = [.. model.Parameters.Select(w => (w.Name, w.Value)),
            .. x.DType == DType.Int32 ? [] : ((string, Tensor)[])[("x", Tape.Watch(x))]];
        GradCheck.Run(() => [model.Forward(x, segments)], by).ThrowIfFailed();
    }

    // ---- files ---------------------------------------------------------------------------------------------------------

    [Test]
    public void A_config_comes_back_from_its_file([ValueSource(nameof(Names))] string name)
    {
        MambaConfig config = SequenceCases.Config(name);
        if (config.Head!.Kind == HeadConfig.Classes)
            config = config with { Head = config.Head with { Labels = ["a", "b", "ü \"c\"", "d"] } };
        string json = config.ToJson();
        MambaConfig read = MambaConfig.FromJson(json);
        Assert.That(read.ToJson(), Is.EqualTo(json));
        Assert.That((read.Head!.Kind, read.Head.Pool, read.Head.Outputs), Is.EqualTo((config.Head!.Kind, config.Head.Pool, config.Head.Outputs)));
        Assert.That(read.Head.Labels, Is.EqualTo(config.Head.Labels));
        Assert.That(read.Input?.Mean, Is.EqualTo(config.Input?.Mean));
        Assert.That(read.Input?.Patch, Is.EqualTo(config.Input?.Patch));
    }

    [Test]
    public void A_head_is_plain_words_in_the_file()
    {
        MambaConfig config = SequenceCases.Config("plain; numbers; classes by a gate");
        Assert.That(config.ToJson(), Does.Match("""(?s)"input": \{\s*"channels": 3,\s*"patch": 1,\s*"mean": \[.*"deviation": \["""));
        Assert.That(config.ToJson(), Does.Match("""(?s)"head": \{\s*"kind": "classification",\s*"outputs": 4,\s*"pool": "gated"\s*\}"""));
        Assert.That(new MambaConfig().ToJson(), Does.Not.Contain("head\"").And.Not.Contain("input\""), "of a language model it says nothing");
    }

    [Test]
    public void A_folder_gives_the_model_back([Values("plain; tokens; next token", "LayerNorm, MLP, biases, untied; tokens; next token",
        "plain; numbers; regression", "looks back; patches; classes by a gate")] string name, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var scope = new TensorScope();
        using SequenceModel model = SequenceCases.Model(name, Cpu, dtype);
        InFolder(model, path =>
        {
            using SequenceModel read = SequenceModel.Load(path, Cpu), file = SequenceModel.Load(Path.Combine(path, "model.safetensors"), Cpu, DType.Float64);
            Assert.That(read.Parameters.DType, Is.EqualTo(dtype));
            Assert.That(file.Parameters.DType, Is.EqualTo(DType.Float64));
            Tensor x = SequenceCases.On(model, SequenceCases.Draw(model.Config, 7, 1), 1, 7);
            Assert.That(read.Forward(x).ToDoubles(), Is.EqualTo(model.Forward(x).ToDoubles()));
            Weights.Load(Path.Combine(path, "model.safetensors"), read);
            Assert.That(read.Forward(x).ToDoubles(), Is.EqualTo(model.Forward(x).ToDoubles()));
        });
    }

    [Test]
    public void Each_kind_of_model_says_how_the_other_is_opened()
    {
        using SequenceModel model = SequenceCases.Model("plain; tokens; regression", Cpu);
        InFolder(model, path =>
        {
            Refused(() => MambaLM.Load(path, Cpu), $"{path}: this model has a head for regression, and is no language model; SequenceModel.Load opens it.");
            Refused(() => Weights.Load(Path.Combine(path, "model.safetensors"), model.Config, Cpu),
                "MambaLM: the config has a head for regression; a language model has none. SequenceModel is for it.");
        });
        using MambaLM language = TestData.Stirred(model.Config with { Head = null }, Cpu);
        InFolder(language, path => Refused(() => SequenceModel.Load(path, Cpu),
            $"{path}: this is a language model: its config.json has no head. MambaLM.Load opens it."));
        Refused(() => new MambaLM(model.Config, Cpu), "MambaLM: the config has a head for regression; a language model has none. SequenceModel is for it.");
        Refused(() => new SequenceModel(language.Config, Cpu), "SequenceModel: the config has no head; expected one, or a MambaLM for a language model.");
    }

    [Test]
    public void Weights_of_another_model_are_one_clear_line()
    {
        using SequenceModel model = SequenceCases.Model("plain; tokens; regression", Cpu);
        InFolder(model, path =>
        {
            string config = Path.Combine(path, "config.json"), before = File.ReadAllText(config);
            Other(model.Config with { Head = model.Config.Head! with { Outputs = 3 } }, "head.weight");
            Other(model.Config with { Head = model.Config.Head! with { Pool = Pooling.Mean } }, "gate.weight");
            Other(model.Config with { Input = new InputConfig() }, "input.weight");
            Other(model.Config with { NLayer = 1000 }, "layers");
            File.WriteAllText(config, before.Replace("\"gated\"", "\"max\"", StringComparison.Ordinal));
            Assert.That(() => SequenceModel.Load(path, Cpu), Throws.TypeOf<MambaException>().With.Message.Contains("config.json").And.Message.Contains("pool"));

            void Other(MambaConfig other, string word)
            {
                File.WriteAllText(config, other.ToJson());
                Assert.That(() => SequenceModel.Load(path, Cpu), Throws.TypeOf<MambaException>().With.Message.Contains(word));
            }
        });
    }

    static void InFolder(MambaModel model, Action<string> use)
    {
        string path = Directory.CreateTempSubdirectory("mamba-sequence-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(path, "config.json"), model.Config.ToJson());
            Weights.Save(Path.Combine(path, "model.safetensors"), model);
            use(path);
        }
        finally
        {
            Directory.Delete(path, recursive: true);
        }
    }

    // ---- errors --------------------------------------------------------------------------------------------------------

    static void Refused(Action run, string message) => Assert.That(run, Throws.TypeOf<MambaException>().With.Message.EqualTo(message));

    [Test]
    public void A_config_that_makes_no_sense_is_one_clear_line()
    {
        MambaConfig tokens = SequenceCases.Config("plain; tokens; classes by the mean"), numbers = SequenceCases.Config("plain; numbers; next value");
        void Bad(MambaConfig config, string message)
        {
            Refused(() => new SequenceModel(config, Cpu), "MambaConfig: " + message);
            Refused(() => MambaConfig.FromJson(config.ToJson()), "MambaConfig: " + message);
        }
        HeadConfig head = tokens.Head!;
        InputConfig input = numbers.Input!;
        Bad(tokens with { Head = head with { Kind = "classes" } },
            "head.kind is 'classes'; expected 'next-token', 'next-value', 'classification' or 'regression'.");
        Bad(tokens with { Head = head with { Outputs = 0 } }, "head.outputs is 0; expected 1 or more.");
        Bad(tokens with { Head = head with { Kind = HeadConfig.NextValue } },
            "head.kind is 'next-value', but the model reads tokens; expected an input, or 'next-token'.");
        Bad(numbers with { Head = head with { Kind = HeadConfig.NextToken } },
            "head.kind is 'next-token', but the model reads numbers (input); expected 'next-value'.");
        Bad(numbers with { Input = input with { Patch = 2 } },
            "input.patch is 2, so a position is several steps; a head for next-value needs 1: it says something of each step.");
        Bad(tokens with { Head = head with { Labels = ["a"] } }, "head.labels has 1 names; expected 4, one for each class.");
        Bad(tokens with { Head = head with { Labels = ["a", "b", "a", "c"] } }, "head.labels has 'a' twice; expected a name of its own for each class.");
        Bad(tokens with { Head = head with { Labels = ["a", "", "b", "c"] } }, "head.labels has ''; expected a name of its own for each class.");
        Bad(tokens with { Head = head with { Kind = HeadConfig.Regression, Labels = ["a"] } },
            "head.labels has 1 names; expected none: the head has no classes.");
        Bad(tokens with { Head = null, Input = input }, "input is given without a head; a language model reads tokens.");
        Bad(numbers with { Input = input with { Channels = 0 } }, "input.channels is 0; expected 1 or more.");
        Bad(numbers with { Input = input with { Patch = -1 } }, "input.patch is -1; expected 1 or more.");
        Bad(numbers with { Input = new InputConfig { Channels = 1 << 20, Patch = 1 << 20 }, Head = head },
            "input.channels 1048576 by input.patch 1048576 are more numbers in a position than can be counted.");
        Bad(numbers with { Input = input with { Mean = [1] } }, "input.mean has 1 numbers; expected 3, one for each channel.");
        Bad(numbers with { Input = input with { Mean = [1, 2, double.NaN] } }, "input.mean has NaN; expected a number.");
        Bad(numbers with { Input = input with { Deviation = [1, 0, 1] } }, "input.deviation has 0; expected a number above 0.");
        Bad(numbers with { Input = input with { Deviation = [1, double.PositiveInfinity, 1] } }, "input.deviation has Infinity; expected a number above 0.");
        Refused(() => new SequenceModel(tokens with { Head = head with { Pool = (Pooling)7 } }, Cpu),
            "MambaConfig: head.pool is 7; expected mean, last or gated.");
        Assert.That(() => MambaConfig.FromJson(tokens.ToJson().Replace("\"kind\": \"classification\",", "", StringComparison.Ordinal)),
            Throws.TypeOf<MambaException>().With.Message.Contains("kind"));
    }

    [Test]
    public void An_input_that_does_not_fit_is_one_clear_line()
    {
        using var scope = new TensorScope();
        using SequenceModel tokens = SequenceCases.Model("plain; tokens; regression", Cpu), numbers = SequenceCases.Model("plain; numbers; regression", Cpu);
        Tensor ids = Tensor.From([1, 2, 3, 4], (2, 2), Cpu), values = Tensor.Zeros((2, 2, 3), DType.Float64, Cpu);
        Refused(() => tokens.Forward(values), "SequenceModel: x is float64 (2, 2, 3); expected tokens, int32 (b, l).");
        Refused(() => tokens.Forward(ids[0]), "SequenceModel: x is int32 (2); expected tokens, int32 (b, l).");
        Refused(() => numbers.Forward(ids), "SequenceModel: x is int32 (2, 2); expected numbers, float64 (b, l, 3).");
        Refused(() => numbers.Forward(values[.., .., ..2]), "SequenceModel: x is float64 (2, 2, 2); expected numbers, float64 (b, l, 3).");
        Refused(() => numbers.Forward(Tensor.Zeros((2, 2, 3), DType.Float32, Cpu)),
            "SequenceModel: x is float32 (2, 2, 3); expected numbers, float64 (b, l, 3).");
        Refused(() => tokens.Forward(ids, Segments.Padded([3, 1])), "SequenceModel: the segments are of 2 rows of 3 steps; x has shape (2, 2).");
        Refused(() => tokens.Forward(ids, Segments.Padded([2])), "SequenceModel: the segments are of 1 rows of 2 steps; x has shape (2, 2).");
        using MambaState state = tokens.NewState(2), other = tokens.NewState(3);
        Refused(() => tokens.Forward(ids, Segments.Padded([2, 1]), state),
            "SequenceModel: segments and a state were given; expected one of them: a sequence with a segment starts from nothing.");
        Assert.That(() => tokens.Forward(ids, state: other), Throws.TypeOf<MambaException>().With.Message.Contains("state is for 3 sequences"));
        Refused(() => tokens.Forward(Tensor.Empty((2, 0), DType.Int32, Cpu)), "SequenceModel: the sequences have 0 positions; expected 1 or more.");
    }

    [Test]
    public void A_model_gives_its_memory_back()
    {
        using var device = new HostDevice(threads: 2);
        int before = device.Memory.LiveBuffers;
        using (SequenceModel model = SequenceCases.Model("plain; numbers; classes by a gate", device))
            for (int i = 0; i < 2; i++)
                using (var tape = new Tape())
                    tape.Backward(model.Forward(Tensor.Zeros((2, 5, 3), DType.Float64, device), Segments.Padded([5, 3])).Sum());
        Assert.That(device.Memory.LiveBuffers, Is.EqualTo(before));
    }
}
