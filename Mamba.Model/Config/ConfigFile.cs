using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>
/// Reads a config.json, in state-spaces' words or in Hugging Face's. Nothing is taken for a Mamba-1 model, or Falcon-Mamba's variant of it, that does not say
/// so: a file names its architecture in <c>model_type</c> and <c>architectures</c>, or gives it away by fields that no Mamba-1 model
/// has. Blocks of another kind of <see cref="Mixers"/> are named in <c>ssm_cfg.layer</c>, in state-spaces' words. Fields nobody knows are passed
/// over; a field that is there in both dialects must say the same in both.
/// </summary>
internal static class ConfigFile
{
    public static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        RespectNullableAnnotations = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>What the two dialects call the same thing; state-spaces' fields of a block are in <c>ssm_cfg</c>.</summary>
    static readonly (string Official, bool OfBlock, string? HuggingFace)[] Words =
    [
        ("d_model", false, "hidden_size"),
        ("n_layer", false, "num_hidden_layers"),
        ("norm_epsilon", false, "layer_norm_epsilon"),
        ("tie_embeddings", false, "tie_word_embeddings"),
        ("rms_norm", false, null),
        ("d_intermediate", false, null),
        ("attn_layer_idx", false, null),
        ("discretization", false, null),
        ("scan_algorithm", false, null),
        ("d_state", true, "state_size"),
        ("d_conv", true, "conv_kernel"),
        ("expand", true, "expand"),
        ("dt_rank", true, "time_step_rank"),
        ("dt_min", true, "time_step_min"),
        ("dt_max", true, "time_step_max"),
        ("dt_init", true, "time_step_init_scheme"),
        ("dt_scale", true, "time_step_scale"),
        ("dt_init_floor", true, "time_step_floor"),
        ("conv_bias", true, "use_conv_bias"),
        ("bias", true, "use_bias"),
        ("mixer_rms_eps", true, "mixer_rms_eps"),
        ("layer", true, null),
    ];

    /// <summary>Fields that a Mamba-1 model has not, and whose they are.</summary>
    static readonly (string Field, string Of)[] Foreign =
    [
        ("num_heads", "Mamba-2"), ("head_dim", "Mamba-2"), ("n_groups", "Mamba-2"), ("chunk_size", "Mamba-2"), ("time_step_limit", "Mamba-2"),
        ("norm_before_gate", "Mamba-2"),
        ("mamba_d_state", "Jamba"), ("mamba_d_conv", "Jamba"), ("mamba_expand", "Jamba"), ("attn_layer_period", "Jamba"), ("expert_layer_period", "Jamba"),
        ("num_experts", "a mixture of experts"),
        ("num_attention_heads", "a model with attention"), ("num_key_value_heads", "a model with attention"), ("layers_block_type", "a model with attention"),
    ];

    /// <summary>The same, in <c>ssm_cfg</c>.</summary>
    static readonly (string Field, string Of)[] ForeignInBlock =
    [
        ("rope_fraction", "Mamba-3"), ("is_mimo", "Mamba-3"), ("mimo_rank", "Mamba-3"), ("A_floor", "Mamba-3"), ("is_outproj_norm", "Mamba-3"),
        ("headdim", "Mamba-2"), ("ngroups", "Mamba-2"), ("nheads", "Mamba-2"), ("d_ssm", "Mamba-2"), ("A_init_range", "Mamba-2"),
        ("D_has_hdim", "Mamba-2"), ("rmsnorm", "Mamba-2"), ("norm_before_gate", "Mamba-2"), ("dt_limit", "Mamba-2"), ("chunk_size", "Mamba-2"),
    ];

