using System.Text;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary><c>mamba logits</c> against the official implementation's numbers, from both dialects of a model's files.</summary>
public class LogitsCommandTests
{
    static readonly string Official = Path.Combine(AppContext.BaseDirectory, "Fixtures", "lm"), HuggingFace = Path.Combine(Official, "hf");

    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-logits-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    string In(string name) => Path.Combine(folder, name);

    Safetensors Run(string model, string ids, params string[] options)
    {
        MambaInProcess.Succeed(["logits", "--model", model, "--ids", ids, "--output", In("out.safetensors"), "--device", "cpu", .. options]);
        return Safetensors.Open(In("out.safetensors"));
    }

    string IdsFile(Shape shape, long[] ids)
    {
        var writer = new SafetensorsWriter();
        writer.Add("ids", shape, ids);
        writer.Save(In("ids.safetensors"));
        return In("ids.safetensors");
    }

    // float64: sums of some hundred terms of order 1, to some ulps of the largest. float32: the reference's own error is some 1e-6.
    [Test]
    public void Every_output_is_the_official_one([Values] bool huggingFace, [Values("float32", "float64")] string dtype)
    {
        using Safetensors forward = Safetensors.Open(Path.Combine(Official, "forward.safetensors"));
        using Safetensors grads = Safetensors.Open(Path.Combine(Official, "grads.safetensors"));
        using Safetensors result = Run(huggingFace ? HuggingFace : Official, IdsFile((2, 40), forward.ReadLongs("input_ids")), "--grad", "--dtype", dtype);
        double tolerance = dtype == "float64" ? 1e-12 : 2e-5;
        string[] names = ["logits", "loss", "hidden.layer0", "hidden.layer1", "conv_state.0", "conv_state.1", "ssm_state.0", "ssm_state.1"];
        foreach (string name in names)
        {
            Assert.That(TestData.RelativeError(result.ReadDoubles(name), forward.ReadDoubles(name)), Is.LessThan(tolerance), name);
            if (name != "loss")
                Assert.That(result[name].Shape, Is.EqualTo(forward[name].Shape), name);
            Assert.That(result[name].Type, Is.EqualTo(dtype == "float64" ? "F64" : "F32"));
        }
        Assert.That(result["loss"].Shape.Rank, Is.Zero);
        foreach (SafetensorsEntry entry in grads.Entries)
        {
            Assert.That(TestData.RelativeError(result.ReadDoubles("grad." + entry.Name), grads.ReadDoubles(entry.Name)), Is.LessThan(tolerance), entry.Name);
            Assert.That(result["grad." + entry.Name].Shape, Is.EqualTo(entry.Shape));
        }
        Assert.That(result.Entries, Has.Count.EqualTo(names.Length + grads.Entries.Count));
    }

    [Test]
    public void Ids_on_the_command_line_are_one_sequence_and_the_dtype_is_that_of_the_weights()
    {
        var wide = new SafetensorsWriter();
        using (Safetensors file = Safetensors.Open(Path.Combine(Official, "model.safetensors")))
            foreach (SafetensorsEntry entry in file.Entries)
                wide.Add(entry.Name, entry.Shape, file.ReadDoubles(entry.Name));
        string model = Folder("wide", File.ReadAllText(Path.Combine(Official, "config.json")), []);
        wide.Save(Path.Combine(model, "model.safetensors"));

        double[] logits;
        using (Safetensors result = Run(model, IdsFile((1, 3), [5, 0, 95])))
        {
            logits = result.ReadDoubles("logits");
            Assert.That(result["logits"].Type, Is.EqualTo("F64"));
            Assert.That(result.Contains("loss"), Is.False);
        }
        using (Safetensors result = Run(Official, "5,0,95", "--dtype", "float64"))
            Assert.That(result.ReadDoubles("logits"), Is.EqualTo(logits));
        using Safetensors one = Run(Official, "5");
        Assert.That((one["logits"].Type, one["logits"].Shape), Is.EqualTo(("F32", (Shape)(1, 1, 96))));
    }

