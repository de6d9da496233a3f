using Mamba.Examples;
using NUnit.Framework;

namespace Mamba.Outside;

/// <summary>Looking inside blocks that are not the library's.</summary>
public class InspectionTests
{
    /// <summary>A mixer with a scan that hooks reach: y of a scan over hidden itself.</summary>
    sealed class Scanning : Mixer<Scanning.None>
    {
        public sealed record Settings(bool Reached) : MixerConfig
        {
            public Settings() : this(true)
            {
            }

            public override string Layer => "Scanning";

            public override Mixer Build(MambaConfig config, int layer) => new Scanning(config.DModel, Reached);
        }

        public sealed class None(long batch, DType dtype, Device device) : MixerState(batch, dtype, device);

        readonly Parameter a, b;
        readonly bool reached;

        public Scanning(int d, bool reached)
        {
            this.reached = reached;
            a = Add("A", (d, 3), initial: Initial.Constant(-0.5));
            b = Add("B", (3, d), initial: Initial.Normal(0.5));
        }

        public override Tensor Forward(Tensor hidden, None? state = null, Tensor? reset = null)
        {
            var inputs = new ScanInputs { U = hidden, Delta = hidden, A = a, B = Ops.Linear(hidden, b), C = Ops.Linear(hidden, b), Reset = reset };
            return (reached ? Hooked.SelectiveScan(inputs) : Ops.SelectiveScan(inputs)).Y;
        }

        protected override None MakeState(long batch, DType dtype, Device device) => new(batch, dtype, device);
    }

    static MambaLM Model(MixerConfig mixer, Device device) =>
        new(new MambaConfig { DModel = 6, NLayer = 2, VocabSize = 8, Mixer = mixer }, device, seed: 1, DType.Float64);

    static Tensor Tokens(Device device) => Tensor.From([1, 5, 2, 7, 3], (1, 5), device);

    [Test]
    public void A_variant_of_the_block_is_traced_and_changed_as_the_block_is()
    {
        using Device device = Device.Open("cpu");
        using MambaLM model = Model(new JambaMamba.Settings { DState = 4 }, device);
        using var scope = new TensorScope();
        using ModelTrace trace = model.Trace(Tokens(device), new TraceSettings { Quantity = Quantity.Loss });
        // Jamba's norm: the mean square of B is 1 for every token
        double[] meanSquares = trace[0].B.Square().Mean(2).ToDoubles();
        Assert.That(meanSquares, Is.All.EqualTo(1).Within(1e-2));
        Assert.That(trace[1].DH.Abs().Sum().Item(), Is.GreaterThan(0));
        Tensor wiped = model.Forward(Tokens(device), hooks: [Hook.Wipe(Site.C, layers: 0), Hook.Wipe(Site.C, layers: 1)]);
        using ModelTrace without = model.Trace(Tokens(device), new TraceSettings { Hooks = [Hook.Wipe(Site.C)] });
        Assert.That(without.Logits.ToDoubles(), Is.EqualTo(wiped.ToDoubles()));
        Assert.That((without[1].Y - without[1].D * without[1].U).ToDoubles(), Is.All.Zero);
    }

    [Test]
    public void A_mixer_of_ones_own_is_reached_through_Hooked()
    {
        using Device device = Device.Open("cpu");
        using MambaLM model = Model(new Scanning.Settings(), device);
        using var scope = new TensorScope();
        using ModelTrace trace = model.Trace(Tokens(device), new TraceSettings { Quantity = Quantity.Loss });
        Assert.That(trace[1].H.Shape, Is.EqualTo(new Shape(1, 5, 3, 6)));
        Assert.That(trace[1].Names, Does.Not.Contain("z").And.Not.Contain("D").And.Not.Contain("conv"));
        Tensor last = (trace[0].C[0, 4].View((3, 1)) * trace[0].H[0, 4]).Sum(0);
        Assert.That(last.ToDoubles(), Is.EqualTo(trace[0].Y[0, 4].ToDoubles()).Within(1e-14));
    }

    [Test]
    public void A_mixer_that_no_hook_reaches_is_said_to_be_one()
    {
        using Device device = Device.Open("cpu");
        using MambaLM own = Model(new OwnMixer.Settings(), device), unreached = Model(new Scanning.Settings(Reached: false), device);
        using var scope = new TensorScope();
        Assert.That(() => own.Trace(Tokens(device)), Throws.TypeOf<MambaException>().With.Message.EqualTo(
            "Hooks: the mixer of layer 0 is a OwnMixer, which has no scan that a hook could reach; Hooked.SelectiveScan makes it one."));
        Assert.That(() => unreached.Forward(Tokens(device), hooks: [Hook.Wipe(Site.H, layers: 1)]), Throws.TypeOf<MambaException>()
            .With.Message.StartsWith("Hooks: the mixer of layer 1 is a Scanning"));
    }
}
