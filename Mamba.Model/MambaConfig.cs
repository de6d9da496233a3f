using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>Sizes and choices of a Mamba language model: every field of the official config.json, under the same names in snake case.</summary>
public sealed record MambaConfig
{
    /// <summary>Width of the residual stream, D.</summary>
    public int DModel { get; init; } = 2560;

    /// <summary>Hidden width of an MLP between the blocks. Only 0, no MLP, exists in Mamba-1.</summary>
    public int DIntermediate { get; init; }

    /// <summary>Number of blocks.</summary>
    public int NLayer { get; init; } = 64;

    /// <summary>Number of token ids; the embedding is padded to a multiple of <see cref="PadVocabSizeMultiple"/>.</summary>
    public int VocabSize { get; init; } = 50277;

    /// <summary>The settings of each block.</summary>
    public SsmConfig SsmCfg { get; init; } = new();

    /// <summary>Layers with attention; only none exists here.</summary>
    public IReadOnlyList<int> AttnLayerIdx { get; init; } = [];

    /// <summary>RMSNorm; LayerNorm with a bias when false.</summary>
    public bool RmsNorm { get; init; } = true;

    /// <summary>Whether the residual stays in float32 when the weights do not. Weights here are float32 or float64, so it always has their dtype or better.</summary>
    public bool ResidualInFp32 { get; init; } = true;

    /// <summary>Whether residual add and norm are one kernel. They always are here.</summary>
    public bool FusedAddNorm { get; init; } = true;

    /// <summary>The embedding has a multiple of this many rows.</summary>
    public int PadVocabSizeMultiple { get; init; } = 8;

    /// <summary>Whether the head uses the embedding's weight.</summary>
    public bool TieEmbeddings { get; init; } = true;

    /// <summary>ε of the norms.</summary>
    public double NormEpsilon { get; init; } = 1e-5;

    /// <summary>Width of the inner stream, d = expand · d_model.</summary>
    [JsonIgnore] public int DInner => SsmCfg.Expand * DModel;

    /// <summary>Rank of delta's projection, r: ⌈d_model / 16⌉ unless set.</summary>
    [JsonIgnore] public int DtRank => SsmCfg.DtRank ?? AutomaticDtRank;

    internal int AutomaticDtRank => DModel / 16 + (DModel % 16 == 0 ? 0 : 1);

    /// <summary>Rows of the embedding.</summary>
    [JsonIgnore] public int PaddedVocabSize => (VocabSize + PadVocabSizeMultiple - 1) / PadVocabSizeMultiple * PadVocabSizeMultiple;

    /// <summary>Throws one clear line if a model cannot be built from this.</summary>
    public void Validate() => Validate(name => name);

