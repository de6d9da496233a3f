using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>
/// Hugging Face's config.json of a <c>MambaForCausalLM</c> or a <c>FalconMambaForCausalLM</c>, with the defaults that their configs share. Here the
/// vocabulary is the number of rows of the embedding, padding included, and every norm is RMSNorm.
/// <see href="https://github.com/huggingface/transformers/blob/main/src/transformers/models/mamba/configuration_mamba.py"/>
/// </summary>
internal sealed record HuggingFaceConfig
{
    public int VocabSize { get; init; } = 50280;
    public int HiddenSize { get; init; } = 768;
    public int StateSize { get; init; } = 16;
    public int NumHiddenLayers { get; init; } = 32;
    public double LayerNormEpsilon { get; init; } = 1e-5;
    public int Expand { get; init; } = 2;
    public int? IntermediateSize { get; init; }
    public int ConvKernel { get; init; } = 4;
    public bool UseBias { get; init; }
    public bool UseConvBias { get; init; } = true;
    public string HiddenAct { get; init; } = "silu";
    public bool ResidualInFp32 { get; init; } = true;
    public bool TieWordEmbeddings { get; init; } = true;
    [JsonConverter(typeof(AutoRank))] public int? TimeStepRank { get; init; }
    public double TimeStepScale { get; init; } = 1;
    public double TimeStepMin { get; init; } = 0.001;
    public double TimeStepMax { get; init; } = 0.1;
    public string TimeStepInitScheme { get; init; } = "random";
    public double TimeStepFloor { get; init; } = 1e-4;
    public string? ModelType { get; init; }
    public IReadOnlyList<string>? Architectures { get; init; }
    public double? MixerRmsEps { get; init; }
    public bool? UseFalconMambapy { get; init; }

    /// <summary>Falcon-Mamba's, where the file says so; an early copy of it, quantized, calls itself a mamba and is known by its sizes.</summary>
    bool HasNorms => ModelType == FalconType || Architectures?.Contains(FalconArchitecture, StringComparer.Ordinal) == true || MixerRmsEps is not null
        || UseFalconMambapy is not null || (HiddenSize == 4096 && TimeStepRank == 256 && VocabSize == 65024);

    public const string FalconType = "falcon_mamba", FalconArchitecture = "FalconMambaForCausalLM";

    const double FalconEpsilon = 1e-6;          // where the file has none, as the first ones

    /// <summary>Whether a config.json, an object, is one of these: the official ones have a d_model and no hidden_size.</summary>
    public static bool Recognizes(JsonElement root) =>
        root.TryGetProperty("hidden_size", out _) || root.TryGetProperty("num_hidden_layers", out _);

    /// <summary>The same model in the official words.</summary>
    public MambaConfig ToMambaConfig()
    {
        if (HiddenAct != "silu")
            throw new MambaException($"MambaConfig: hidden_act is {Safetensors.Quote(HiddenAct)}; only 'silu' is implemented.");
        int expand = Expand;
        if (IntermediateSize is { } inner)          // where both are given, Hugging Face's model takes this one
        {
            if (HiddenSize < 1 || inner % HiddenSize != 0)
                throw new MambaException($"MambaConfig: intermediate_size is {inner}; expected a multiple of hidden_size, {HiddenSize}.");
            expand = inner / HiddenSize;
        }
        return new MambaConfig
        {
            DModel = HiddenSize,
            NLayer = NumHiddenLayers,
            VocabSize = VocabSize,
            PadVocabSizeMultiple = 1,
            ResidualInFp32 = ResidualInFp32,
            TieEmbeddings = TieWordEmbeddings,
            NormEpsilon = LayerNormEpsilon,
            SsmCfg = new SsmConfig
            {
                DState = StateSize,
                DConv = ConvKernel,
                Expand = expand,
                DtRank = TimeStepRank,
                DtMin = TimeStepMin,
                DtMax = TimeStepMax,
                DtInit = TimeStepInitScheme,
                DtScale = TimeStepScale,
                DtInitFloor = TimeStepFloor,
                ConvBias = UseConvBias,
                Bias = UseBias,
                MixerRmsEps = HasNorms ? MixerRmsEps ?? FalconEpsilon : null,
            },
        };
    }
}
