using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Ops and the model against the official implementation, computed in float64. See Fixtures/README.md.</summary>
public class FixtureTests
{
    static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Fixtures");

    static string[] Files(string kind) => [.. Directory.GetFiles(Path.Combine(Folder, kind), "*.safetensors")
        .Select(p => Path.GetFileNameWithoutExtension(p)).Order(StringComparer.Ordinal)];

    public static string[] Scans => Files("selective_scan");
    public static string[] Convolutions => Files("causal_conv1d");
    public static string[] Norms => Files("rms_norm");
    public static readonly string[] Devices = ["cpu-128", "cpu-256", "cpu-512", "opencl:0", "cuda:0"];

    // float64: 1e-9 is the demand; sums of some hundred terms of order 1 are good to 1e-13. float32: the reference's own
    // error is some 1e-6 of the largest value.
    static double Tolerance(DType dtype) => dtype == DType.Float64 ? 1e-12 : 2e-5;

    // The reference's layout is channels first: (b, d, l) becomes (b, l, d), (b, g, n, l) becomes (b, l, g, n).
    static (double[] Values, Shape Shape) ChannelsLast(Safetensors file, string name)
    {
        Shape shape = file[name].Shape;
        double[] values = file.ReadDoubles(name);
        if (shape.Rank < 3)
            return (values, shape);
        long b = shape[0], l = shape[^1], d = shape.Count / (b * l);
        double[] moved = new double[values.Length];
        for (long i = 0; i < b; i++)
            for (long j = 0; j < d; j++)
                for (long t = 0; t < l; t++)
                    moved[(i * l + t) * d + j] = values[(i * d + j) * l + t];
        return (moved, shape.Rank == 3 ? (b, l, shape[1]) : (b, l, shape[1], shape[2]));
    }

    static void Compare(Safetensors file, string name, Tensor actual, bool channelsLast = true)
    {
        double[] expected = channelsLast ? ChannelsLast(file, name).Values : file.ReadDoubles(name);
        Assert.That(TestData.RelativeError(actual.ToDoubles(), expected), Is.LessThan(Tolerance(actual.DType)), name);
    }

    sealed class Inputs(Safetensors file, DType dtype, Device device)
    {
        public Dictionary<string, Tensor> Tensors { get; } = [];

        public Tensor? Optional(string name) => file.Contains(name) ? this[name] : null;

        public Tensor this[string name]
        {
            get
            {
                (double[] values, Shape shape) = ChannelsLast(file, name);
                return Tensors[name] = Tape.Watch(Tensor.From(values, shape, dtype, device));
            }
        }
    }

    [Test]
    public void Selective_scan([ValueSource(nameof(Scans))] string name,
        [ValueSource(nameof(Devices))] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var file = Safetensors.Open(Path.Combine(Folder, "selective_scan", name + ".safetensors"));
        using var tape = new Tape();
        var x = new Inputs(file, dtype, TestDevices.Open(device));
        bool softplus = name != "L64_bare";
        (Tensor y, Tensor last) = Ops.SelectiveScan(x["u"], x["delta"], x["A"], x["B"], x["C"],
            x.Optional("D"), x.Optional("z"), x.Optional("delta_bias"), softplus);
        Compare(file, "out", y);
        Compare(file, "last_state", last, channelsLast: false);
        (double[] dOut, Shape shape) = ChannelsLast(file, "dout");
        Tensor dy = Tensor.From(dOut, shape, dtype, y.Device), dLast = Tensor.From(file.ReadDoubles("dlast_state"), last.Shape, dtype, y.Device);
        Gradients plain = tape.Backward([(y, dy)]), withLast = tape.Backward([(y, dy), (last, dLast)]);
        foreach ((string prefix, Gradients gradients) in new[] { ("grad.", plain), ("grad_with_dlast.", withLast) })
            foreach ((string input, Tensor tensor) in x.Tensors)
                Compare(file, prefix + input, gradients[tensor]);
    }

