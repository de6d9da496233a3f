namespace Mamba.Examples;

/// <summary>
/// A variant of the library's block: that of Jamba (ai21labs/Jamba-v0.1), which norms dt, B and C between x_proj and the scan with RMSNorms of weights of
/// their own. All else is Mamba-1's.
/// </summary>
public sealed class JambaMamba : MambaBlock
{
    public sealed record Settings : SsmConfig
    {
        public override string Layer => "JambaMamba";

        /// <summary>ε of the three norms.</summary>
        public double RmsNormEps { get; init; } = 1e-6;

        public override Mixer Build(MambaConfig config, int layer) => new JambaMamba(config, layer);
    }

    readonly double epsilon;
    readonly Parameter dtNorm, bNorm, cNorm;

    public JambaMamba(MambaConfig config, int layer) : base(config, layer)
    {
        var settings = (Settings)config.Mixer;
        epsilon = settings.RmsNormEps;
        dtNorm = Add("dt_layernorm.weight", config.DtRank, decay: false, Initial.Ones);
        bNorm = Add("b_layernorm.weight", settings.DState, decay: false, Initial.Ones);
        cNorm = Add("c_layernorm.weight", settings.DState, decay: false, Initial.Ones);
    }

    protected override (Tensor Dt, Tensor B, Tensor C) Refine(Tensor dt, Tensor B, Tensor C) =>
        (Ops.RmsNorm(dt, dtNorm, epsilon), Ops.RmsNorm(B, bNorm, epsilon), Ops.RmsNorm(C, cNorm, epsilon));

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
