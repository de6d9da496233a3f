namespace Mamba.Examples;

/// <summary>
/// A variant of the library's block: Falcon-Mamba (tiiuae/falcon-mamba-7b), which norms dt, B and C between x_proj and the scan with RMSNorms that have no
/// weights: v / √(mean(v²) + ε). All else is Mamba-1's.
/// </summary>
public sealed class FalconMamba(MambaConfig config, int layer) : MambaBlock(config, layer)
{
    public sealed record Settings : SsmConfig
    {
        public override string Layer => "FalconMamba";

        /// <summary>ε of the three norms.</summary>
        public double MixerRmsEps { get; init; } = 1e-6;

        public override Mixer Build(MambaConfig config, int layer) => new FalconMamba(config, layer);
    }

    readonly double epsilon = ((Settings)config.Mixer).MixerRmsEps;

    protected override (Tensor Dt, Tensor B, Tensor C) Refine(Tensor dt, Tensor B, Tensor C) => (Norm(dt), Norm(B), Norm(C));

    Tensor Norm(Tensor v) => v / (v.Square().Mean(-1, keepDim: true) + epsilon).Sqrt();

    public static void Run(Device device)
    {
        Mixers.Register<Settings>();
        var config = new MambaConfig { DModel = 16, NLayer = 2, VocabSize = 8, Mixer = new Settings { DState = 4 } };
        using var model = new MambaLM(config, device, seed: 1, DType.Float64);
        using var plain = new MambaLM(config with { Mixer = new SsmConfig { DState = 4 } }, device, seed: 1, DType.Float64);
        using var scope = new TensorScope();
        Tensor tokens = Tensor.From([1, 5, 2, 7], (1, 4), device);
        Console.WriteLine($"with the norms:    {model.Forward(tokens, lastOnly: true)}");
        Console.WriteLine($"without:           {plain.Forward(tokens, lastOnly: true)}");
        using MambaState state = model.NewState(1);
        Tensor stepped = tokens;
        for (int t = 0; t < 4; t++)
            stepped = model.Step(tokens[.., t], state);
        Console.WriteLine($"a token at a time: {stepped}");
    }
}
