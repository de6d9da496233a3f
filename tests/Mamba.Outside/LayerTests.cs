using NUnit.Framework;

namespace Mamba.Outside;

/// <summary>Layers, modules and the training loop, each against what it says it computes.</summary>
public class LayerTests
{
    static Tensor R(Shape shape, Device device, ulong seed) => Ops.Normal(shape, DType.Float64, device, seed);

    static double[] At(double[] values, int row, int width) => values[(row * width)..((row + 1) * width)];

    [Test]
    public void The_gated_MLP_is_value_times_silu_of_gate([Values(1, 3)] int rows)
    {
        const int Width = 3, Hidden = 5;
        using Device device = Device.Open("cpu");
        var mlp = new GatedMlp(Width, Hidden);
        using ParameterSet parameters = mlp.Initialize(device, DType.Float64, seed: 3);
        Assert.That(parameters.Select(p => p.Name), Is.EqualTo(new[] { "fc1.weight", "fc2.weight" }));
        using var scope = new TensorScope();
        double[] x = R((rows, Width), device, 1).ToDoubles(), w1 = parameters[0].Value.ToDoubles(), w2 = parameters[1].Value.ToDoubles();
        double[] y = mlp.Forward(R((rows, Width), device, 1)).ToDoubles();
        for (int row = 0; row < rows; row++)
        {
            double Dot(double[] w, int o, double[] with) => At(w, o, with.Length).Zip(with, (a, b) => a * b).Sum();
            double[] input = At(x, row, Width), inner =
                [.. Enumerable.Range(0, Hidden).Select(j => Dot(w1, j, input) * Dot(w1, Hidden + j, input) / (1 + Math.Exp(-Dot(w1, Hidden + j, input))))];
            for (int o = 0; o < Width; o++)
                Assert.That(y[row * Width + o], Is.EqualTo(Dot(w2, o, inner)).Within(1e-14), $"row {row}, output {o}");
        }
    }

    [Test]
    public void A_layer_with_an_MLP_adds_both_to_the_stream([Values] bool rms)
    {
        using Device device = Device.Open("cpu");
        var backbone = new MambaBackbone(new MambaConfig { DModel = 6, NLayer = 2, DIntermediate = 7, RmsNorm = rms, SsmCfg = new SsmConfig { DState = 2 } });
        using ParameterSet parameters = backbone.Initialize(device, DType.Float64, seed: 1);
        Assert.That(parameters["layers.1.mlp.fc1.weight"].Shape, Is.EqualTo(new Shape(256, 6)), "7 rounded up to 128, twice");
        Assert.That(parameters.Select(p => p.Name), Does.Contain("layers.0.norm2.weight").And.Contain("layers.0.mixer.A_log").And.Contain("norm_f.weight"));
        using var scope = new TensorScope();
        Tensor x = R((2, 5, 6), device, 1), stream = x;
        var seen = new List<Tensor>();
        Tensor y = backbone.Forward(x, observe: (_, residual) => seen.Add(residual));
        for (int i = 0; i < 2; i++)
        {
            BackboneLayer layer = backbone.Layers[i];
            stream += layer.Mixer.Forward(layer.Norm.Forward(stream));
            stream += layer.Mlp!.Forward(layer.MlpNorm!.Forward(stream));
            Assert.That(seen[i].ToDoubles(), Is.EqualTo(stream.ToDoubles()).Within(1e-13), $"layer {i}");
        }
        Norm last = rms ? new RmsNorm(6) : new LayerNorm(6);
        using ParameterSet ofLast = last.Initialize(device, DType.Float64);
        Assert.That(y.ToDoubles(), Is.EqualTo(last.Forward(stream).ToDoubles()).Within(1e-13));
    }

    [Test]
    public void Linear_and_embedding_are_the_ops_of_that_name([Values] bool bias)
    {
        using Device device = Device.Open("cpu");
        var linear = new Linear(3, 5, bias);
        var embedding = new Embedding(7, 3);
        using ParameterSet first = linear.Initialize(device, DType.Float64, 1), second = embedding.Initialize(device, DType.Float64, 2);
        Assert.That(first, Has.Count.EqualTo(bias ? 2 : 1));
        if (bias)
            linear.Bias!.Value = R(5, device, 3);
        using var scope = new TensorScope();
        Tensor ids = Tensor.From([6, 0, 3], device), x = embedding.Forward(ids);
        Assert.That(x.ToDoubles(), Is.EqualTo(Ops.Embedding(ids, embedding.Weight).ToDoubles()));
        Assert.That(linear.Forward(x).ToDoubles(), Is.EqualTo(Ops.Linear(x, linear.Weight, linear.Bias).ToDoubles()));
    }

