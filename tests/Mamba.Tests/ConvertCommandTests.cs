using System.Text.Json.Nodes;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary><c>mamba convert</c>, and every dialect as a model: the same tensors, logits, states and tokens.</summary>
public class ConvertCommandTests
{
    static readonly string Official = Path.Combine(AppContext.BaseDirectory, "Fixtures", "lm"), HuggingFace = Path.Combine(Official, "hf");

    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-convert-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    string In(string name) => Path.Combine(folder, name);

    string Convert(string from, string to, string dialect, string? dtype = null)
    {
        MambaInProcess.Succeed(["convert", from, In(to), "--to", dialect, .. dtype is null ? Array.Empty<string>() : ["--dtype", dtype]]);
        return In(to);
    }

    static MambaConfig Small(SsmConfig ssm) => new() { DModel = 8, NLayer = 2, VocabSize = 13, SsmCfg = ssm };

    /// <summary>The forms that a Mamba-1 model of state-spaces, Hugging Face and Falcon has.</summary>
    static IEnumerable<TestCaseData> Forms()
    {
        TestCaseData Form(string name, MambaConfig config) => new TestCaseData(config).SetArgDisplayNames(name);
        var plain = new SsmConfig { DState = 4, DConv = 4 };
        yield return Form("plain", Small(plain));
        yield return Form("padded vocabulary", Small(plain) with { PadVocabSizeMultiple = 16 });
        yield return Form("untied", Small(plain) with { TieEmbeddings = false });
        yield return Form("bias", Small(plain with { Bias = true }));
        yield return Form("no bias of the convolution", Small(plain with { ConvBias = false }));
        yield return Form("expand 3, d_conv 3, dt_rank 5", Small(plain with { Expand = 3, DConv = 3, DtRank = 5 }));
        yield return Form("d_conv 1, d_state 1, dt_rank 1", Small(plain with { DConv = 1, DState = 1, DtRank = 1 }));
        yield return Form("Falcon-Mamba", Small(plain with { MixerRmsEps = 1e-5 }) with { TieEmbeddings = false });
        yield return Form("Falcon-Mamba, epsilon of its own", Small(plain with { MixerRmsEps = 1e-6 }) with { NormEpsilon = 1e-4 });
        var all = new SsmConfig { DState = 3, DConv = 3, Expand = 3, DtRank = 5, Bias = true, ConvBias = false, MixerRmsEps = 0.5 };
        yield return Form("all", Small(all) with { TieEmbeddings = false, PadVocabSizeMultiple = 8, NormEpsilon = 1e-3 });
    }

    /// <summary>A run folder of a model whose values are all stirred.</summary>
    string Model(MambaConfig config, DType dtype = DType.Float32)
    {
        using Device device = Device.Open("cpu");
        using var model = new MambaLM(config, device, seed: 3, dtype);
        for (int i = 0; i < model.Parameters.Count; i++)
        {
            using Tensor noise = Ops.Normal(model.Parameters[i].Shape, dtype, device, (ulong)i + 5), sum = model.Parameters[i].Value + noise * 0.3;
            model.Parameters[i].Value = sum;
        }
        Directory.CreateDirectory(In("model"));
        File.WriteAllText(In("model/config.json"), config.ToJson());
        Weights.Save(In("model/model.safetensors"), model);
        return In("model");
    }

    static double[] Logits(string path, DType dtype = DType.Float64)
    {
        using Device device = Device.Open("cpu");
        using MambaLM model = MambaLM.Load(path, device, dtype);
        using var scope = new TensorScope();
        return model.Forward(Tensor.From([1, 5, 12, 0, 7, 7, 3], (1, 7), device)).ToDoubles();
    }

    static void Same(string path, string other, double ofALog = 0)
    {
        using WeightFiles a = WeightFiles.Open(ModelFolder.WeightsOf(path)), b = WeightFiles.Open(ModelFolder.WeightsOf(other));
        Assert.That(b.Tensors.Select(t => (t.Name, t.Type, t.Shape)), Is.EquivalentTo(a.Tensors.Select(t => (t.Name, t.Type, t.Shape))));
        foreach (StoredTensor tensor in a.Tensors)
            if (ofALog > 0 && tensor.Name.EndsWith("A_log", StringComparison.Ordinal))
                Assert.That(b.ReadDoubles(tensor.Name), Is.EqualTo(tensor.ReadDoubles()).Within(ofALog), tensor.Name);
            else
                Assert.That(b[tensor.Name].HasSameValues(tensor), tensor.Name);
    }

