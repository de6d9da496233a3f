using Mamba;

namespace Mamba.Examples;

/// <summary>
/// A mixer of your own in the library's model: minGRU (Feng et al. 2024, arXiv 2410.01201), whose gate and candidate see the token alone, so that training is
/// a scan: z, c = split(in_proj(hidden));  h_t = (1 − σ(z_t)) h_{t−1} + σ(z_t) c_t;  out_proj(h). Settings, state and block; one line makes it a kind
/// that config.json may name.
/// </summary>
public sealed class OwnMixer : Mixer<OwnMixer.GruState>
{
    public sealed record Settings : MixerConfig
    {
        public override string Layer => "MinGru";

        public int Expand { get; init; } = 2;

        public override Mixer Build(MambaConfig config, int layer) => new OwnMixer(config.DModel, Expand * config.DModel);
    }

    public sealed class GruState : MixerState
    {
        public GruState(long batch, int width, DType dtype, Device device) : base(batch, dtype, device) => H = Add("h", width);

        public StateTensor H { get; }       // (b, d)
    }

    readonly int d;
    readonly Linear inProj, outProj;

    public OwnMixer(int model, int d)
    {
        this.d = d;
        inProj = Add("in_proj", new Linear(model, 2 * d));
        outProj = Add("out_proj", new Linear(d, model, bias: false));
    }

    public override Tensor Forward(Tensor hidden, GruState? state = null, Tensor? reset = null)
    {
        Tensor[] zc = Ops.Split(inProj.Forward(hidden), -1, d, d);
        Tensor z = zc[0].Sigmoid();
        Tensor h = Ops.LinearRecurrence(1 - z, z * zc[1], state?.H.Read(), reset: reset);                   // (b, l, d)
        if (h.Shape[1] > 0)
            state?.H.Write(h[.., ^1]);
        return outProj.Forward(h);
    }

    protected override GruState MakeState(long batch, DType dtype, Device device) => new(batch, d, dtype, device);

    public static void Run(Device device)
    {
        Mixers.Register<Settings>();
        var config = new MambaConfig { DModel = 32, NLayer = 2, VocabSize = 16, Mixer = new Settings { Expand = 1 } };
        Console.WriteLine(MambaConfig.FromJson(config.ToJson()).Mixer);
        using var model = new MambaLM(config, device, seed: 1);
        using var optimizer = new AdamW(model.Parameters, 1e-2, weightDecay: 0);
        var loop = new TrainingLoop(optimizer);
        foreach ((Tensor tokens, Tensor targets) in InductionHeads.Batches(length: 8, batch: 32, seed: 1, device).Take(400))
        {
            LoopStep step = loop.Step(() => Ops.CrossEntropy(model.Forward(tokens), targets));
            if (step.Step % 100 == 0)
                Console.WriteLine($"step {step.Step}  loss {step.Loss:0.000}");
        }
        Console.WriteLine($"generated: {string.Join(' ', model.Generate([15, 3, 7], count: 5))}");
    }
}
