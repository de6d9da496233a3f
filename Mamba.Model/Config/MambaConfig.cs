using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>Sizes and choices of a Mamba language model: every field of the official config.json, under the same names in snake case.</summary>
public sealed record MambaConfig
{
    /// <summary>Width of the residual stream, D.</summary>
    public int DModel { get; init; } = 2560;

    /// <summary>Hidden width of a gated MLP after each block, rounded up to a multiple of 128; 0: no MLP, as in the released Mamba-1 models.</summary>
    public int DIntermediate { get; init; }

    /// <summary>Number of blocks.</summary>
    public int NLayer { get; init; } = 64;

    /// <summary>Number of token ids; the embedding is padded to a multiple of <see cref="PadVocabSizeMultiple"/>.</summary>
    public int VocabSize { get; init; } = 50277;

    /// <summary>The kind of the blocks and their settings: <c>ssm_cfg</c> in the file.</summary>
    [JsonPropertyName("ssm_cfg"), JsonConverter(typeof(MixerJson))]
    public MixerConfig Mixer { get; init; } = new SsmConfig();

    /// <summary><see cref="Mixer"/>, of a model of Mamba-1 blocks.</summary>
    /// <exception cref="MambaException">The blocks are of another kind.</exception>
    [JsonIgnore]
    public SsmConfig SsmCfg
    {
        get => Mixer as SsmConfig
            ?? throw new MambaException($"MambaConfig: the blocks are {Mixer.Layer}, whose settings are in Mixer; SsmCfg has those of Mamba1.");
        init => Mixer = value;
    }

    /// <summary>Layers with attention; only none exists here.</summary>
    public IReadOnlyList<int> AttnLayerIdx { get; init; } = [];

    /// <summary>RMSNorm; LayerNorm with a bias when false.</summary>
    public bool RmsNorm { get; init; } = true;

    /// <summary>
    /// Whether the residual stays in float32 when the weights do not. Weights here are float32 or float64, so it always has their dtype or better.
    /// </summary>
    public bool ResidualInFp32 { get; init; } = true;

    /// <summary>Whether residual add and norm are one kernel. They always are here.</summary>
    public bool FusedAddNorm { get; init; } = true;

    /// <summary>The embedding has a multiple of this many rows.</summary>
    public int PadVocabSizeMultiple { get; init; } = 8;

    /// <summary>Whether the head uses the embedding's weight.</summary>
    public bool TieEmbeddings { get; init; } = true;

    /// <summary>ε of the norms.</summary>
    public double NormEpsilon { get; init; } = 1e-5;

    /// <summary>What a <see cref="SequenceModel"/> reads; null: tokens of the vocabulary, as a language model.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public InputConfig? Input { get; init; }

    /// <summary>What a <see cref="SequenceModel"/> has after the backbone; null: the config is of a language model.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public HeadConfig? Head { get; init; }

    /// <summary>
    /// How blocks make steps of the continuous system; exponential-Euler, as the released code, unless set. Another is honoured by forward, step and training,
    /// and written to the file.
    /// </summary>
    [JsonIgnore]
    public Discretization Discretization { get; init; } = Discretization.ExponentialEuler;

    /// <summary>How blocks compute their scan: the fused kernel unless set. All give the same to rounding.</summary>
    [JsonIgnore]
    public ScanAlgorithm ScanAlgorithm { get; init; } = ScanAlgorithm.Chunked;

    [JsonInclude, JsonPropertyName("discretization"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    internal string? DiscretizationName
    {
        get => Discretization == Discretization.ExponentialEuler ? null : Discretization.Name;
        init => Discretization = value is null ? Discretization.ExponentialEuler : Discretization.Named(value);
    }

    [JsonInclude, JsonPropertyName("scan_algorithm"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    internal string? ScanAlgorithmName
    {
        get => ScanAlgorithm == ScanAlgorithm.Chunked ? null : ScanAlgorithm.Name;
        init => ScanAlgorithm = value is null ? ScanAlgorithm.Chunked : ScanAlgorithm.Named(value);
    }

    /// <summary>Width of the inner stream of a Mamba-1 block, d = expand · d_model.</summary>
    [JsonIgnore] public int DInner => SsmCfg.Expand * DModel;

    /// <summary>Rank of delta's projection in a Mamba-1 block, r: ⌈d_model / 16⌉ unless set.</summary>
    [JsonIgnore] public int DtRank => SsmCfg.DtRank ?? AutomaticDtRank;

    internal int AutomaticDtRank => DModel / 16 + (DModel % 16 == 0 ? 0 : 1);

    /// <summary>Rows of the embedding.</summary>
    [JsonIgnore] public int PaddedVocabSize => (VocabSize + PadVocabSizeMultiple - 1) / PadVocabSizeMultiple * PadVocabSizeMultiple;

    /// <summary>Throws one clear line if a model cannot be built from this.</summary>
    /// <exception cref="MambaException">A field is out of its range: the line says which, what it is and what was expected.</exception>
    public void Validate() => Validate(name => name);

    /// <summary>The same, with a dialect's words for the fields.</summary>
    internal void Validate(Func<string, string> word)
    {
        ConfigField.Positive(DModel, word("d_model"));
        ConfigField.Positive(NLayer, word("n_layer"));
        ConfigField.Positive(VocabSize, "vocab_size");
        ConfigField.Positive(PadVocabSizeMultiple, "pad_vocab_size_multiple");
        ConfigField.Between(DIntermediate, 0, int.MaxValue / 2 - GatedMlp.Multiple, word("d_intermediate"));
        if ((long)VocabSize + PadVocabSizeMultiple > int.MaxValue)
            throw new MambaException($"MambaConfig: vocab_size {VocabSize}: a weight of such a model has more rows than can be counted.");
        if (AttnLayerIdx.Count != 0)
            throw new MambaException($"MambaConfig: attn_layer_idx is [{string.Join(", ", AttnLayerIdx)}]; attention layers are not implemented, expected [].");
        ConfigField.NotNegative(NormEpsilon, word("norm_epsilon"));
        if (Input is not null && Head is null)
            throw new MambaException("MambaConfig: input is given without a head; a language model reads tokens.");
        Input?.Validate();
        Head?.Validate(Input);
        Mixer.Validate(this, word);
    }

    /// <summary>The official config.json.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, ConfigFile.Json);

    /// <summary>Its JSON.</summary>
    public override string ToString() => ToJson();

    /// <summary>Reads a config.json, the official one or Hugging Face's; fields it lacks take their defaults, sizes excepted.</summary>
    /// <param name="json">The text.</param>
    /// <exception cref="MambaException">It is no JSON, no config of such a model, or a field is wrong.</exception>
    public static MambaConfig FromJson(string json) => ConfigFile.Read(json);
}