    /// <summary>A Hugging Face folder with its weights as they are, cut to 16 bits.</summary>
    string Half(string dtype)
    {
        using Safetensors file = Safetensors.Open(Path.Combine(HuggingFace, "model.safetensors"));
        var header = new JsonObject();
        using var data = new MemoryStream();
        foreach (SafetensorsEntry entry in file.Entries)
        {
            long start = data.Length;
            foreach (float value in file.ReadFloats(entry.Name))
                data.Write(dtype == "BF16"
                    ? BitConverter.GetBytes((ushort)(BitConverter.SingleToUInt32Bits(value) >> 16))
                    : BitConverter.GetBytes((Half)value));
            header[entry.Name] = new JsonObject
            {
                ["dtype"] = dtype,
                ["shape"] = new JsonArray([.. entry.Shape.ToArray().Select(x => (JsonNode)x)]),
                ["data_offsets"] = new JsonArray(start, data.Length),
            };
        }
        byte[] json = Encoding.UTF8.GetBytes(header.ToJsonString());
        byte[] weights = [.. BitConverter.GetBytes((ulong)json.Length), .. json, .. data.ToArray()];
        return Folder(dtype, File.ReadAllText(Path.Combine(HuggingFace, "config.json")), weights);
    }

    string Folder(string name, string config, byte[] weights)
    {
        Directory.CreateDirectory(In(name));
        File.WriteAllText(Path.Combine(In(name), "config.json"), config);
        File.WriteAllBytes(Path.Combine(In(name), "model.safetensors"), weights);
        return In(name);
    }

