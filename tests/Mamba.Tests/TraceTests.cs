using NUnit.Framework;

namespace Mamba.Tests;

public class TraceTests
{
    static readonly MambaConfig Small = new() { DModel = 10, NLayer = 2, VocabSize = 11, SsmCfg = new SsmConfig { DState = 5 } };

    static readonly Dictionary<string, MambaConfig> Configs = new(StringComparer.Ordinal)
    {
        ["plain"] = Small,
        ["one state"] = Small with { SsmCfg = new SsmConfig { DState = 1 } },
        ["Falcon's norms"] = Small with { SsmCfg = new SsmConfig { DState = 5, MixerRmsEps = 1e-6 } },
        ["an MLP, LayerNorm, untied"] = Small with { DIntermediate = 12, RmsNorm = false, TieEmbeddings = false },
        ["zoh"] = Small with { Discretization = Discretization.ZeroOrderHold },
        ["bilinear"] = Small with { Discretization = Discretization.Bilinear },
        ["trapezoidal"] = Small with { Discretization = Discretization.ExponentialTrapezoidal },
        ["Blelloch"] = Small with { ScanAlgorithm = ScanAlgorithm.Blelloch },
    };

    static string[] Names => [.. Configs.Keys];

    static Device Cpu => TestDevices.Open("cpu-256");

    static MambaLM Model(MambaConfig config, Device device, DType dtype = DType.Float64) => TestData.Stirred(config, device, dtype);

    static Tensor Tokens(Shape shape, Device device, int seed = 1) => TestData.Tokens(shape, device, seed);

    static readonly string[] OfStates = ["Abar", "Bbar", "h"];
    static readonly string[] Values = ["u", "delta", "B", "C", "y", "z", "Abar", "Bbar", "h"];

    // ---- values --------------------------------------------------------------------------------------

