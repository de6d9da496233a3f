using System.Text.Json.Nodes;

namespace Mamba;

/// <summary>Writes config.json in Hugging Face's words, and in state-spaces' as their code takes it.</summary>
internal static class ConfigWriter
{
    /// <summary>Hugging Face's <c>MambaConfig</c>, or <c>FalconMambaConfig</c> where the model has its norms.</summary>
    /// <exception cref="MambaException">Hugging Face has no such model.</exception>
    public static string Write(MambaConfig config, string dtype)
    {
        SsmConfig ssm = Expect(config, "Hugging Face's");
        bool isFalcon = ssm.MixerRmsEps is not null;
        var json = new JsonObject
        {
            ["architectures"] = new JsonArray(isFalcon ? HuggingFaceConfig.FalconArchitecture : "MambaForCausalLM"),
            ["model_type"] = isFalcon ? HuggingFaceConfig.FalconType : "mamba",
            ["vocab_size"] = config.PaddedVocabSize,
            ["hidden_size"] = config.DModel,
            ["intermediate_size"] = config.DInner,
            ["num_hidden_layers"] = config.NLayer,
            ["state_size"] = ssm.DState,
            ["conv_kernel"] = ssm.DConv,
            ["expand"] = ssm.Expand,
            ["time_step_rank"] = config.DtRank,
            ["time_step_min"] = ssm.DtMin,
            ["time_step_max"] = ssm.DtMax,
            ["time_step_init_scheme"] = ssm.DtInit,
            ["time_step_scale"] = ssm.DtScale,
            ["time_step_floor"] = ssm.DtInitFloor,
            ["use_bias"] = ssm.Bias,
            ["use_conv_bias"] = ssm.ConvBias,
            ["hidden_act"] = "silu",
            ["layer_norm_epsilon"] = config.NormEpsilon,
            ["residual_in_fp32"] = config.ResidualInFp32,
            ["tie_word_embeddings"] = config.TieEmbeddings,
            ["torch_dtype"] = dtype,
            ["use_cache"] = true,
        };
        if (ssm.MixerRmsEps is { } epsilon)
            json["mixer_rms_eps"] = epsilon;
        return json.ToJsonString(ConfigFile.Json);
    }

    /// <summary>state-spaces': their code takes no field that it does not know, so the usual epsilon, which it has no field for, is left out.</summary>
    public static string WriteOfficial(MambaConfig config)
    {
        JsonObject json = JsonNode.Parse(config.ToJson())!.AsObject();
        if (config.NormEpsilon == new MambaConfig().NormEpsilon)
            json.Remove("norm_epsilon");
        return json.ToJsonString(ConfigFile.Json);
    }

    /// <summary>The settings of a plain Mamba-1 model, the only one that others' programs have.</summary>
    public static SsmConfig Expect(MambaConfig config, string whose)
    {
        string? what = config.Mixer.GetType() != typeof(SsmConfig) ? $"blocks of the kind {config.Mixer.Layer}"
            : !config.RmsNorm ? "LayerNorm (rms_norm false)"
            : config.DIntermediate != 0 ? $"an MLP (d_intermediate {config.DIntermediate})"
            : config.Discretization != Discretization.ExponentialEuler ? $"the discretization {config.Discretization.Name}"
            : null;
        return what is null ? config.SsmCfg : throw new MambaException($"convert: {whose} Mamba has no {what}; the model stays as it is.");
    }
}