    [Test]
    public void Causal_conv1d([ValueSource(nameof(Convolutions))] string name,
        [ValueSource(nameof(Devices))] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var file = Safetensors.Open(Path.Combine(Folder, "causal_conv1d", name + ".safetensors"));
        using var tape = new Tape();
        var x = new Inputs(file, dtype, TestDevices.Open(device));
        Tensor y = Ops.CausalConv1d(x["x"], x["weight"], x.Optional("bias"), silu: name.Contains("silu"));
        Compare(file, "out", y);
        (double[] dOut, Shape shape) = ChannelsLast(file, "dout");
        Gradients gradients = tape.Backward([(y, Tensor.From(dOut, shape, dtype, y.Device))]);
        foreach ((string input, Tensor tensor) in x.Tensors)
            Compare(file, "grad." + input, gradients[tensor]);
    }

    [Test]
    public void Rms_norm([ValueSource(nameof(Norms))] string name,
        [ValueSource(nameof(Devices))] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var file = Safetensors.Open(Path.Combine(Folder, "rms_norm", name + ".safetensors"));
        using var tape = new Tape();
        ComputeOn on = new(TestDevices.Open(device), dtype);
        Tensor x = on.Read(file, "x"), weight = on.Read(file, "weight");
        Tensor y = Ops.RmsNorm(x, weight, 1e-5);
        Compare(file, "out", y, channelsLast: false);
        Gradients gradients = tape.Backward([(y, on.Read(file, "dout"))]);
        Compare(file, "grad.x", gradients[x], channelsLast: false);
        Compare(file, "grad.weight", gradients[weight], channelsLast: false);
    }

    sealed record ComputeOn(Device Device, DType DType)
    {
        public Tensor Read(Safetensors file, string name) => Tape.Watch(Tensor.From(file.ReadDoubles(name), file[name].Shape, DType, Device));
    }

    // ---- the language model -----------------------------------------------------------------------

    static Safetensors OpenLM(string name) => Safetensors.Open(Path.Combine(Folder, "lm", name + ".safetensors"));

    static MambaLM LoadModel(Device device, DType dtype)
    {
        var model = new MambaLM(MambaConfig.FromJson(File.ReadAllText(Path.Combine(Folder, "lm", "config.json"))), device, seed: 0, dtype);
        using Safetensors file = OpenLM("model");
        foreach (Parameter parameter in model.Parameters)
            parameter.Value.WriteRounded(file.ReadDoubles(parameter.Name));
        return model;
    }

    static Tensor Tokens(long[] ids, Shape shape, Device device) => Tensor.From(Array.ConvertAll(ids, id => (int)id), shape, device);

    // Predict token t + 1 from the tokens up to t; the last position predicts nothing.
    static Tensor NextTokens(long[] ids, Shape shape, Device device)
    {
        long l = shape[1];
        return Tensor.From([.. ids.Select((_, i) => i % l == l - 1 ? -100 : (int)ids[i + 1])], shape, device);
    }

    [Test]
    public void Logits_states_and_every_parameter_gradient([ValueSource(nameof(Devices))] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        Device on = TestDevices.Open(device);
        using MambaLM model = LoadModel(on, dtype);
        using Safetensors forward = OpenLM("forward"), gradientFile = OpenLM("grads");
        using MambaState state = model.NewState(2);
        long[] ids = forward.ReadLongs("input_ids");
        Shape shape = forward["input_ids"].Shape;
        using var tape = new Tape();
        Tensor logits = model.Forward(Tokens(ids, shape, on), state, observe: (i, hidden) => Compare(forward, $"hidden.layer{i}", hidden, channelsLast: false));
        Compare(forward, "logits", logits, channelsLast: false);
        for (int i = 0; i < 2; i++)
        {
            Compare(forward, $"conv_state.{i}", Swapped(((MambaBlockState)state.Layers[i]).Conv.Value), channelsLast: false);
            Compare(forward, $"ssm_state.{i}", Swapped(((MambaBlockState)state.Layers[i]).Ssm.Value), channelsLast: false);
        }
        Tensor loss = Ops.CrossEntropy(logits, NextTokens(ids, shape, on));
        Compare(forward, "loss", loss, channelsLast: false);
        Gradients gradients = tape.Backward(loss);
        foreach (Parameter parameter in model.Parameters)
            Compare(gradientFile, parameter.Name, gradients[parameter], channelsLast: false);

        static Tensor Swapped(Tensor x)
        {
            Tensor y = x.Like((x.Shape[0], x.Shape[2], x.Shape[1]));
            Gpu.TransposeKernels.Transpose(x, y, x.Shape[0], x.Shape[1], x.Shape[2]);
            return y;
        }
    }