    [TestCaseSource(nameof(Forms))]
    public void Between_the_dialects_of_safetensors_every_tensor_stays_as_it_is(MambaConfig config)
    {
        string model = Model(config), hf = Convert(model, "hf", "hf"), official = Convert(hf, "ss", "state-spaces");
        Same(model, official);
        Same(hf, Convert(official, "hf2", "hf"));
        double[] logits = Logits(model);
        Assert.That(Logits(hf), Is.EqualTo(logits));
        Assert.That(Logits(official), Is.EqualTo(logits));
        MambaConfig read = ModelFolder.ReadConfig(official);
        Assert.That(read.SsmCfg, Is.EqualTo(config.SsmCfg with { DtRank = config.DtRank }));
        Assert.That((read.NormEpsilon, read.TieEmbeddings, read.PaddedVocabSize),
            Is.EqualTo((config.NormEpsilon, config.TieEmbeddings, config.PaddedVocabSize)));
        JsonObject json = JsonNode.Parse(File.ReadAllText(Path.Combine(hf, "config.json")))!.AsObject();
        Assert.That((string)json["model_type"]!, Is.EqualTo(config.SsmCfg.MixerRmsEps is null ? "mamba" : "falcon_mamba"));
        Assert.That((string)json["torch_dtype"]!, Is.EqualTo("float32"));
    }

    [TestCaseSource(nameof(Forms))]
    public void Through_GGUF_every_tensor_but_A_log_stays_as_it_is(MambaConfig config)
    {
        string model = Model(config), gguf = Convert(model, "model.gguf", "gguf"), back = Convert(gguf, "back", "state-spaces");
        if (config.SsmCfg.ConvBias)
            Same(model, back, ofALog: 1e-7);
        else
            using (WeightFiles file = WeightFiles.Open(In("back/model.safetensors")))
                Assert.That(file.ReadDoubles("backbone.layers.1.mixer.conv1d.bias"), Is.EqualTo(new double[config.DInner]));
        Assert.That(TestData.RelativeError(Logits(gguf), Logits(model)), Is.LessThan(1e-6));
        Assert.That(Logits(back), Is.EqualTo(Logits(gguf)));
        MambaConfig read = ModelFolder.ReadConfig(gguf);
        Assert.That(read.SsmCfg, Is.EqualTo(config.SsmCfg with { DtRank = config.DtRank, ConvBias = true }));
        Assert.That((read.NormEpsilon, read.TieEmbeddings, read.PaddedVocabSize),
            Is.EqualTo((config.NormEpsilon, config.TieEmbeddings, config.PaddedVocabSize)));
    }

    [Test]
    public void A_type_that_is_asked_for_is_that_of_every_tensor_and_stays_when_none_is([Values("float16", "bfloat16", "float64")] string dtype)
    {
        string model = Model(Small(new SsmConfig { DState = 4 })), narrow = Convert(model, "narrow", "hf", dtype);
        string type = dtype switch { "float16" => "F16", "bfloat16" => "BF16", _ => "F64" };
        using (WeightFiles file = WeightFiles.Open(Path.Combine(narrow, "model.safetensors")))
            Assert.That(file.Tensors.Select(t => t.Type).Distinct(StringComparer.Ordinal), Is.EqualTo((string[])[type]));
        Assert.That(File.ReadAllText(Path.Combine(narrow, "config.json")), Does.Contain($"\"torch_dtype\": \"{dtype}\""));
        Same(narrow, Convert(Convert(narrow, "ss", "state-spaces"), "again", "hf"));
        Assert.That(TestData.RelativeError(Logits(narrow), Logits(model)), dtype == "float64" ? Is.Zero : Is.InRange(1e-6, 0.1));
        using WeightFiles gguf = WeightFiles.Open(Convert(narrow, "model.gguf", "gguf"));
        Assert.That(gguf["backbone.layers.0.mixer.in_proj.weight"].Type, Is.EqualTo(dtype == "float64" ? "F32" : type));
        Assert.That(gguf["backbone.layers.0.norm.weight"].Type, Is.EqualTo("F32"));
    }

