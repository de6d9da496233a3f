namespace Mamba.Tests;

/// <summary>Small sequence models of every kind, and sequences for them.</summary>
internal static class SequenceCases
{
    public const int Vocabulary = 11, Channels = 3;

    static readonly Dictionary<string, MambaConfig> Backbones = new(StringComparer.Ordinal)
    {
        ["plain"] = new() { DModel = 8, NLayer = 2, SsmCfg = new SsmConfig { DState = 4 } },
        ["LayerNorm, MLP, biases, untied"] = new()
        {
            DModel = 5,
            NLayer = 2,
            RmsNorm = false,
            TieEmbeddings = false,
            DIntermediate = 6,
            SsmCfg = new SsmConfig { DState = 3, DConv = 2, Bias = true },
        },
        ["Falcon norms"] = new() { DModel = 6, NLayer = 1, SsmCfg = new SsmConfig { DState = 2, MixerRmsEps = 1e-6 } },
        ["both ways"] = new()
        {
            DModel = 6,
            NLayer = 2,
            Mixer = new BidirectionalConfig { Inner = new SsmConfig { DState = 3, DConv = 3 } },
        },
        ["both ways, tied"] = new()
        {
            DModel = 5,
            NLayer = 1,
            Mixer = new BidirectionalConfig { Inner = new SsmConfig { DState = 2 }, Tied = true },
        },
        ["looks back"] = new() { DModel = 7, NLayer = 2, Discretization = Discretization.ExponentialTrapezoidal, SsmCfg = new SsmConfig { DState = 3 } },
    };

    static readonly Dictionary<string, InputConfig?> Inputs = new(StringComparer.Ordinal)
    {
        ["tokens"] = null,
        ["numbers"] = new InputConfig { Channels = Channels, Mean = [0.5, -1, 0], Deviation = [2, 0.5, 1] },
        ["patches"] = new InputConfig { Channels = Channels, Patch = 4, Mean = [0.5, -1, 0] },
    };

    static readonly Dictionary<string, HeadConfig> Heads = new(StringComparer.Ordinal)
    {
        ["next token"] = new() { Kind = HeadConfig.NextToken },
        ["next value"] = new() { Kind = HeadConfig.NextValue, Outputs = 3 },
        ["classes by the mean"] = new() { Kind = HeadConfig.Classes, Outputs = 4 },
        ["classes by the last"] = new() { Kind = HeadConfig.Classes, Outputs = 4, Pool = Pooling.Last },
        ["classes by a gate"] = new() { Kind = HeadConfig.Classes, Outputs = 4, Pool = Pooling.Gated },
        ["regression"] = new() { Kind = HeadConfig.Regression, Outputs = 2, Pool = Pooling.Gated },
    };

    /// <summary>Every name: <c>plain, tokens, next token</c>.</summary>
    public static readonly string[] Names =
    [
        .. from backbone in Backbones.Keys
           from input in Inputs.Keys
           from head in Heads.Keys
           where head switch { "next token" => input == "tokens", "next value" => input == "numbers", _ => true }
           select $"{backbone}; {input}; {head}",
    ];

    /// <summary>Those that read in pieces: one way, with a head for the sequence as a whole.</summary>
    public static readonly string[] Pooled =
        [.. Names.Where(name => Config(name) is { Head.IsPooled: true, Mixer: not BidirectionalConfig })];

    public static MambaConfig Config(string name)
    {
        string[] parts = name.Split("; ");
        return Backbones[parts[0]] with { VocabSize = Vocabulary, Input = Inputs[parts[1]], Head = Heads[parts[2]] };
    }

    /// <summary>A model with ordinary numbers everywhere.</summary>
    public static SequenceModel Model(string name, Device device, DType dtype = DType.Float64) => Model(Config(name), device, dtype);

    public static SequenceModel Model(MambaConfig config, Device device, DType dtype = DType.Float64)
    {
        var model = new SequenceModel(config, device, seed: 1, dtype);
        TestData.Stir(model.Parameters);
        return model;
    }

    /// <summary>Values of one sequence, as <see cref="On"/> takes them: tokens or numbers.</summary>
    public static double[] Draw(MambaConfig config, int length, int seed) => config.Input is { } input
        ? [.. TestData.Uniform((long)length * input.Channels, seed, -2, 2).Select(value => (double)(float)value)]
        : [.. TestData.Uniform(length, seed, 0, Vocabulary).Select(Math.Floor)];

    /// <summary>(b, l) tokens or (b, l, c) numbers.</summary>
    public static Tensor On(SequenceModel model, double[] values, int b, int l) => model.Config.Input is { } input
        ? Tensor.From(values, (b, l, input.Channels), model.Parameters.DType, model.Parameters.Device)
        : Tensor.From(Array.ConvertAll(values, value => (int)value), (b, l), model.Parameters.Device);

    /// <summary>The largest difference, relative to the largest value; to 1e-3 where all are smaller: that of a gate over one position is 0.</summary>
    public static double Error(IReadOnlyList<double> actual, IReadOnlyList<double> expected)
    {
        double scale = expected.Select(Math.Abs).DefaultIfEmpty().Max();
        return TestData.RelativeError(actual, expected) * Math.Max(scale, 1e-30) / Math.Max(scale, 1e-3);
    }

    public static double[][] Values(this Gradients gradients, SequenceModel model) => [.. model.Parameters.Select(p => gradients[p].ToDoubles())];
}