    /// <exception cref="MambaException">It is no JSON, no config of a Mamba-1 model, or a field is wrong.</exception>
    public static MambaConfig Read(string json)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(JsonText.FromPython(json), JsonText.NamesOnce);
            return Read(document.RootElement);
        }
        catch (Exception e) when (JsonText.IsMalformed(e))
        {
            throw new MambaException($"MambaConfig: the JSON cannot be read: {InputFile.Sentence(e)}", e);
        }
    }

    static MambaConfig Read(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object)
            throw new MambaException("MambaConfig: this is no config of a model: it is no JSON object.");
        ExpectMamba1(root);
        bool huggingFace = HuggingFaceConfig.Recognizes(root);
        bool isConfig = huggingFace
            ? HasAny(root, "state_size", "conv_kernel", "time_step_rank", "model_type", "architectures")
            : Has(root, "d_model") && HasAny(root, "n_layer", "ssm_cfg");
        if (!isConfig)
            throw new MambaException("MambaConfig: this is no config of a Mamba model: it has neither d_model and n_layer, as state-spaces', "
                + "nor hidden_size and state_size, as Hugging Face's.");
        MambaConfig config = huggingFace ? root.Deserialize<HuggingFaceConfig>(Json)!.ToMambaConfig() : root.Deserialize<MambaConfig>(Json)!;
        config.Validate(name => huggingFace ? Words.FirstOrDefault(word => word.Official == name).HuggingFace ?? name : name);
        ExpectAgreement(root, config, huggingFace);
        if (!huggingFace && IsFalcon(root) && config.Mixer is SsmConfig { MixerRmsEps: null })
            throw new MambaException("MambaConfig: this is a Falcon-Mamba, but ssm_cfg.mixer_rms_eps, the epsilon of its norms, is missing.");
        return config;
    }

    static bool IsFalcon(JsonElement root) => Has(root, "use_falcon_mambapy")
        || (Find(root, "model_type") is { } type && type.GetString() == HuggingFaceConfig.FalconType)
        || (Find(root, "architectures") is { } names && names.EnumerateArray().Any(name => name.GetString() == HuggingFaceConfig.FalconArchitecture));

    static void ExpectMamba1(JsonElement root)
    {
        if (Find(root, "model_type") is { } type
            && (type.ValueKind != JsonValueKind.String || type.GetString() is not ("mamba" or HuggingFaceConfig.FalconType)))
            throw new MambaException($"MambaConfig: model_type is {Quote(type)}; only 'mamba' and 'falcon_mamba' are implemented.");
        if (Find(root, "architectures") is { } architectures)
        {
            if (architectures.ValueKind != JsonValueKind.Array)
                throw new MambaException($"MambaConfig: architectures is {Quote(architectures)}; expected a list of names.");
            foreach (JsonElement name in architectures.EnumerateArray())
                if (name.ValueKind != JsonValueKind.String
                    || name.GetString() is not ("MambaForCausalLM" or "MambaLMHeadModel" or HuggingFaceConfig.FalconArchitecture))
                    throw new MambaException($"MambaConfig: architectures has {Quote(name)}; "
                        + "only 'MambaForCausalLM' and 'FalconMambaForCausalLM' are implemented.");
        }
        ExpectNone(root, Foreign, "");
        if (Find(root, "ssm_cfg") is { ValueKind: JsonValueKind.Object } block && IsMamba1(Find(block, "layer")))
            ExpectNone(block, ForeignInBlock, "ssm_cfg.");

        static bool IsMamba1(JsonElement? layer) => layer is null || (layer.Value.ValueKind == JsonValueKind.String && layer.Value.GetString() == "Mamba1");
    }

    static void ExpectNone(JsonElement element, (string Field, string Of)[] fields, string where)
    {
        foreach ((string field, string of) in fields)
            if (Has(element, field))
                throw new MambaException($"MambaConfig: {where}{field} is a field of {of}; only Mamba-1 is implemented.");
    }

    // A file of either dialect may have words of the other; where they are not what is read, they must not contradict it.
    static void ExpectAgreement(JsonElement root, MambaConfig config, bool huggingFace)
    {
        bool mamba1 = config.Mixer.GetType() == typeof(SsmConfig);
        JsonElement read = JsonSerializer.SerializeToElement(mamba1 ? config with { SsmCfg = config.SsmCfg with { DtRank = config.DtRank } } : config, Json);
        foreach ((string official, bool ofBlock, string? other) in Words)
        {
            if (ofBlock && !mamba1)
                continue;                   // another kind of block has words of its own
            JsonElement value = (ofBlock ? Find(read, "ssm_cfg", official) : Find(read, official)) ?? Unset(official);
            if (huggingFace && (ofBlock ? Find(root, "ssm_cfg", official) : Find(root, official)) is { } said && !Same(said, value))
                throw Contradiction(ofBlock ? $"ssm_cfg.{official}" : official, said, other ?? "that of Hugging Face's model", value);
            if (!huggingFace && other is not null && Find(root, other) is { } saidThere && !Same(saidThere, value))
                throw Contradiction(other, saidThere, ofBlock ? $"ssm_cfg.{official}" : official, value);
        }
        foreach (string name in (string[])["d_inner", "intermediate_size"])
            if (mamba1 && Find(root, name) is { } inner && !(inner.ValueKind == JsonValueKind.Number && inner.TryGetInt64(out long d) && d == config.DInner))
                throw new MambaException($"MambaConfig: {name} is {Quote(inner)}; "
                    + $"expand {config.SsmCfg.Expand} and a width of {config.DModel} make it {config.DInner}.");
        if (!huggingFace && Find(root, "hidden_act") is { } act && !(act.ValueKind == JsonValueKind.String && act.GetString() == "silu"))
            throw new MambaException($"MambaConfig: hidden_act is {Quote(act)}; only 'silu' is implemented.");

        bool Same(JsonElement said, JsonElement value) => said.ValueKind == JsonValueKind.Number && value.ValueKind == JsonValueKind.Number
            ? said.GetDouble() == value.GetDouble()
            : said.ValueKind == JsonValueKind.String && said.GetString() == "auto"
            ? value.GetDouble() == config.AutomaticDtRank
            : JsonElement.DeepEquals(said, value);

        // what is not written where it is as usual
        static JsonElement Unset(string name) => JsonSerializer.SerializeToElement(name switch
        {
            "discretization" => Discretization.ExponentialEuler.Name,
            "scan_algorithm" => ScanAlgorithm.Chunked.Name,
            _ => null,
        });

        static MambaException Contradiction(string name, JsonElement said, string other, JsonElement value) =>
            new($"MambaConfig: {name} is {Quote(said)}, but {other} is {Quote(value)}; they are two words for one thing.");
    }

    static JsonElement? Find(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null
            ? value
            : null;

    static JsonElement? Find(JsonElement element, string holder, string name) => Find(element, holder) is { } inner ? Find(inner, name) : null;

    static bool Has(JsonElement element, string name) => Find(element, name) is not null;

    static bool HasAny(JsonElement element, params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
            if (Has(element, name))
                return true;
        return false;
    }

    static string Quote(JsonElement value) =>
        value.ValueKind == JsonValueKind.String ? Safetensors.Quote(value.GetString()!) : Safetensors.OneLine(value.GetRawText());
}