    [Test]
    public void Bytes_with_a_scale_are_for_rows_of_a_multiple_of_32_and_come_back_as_float32()
    {
        string gguf = Convert(HuggingFace, "q.gguf", "gguf", "q8_0");
        using (WeightFiles file = WeightFiles.Open(gguf))
        {
            Assert.That(file["backbone.layers.0.mixer.in_proj.weight"].Type, Is.EqualTo("Q8_0"));
            Assert.That(file["backbone.layers.0.mixer.dt_proj.weight"].Type, Is.EqualTo("F16"));        // rows of 4
            Assert.That(file["backbone.layers.0.mixer.conv1d.weight"].Type, Is.EqualTo("F32"));
        }
        string back = Convert(gguf, "back", "state-spaces");
        using (WeightFiles file = WeightFiles.Open(ModelFolder.WeightsOf(back)))
            Assert.That(file["backbone.layers.0.mixer.in_proj.weight"].Type, Is.EqualTo("F32"));
        Assert.That(Logits(back), Is.EqualTo(Logits(gguf)));
        Assert.That(TestData.RelativeError(Logits(gguf), Logits(HuggingFace)), Is.LessThan(0.05));
    }

    /// <summary>One model in every form that a file of it has.</summary>
    string Dialect(string name) => name switch
    {
        "state-spaces" => Official,
        "Hugging Face" => HuggingFace,
        "pytorch_model.bin" => Path.Combine(Official, name),
        "safetensors" => Path.Combine(HuggingFace, "model.safetensors"),
        "GGUF" => Convert(HuggingFace, "model.gguf", "gguf"),
        _ => Convert(Convert(Official, "model.gguf", "gguf"), "back", "hf"),
    };

    [Test]
    public void Logits_states_and_greedy_tokens_are_the_official_ones_in_every_dialect(
        [Values("state-spaces", "Hugging Face", "pytorch_model.bin", "safetensors", "GGUF", "GGUF and back")] string dialect, [Values] bool wide)
    {
        using Device device = Device.Open("cpu");
        using MambaLM model = MambaLM.Load(Dialect(dialect), device, wide ? DType.Float64 : DType.Float32);
        using Safetensors forward = Safetensors.Open(Path.Combine(Official, "forward.safetensors"));
        using Safetensors generate = Safetensors.Open(Path.Combine(Official, "generate.safetensors"));
        // GGUF holds -exp(A_log), rounded to float32
        double tolerance = !wide ? 1e-5 : dialect.StartsWith("GGUF", StringComparison.Ordinal) ? 1e-7 : 1e-9;
        using (var scope = new TensorScope())
        {
            using MambaState state = model.NewState(2);
            int[] ids = [.. forward.ReadLongs("input_ids").Select(id => (int)id)];
            Tensor logits = model.Forward(Tensor.From(ids, (2, ids.Length / 2), device), state);
            double error = TestData.RelativeError(logits.ToDoubles(), forward.ReadDoubles("logits"));
            TestContext.Out.WriteLine($"{dialect}: {error}");
            Assert.That(error, Is.LessThan(tolerance));
            for (int i = 0; i < state.Layers.Count; i++)
                foreach ((string name, Tensor value) in state.Layers[i].Official())
                    Assert.That(TestData.RelativeError(value.ToDoubles(), forward.ReadDoubles($"{name}.{i}")), Is.LessThan(tolerance), name);
        }
        long[] prompts = generate.ReadLongs("prompt_ids"), outputs = generate.ReadLongs("output_ids");       // (2, 8) and (2, 8 + 32)
        for (int b = 0; b < 2; b++)
            Assert.That(Greedy(model, device, [.. prompts[(8 * b)..(8 * b + 8)].Select(id => (int)id)], 32),
                Is.EqualTo(outputs[(40 * b + 8)..(40 * b + 40)]));
    }

    // over the padded vocabulary, as the reference
    static long[] Greedy(MambaLM model, Device device, int[] prompt, int count)
    {
        using MambaState state = model.NewState(1);
        long[] found = new long[count];
        for (int i = 0; i < count; i++)
        {
            using var scope = new TensorScope();
            double[] logits = (i == 0 ? model.Forward(Tensor.From(prompt, (1, prompt.Length), device), state, lastOnly: true)
                : model.Step(Tensor.From((int[])[(int)found[i - 1]], device), state)).ToDoubles();
            found[i] = Array.IndexOf(logits, logits.Max());
        }
        return found;
    }