    [Test]
    public void What_is_frozen_leaves_the_other_gradients_of_a_linear_map_as_they_are([Range(1, 7)] int thawed)
    {
        using Device device = Device.Open("cpu");
        double[][] Gradients(int which)
        {
            using var tape = new Tape();
            Tensor[] all = [R((2, 3, 5), device, 1), R((7, 5), device, 2), R(7, device, 3)];
            for (int i = 0; i < 3; i++)
                all[i].RequiresGrad = (which >> i & 1) != 0;
            Tensor[] ys = Ops.LinearSplit(all[0], all[1], all[2], 2, 4, 1);
            Gradients gradients = tape.Backward((ys[0].Square().Sum() + ys[2].Square().Sum()));
            return [.. all.Select(x => gradients.Contains(x) ? gradients[x].ToDoubles() : [])];
        }
        double[][] some = Gradients(thawed), every = Gradients(7);
        for (int i = 0; i < 3; i++)
            Assert.That(some[i], Is.EqualTo((thawed >> i & 1) != 0 ? every[i] : []), $"input {i}");
    }

    sealed class Pair(Module first, Module second) : Module
    {
        public Pair AddBoth()
        {
            Add("first", first);
            Add("second.deep", second);
            return this;
        }
    }

    [Test]
    public void Names_are_the_path_to_a_parameter()
    {
        Pair inner = new Pair(new Linear(1, 1), new Embedding(2, 1)).AddBoth(), outer = new Pair(inner, new RmsNorm(1)).AddBoth();
        Assert.That(outer.Parameters.Select(p => p.Name),
            Is.EqualTo(new[] { "first.first.weight", "first.first.bias", "first.second.deep.weight", "second.deep.weight" }));
        Assert.That(() => new Pair(inner, new RmsNorm(1)).AddBoth(), Throws.TypeOf<MambaException>().With.Message.Contains("is part 'first' of another"));
    }

    [Test]
    public void Two_parameters_of_one_name_are_one_clear_line()
    {
        using Device device = Device.Open("cpu");
        Assert.That(() => new ParameterSet([new Parameter("a", 1), new Parameter("a", 2)], DType.Float32, device),
            Throws.TypeOf<MambaException>().With.Message.Contains("two parameters have the name 'a'"));
    }

    [Test]
    public void A_set_that_is_disposed_lets_its_parameters_go()
    {
        using Device device = Device.Open("cpu");
        var parameter = new Parameter("a", 3, initial: Initial.Ones) { RequiresGrad = false };
        using (var first = new ParameterSet([parameter], DType.Float32, device))
            Assert.That(parameter.Set, Is.SameAs(first));
        Assert.That((parameter.Set, parameter.RequiresGrad), Is.EqualTo(((ParameterSet?)null, false)));
        Assert.That(() => parameter.Value, Throws.InvalidOperationException);
        using var second = new ParameterSet([parameter], DType.Float64, device);
        Assert.That((parameter.Value.DType, parameter.RequiresGrad), Is.EqualTo((DType.Float64, false)));
        Assert.That(parameter.Value.ToDoubles(), Is.All.EqualTo(1));
    }

    [Test]
    public void The_loop_clips_schedules_and_stops_before_a_bad_step()
    {
        using Device device = Device.Open("cpu");
        var weight = new Parameter("weight", 2, initial: Initial.Constant(3));
        using var set = new ParameterSet([weight], DType.Float64, device);
        using var optimizer = new AdamW(set, 1, beta1: 0, beta2: 0, eps: 1, weightDecay: 0);
        var loop = new TrainingLoop(optimizer) { Clip = 0.5, Schedule = new Schedule.WarmupCosine(Warmup: 10, Total: 100, Peak: 1) };
        int looked = 0;
        Tensor? squares = null;
        LoopStep step = loop.Step(() => (squares = weight.Value.Square()).Sum(), () =>
        {
            Assert.That(squares!.ToDoubles(), Is.All.EqualTo(9), "the tape is open, the weights have moved on");
            Assert.That(Tape.Recording, Is.Null);
            looked++;
        });
        Assert.That((step.Step, step.Loss, looked), Is.EqualTo((1L, 18.0, 1)));
        Assert.That(step.GradientNorm, Is.EqualTo(Math.Sqrt(72)).Within(1e-12));
        Assert.That(step.LearningRate, Is.EqualTo(0.1).Within(1e-15));
        double g = 6 * 0.5 / (Math.Sqrt(72) + 1e-6);           // clipped; without moments a step is lr · g / (|g| + ε)
        Assert.That(weight.Value.ToDoubles(), Is.All.EqualTo(3 - 0.1 * g / (g + 1)).Within(1e-12));

        double[] before = weight.Value.ToDoubles();
        Assert.That(() => loop.Step(() => (weight.Value * double.NaN).Sum()),
            Throws.TypeOf<MambaException>().With.Message.StartsWith("The loss is NaN at step 2:"));
        Assert.That(() => loop.Step(() => ((weight.Value - Tensor.From(before, 2, device)) * 1.0).Sqrt().Sum()),
            Throws.TypeOf<MambaException>().With.Message.StartsWith("The gradient of weight is infinite or NaN at step 2:"));
        Assert.That((weight.Value.ToDoubles(), optimizer.StepCount), Is.EqualTo((before, 1L)));
        Assert.That(Tape.Recording, Is.Null, "a tape that failed is closed");
    }
}