    [Test]
    public void Twenty_steps_of_training([Values("all", "grouped")] string run,
        [ValueSource(nameof(Devices))] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        Device on = TestDevices.Open(device);
        using MambaLM model = LoadModel(on, dtype);
        using var optimizer = new AdamW(model.Parameters, 1e-3, 0.9, 0.95, 1e-8, 0.1, decayAll: run == "all");
        using Safetensors train = OpenLM("train"), final = OpenLM($"train_{run}_final_params");
        long[] batches = train.ReadLongs("batches");
        double[] losses = train.ReadDoubles(run + ".loss"), norms = train.ReadDoubles(run + ".grad_norm_before_clip");
        double[] losses32 = train.ReadDoubles(run + ".loss_f32");
        Shape shape = (4, 32);
        for (int step = 0; step < 20; step++)
        {
            using var tape = new Tape();
            long[] ids = batches[(int)(step * shape.Count)..(int)((step + 1) * shape.Count)];
            Tensor loss = Ops.CrossEntropy(model.Forward(Tokens(ids, shape, on)), NextTokens(ids, shape, on));
            Gradients gradients = tape.Backward(loss);
            double norm = gradients.Norm;
            optimizer.Step(gradients.ClipNorm(1));
            // float32: ten times the reference's own float32 error at this step, and a few ulps
            double tolerance = dtype == DType.Float64 ? 1e-9 : 10 * Math.Abs(losses32[step] - losses[step]) / losses[step] + 2e-6;
            Assert.That(Math.Abs(loss.Item() - losses[step]) / losses[step], Is.LessThan(tolerance), $"loss {step}");
            Assert.That(Math.Abs(norm - norms[step]) / norms[step], Is.LessThan(dtype == DType.Float64 ? 1e-9 : 1e-4), $"gradient norm {step}");
        }
        // float32: Adam divides by √v, so a weight whose gradient is rounding noise still moves by up to the learning rate
        foreach (Parameter parameter in model.Parameters)
            Assert.That(TestData.RelativeError(parameter.Value.ToDoubles(), final.ReadDoubles(parameter.Name)),
                Is.LessThan(dtype == DType.Float64 ? 1e-9 : 1e-3), parameter.Name);
    }

    [Test]
    public void A_token_at_a_time_equals_the_whole([Values(DType.Float32, DType.Float64)] DType dtype, [Values("cpu-256", "opencl:0")] string device)
    {
        Device on = TestDevices.Open(device);
        using MambaLM model = LoadModel(on, dtype);
        using Safetensors forward = OpenLM("forward");
        long[] ids = forward.ReadLongs("input_ids");
        double[] whole = forward.ReadDoubles("logits");
        using MambaState state = model.NewState(2);
        for (int t = 0; t < 40; t++)
        {
            using var scope = new TensorScope();
            double[] logits = model.Step(Tokens([ids[t], ids[40 + t]], 2, on), state).ToDoubles();
            double[] expected = [.. whole[(t * 96)..((t + 1) * 96)], .. whole[((40 + t) * 96)..((41 + t) * 96)]];
            Assert.That(TestData.RelativeError(logits, expected), Is.LessThan(Tolerance(dtype)), $"token {t}");
        }
    }
}