    /// <summary>The same, with a dialect's words for the fields.</summary>
    internal void Validate(Func<string, string> word)
    {
        Positive(DModel, "d_model");
        Positive(NLayer, "n_layer");
        Positive(VocabSize, "vocab_size");
        Positive(PadVocabSizeMultiple, "pad_vocab_size_multiple");
        Positive(SsmCfg.Expand, "expand");
        Positive(DtRank, "dt_rank");
        Between(SsmCfg.DState, 1, 256, "d_state");
        Between(SsmCfg.DConv, 1, 8, "d_conv");
        if (2L * SsmCfg.Expand * DModel > int.MaxValue || (long)VocabSize + PadVocabSizeMultiple > int.MaxValue || DtRank > int.MaxValue / 2)
            throw new MambaException($"MambaConfig: expand {SsmCfg.Expand}, {word("d_model")} {DModel}, vocab_size {VocabSize}, {word("dt_rank")} {DtRank}: a weight of such a model has more rows than can be counted.");
        if (DIntermediate != 0)
            throw new MambaException($"MambaConfig: d_intermediate is {DIntermediate}; a Mamba-1 model has no MLP, expected 0.");
        if (AttnLayerIdx.Count != 0)
            throw new MambaException($"MambaConfig: attn_layer_idx is [{string.Join(", ", AttnLayerIdx)}]; attention layers are not implemented, expected [].");
        if (SsmCfg.Layer != "Mamba1")
            throw new MambaException($"MambaConfig: ssm_cfg.layer is {Safetensors.Quote(SsmCfg.Layer)}; only 'Mamba1' is implemented.");
        if (SsmCfg.DtInit is not ("random" or "constant"))
            throw new MambaException($"MambaConfig: {word("dt_init")} is {Safetensors.Quote(SsmCfg.DtInit)}; expected 'random' or 'constant'.");
        if (!(SsmCfg.DtMin > 0 && SsmCfg.DtMax >= SsmCfg.DtMin && double.IsFinite(SsmCfg.DtMax)))
            throw new MambaException($"MambaConfig: {word("dt_min")} is {SsmCfg.DtMin} and {word("dt_max")} {SsmCfg.DtMax}; expected 0 < {word("dt_min")} <= {word("dt_max")}.");
        NotNegative(SsmCfg.DtScale, "dt_scale");
        NotNegative(SsmCfg.DtInitFloor, "dt_init_floor");
        NotNegative(NormEpsilon, "norm_epsilon");

        void Positive(int value, string name) => Between(value, 1, int.MaxValue, name);

        // Beyond float32 an epsilon would be infinite, and every output 0.
        void NotNegative(double value, string name)
        {
            if (!(value >= 0 && value <= float.MaxValue))
                throw new MambaException($"MambaConfig: {word(name)} is {value}; expected a number from 0 to {float.MaxValue}.");
        }

        void Between(int value, int low, int high, string name)
        {
            if (value < low || value > high)
                throw new MambaException($"MambaConfig: {word(name)} is {value}; expected {(high == int.MaxValue ? $"{low} or more" : $"{low} to {high}")}.");
        }
    }

    /// <summary>The official config.json.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, ConfigFile.Json);

    /// <summary>Reads a config.json, the official one or Hugging Face's; fields it lacks take their defaults, sizes excepted.</summary>
    /// <exception cref="MambaException">It is no JSON, no config of a Mamba-1 model, or a field is wrong.</exception>
    public static MambaConfig FromJson(string json) => ConfigFile.Read(json);
}

/// <summary>The settings of one Mamba block: the official <c>ssm_cfg</c>.</summary>
public sealed record SsmConfig
{
    /// <summary>Kind of block; Mamba1.</summary>
    public string Layer { get; init; } = "Mamba1";

    /// <summary>States per channel, n: 1 to 256.</summary>
    public int DState { get; init; } = 16;

    /// <summary>Width of the causal convolution, k: 1 to 8.</summary>
    public int DConv { get; init; } = 4;

    /// <summary>d_inner / d_model, E.</summary>
    public int Expand { get; init; } = 2;

    /// <summary>Rank of delta's projection; null is "auto", ⌈d_model / 16⌉.</summary>
    [JsonConverter(typeof(AutoRank))]
    public int? DtRank { get; init; }

    /// <summary>Smallest initial step size.</summary>
    public double DtMin { get; init; } = 0.001;

    /// <summary>Largest initial step size.</summary>
    public double DtMax { get; init; } = 0.1;

    /// <summary>How dt_proj.weight starts: "random" is U(±s), "constant" is s, s = r^−½ · dt_scale.</summary>
    public string DtInit { get; init; } = "random";

    /// <summary>Scale of dt_proj.weight's initial values.</summary>
    public double DtScale { get; init; } = 1;

    /// <summary>Initial step sizes are at least this.</summary>
    public double DtInitFloor { get; init; } = 1e-4;

    /// <summary>Whether the convolution has a bias.</summary>
    public bool ConvBias { get; init; } = true;

    /// <summary>Whether in_proj and out_proj have biases.</summary>
    public bool Bias { get; init; }
}