    [Test]
    public void Weights_of_16_bits_are_widened_exactly([Values("F16", "BF16")] string dtype)
    {
        string half = Half(dtype), wide = In("wide");
        using (MambaLM model = ModelFolder.Load(half, TestDevices.Open("cpu")))
        {
            using Safetensors source = Safetensors.Open(Path.Combine(HuggingFace, "model.safetensors"));
            float original = source.ReadFloats("backbone.layers.1.mixer.in_proj.weight")[7];
            float expected = dtype == "F16" ? (float)(Half)original : BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(original) & 0xFFFF0000);
            Assert.That(model.Parameters["backbone.layers.1.mixer.in_proj.weight"].Value.ToArray<float>()[7], Is.EqualTo(expected).And.Not.EqualTo(original));
            Directory.CreateDirectory(wide);
            File.WriteAllText(Path.Combine(wide, "config.json"), model.Config.ToJson());
            Weights.Save(Path.Combine(wide, "model.safetensors"), model);
        }
        double[] logits;
        using (Safetensors result = Run(half, "1,2,3"))
            logits = result.ReadDoubles("logits");
        using Safetensors same = Run(wide, "1,2,3");
        Assert.That(same.ReadDoubles("logits"), Is.EqualTo(logits));
    }

    [Test]
    public void Weights_in_several_files_are_one_model_and_a_wrong_index_is_one_clear_line()
    {
        string config = File.ReadAllText(Path.Combine(HuggingFace, "config.json"));
        string model = Folder("shards", config, []);
        File.Delete(Path.Combine(model, "model.safetensors"));
        var map = new JsonObject();
        using (Safetensors file = Safetensors.Open(Path.Combine(HuggingFace, "model.safetensors")))
            foreach (IGrouping<int, SafetensorsEntry> shard in file.Entries.Select((entry, i) => (entry, i)).GroupBy(x => x.i % 3, x => x.entry))
            {
                string name = $"model-0000{shard.Key + 1}-of-00003.safetensors";
                var writer = new SafetensorsWriter();
                foreach (SafetensorsEntry entry in shard)
                {
                    writer.Add(entry.Name, entry.Shape, file.ReadFloats(entry.Name));
                    map[entry.Name] = name;
                }
                writer.Save(Path.Combine(model, name));
            }
        string index = Path.Combine(model, "model.safetensors.index.json");
        File.WriteAllText(index, new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = 1 }, ["weight_map"] = map }.ToJsonString());
        double[] logits;
        using (Safetensors whole = Run(HuggingFace, "1,2,3"))
            logits = whole.ReadDoubles("logits");
        using (Safetensors sharded = Run(model, "1,2,3"))
            Assert.That(sharded.ReadDoubles("logits"), Is.EqualTo(logits));

        string[] args = ["logits", "--model", model, "--ids", "1", "--output", In("none.safetensors"), "--device", "cpu"];
        foreach (string wrong in (string[])["", "[]", "{}", "{\"weight_map\":1}", "{\"weight_map\":{\"a\":1}}", "{\"weight_map\":{\"a\":\"../x\"}}",
            "{\"weight_map\":{\"a\":\"\"}}", "{\"weight_map\":{\"a\":\"\\n\"}}", "{\"weight_map\":{\"a\":\"absent\"}}", "{\"weight_map\":{}}",
            "{\"weight_map\":{\"a\":\"model-00001-of-00003.safetensors\"}}"])
        {
            File.WriteAllText(index, wrong);
            MambaInProcess.Refuse(args, model);
        }
        File.Copy(Path.Combine(model, "model-00001-of-00003.safetensors"), Path.Combine(model, "copy.safetensors"));
        File.WriteAllText(index, "{\"weight_map\":{\"a\":\"model-00001-of-00003.safetensors\",\"b\":\"copy.safetensors\"}}");
        MambaInProcess.Refuse(args, "too");

        // Every file is there and every tensor in one of them, but the index says it is in another, or one that no file has.
        (string first, JsonNode? place) = map.First();
        map[first] = map.Select(pair => pair.Value!.GetValue<string>()).First(name => name != place!.GetValue<string>());
        File.WriteAllText(index, new JsonObject { ["weight_map"] = map.DeepClone() }.ToJsonString());
        MambaInProcess.Refuse(args, first, "where this says it is");
        map[first] = place!.GetValue<string>();
        map["backbone.surplus"] = place.GetValue<string>();
        File.WriteAllText(index, new JsonObject { ["weight_map"] = map.DeepClone() }.ToJsonString());
        MambaInProcess.Refuse(args, "backbone.surplus");
    }

    [Test]
    public void A_vocabulary_of_Hugging_Face_is_not_padded_and_a_head_may_be_of_its_own()
    {
        var ssm = new SsmConfig { DState = 3, DConv = 2, DtRank = 5, Bias = true, ConvBias = false };
        var config = new MambaConfig { DModel = 8, NLayer = 1, VocabSize = 13, PadVocabSizeMultiple = 1, TieEmbeddings = false, SsmCfg = ssm };
        using var model = new MambaLM(config, TestDevices.Open("cpu"), seed: 4);
        Directory.CreateDirectory(In("own"));
        var writer = new SafetensorsWriter();
        foreach (Parameter parameter in model.Parameters)
            writer.Add(parameter.Name.Replace("embedding", "embeddings"), parameter.Value);
        writer.Save(Path.Combine(In("own"), "model.safetensors"));
        File.WriteAllText(Path.Combine(In("own"), "config.json"), """
            {
                "model_type": "mamba", "hidden_size": 8, "num_hidden_layers": 1, "vocab_size": 13, "state_size": 3, "conv_kernel": 2,
                "time_step_rank": 5, "use_bias": true, "use_conv_bias": false, "tie_word_embeddings": false
            }
            """);
        using Safetensors result = Run(In("own"), "12,3,0,7", "--grad");
        using var scope = new TensorScope();
        Tensor tokens = Tensor.From(new[] { 12, 3, 0, 7 }, (1, 4), TestDevices.Open("cpu"));
        Assert.That(result.ReadFloats("logits"), Is.EqualTo(model.Forward(tokens).ToArray<float>()));
        Assert.That(result["grad.lm_head.weight"].Shape, Is.EqualTo((Shape)(13, 8)));
    }

    /// <summary>The weights of a folder with a head beside the embedding, made from the embedding's values.</summary>
    string WithHead(string name, string source, Func<float[], Array> head, string config = "")
    {
        var writer = new SafetensorsWriter();
        using Safetensors file = Safetensors.Open(Path.Combine(source, "model.safetensors"));
        foreach (SafetensorsEntry entry in file.Entries)
            if (entry.Name != "lm_head.weight")
                writer.Add(entry.Name, entry.Shape, file.ReadFloats(entry.Name));
        SafetensorsEntry embedding = file.Entries.Single(entry => entry.Name.StartsWith("backbone.embedding", StringComparison.Ordinal));
        switch (head(file.ReadFloats(embedding.Name)))
        {
            case float[] values: writer.Add("lm_head.weight", embedding.Shape, values); break;
            case double[] values: writer.Add("lm_head.weight", embedding.Shape, values); break;
            default: throw new ArgumentException(name);
        }
        string model = Folder(name, config.Length > 0 ? config : File.ReadAllText(Path.Combine(source, "config.json")), []);
        writer.Save(Path.Combine(model, "model.safetensors"));
        return model;
    }

    [Test]
    public void A_head_that_is_not_the_embedding_it_is_tied_to_is_refused_in_both_dialects([Values] bool huggingFace)
    {
        string source = huggingFace ? HuggingFace : Official;
        string[] Args(string model) => ["logits", "--model", model, "--ids", "1,2", "--output", In("out.safetensors"), "--device", "cpu"];
        Assert.That(MambaInProcess.Run(Args(WithHead("same", source, x => x))).Code, Is.Zero);
        Assert.That(MambaInProcess.Run(Args(WithHead("wide", source, x => Array.ConvertAll(x, v => (double)v)))).Code,
            Is.Zero, "the same values in another dtype");
        (string What, Func<float[], Array> Head)[] others =
        [
            ("turned round", x => x.Reverse().ToArray()),
            ("the last value by one bit", x => (float[])[.. x[..^1], MathF.BitIncrement(x[^1])]),
            ("one value of NaN", x => (float[])[.. x[..100], float.NaN, .. x[101..]]),
            ("of NaN", x => Array.ConvertAll(x, _ => float.NaN)),
            ("the first value in another dtype", x => (double[])[x[0] + 1e-9, .. x[1..].Select(v => (double)v)]),
        ];
        foreach ((string what, Func<float[], Array> head) in others)
            MambaInProcess.Refuse(Args(WithHead(what, source, head)), "lm_head.weight", "tie_embeddings");
        string given = File.ReadAllText(Path.Combine(source, "config.json")).TrimEnd().TrimEnd('}').Replace("\"tie_word_embeddings\": true,", "");
        string untied = given + $", \"{(huggingFace ? "tie_word_embeddings" : "tie_embeddings")}\": false }}";
        Assert.That(MambaInProcess.Run(Args(WithHead("untied", source, x => x.Reverse().ToArray(), untied))), Is.EqualTo((0, "")));
    }

    [Test]
    public void An_embedding_of_NaN_is_the_same_as_itself()
    {
        string model = WithHead("nan", Official, x => x);
        var writer = new SafetensorsWriter();
        using (Safetensors file = Safetensors.Open(Path.Combine(model, "model.safetensors")))
            foreach (SafetensorsEntry entry in file.Entries)
                writer.Add(entry.Name, entry.Shape, file.ReadFloats(entry.Name).Select((x, i) => i == 3 && entry.Shape == (96, 64) ? float.NaN : x).ToArray());
        writer.Save(Path.Combine(model, "model.safetensors"));
        Assert.That(MambaInProcess.Run("logits", "--model", model, "--ids", "1,2", "--output", In("out.safetensors"), "--device", "cpu"), Is.EqualTo((0, "")));
    }

    [Test]
    public void Both_names_of_the_embedding_in_one_file_are_refused()
    {
        string model = Folder("both", File.ReadAllText(Path.Combine(HuggingFace, "config.json")), []);
        var writer = new SafetensorsWriter();
        using (Safetensors file = Safetensors.Open(Path.Combine(HuggingFace, "model.safetensors")))
            foreach (SafetensorsEntry entry in file.Entries)
            {
                writer.Add(entry.Name, entry.Shape, file.ReadFloats(entry.Name));
                if (entry.Name == "backbone.embeddings.weight")
                    writer.Add("backbone.embedding.weight", entry.Shape, file.ReadFloats(entry.Name));
            }
        writer.Save(Path.Combine(model, "model.safetensors"));
        MambaInProcess.Refuse(["logits", "--model", model, "--ids", "1", "--output", In("out.safetensors"), "--device", "cpu"], "backbone.embeddings.weight");
    }

    [Test]
    public void What_is_wrong_is_one_clear_line()
    {
        void Refuse(string model, string ids, string[] options, params string[] mentions)
        {
            MambaInProcess.Refuse(["logits", "--model", model, "--ids", ids, "--output", In("out.safetensors"), "--device", "cpu", .. options], mentions);
            Assert.That(File.Exists(In("out.safetensors")), Is.False);
        }

        string config = File.ReadAllText(Path.Combine(HuggingFace, "config.json"));
        byte[] weights = File.ReadAllBytes(Path.Combine(HuggingFace, "model.safetensors"));
        Refuse(Official, "1,2,96", [], "token 2 of sequence 0 is 96; the model knows 0 to 95");
        Refuse(Official, "1,,2", [], "--ids is '1,,2'");
        Refuse(Official, "99999999999999999999", [], "--ids");
        Refuse(Official, "words", [], "words: there is no such file");
        Refuse(Official, "1", ["--grad"], "next one");
        Refuse(Official, "1", ["--dtype", "bfloat16"], "bfloat16");
        Refuse(Official, IdsFile((2, 2), [1, 2, 3, -1]), [], "token 1 of sequence 1 is -1");
        Refuse(Official, IdsFile((2, 0), []), [], "(2, 0)");
        Refuse(Official, IdsFile(4, [1, 2, 3, 4]), [], "'ids' has shape (4); expected (batch, length)");
        Refuse(Official, Path.Combine(Official, "forward.safetensors"), [], "no tensor 'ids'");
        Refuse(In("nowhere"), "1", [], "there is no such folder");
        Refuse(folder, "1", [], "config.json: there is no such file");
        string wider = config.Replace("\"hidden_size\": 64", "\"hidden_size\": 128").Replace("\"d_model\": 64", "\"d_model\": 128")
            .Replace("\"intermediate_size\": 128", "\"intermediate_size\": 256").Replace("\"d_inner\": 128", "\"d_inner\": 256");
        Refuse(Folder("wider", wider, weights), "1", [], "has shape (96, 64)");
        Refuse(Folder("other", config.Replace("\"model_type\": \"mamba\"", "\"model_type\": \"falcon_h1\""), weights), "1", [], "falcon_h1");
        Refuse(Folder("act", config.Replace("\"silu\"", "\"gelu\""), weights), "1", [], "hidden_act");
        Refuse(Folder("inner", config.Replace("\"intermediate_size\": 128", "\"intermediate_size\": 100"), weights), "1", [], "intermediate_size is 100");
        Refuse(Folder("untied", config.Replace("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false"), weights), "1", [], "'lm_head.weight'");
        string torch = Folder("torch", config, weights);
        File.Move(Path.Combine(torch, "model.safetensors"), Path.Combine(torch, "pytorch_model.bin"));
        Refuse(torch, "1", [], "pytorch_model.bin", "safetensors");
    }

    [Test]
    public void A_Hugging_Face_config_is_read_as_it_is_meant()
    {
        // That of state-spaces/mamba-130m-hf, which has both dialects' words for some things.
        MambaConfig config = MambaConfig.FromJson("""
            {
              "architectures": ["MambaForCausalLM"], "bos_token_id": 0, "conv_kernel": 4, "d_inner": 1536, "d_model": 768, "eos_token_id": 0,
              "expand": 2, "fused_add_norm": true, "hidden_act": "silu", "hidden_size": 768, "initializer_range": 0.1, "intermediate_size": 1536,
              "layer_norm_epsilon": 1e-05, "model_type": "mamba", "n_layer": 24, "num_hidden_layers": 24, "pad_token_id": 0,
              "pad_vocab_size_multiple": 8, "rescale_prenorm_residual": false, "residual_in_fp32": true, "rms_norm": true, "ssm_cfg": {},
              "state_size": 16, "time_step_floor": 0.0001, "time_step_init_scheme": "random", "time_step_max": 0.1, "time_step_min": 0.001,
              "time_step_rank": 48, "time_step_scale": 1.0,
              "torch_dtype": "float32", "use_bias": false, "use_cache": true, "use_conv_bias": true, "vocab_size": 50280
            }
            """);
        var expected = new MambaConfig
        {
            DModel = 768,
            NLayer = 24,
            VocabSize = 50280,
            PadVocabSizeMultiple = 1,
            SsmCfg = new SsmConfig { DtRank = 48 },
            AttnLayerIdx = config.AttnLayerIdx,
        };
        Assert.That(config, Is.EqualTo(expected));
        Assert.That(config.PaddedVocabSize, Is.EqualTo(50280));

        MambaConfig defaults = MambaConfig.FromJson("""{ "num_hidden_layers": 3, "time_step_rank": "auto", "intermediate_size": 2304 }""");
        Assert.That((defaults.DModel, defaults.NLayer, defaults.VocabSize, defaults.SsmCfg.Expand, defaults.DtRank, defaults.TieEmbeddings),
            Is.EqualTo((768, 3, 50280, 3, 48, true)));
    }
}
