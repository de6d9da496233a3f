using Mamba.Gpu;

namespace Mamba.Examples;

/// <summary>
/// A discretization of your own: the midpoint method, h + Δ(A h + B u) + Δ²/2 A (A h + B u), so α = 1 + z + z²/2 and γ = 1 + z/2 of z = ΔA. It runs in the
/// fused kernel, forward and backward, and a model built with it trains and steps with it.
/// </summary>
public static class OwnDiscretization
{
    public struct MidpointScheme : IDiscretization
    {
        public static bool Base2 => false;
        public static bool ScalesInput => true;
        public static bool LooksBack => false;
        static N IDiscretization.Alpha<N, V, M, T>(N z) => N.Fma(N.Fma(z, N.Of(0.5f), N.Of(1)), z, N.Of(1));
        static N IDiscretization.AlphaSlope<N, V, M, T>(N z, N alpha) => N.Of(1) + z;
        static N IDiscretization.Gamma<N, V, M, T>(N z, N alpha) => N.Fma(z, N.Of(0.5f), N.Of(1));
        static N IDiscretization.GammaSlope<N, V, M, T>(N z, N alpha, N gamma) => N.Of(0.5f);
        static N IDiscretization.Beta<N, V, M, T>(N z, N alpha) => N.Of(0);
        static N IDiscretization.BetaSlope<N, V, M, T>(N z, N alpha) => N.Of(0);
    }

    public static Discretization Midpoint { get; } = new Discretization<MidpointScheme>("midpoint");

    public static void Run(Device device)
    {
        Discretization.Register(Midpoint);                          // so that a config.json may name it
        var config = new MambaConfig { DModel = 16, NLayer = 2, VocabSize = 8, Discretization = Midpoint };
        Console.WriteLine($"from config.json again: {MambaConfig.FromJson(config.ToJson()).Discretization}");
        using var usual = new MambaLM(config with { Discretization = Discretization.ExponentialEuler }, device, seed: 1);
        using var model = new MambaLM(config, device, seed: 1);
        using MambaState state = model.NewState(1);
        using var scope = new TensorScope();
        Tensor tokens = Tensor.From([1, 5, 2, 7], (1, 4), device), logits = model.Forward(tokens)[.., ^1], stepped = logits;
        Console.WriteLine($"logits of exponential-Euler: {usual.Forward(tokens)[.., ^1]}");
        Console.WriteLine($"logits of the midpoint rule: {logits}");
        for (int t = 0; t < 4; t++)
            stepped = model.Step(tokens[.., t], state);
        Console.WriteLine($"a token at a time:           {stepped}");
    }
}
