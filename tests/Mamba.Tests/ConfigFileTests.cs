using System.Text.Json;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>A config.json is taken for what it is: another architecture's, nobody's, or one that contradicts itself is refused by name.</summary>
public class ConfigFileTests
{
    static readonly string HuggingFace = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "lm", "hf", "config.json"));

    const string Official = """
        {
            "d_model": 64, "n_layer": 2, "vocab_size": 93, "ssm_cfg": { }, "rms_norm": true, "residual_in_fp32": true, "fused_add_norm": true,
            "pad_vocab_size_multiple": 8
        }
        """;

    static void Refuse(string json, params string[] mentions)
    {
        MambaException? e = Assert.Throws<MambaException>(() => MambaConfig.FromJson(json), json);
        Assert.That(e!.Message, Does.StartWith("MambaConfig: ").And.Not.Contain("\n"));
        foreach (string mention in mentions)
            Assert.That(e.Message, Does.Contain(mention), json);
    }

    /// <summary>A config with fields put in, in place of others of those names; values are text, for not all of them are JSON.</summary>
    static string With(string json, params (string Name, string Value)[] fields)
    {
        JsonObject changed = JsonNode.Parse(json)!.AsObject();
        foreach ((string name, _) in fields)
        {
            string[] path = name.Split('.');
            JsonObject holder = path.Length == 1 ? changed : (JsonObject)(changed[path[0]] ??= new JsonObject());
            holder[path[^1]] = $"@{name}@";
        }
        string text = changed.ToJsonString();
        foreach ((string name, string value) in fields)
            text = text.Replace($"\"@{name}@\"", value);
        return text;
    }

    static string Without(string json, params string[] names)
    {
        JsonObject changed = JsonNode.Parse(json)!.AsObject();
        foreach (string name in names)
            changed.Remove(name);
        return changed.ToJsonString();
    }

    [Test]
    public void What_names_no_model_is_refused()
    {
        foreach (string json in (string[])["{}", "null", "[]", "1", "\"mamba\"", "true", "{\"version\":1,\"model_info\":{\"architecture\":\"mamba\"}}",
            "{\"model_type\":\"mamba\"}", "{\"d_model\":64}", "{\"d_model\":512,\"num_layers\":6}", "{\"dim\":4096,\"n_layers\":64,\"vocab_size\":32768}",
            "{\"hidden_size\":64,\"num_hidden_layers\":2,\"vocab_size\":96}", "{\"ssm_cfg\":{}}", "{\"vocab_size\":50280}", "{\"weight_map\":{}}"])
            Refuse(json, "no config of a");
    }

    [Test]
    public void Another_architecture_is_named_in_either_dialect([Values] bool huggingFace)
    {
        string right = huggingFace ? HuggingFace : Official, nameless = Without(right, "model_type", "architectures");
        Assert.That(() => MambaConfig.FromJson(right), Throws.Nothing);
        Assert.That(() => MambaConfig.FromJson(nameless), Throws.Nothing);
        foreach (string type in (string[])["mamba2", "falcon_h1", "jamba", "zamba2", "llama", "Mamba", ""])
            Refuse(With(right, ("model_type", $"\"{type}\"")), "model_type", $"'{type}'");
        foreach (string type in (string[])["1", "[]", "[\"mamba\"]", "Infinity", "\"\\ud800\""])
            Refuse(With(right, ("model_type", type)));
        foreach (string name in (string[])["Mamba2ForCausalLM", "FalconH1ForCausalLM", "JambaForCausalLM", "LlamaForCausalLM"])
        {
            Refuse(With(nameless, ("architectures", $"[\"{name}\"]")), name);
            Refuse(With(nameless, ("architectures", $"[\"MambaForCausalLM\",\"{name}\"]")), name);
        }
        foreach (string wrong in (string[])["\"MambaForCausalLM\"", "[1]", "[null]", "{}"])
            Refuse(With(nameless, ("architectures", wrong)), "architectures");
        foreach (string absent in (string[])["null", "[]", "[\"MambaForCausalLM\"]", "[\"MambaLMHeadModel\"]"])
            Assert.That(() => MambaConfig.FromJson(With(nameless, ("architectures", absent), ("model_type", "null"))), Throws.Nothing);
        foreach ((string field, string value, string of) in ((string, string, string)[])[
            ("num_heads", "8", "Mamba-2"), ("head_dim", "16", "Mamba-2"), ("n_groups", "1", "Mamba-2"), ("chunk_size", "32", "Mamba-2"),
            ("time_step_limit", "[0.0, Infinity]", "Mamba-2"),
            ("attn_layer_period", "8", "Jamba"), ("num_experts", "16", "experts"), ("num_attention_heads", "32", "attention")])
        {
            Refuse(With(nameless, (field, value)), field, of);
            Assert.That(() => MambaConfig.FromJson(With(nameless, (field, "null"))), Throws.Nothing);
        }
        Refuse(With(right, ("ssm_cfg.layer", "\"Mamba2\"")), "Mamba2");
        Refuse(With(right, ("ssm_cfg.layer", "\"Mamba3\""), ("ssm_cfg.is_mimo", "true")), "Mamba3");
        Refuse(With(right, ("ssm_cfg.headdim", "64")), "ssm_cfg.headdim", "Mamba-2");
        Refuse(With(right, ("ssm_cfg.rope_fraction", "0.5")), "ssm_cfg.rope_fraction", "Mamba-3");
        Refuse(With(right, ("attn_layer_idx", "[1]")), "attn_layer_idx");
        if (huggingFace)
            Refuse(With(right, ("d_intermediate", "128")), "d_intermediate");       // its model has no MLP
        else
            Assert.That(MambaConfig.FromJson(With(right, ("d_intermediate", "128"))).DIntermediate, Is.EqualTo(128));
    }

    [Test]
    public void Falcon_Mamba_is_known_by_its_name_its_fields_or_its_sizes()
    {
        double? Epsilon(params (string, string)[] fields) =>
            MambaConfig.FromJson(With(Without(HuggingFace, "model_type", "architectures"), fields)).SsmCfg.MixerRmsEps;
        Assert.That(Epsilon(), Is.Null);
        Assert.That(Epsilon(("model_type", "\"mamba\"")), Is.Null);
        Assert.That(Epsilon(("model_type", "\"falcon_mamba\"")), Is.EqualTo(1e-6));
        Assert.That(Epsilon(("model_type", "\"falcon_mamba\""), ("mixer_rms_eps", "1e-5")), Is.EqualTo(1e-5));
        Assert.That(Epsilon(("architectures", "[\"FalconMambaForCausalLM\"]")), Is.EqualTo(1e-6));
        Assert.That(Epsilon(("model_type", "\"mamba\""), ("mixer_rms_eps", "0.25")), Is.EqualTo(0.25));
        Assert.That(Epsilon(("use_falcon_mambapy", "false")), Is.EqualTo(1e-6));
        Refuse(With(HuggingFace, ("mixer_rms_eps", "-1")), "mixer_rms_eps");
        Refuse(With(HuggingFace, ("mixer_rms_eps", "1e-6"), ("ssm_cfg.mixer_rms_eps", "1e-5")), "mixer_rms_eps");

        // An early copy, quantized, calls itself a mamba. Where expand and intermediate_size differ, the latter is meant.
        MambaConfig copy = MambaConfig.FromJson("""
            {
                "model_type": "mamba", "architectures": ["MambaForCausalLM"], "hidden_size": 4096, "intermediate_size": 8192, "expand": 16,
                "time_step_rank": 256, "vocab_size": 65024, "num_hidden_layers": 64, "state_size": 16, "tie_word_embeddings": false
            }
            """);
        Assert.That((copy.SsmCfg.MixerRmsEps, copy.DInner, copy.TieEmbeddings), Is.EqualTo((1e-6, 8192, false)));
    }

    [Test]
    public void In_the_official_words_the_epsilon_of_Falcon_Mambas_norms_is_written_and_read()
    {
        Assert.That(MambaConfig.FromJson(Official).ToJson(), Does.Not.Contain("mixer_rms_eps"));
        MambaConfig config = MambaConfig.FromJson(With(Official, ("ssm_cfg.mixer_rms_eps", "1e-5")));
        Assert.That(config.SsmCfg.MixerRmsEps, Is.EqualTo(1e-5));
        Assert.That(MambaConfig.FromJson(config.ToJson()).SsmCfg, Is.EqualTo(config.SsmCfg));
        Refuse(With(Official, ("mixer_rms_eps", "1e-5")), "mixer_rms_eps");                         // not where it belongs
        Refuse(With(Official, ("model_type", "\"falcon_mamba\"")), "ssm_cfg.mixer_rms_eps");
        Refuse(With(Official, ("use_falcon_mambapy", "true")), "ssm_cfg.mixer_rms_eps");
    }

    [Test]
    public void What_Python_writes_for_infinity_is_read_and_judged([Values("Infinity", "-Infinity", "NaN", "1e400", "-1e400")] string value)
    {
        foreach (string field in (string[])["layer_norm_epsilon", "time_step_min", "time_step_max", "time_step_scale", "time_step_floor"])
            Refuse(With(HuggingFace, (field, value)), field);
        foreach (string field in (string[])["norm_epsilon", "ssm_cfg.dt_min", "ssm_cfg.dt_max", "ssm_cfg.dt_scale", "ssm_cfg.dt_init_floor"])
            Refuse(With(Official, (field, value)), field.Split('.')[^1]);
        foreach (string field in (string[])["hidden_size", "num_hidden_layers", "use_bias", "tie_word_embeddings"])
            Refuse(With(HuggingFace, (field, value)), field);
        Assert.That(() => MambaConfig.FromJson(With(HuggingFace, ("initializer_range", value), ("note", "\"Infinity, \\\"NaN\\\\\""))),
            Throws.Nothing, "a field nobody reads");
        foreach (string broken in (string[])["Infinit", "nan", "+Infinity", "Infinity1", "--Infinity", "NaN NaN"])
            Refuse(With(HuggingFace, ("initializer_range", broken)), "JSON");
    }

    [TestCase("layer_norm_epsilon", "norm_epsilon", "-1", "-1e-5", "1e39")]
    [TestCase("time_step_scale", "ssm_cfg.dt_scale", "-1", "-0.5", "1e39")]
    [TestCase("time_step_floor", "ssm_cfg.dt_init_floor", "-1", "-1e-4", "1e39")]
    [TestCase("time_step_min", "ssm_cfg.dt_min", "0", "-1", "0.2")]
    [TestCase("time_step_max", "ssm_cfg.dt_max", "0", "-1", "0.0001")]
    [TestCase("hidden_size", "d_model", "0", "2000000000", "-64")]
    [TestCase("num_hidden_layers", "n_layer", "0", "-2", "1.5")]
    [TestCase("state_size", "ssm_cfg.d_state", "0", "257", "-16")]
    [TestCase("conv_kernel", "ssm_cfg.d_conv", "0", "9", "-4")]
    [TestCase("time_step_rank", "ssm_cfg.dt_rank", "0", "-1", "2147483647")]
    [TestCase("time_step_init_scheme", "ssm_cfg.dt_init", "\"zero\"", "\"\"", "\"a\\nb\"")]
    public void A_value_outside_its_range_is_refused_under_the_name_it_has_in_the_file(string huggingFace, string official, params string[] values)
    {
        string plain = Without(HuggingFace, "d_model", "n_layer", "intermediate_size", "d_inner");
        foreach (string value in values)
        {
            Refuse(With(plain, (huggingFace, value)), huggingFace);
            Refuse(With(Official, (official, value)), official.Split('.')[^1]);
        }
    }

    [Test]
    public void A_norm_may_do_without_an_epsilon() => Assert.That(MambaConfig.FromJson(With(Official, ("norm_epsilon", "0"))).NormEpsilon, Is.Zero);

    [TestCase("""{ "d_model": 64, "d_model": 64, "n_layer": 2 }""", "d_model")]
    [TestCase("""{ "d_model": 64, "n_layer": 2, "ssm_cfg": { "d_state": 8, "d_state": 16 } }""", "d_state")]
    [TestCase("""{ "d_model": 64, "n_layer": 2, "unknown": { "a": 1, "a": 2 } }""", "a")]
    public void A_name_that_is_there_twice_is_refused(string json, string name) => Refuse(json, $"'{name}'");

    [Test]
    public void Two_words_for_one_thing_must_say_the_same([Values] bool huggingFace)
    {
        string right = huggingFace ? HuggingFace : Official;
        (string Name, string Same, string Other)[] words = huggingFace
            ? [("d_model", "64", "65"), ("n_layer", "2", "3"), ("d_inner", "128", "256"), ("norm_epsilon", "0.00001", "1e-6"),
                ("tie_embeddings", "true", "false"), ("rms_norm", "true", "false"), ("ssm_cfg.d_state", "16", "8"), ("ssm_cfg.d_conv", "4.0", "3"),
                ("ssm_cfg.expand", "2", "4"), ("ssm_cfg.dt_rank", "\"auto\"", "5"), ("ssm_cfg.dt_min", "1e-3", "0.01"), ("ssm_cfg.dt_max", "0.1", "1"),
                ("ssm_cfg.dt_init", "\"random\"", "\"constant\""), ("ssm_cfg.dt_scale", "1", "2"), ("ssm_cfg.dt_init_floor", "1e-4", "1e-3"),
                ("ssm_cfg.conv_bias", "true", "false"), ("ssm_cfg.bias", "false", "true")]
            : [("d_inner", "128", "256"), ("intermediate_size", "128", "64"), ("layer_norm_epsilon", "0.00001", "1e-6"),
                ("tie_word_embeddings", "true", "false"), ("state_size", "16", "8"), ("conv_kernel", "4", "3"), ("expand", "2", "4"),
                ("time_step_rank", "4", "5"), ("time_step_min", "1e-3", "0.01"), ("time_step_max", "0.1", "1"),
                ("time_step_init_scheme", "\"random\"", "\"constant\""), ("time_step_scale", "1", "2"), ("time_step_floor", "1e-4", "1e-3"),
                ("use_conv_bias", "true", "false"), ("use_bias", "false", "true"), ("hidden_act", "\"silu\"", "\"gelu\"")];
        MambaConfig expected = MambaConfig.FromJson(right);
        foreach ((string name, string same, string other) in words)
        {
            foreach (string agreeing in (string[])[same, "null"])
                if (!(agreeing == "null" && name == "ssm_cfg.dt_rank"))
                    Assert.That(MambaConfig.FromJson(With(right, (name, agreeing))).ToJson(), Is.EqualTo(expected.ToJson()), name);
            Refuse(With(right, (name, other)), name);
            Refuse(With(right, (name, "{}")), name);
        }
    }

    [Test]
    public void Where_expand_and_the_inner_width_differ_Hugging_Face_takes_the_width() =>
        Assert.That(MambaConfig.FromJson(With(HuggingFace, ("intermediate_size", "256"), ("d_inner", "256"), ("expand", "16"))).SsmCfg.Expand, Is.EqualTo(4));

    [Test]
    public void The_largest_sizes_do_not_overflow()
    {
        foreach (string width in (string[])["2147483647", "1073741824", "2147483632"])
        {
            Refuse(With(Official, ("d_model", width)), width);
            Refuse($$"""{ "hidden_size": {{width}}, "num_hidden_layers": 1, "model_type": "mamba" }""", width);
        }
        Assert.That((new MambaConfig { DModel = int.MaxValue }).DtRank, Is.EqualTo(1 << 27));
    }

    // ---- train.json -------------------------------------------------------------------------------

    [Test]
    public void Options_of_a_run_that_make_no_sense_are_one_clear_line()
    {
        var options = new TrainOptions { Task = "induction-heads", Stages = [new(12, 2, 3)] };
        var config = new MambaConfig { DModel = 8, NLayer = 1, VocabSize = 16 };
        void Wrong(string field, string value, string mention)
        {
            string json = With(options.ToJson(), (field, value));
            MambaException? e = Assert.Throws<MambaException>(() => TrainOptions.FromJson(json, "run/train.json").Validate(config), json);
            Assert.That(e!.Message, Does.Contain(mention).And.Not.Contain("\n"), json);
        }

        Assert.That(() => TrainOptions.FromJson(options.ToJson()).Validate(config), Throws.Nothing);
        foreach (string value in (string[])["1e400", "-1", "NaN", "\"1\"", "null", "[]"])
            foreach ((string field, string mention) in ((string, string)[])[
                ("learning_rate", "l"), ("weight_decay", "weight"), ("clip", "clip"), ("beta1", "beta"), ("beta2", "beta"), ("eps", "eps"),
                ("warmup", "warmup"), ("checkpoint_every", "checkpoint"), ("max_eval_length", "max"), ("seed", "seed")])
                Wrong(field, value, value is "NaN" ? "" : value is "1e400" or "-1" ? mention : field);
        foreach (string stages in (string[])["[]", "[null]", "null", "{}", "[1]", "[{}]", """[{"length":12,"batch":2}]"""])
            Wrong("stages", stages, "tage");
        foreach ((string field, string value, string mention) in ((string, string, string)[])[
            ("rate", "1e400", "rate"), ("rate", "0", "rate"), ("until_accuracy", "1e400", "until_accuracy"), ("until_accuracy", "-1", "until_accuracy"),
            ("steps", "9223372036854775807", "steps"), ("batch", "0", "batch"), ("length", "2147483647", "too large")])
        {
            string right = field == "length" ? "12" : field == "batch" ? "2" : field == "steps" ? "3" : "1";
            string stage = """[{"length":12,"batch":2,"steps":3,"rate":1}]""".Replace($"\"{field}\":{right}", $"\"{field}\":{value}");
            Wrong("stages", field == "until_accuracy" ? stage.Replace("\"rate\":1}", $"\"until_accuracy\":{value}}}") : stage, mention);
        }
        Wrong("stages", $"[{string.Join(',', Enumerable.Repeat("""{"length":12,"batch":2,"steps":4611686018427387903}""", 3))}]", "steps");
        Wrong("task", "\"counting\"", "counting");
        Wrong("dtype", "\"float16\"", "float16");
        Wrong("unknown", "1", "unknown");
        string good = options.ToJson(), seededTwice = good.Replace("\"seed\": 0", "\"seed\": 0, \"seed\": 1");
        foreach (string wrong in (string[])["", "{", "{}", "null", "[]", "1", good + good, seededTwice])
            Assert.That(() => TrainOptions.FromJson(wrong, "run/train.json"),
                Throws.TypeOf<MambaException>().With.Message.StartsWith("run/train.json: ").And.Message.Not.Contains("\n"), wrong);
    }

    [Test]
    public void The_tokens_left_of_the_longest_training_can_be_counted()
    {
        var stage = new Stage(1 << 20, 1 << 10, long.MaxValue / 4);
        var options = new TrainOptions { Task = "induction-heads", Stages = [stage, stage] };
        Assert.That(options.TokensLeft(new TrainState()), Is.EqualTo(long.MaxValue / 2));
    }
}