    [Test]
    public void Training_starts_from_every_dialect([Values("pytorch_model.bin", "GGUF")] string dialect)
    {
        string model = Dialect(dialect);
        var writer = new SafetensorsWriter();
        writer.Add("batches", (1, 2, 8), [.. Enumerable.Range(0, 16).Select(i => (long)i)]);
        writer.Save(In("batches.safetensors"));
        string Run(string init, string name)
        {
            MambaInProcess.Succeed("train", "tokens", "--data", In("batches.safetensors"), "--init", init, "--out", In(name), "--device", "cpu");
            return In(name);
        }
        Assert.That(TestData.RelativeError(Logits(Run(model, "a")), Logits(Run(Official, "b"))), Is.LessThan(1e-4));
        Assert.That(Logits(Convert(In("a"), "run", "hf")), Is.EqualTo(Logits(In("a"))));          // a run folder is a model
    }

    [Test]
    public void A_tokenizer_goes_along()
    {
        string model = Model(Small(new SsmConfig { DState = 4 }));
        File.WriteAllText(Path.Combine(model, "tokenizer.json"), "{}");
        Assert.That(File.ReadAllText(Path.Combine(Convert(model, "hf", "hf"), "tokenizer.json")), Is.EqualTo("{}"));
        Assert.That(File.Exists(Path.Combine(Convert(Official, "ss", "state-spaces"), "tokenizer.json")), Is.False);
    }

    [Test]
    public void A_tokenizer_goes_into_GGUF_if_llama_cpp_has_a_name_for_its_words()
    {
        string model = Model(Small(new SsmConfig { DState = 4 })), tokenizer = Path.Combine(model, "tokenizer.json");
        string Json(string words) => $$$"""
            {
                "added_tokens": [{ "id": 3, "content": "<|endoftext|>", "special": true }, { "id": 4, "content": "  ", "special": false }],
                "normalizer": null, "pre_tokenizer": {{{words}}}, "decoder": { "type": "ByteLevel" },
                "model": { "type": "BPE", "vocab": { "a": 0, "b": 1, "ab": 2 }, "merges": ["a b"] }
            }
            """;
        BpeVocabulary? Read(string words, string name)
        {
            File.WriteAllText(tokenizer, Json(words));
            using GgufFile file = GgufFile.Open(Convert(model, name, "gguf"));
            return file.Vocabulary;
        }
        const string Bytes = """{ "type": "ByteLevel", "add_prefix_space": false, "use_regex": true }""";
        BpeVocabulary read = Read(Bytes, "a.gguf")!;
        Assert.That(read.Tokens, Is.EqualTo((string?[])["a", "b", "ab", "<|endoftext|>", "  ", .. new string?[11]]));
        Assert.That(read.Added.Select(pair => (pair.Key, pair.Value.Content, pair.Value.IsSpecial)),
            Is.EquivalentTo(((int, string, bool)[])[(3, "<|endoftext|>", true), (4, "  ", false)]));
        Assert.That((read.Merges[0], read.EndOfText, read.Pre), Is.EqualTo((("a", "b"), 3, "olmo")));
        Assert.That(Read($$"""{ "type": "Sequence", "pretokenizers": [{ "type": "Digits", "individual_digits": true }, {{Bytes}}] }""", "b.gguf"), Is.Null);
    }