    [Test]
    public void Values_are_those_of_the_recurrence_they_belong_to([ValueSource(nameof(Names))] string config,
        [Values("cpu-256", "cpu-512", "opencl:0", "ilgpu-cpu")] string device, [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using MambaLM model = Model(Configs[config], TestDevices.Open(device), dtype);
        bool looksBack = Configs[config].Discretization.LooksBack;
        foreach ((int b, int l) in (ReadOnlySpan<(int, int)>)(device == "ilgpu-cpu" ? [(1, 1), (2, 5)] : [(1, 1), (2, 9), (1, 65)]))
        {
            using var scope = new TensorScope();
            Tensor tokens = Tokens((b, l), model.Parameters.Device);
            using ModelTrace trace = model.Trace(tokens);
            Assert.That(trace.Logits.ToDoubles(), Is.EqualTo(model.Forward(tokens).ToDoubles()), "the bits of the plain run");
            Assert.That(trace.Layers.Select(layer => layer.Index), Is.EqualTo(new[] { 0, 1 }));
            foreach (LayerTrace layer in trace.Layers)
            {
                int d = (int)layer.U.Shape[2], n = (int)layer.A.Shape[1];
                double[] h = layer.H.ToDoubles(), aBar = layer.Abar.ToDoubles(), bBar = layer.Bbar.ToDoubles(), u = layer.U.ToDoubles(), y = layer.Y.ToDoubles(),
                    delta = layer.Delta.ToDoubles(), A = layer.A.ToDoubles(), B = layer.B.ToDoubles(), C = layer.C.ToDoubles(), D = layer.D.ToDoubles();
                double[] expectedH = new double[h.Length], expectedY = new double[y.Length], expectedA = new double[h.Length], expectedB = new double[h.Length];
                for (int row = 0; row < b * l; row++)
                    for (int c = 0; c < d; c++)
                    {
                        expectedY[row * d + c] = D[c] * u[row * d + c];
                        for (int s = 0; s < n; s++)
                        {
                            int at = (row * n + s) * d + c;
                            double z = delta[row * d + c] * A[c * n + s], before = row % l == 0 ? 0 : h[at - n * d];
                            (expectedA[at], double gamma, double beta) = Configs[config].Discretization.Name switch
                            {
                                "zoh" => (Math.Exp(z), (Math.Exp(z) - 1) / z, 0),
                                "bilinear" => ((1 + z / 2) / (1 - z / 2), 1 / (1 - z / 2), 0),
                                "exponential-trapezoidal" => (Math.Exp(z), 0.5, 0.5 * Math.Exp(z)),
                                _ => (Math.Exp(z), 1, 0),
                            };
                            expectedB[at] = delta[row * d + c] * gamma * B[row * n + s];
                            expectedH[at] = aBar[at] * before + bBar[at] * u[row * d + c]
                                + (looksBack && row % l > 0 ? delta[row * d + c] * beta * B[(row - 1) * n + s] * u[(row - 1) * d + c] : 0);
                            expectedY[row * d + c] += C[row * n + s] * h[at];
                        }
                    }
                double tolerance = dtype == DType.Float64 ? 1e-13 : 2e-6;
                Assert.That(TestData.RelativeError(aBar, expectedA), Is.LessThan(tolerance), "Abar");
                Assert.That(TestData.RelativeError(bBar, expectedB), Is.LessThan(tolerance), "Bbar");
                Assert.That(TestData.RelativeError(h, expectedH), Is.LessThan(tolerance), "h");
                Assert.That(TestData.RelativeError(y, expectedY), Is.LessThan(10 * tolerance), "y");
            }
        }
    }

    [Test]
    public void The_last_layers_predictions_are_the_models([Values(1, 3, 11)] int k)
    {
        using MambaLM model = Model(Small, Cpu);
        using var scope = new TensorScope();
        using ModelTrace trace = model.Trace(Tokens((2, 6), Cpu), new TraceSettings { Likeliest = k });
        double[] p = Ops.Softmax(Ops.Slice(trace.Logits, 2, 0, 11)).ToDoubles(), top = trace[1].TopP.ToDoubles(), next = trace[1].NextP.ToDoubles();
        int[] ids = trace[1].TopIds.ToArray<int>(), tokens = trace.Tokens.ToArray<int>();
        for (int row = 0; row < 12; row++)
        {
            int[] expected = [.. Enumerable.Range(0, 11).OrderByDescending(id => p[row * 11 + id]).Take(k)];
            Assert.That(ids.AsSpan(row * k, k).ToArray(), Is.EqualTo(expected));
            Assert.That(top.AsSpan(row * k, k).ToArray(), Is.EqualTo(expected.Select(id => p[row * 11 + id])).Within(1e-15));
            if (row % 6 < 5)
                Assert.That(next[row / 6 * 5 + row % 6], Is.EqualTo(p[row * 11 + tokens[row + 1]]).Within(1e-15));
        }
    }

    [Test]
    public void An_earlier_layers_predictions_are_those_of_the_model_that_ends_there()
    {
        using MambaLM model = Model(Small, Cpu), shorter = Model(Small with { NLayer = 1 }, Cpu);
        foreach (Parameter p in shorter.Parameters)
            p.Value.CopyFrom(model.Parameters.First(other => other.Name == p.Name).Value);
        using var scope = new TensorScope();
        using ModelTrace trace = model.Trace(Tokens((1, 6), Cpu)), ended = shorter.Trace(Tokens((1, 6), Cpu));
        Assert.That(trace[0].TopIds.ToArray<int>(), Is.EqualTo(ended[0].TopIds.ToArray<int>()));
        Assert.That(TestData.RelativeError(trace[0].TopP.ToDoubles(), ended[0].TopP.ToDoubles()), Is.LessThan(1e-13));
        Assert.That(TestData.RelativeError(trace[0].NextP.ToDoubles(), ended[0].NextP.ToDoubles()), Is.LessThan(1e-13));
    }

    // ---- gradients -----------------------------------------------------------------------------------

    /// <summary>The quantity with a small change of every value of a site, in a direction, by differences of fourth order.</summary>
    [Test]
    public void Gradients_are_central_differences([ValueSource(nameof(Names))] string config, [Values] Site site, [Values("loss", "logit", "hooked")] string what)
    {
        using MambaLM model = Model(Configs[config], Cpu);
        using var scope = new TensorScope();
        Tensor tokens = Tokens((2, 7), Cpu);
        Quantity quantity = what == "logit" ? Quantity.Logit(4) : Quantity.Loss;
        Hook[] hooks = what == "hooked" ? [Hook.Change(Site.H, (h, _) => h * h, positions: [2, 5]), Hook.Scale(Site.Delta, 1.5, positions: 3)] : [];
        using ModelTrace trace = model.Trace(tokens, new TraceSettings { Quantity = quantity, Hooks = hooks, Layers = 0 });
        Assert.That(trace.QuantityValue, Is.EqualTo(Value([])).Within(1e-14));
        // u is changed where the recurrence reads it; its gradient counts what B, C and delta make of it, too
        if (site == Site.U)
            return;
        string name = site is Site.B or Site.C ? $"d{site}" : $"d{site}".ToLowerInvariant();
        Tensor gradient = trace[0][name], direction = TestData.Random(gradient.Shape, DType.Float64, Cpu, 77);
        double expected = Ops.Sum(gradient * direction).Item(), step = 1e-4;
        double difference = (8 * (Value([Move(step)]) - Value([Move(-step)])) - Value([Move(2 * step)]) + Value([Move(-2 * step)])) / (12 * step);
        Assert.That(difference, Is.EqualTo(expected).Within(1e-7 * Math.Max(1, Math.Abs(expected))));

        Hook Move(double by) => Hook.Change(site, (values, at) => values + by * Ops.Slice(direction, 1, at.Position, at.Count), layers: 0);

        double Value(Hook[] more)
        {
            Tensor logits = model.Forward(tokens, hooks: [.. hooks, .. more]);
            return quantity.In(logits, new Quantity.Part(tokens.ToArray<int>(), 7, 0, 11))!.Item();
        }
    }

    /// <summary>A layer's scan as a loop of primitive ops on a tape that watches everything.</summary>
    [Test]
    public void Gradients_are_those_of_the_tape([Values("exponential-euler", "zoh")] string discretization)
    {
        using MambaLM model = Model(Small with { NLayer = 1, Discretization = Discretization.Named(discretization) }, Cpu);
        using var scope = new TensorScope();
        Tensor tokens = Tokens((2, 6), Cpu);
        using ModelTrace trace = model.Trace(tokens, new TraceSettings { Quantity = Quantity.Loss });
        LayerTrace layer = trace[0];
        var block = (MambaBlock)model.Blocks.First();
        using var tape = new Tape();
        Tensor Leaf(Tensor values) => Tape.Watch(values.Clone());
        Tensor aBar = Leaf(layer.Abar), bBar = Leaf(layer.Bbar), u = Leaf(layer.U), C = Leaf(layer.C), z = Leaf(layer.Z);
        var states = new List<Tensor>();
        var ys = new List<Tensor>();
        Tensor h = Tensor.Zeros((2, 1, 5, 20), DType.Float64, Cpu);
        for (int t = 0; t < 6; t++)
        {
            Tensor ut = Ops.Slice(u, 1, t, 1);
            h = Tape.Watch(Ops.Slice(aBar, 1, t, 1) * h + Ops.Slice(bBar, 1, t, 1) * Ops.Reshape(ut, (2, 1, 1, 20)));
            states.Add(h);
            ys.Add(Ops.Sum(Ops.Reshape(Ops.Slice(C, 1, t, 1), (2, 1, 5, 1)) * h, 2) + block.D.Value * ut);
        }
        Tensor y = Tape.Watch(Ops.Concat(1, [.. ys]));
        // the block's input is the embedding's norm: with the block's output in place, the rest of the model follows
        Tensor output = Ops.Linear(y * Ops.Silu(z), block.OutProj);
        Tensor logits = Ops.Linear(model.Backbone.Norm(model.Embedding.Forward(tokens) + output), model.Head);
        Tensor loss = Quantity.Loss.In(logits, new Quantity.Part(tokens.ToArray<int>(), 6, 0, 11))!;
        Gradients gradients = tape.Backward(loss);
        Assert.That(loss.Item(), Is.EqualTo(trace.QuantityValue!.Value).Within(1e-14));
        Compare("dh", Ops.Concat(1, [.. states.Select(state => gradients[state])]));
        Compare("dAbar", gradients[aBar]);
        Compare("dBbar", gradients[bBar]);
        Compare("dC", gradients[C]);
        Compare("dz", gradients[z]);
        Compare("dy", gradients[y]);

        void Compare(string name, Tensor expected) =>
            Assert.That(TestData.RelativeError(layer[name].ToDoubles(), expected.ToDoubles()), Is.LessThan(1e-13), name);
    }

    [Test]
    public void Float32_gradients_are_float64s_to_rounding([Values("cpu-512", "opencl:0")] string device)
    {
        using MambaLM single = Model(Small, TestDevices.Open(device), DType.Float32), twice = Model(Small, Cpu);
        foreach (Parameter p in twice.Parameters)
            p.Value.WriteRounded(single.Parameters.First(other => other.Name == p.Name).Value.ToDoubles());
        using var scope = new TensorScope();
        var options = new TraceSettings { Quantity = Quantity.Loss, Hooks = [Hook.Scale(Site.H, 0.5, positions: 4)] };
        using ModelTrace actual = single.Trace(Tokens((2, 9), single.Parameters.Device), options), expected = twice.Trace(Tokens((2, 9), Cpu), options);
        foreach (LayerTrace layer in expected.Layers)
            foreach (string name in layer.Names.Where(name => name != "top_ids"))
                Assert.That(TestData.RelativeError(actual[layer.Index][name].ToDoubles(), layer[name].ToDoubles()), Is.LessThan(3e-5), $"layer {layer.Index} {name}");
    }

    [Test]
    public void The_gradient_of_u_counts_all_ways()
    {
        using MambaLM model = Model(Small with { NLayer = 1 }, Cpu);
        using var scope = new TensorScope();
        Tensor tokens = Tokens((1, 6), Cpu);
        using ModelTrace trace = model.Trace(tokens, new TraceSettings { Quantity = Quantity.Logit(3) });
        var block = (MambaBlock)model.Blocks.First();
        using var tape = new Tape();
        Tensor u = Tape.Watch(trace[0].U.Clone());
        Tensor[] parts = Ops.LinearSplit(u, block.XProj, null, 1, 5, 5);
        Tensor y = Ops.SelectiveScan(new ScanInputs
        {
            U = u,
            Delta = Ops.Linear(parts[0], block.DtProj),
            A = -Ops.Exp(block.ALog),
            B = parts[1],
            C = parts[2],
            D = block.D,
            Z = trace[0].Z,
            DeltaBias = block.DtBias,
        }).Y;
        Tensor logits = Ops.Linear(model.Backbone.Norm(model.Embedding.Forward(tokens) + Ops.Linear(y, block.OutProj)), model.Head);
        Gradients gradients = tape.Backward(Ops.Sum(Ops.Index(logits, 0, 5, 3)));
        Assert.That(TestData.RelativeError(trace[0].DU.ToDoubles(), gradients[u].ToDoubles()), Is.LessThan(1e-13));
    }

    [Test]
    public void Every_quantity_is_what_its_name_says()
    {
        using MambaLM model = Model(Small with { PadVocabSizeMultiple = 8 }, Cpu);
        using var scope = new TensorScope();
        Tensor tokens = Tokens((2, 5), Cpu);
        double[] logits = model.Forward(tokens).ToDoubles();        // (2, 5, 16)
        int[] ids = tokens.ToArray<int>();
        double Logit(int row, int t, int id) => logits[(row * 5 + t) * 16 + id];
        double LogP(int row, int t, int id) => Logit(row, t, id) - Math.Log(Enumerable.Range(0, 11).Sum(v => Math.Exp(Logit(row, t, v))));
        double loss = -Enumerable.Range(0, 2).Sum(row => Enumerable.Range(0, 4).Sum(t => LogP(row, t, ids[row * 5 + t + 1]))) / 8;
        (Quantity, double)[] all =
        [
            (Quantity.Loss, loss), (Quantity.Logit(3), Logit(0, 4, 3) + Logit(1, 4, 3)), (Quantity.Logit(3, 1), Logit(0, 1, 3) + Logit(1, 1, 3)),
            (Quantity.LogProbability(7, 0), LogP(0, 0, 7) + LogP(1, 0, 7)),
            (Quantity.LogitDifference(2, 9), Logit(0, 4, 2) - Logit(0, 4, 9) + Logit(1, 4, 2) - Logit(1, 4, 9)),
            (Quantity.Of("mine", x => Ops.Sum(x * x)), logits.Sum(x => x * x)),
        ];
        foreach ((Quantity quantity, double expected) in all)
        {
            using ModelTrace trace = model.Trace(tokens, new TraceSettings { Quantity = quantity, Values = TraceValues.Y });
            Assert.That(trace.QuantityValue, Is.EqualTo(expected).Within(1e-12), quantity.ToString());
        }
    }

    // ---- files, and pieces -----------------------------------------------------------------------------

    static string Temporary => Path.Combine(Path.GetTempPath(), $"mamba-{Guid.NewGuid():N}.safetensors");

    [Test]
    public void A_file_has_what_memory_has_whatever_the_pieces([ValueSource(nameof(Names))] string config, [Values(1, 3, 4, 11, 100)] int piece, [Values] bool hooked)
    {
        using MambaLM model = Model(Configs[config], Cpu);
        using var scope = new TensorScope();
        Tensor tokens = Tokens((2, 11), Cpu), reset = Tensor.From([.. Enumerable.Range(0, 22).Select(i => i is 4 or 16 or 17 ? 1 : 0)], (2, 11), Cpu);
        var options = new TraceSettings
        {
            Quantity = Quantity.Loss,
            Reset = reset,
            Piece = piece,
            Hooks = hooked ? [Hook.Scale(Site.H, 0.5, positions: [2, 3, 8]), Hook.Wipe(Site.Y, layers: 1, positions: 10)] : [],
        };
        string path = Temporary;
        try
        {
            using ModelTrace trace = model.Trace(tokens, options);
            model.Trace(tokens, path, options);
            using TraceFile file = TraceFile.Open(path);
            Assert.That((file.Batch, file.Length, file.Layers.Count, file.Discretization), Is.EqualTo((2, 11, 2, Configs[config].Discretization)));
            Assert.That(file.ReadIds(), Is.EqualTo(tokens.ToArray<int>()));
            Assert.That(file.QuantityValue, Is.EqualTo(trace.QuantityValue).Within(1e-13));
            Assert.That(file.Hooks, Is.EqualTo(options.Hooks.Select(hook => hook.ToString())));
            Assert.That(file.Quantity, Is.EqualTo("loss"));
            Assert.That(file.ReadResets(), Is.EqualTo(reset.ToArray<int>()));
            foreach (LayerTrace layer in trace.Layers)
                foreach (string name in layer.Names)
                {
                    Tensor values = layer[name];
                    bool ofStates = OfStates.Contains(name) || OfStates.Contains(name[1..]);
                    Tensor expected = ofStates ? Ops.Transpose(values) : values;
                    Assert.That(file.ShapeOf(layer.Index, name), Is.EqualTo(expected.Shape), name);
                    if (values.DType == DType.Int32)
                        Assert.That(file.Read(layer.Index, name), Is.EqualTo(expected.ToArray<int>().Select(id => (double)id)), name);
                    else
                        Assert.That(TestData.RelativeError(file.Read(layer.Index, name), expected.ToDoubles()), Is.LessThan(1e-12), $"layer {layer.Index} {name}");
                }
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void A_trace_in_memory_is_saved_as_it_is([Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using MambaLM model = Model(Small, Cpu, dtype);
        using var scope = new TensorScope();
        using ModelTrace trace = model.Trace(Tokens((2, 5), Cpu), new TraceSettings { Quantity = Quantity.Loss, Layers = 1 });
        string path = Temporary;
        try
        {
            trace.Save(path);
            using TraceFile file = TraceFile.Open(path);
            Assert.That(file.Layers, Is.EqualTo(new[] { 1 }));
            Assert.That(file.QuantityValue, Is.EqualTo(trace.QuantityValue));
            Assert.That(file.Read(1, "dh"), Is.EqualTo(Ops.Transpose(trace[1].DH).ToDoubles()));
            Assert.That(file.Read(1, "B", 5, 7), Is.EqualTo(trace[1].B.ToDoubles().AsSpan(5, 7).ToArray()));
            using Safetensors plain = Safetensors.Open(path);
            Assert.That(plain["layer.1.h"].Type, Is.EqualTo(dtype == DType.Float32 ? "F32" : "F64"));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void Texts_of_tokens_are_kept()
    {
        using MambaLM model = Model(Small with { VocabSize = 256 }, Cpu);
        using var scope = new TensorScope();
        byte[] text = "a\"\n</"u8.ToArray();
        string path = Temporary;
        try
        {
            model.Trace(Tensor.From([.. text.Select(c => (int)c)], (1, text.Length), Cpu), path, new TraceSettings { Tokenizer = new ByteTokenizer(), Piece = 2 });
            using TraceFile file = TraceFile.Open(path);
            Assert.That(file.Tokens, Is.EqualTo(new[] { "a", "\"", "\n", "<", "/" }));
            using Safetensors plain = Safetensors.Open(path);
            var texts = System.Text.Json.JsonSerializer.Deserialize<Dictionary<int, string>>(plain.Metadata["top_texts"])!;
            Assert.That(texts.Keys.Order(), Is.EqualTo(file.Read(0, "top_ids").Concat(file.Read(1, "top_ids")).Select(id => (int)id).Distinct().Order()));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void A_long_trace_in_memory_is_saved_some_tokens_at_a_time()
    {
        using MambaLM model = Model(Small, Cpu);
        using var scope = new TensorScope();
        using ModelTrace trace = model.Trace(Tokens((2, 1100), Cpu), new TraceSettings { Layers = 1, Values = TraceValues.H | TraceValues.Predictions });
        string path = Temporary;
        try
        {
            trace.Save(path);
            using TraceFile file = TraceFile.Open(path);
            Assert.That(file.Read(1, "h"), Is.EqualTo(Ops.Transpose(trace[1].H).ToDoubles()));
            Assert.That(file.Read(1, "next_p"), Is.EqualTo(trace[1].NextP.ToDoubles()));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void Of_more_tokens_than_a_header_has_room_for_the_texts_are_left_out()
    {
        var config = new MambaConfig { DModel = 2, NLayer = 1, VocabSize = 256, SsmCfg = new SsmConfig { DState = 1, Expand = 1 } };
        using var model = new MambaLM(config, Cpu, seed: 1);
        using var scope = new TensorScope();
        string path = Temporary;
        try
        {
            foreach ((int length, int texts) in (ReadOnlySpan<(int, int)>)[(1 << 18, 1 << 18), ((1 << 18) + 1, 0)])
            {
                model.Trace(Tokens((1, length), Cpu), path, new TraceSettings { Tokenizer = new ByteTokenizer(), Values = TraceValues.Delta });
                using TraceFile file = TraceFile.Open(path);
                Assert.That((file.Length, file.Tokens.Count), Is.EqualTo((length, texts)));
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void A_trace_of_65536_tokens_is_never_held_whole([Values] bool gradients)
    {
        var config = new MambaConfig { DModel = 8, NLayer = 2, VocabSize = 11, SsmCfg = new SsmConfig { DState = 4 } };
        using var device = TestDevices.OpenAnother("cpu-256");
        using var model = new MambaLM(config, device, seed: 1);
        using Tensor tokens = Tokens((1, 1 << 16), device).Unowned();
        string path = Temporary;
        try
        {
            long before = device.Memory.ReservedBytes;
            model.Trace(tokens, path, new TraceSettings { Quantity = gradients ? Quantity.Loss : null });
            long whole = new FileInfo(path).Length, held = device.Memory.PeakBytes - before;
            Assert.That(whole, Is.GreaterThan(gradients ? 200 << 20 : 100 << 20));
            Assert.That(held, Is.LessThan(whole / 8));
            using TraceFile file = TraceFile.Open(path);
            double[] h = file.Read(1, "h", 65530L * 16 * 4, 64);
            Assert.That(h.Any(value => value != 0) && h.All(double.IsFinite));
        }
        finally
        {
            File.Delete(path);
        }
    }

    // ---- what is not there -------------------------------------------------------------------------------

    [Test]
    public void What_cannot_be_traced_is_said()
    {
        using MambaLM model = Model(Small, Cpu);
        using var scope = new TensorScope();
        Tensor tokens = Tokens((1, 4), Cpu);
        using ModelTrace trace = model.Trace(tokens, new TraceSettings { Layers = 1, Values = TraceValues.Y });
        (string, Action)[] wrong =
        [
            ("Trace: tokens are int32 (1, 0); expected int32 (b, l), one or more.", () => model.Trace(Tensor.From(Array.Empty<int>(), (1, 0), Cpu))),
            ("Trace: layers 2 were asked for; the model has 0 to 1.", () => model.Trace(tokens, new TraceSettings { Layers = 2 })),
            ("Trace: layers 1- were asked for; the model has 0 to 1.", () => model.Trace(tokens, new TraceSettings { Layers = 1.. })),
            ("Trace: the 0 likeliest tokens were asked for; expected 1 or more.", () => model.Trace(tokens, new TraceSettings { Likeliest = 0 })),
            ("Hook 'wipe h, position 4': position 4 is chosen; the sequence has 0 to 3.",
                () => model.Trace(tokens, new TraceSettings { Hooks = [Hook.Wipe(Site.H, positions: 4)] })),
            ("Quantity 'logit of 11 after the last position': token 11; the model knows 0 to 10.",
                () => model.Trace(tokens, new TraceSettings { Quantity = Quantity.Logit(11) })),
            ("Quantity 'logit of 1 after position 4': position 4; the sequence has 0 to 3.",
                () => model.Trace(tokens, new TraceSettings { Quantity = Quantity.Logit(1, 4) })),
            ("Quantity: the loss of one token was asked for; it needs a next one.",
                () => model.Trace(Tokens((1, 1), Cpu), new TraceSettings { Quantity = Quantity.Loss })),
            ("Trace: layer 0 was not traced; layers 1 were.", () => _ = trace[0]),
            ("Trace: there is no 'dh' of layer 1; there is A, D, y, conv.", () => _ = trace[1].DH),
        ];
        foreach ((string message, Action run) in wrong)
            Assert.That(() => run(), Throws.TypeOf<MambaException>().With.Message.EqualTo(message));
    }

    [Test]
    public void A_trace_leaves_no_memory_behind()
    {
        using var device = TestDevices.OpenAnother("cpu-256");
        using (MambaLM model = Model(Small, device))
        {
            int before = device.Memory.LiveBuffers;
            using (Tensor tokens = Tokens((1, 6), device).Unowned())
            {
                using (ModelTrace trace = model.Trace(tokens, new TraceSettings { Quantity = Quantity.Loss, Hooks = [Hook.Scale(Site.H, 0.5, positions: 2)] }))
                    Assert.That(device.Memory.LiveBuffers, Is.GreaterThan(before));
                string path = Temporary;
                model.Trace(tokens, path, new TraceSettings { Quantity = Quantity.Loss, Piece = 4 });
                File.Delete(path);
                Assert.That(() => model.Trace(tokens, new TraceSettings { Hooks = [Hook.Wipe(Site.H, channels: 99)] }), Throws.TypeOf<MambaException>());
                Assert.That(() => model.Trace(tokens, path, new TraceSettings { Hooks = [Hook.Wipe(Site.H, channels: 99)] }), Throws.TypeOf<MambaException>());
                Assert.That(File.Exists(path), Is.False);
            }
            Assert.That(device.Memory.LiveBuffers, Is.EqualTo(before));
        }
    }
}