    [Test]
    public void What_cannot_be_converted_is_one_clear_line()
    {
        void Refuse(string[] args, params string[] mentions)
        {
            MambaInProcess.Refuse(["convert", .. args], mentions);
            Assert.That(Path.Exists(In("out")), Is.False);
        }
        string model = Model(Small(new SsmConfig { DState = 4 }));
        Refuse([In("nowhere"), In("out"), "--to", "hf"], "no such folder or file");
        Refuse([model, In("out"), "--to", "onnx"], "'onnx'");
        Refuse([model, In("out"), "--to", "hf", "--dtype", "int4"], "'int4'");
        Refuse([model, In("out"), "--to", "hf", "--dtype", "q8_0"], "q8_0");
        Refuse([model, In("out"), "--to", "gguf", "--dtype", "float64"], "float64");
        MambaInProcess.Refuse(["convert", model, model, "--to", "hf"], "another folder");
        MambaInProcess.Refuse(["convert", model, Path.Combine(model, "config.json"), "--to", "hf"], "is a file");
        foreach ((string what, MambaConfig config) in ((string, MambaConfig)[])[
            ("rms_norm", Small(new SsmConfig { DState = 4 }) with { RmsNorm = false }),
            ("d_intermediate", Small(new SsmConfig { DState = 4 }) with { DIntermediate = 5 }),
            ("zoh", Small(new SsmConfig { DState = 4 }) with { Discretization = Discretization.ZeroOrderHold })])
            foreach (string to in (string[])["hf", "gguf"])
                Refuse([Model(config), In("out"), "--to", to], what is "zoh" ? Discretization.ZeroOrderHold.Name : what);

        // tensors: one too few, one too many, one of another shape, one that a type cannot hold
        model = Model(Small(new SsmConfig { DState = 4 }));
        byte[] good = File.ReadAllBytes(In("model/model.safetensors"));
        void Change(Func<SafetensorsEntry, string?> name, Func<SafetensorsEntry, Shape> shape, float scale, string mention, params string[] options)
        {
            File.WriteAllBytes(In("good.safetensors"), good);
            var writer = new SafetensorsWriter();
            using (Safetensors file = Safetensors.Open(In("good.safetensors")))
                foreach (SafetensorsEntry entry in file.Entries)
                    if (name(entry) is { } given)
                        writer.Add(given, shape(entry), Array.ConvertAll(file.ReadFloats(entry.Name), x => x * scale));
            writer.Save(In("model/model.safetensors"));
            Refuse([model, In("out"), "--to", "gguf", .. options], mention);
        }
        Change(e => e.Name.EndsWith("1.mixer.D", StringComparison.Ordinal) ? null : e.Name, e => e.Shape, 1, "backbone.layers.1.mixer.D");
        Change(e => e.Name.EndsWith("1.mixer.D", StringComparison.Ordinal) ? "surplus" : e.Name, e => e.Shape, 1, "backbone.layers.1.mixer.D");
        Change(e => e.Name, e => e.Shape == (16, 4) ? (4, 16) : e.Shape, 1, "has shape (4, 16)");
        Change(e => e.Name, e => e.Shape, 1e6f, "which F16 cannot hold", "--dtype", "float16");
        File.WriteAllBytes(In("model/model.safetensors"), good);

        // GGUF: cut off anywhere; a tensor that is not there, under its name there
        string gguf = Convert(model, "good.gguf", "gguf");
        byte[] whole = File.ReadAllBytes(gguf);
        for (int length = 0; length < whole.Length - 64; length += 331)
        {
            File.WriteAllBytes(In("cut.gguf"), whole[..length]);
            Refuse([In("cut.gguf"), In("out"), "--to", "hf"], In("cut.gguf"));
        }
        byte[] renamed = (byte[])whole.Clone();
        int at = renamed.AsSpan().IndexOf("blk.1.ssm_out.weight"u8);
        renamed[at + 4] = (byte)'7';
        File.WriteAllBytes(In("cut.gguf"), renamed);
        Refuse([In("cut.gguf"), In("out"), "--to", "hf"], "no tensor 'blk.1.ssm_out.weight'");
    }

    [Test]
    public void Broken_configs_neither_crash_nor_allocate_what_is_not_there()
    {
        string[] good = [File.ReadAllText(Path.Combine(Official, "config.json")), File.ReadAllText(Path.Combine(HuggingFace, "config.json"))];
        string[] numbers = ["0", "-1", "1e9", "2147483647", "1000000000", "null", "\"auto\"", "[]", "{}", "NaN", "1e400", "0.5", "true"];
        for (int seed = 0; seed < 1000; seed++)
        {
            var random = new Random(seed);
            string text = good[seed % 2];
            for (int i = random.Next(1, 4); i > 0; i--)
                if (random.Next(2) == 0)
                {
                    int start = random.Next(text.Length);
                    text = text.Remove(start, Math.Min(random.Next(1, 4), text.Length - start)).Insert(start, ((char)random.Next(32, 127)).ToString());
                }
                else
                {
                    string[] lines = text.Split('\n');
                    int line = random.Next(lines.Length), colon = lines[line].IndexOf(':');
                    if (colon > 0)
                        lines[line] = $"{lines[line][..colon]}: {numbers[random.Next(numbers.Length)]}{(lines[line].EndsWith(',') ? "," : "")}";
                    text = string.Join('\n', lines);
                }
            Directory.CreateDirectory(In("fuzz"));
            File.WriteAllText(In("fuzz/config.json"), text);
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                MambaConfig config = ModelFolder.ReadConfig(In("fuzz"));
                using WeightFiles file = WeightFiles.Open(Path.Combine(seed % 2 == 0 ? Official : HuggingFace, "model.safetensors"));
                Weights.TensorsOf(file, config);
            }
            catch (MambaException e)
            {
                Assert.That(e.Message, Does.Not.Contain("\n"), $"seed {seed}");
            }
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(3_000_000), $"seed {seed}");
        }
    }
}
