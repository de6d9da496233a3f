using Mamba.Cli;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary><c>mamba op</c> against the official implementation's numbers (Fixtures/README.md), hand-worked ones, and the library.</summary>
public class OpCommandTests
{
    static readonly string Fixtures = Path.Combine(AppContext.BaseDirectory, "Fixtures");

    string folder = "", input = "", output = "";

    [SetUp]
    public void MakeFolder()
    {
        folder = Directory.CreateTempSubdirectory("mamba-op-").FullName;
        (input, output) = (Path.Combine(folder, "in.safetensors"), Path.Combine(folder, "out.safetensors"));
    }

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    /// <summary>Writes the input file; values are double[], float[], long[] or int[].</summary>
    void Given(params (string Name, Shape Shape, Array Values)[] tensors)
    {
        var writer = new SafetensorsWriter();
        foreach ((string name, Shape shape, Array values) in tensors)
        {
            switch (values)
            {
                case double[] x: writer.Add(name, shape, x); break;
                case float[] x: writer.Add(name, shape, x); break;
                case long[] x: writer.Add(name, shape, x); break;
                case int[] x: writer.Add(name, shape, x); break;
                default: throw new ArgumentException(name);
            }
        }
        writer.Save(input);
    }

    Safetensors Run(string op, params string[] options)
    {
        MambaInProcess.Succeed(["op", op, "--input", input, "--output", output, .. options.Contains("--device") ? options : ["--device", "cpu", .. options]]);
        return Safetensors.Open(output);
    }

    void Refuse(string op, string[] options, params string[] mentions)
    {
        File.Delete(output);
        string[] given = options.Contains("--device") ? options : ["--device", "cpu", .. options];
        MambaInProcess.Refuse(["op", op, "--input", input, "--output", output, .. given], mentions);
        Assert.That(File.Exists(output), Is.False);
    }

    static void Expect(Safetensors actual, string name, double[] expected, double tolerance) =>
        Assert.That(TestData.RelativeError(actual.ReadDoubles(name), expected), Is.LessThan(tolerance), name);

    static string[] Files(string kind) => [.. Directory.GetFiles(Path.Combine(Fixtures, kind), "*.safetensors")
        .Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal)];

    public static string[] Scans => Files("selective_scan");
    public static string[] Convolutions => Files("causal_conv1d");
    public static string[] Norms => Files("rms_norm");

    // The reference is channels first: (b, d, l) becomes (b, l, d), (b, g, n, l) becomes (b, l, g, n).
    static (string Name, Shape Shape, Array Values) ChannelsLast(Safetensors file, string name, string? rename = null)
    {
        Shape shape = file[name].Shape;
        double[] values = file.ReadDoubles(name);
        if (shape.Rank < 3 || name.Contains("state"))
            return (rename ?? name, shape, values);
        using var scope = new TensorScope();
        Tensor x = Tensor.From(values, shape, TestDevices.Open("cpu"));
        Tensor y = shape.Rank == 3 ? Ops.Permute(x, 0, 2, 1) : Ops.Permute(x, 0, 3, 1, 2);
        return (rename ?? name, y.Shape, y.ToDoubles());
    }

    // Sums over 4, 8 and 16 lanes are added in three orders: each width has bits of its own, also on a processor without such vectors.
    [Test]
    public void The_host_takes_the_width_of_vectors_asked_for()
    {
        Shape a = (3, 70), b = (5, 70);
        float[] x = [.. TestData.Uniform(a.Count, 1).Select(v => (float)v)], weight = [.. TestData.Uniform(b.Count, 2).Select(v => (float)v)];
        Given(("a", a, x), ("b", b, weight));
        var seen = new List<float[]>();
        foreach (int bits in new[] { 128, 256, 512 })
        {
            using var scope = new TensorScope();
            Device device = TestDevices.Open($"cpu-{bits}");
            using Safetensors result = Run("matmul", "--transpose-b", "--device", $"cpu-{bits}");
            Assert.That(result.ReadFloats("out"),
                Is.EqualTo(Ops.MatMul(Tensor.From(x, a, device), Tensor.From(weight, b, device), transposeB: true).ToArray<float>()));
            seen.Add(result.ReadFloats("out"));
        }
        Assert.That(seen.DistinctBy(y => string.Join(' ', y), StringComparer.Ordinal).Count(), Is.EqualTo(3));
        Refuse("matmul", ["--transpose-b", "--device", "cpu-64"], "Device 'cpu-64' is unknown");
    }

    [Test]
    public void Selective_scan_gives_the_official_numbers([ValueSource(nameof(Scans))] string name,
        [Values("chunked", "sequential", "blelloch")] string algorithm, [Values] bool dLast)
    {
        using var file = Safetensors.Open(Path.Combine(Fixtures, "selective_scan", name + ".safetensors"));
        string[] names = [.. new[] { "u", "delta", "A", "B", "C", "D", "z", "delta_bias" }.Where(file.Contains)];
        string[] seeds = dLast ? ["dout", "dlast_state"] : ["dout"];
        Given([.. names.Concat(seeds).Select(x => ChannelsLast(file, x))]);
        using Safetensors result = Run("selective-scan", ["--grad", "--algorithm", algorithm, .. name == "L64_bare" ? new[] { "--no-softplus" } : []]);
        string prefix = dLast ? "grad_with_dlast." : "grad.";
        foreach ((string ours, string theirs) in names.Select(x => ("d" + x, prefix + x)).Append(("out", "out")).Append(("last_state", "last_state")))
        {
            (_, Shape shape, Array values) = ChannelsLast(file, theirs);
            Assert.That(result[ours].Shape, Is.EqualTo(shape), ours);
            Assert.That(result[ours].Type, Is.EqualTo("F64"));
            Expect(result, ours, (double[])values, 1e-12);
        }
        Assert.That(result.Entries, Has.Count.EqualTo(names.Length + 2));
    }

    [Test]
    public void Selective_scan_in_float32([Values("cpu", "opencl:0")] string device)
    {
        TestDevices.Open(device);
        using var file = Safetensors.Open(Path.Combine(Fixtures, "selective_scan", "L7_full.safetensors"));
        Given([.. new[] { "u", "delta", "A", "B", "C", "D", "z", "delta_bias", "dout" }.Select(x => ChannelsLast(file, x))]);
        MambaInProcess.Succeed("op", "selective-scan", "--input", input, "--output", output, "--device", device, "--grad", "--dtype", "float32");
        using Safetensors result = Safetensors.Open(output);
        foreach (string x in (string[])["u", "delta", "A", "B", "C", "D", "z", "delta_bias"])
            Expect(result, "d" + x, (double[])ChannelsLast(file, "grad." + x).Values, 2e-5);
        Assert.That(result.Entries.Select(entry => entry.Type), Is.All.EqualTo("F32"));
    }

    [Test]
    public void Selective_scan_passes_every_option_on([ValueSource(nameof(Discretizations))] string discretization, [Values] bool constant)
    {
        const int b = 2, l = 5, d = 3, n = 4;
        double[] Random(int count, int seed) => TestData.Uniform(count, seed);
        Shape projection = constant ? (d, n) : (b, l, n);
        (string Name, Shape Shape, Array Values)[] given =
        [
            ("u", (b, l, d), Random(b * l * d, 1)), ("delta", (b, l, d), Random(b * l * d, 2)), ("A", (d, n), TestData.Uniform(d * n, 3, -1, -0.1)),
            ("B", projection, Random((int)projection.Count, 4)), ("C", projection, Random((int)projection.Count, 5)),
            ("initial_state", (b, d, n), Random(b * d * n, 6)), ("reset", (b, l), new long[] { 0, 0, 1, 0, 0, 0, 0, 0, 0, 1L << 20 }),
            ("dout", (b, l, d), Random(b * l * d, 7)), ("dlast_state", (b, d, n), Random(b * d * n, 8)),
        ];
        Given(given);
        using Safetensors result = Run("selective-scan", "--grad", "--discretization", discretization);

        using var tape = new Tape();
        Device on = TestDevices.Open("cpu");
        Dictionary<string, Tensor> x = given.Where(t => t.Values is double[])
            .ToDictionary(t => t.Name, t => Tape.Watch(Tensor.From((double[])t.Values, t.Shape, on)), StringComparer.Ordinal);
        Tensor reset = Tensor.From(Array.ConvertAll((long[])given[6].Values, v => (int)v), (b, l), on);
        ScanResult expected = Ops.SelectiveScan(x["u"], x["delta"], x["A"], x["B"], x["C"],
            initialState: x["initial_state"], reset: reset, discretization: Discretization.Named(discretization));
        Gradients gradients = tape.Backward([(expected.Y, x["dout"]), (expected.LastState, x["dlast_state"])]);
        Assert.That(result.ReadDoubles("out"), Is.EqualTo(expected.Y.ToDoubles()));
        Assert.That(result.ReadDoubles("last_state"), Is.EqualTo(expected.LastState.ToDoubles()));
        foreach (string name in (string[])["u", "delta", "A", "B", "C", "initial_state"])
            Assert.That(result.ReadDoubles("d" + name), Is.EqualTo(gradients[x[name]].ToDoubles()), name);
    }

    [Test]
    public void Selective_scan_takes_complex_A()
    {
        const int l = 5, d = 3, n = 2;
        (string Name, Shape Shape, Array Values)[] given =
        [
            ("u", (1, l, d), TestData.Uniform(l * d, 1)), ("delta", (1, l, d), TestData.Uniform(l * d, 2)),
            ("A", (d, n, 2), TestData.Uniform(d * n * 2, 3, -1, -0.1)), ("B", (1, l, n, 2), TestData.Uniform(l * n * 2, 4)),
            ("C", (1, l, n, 2), TestData.Uniform(l * n * 2, 5)), ("dout", (1, l, d), TestData.Uniform(l * d, 6)),
        ];
        Given(given);
        using Safetensors result = Run("selective-scan", "--grad");
        using var tape = new Tape();
        Tensor[] x = [.. given.Select(t => Tape.Watch(Tensor.From((double[])t.Values, t.Shape, TestDevices.Open("cpu"))))];
        ScanResult expected = Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4]);
        Gradients gradients = tape.Backward([(expected.Y, x[5])]);
        Assert.That(result.ReadDoubles("out"), Is.EqualTo(expected.Y.ToDoubles()));
        Assert.That(result["last_state"].Shape, Is.EqualTo((Shape)(1, d, n, 2)));
        Assert.That(result.ReadDoubles("dA"), Is.EqualTo(gradients[x[2]].ToDoubles()));
    }

    public static string[] Discretizations => [.. Discretization.All.Select(d => d.Name)];

    [Test]
    public void Causal_conv1d_gives_the_official_numbers([ValueSource(nameof(Convolutions))] string name)
    {
        using var file = Safetensors.Open(Path.Combine(Fixtures, "causal_conv1d", name + ".safetensors"));
        string[] names = [.. new[] { "x", "weight", "bias" }.Where(file.Contains)];
        Given([.. names.Append("dout").Select(x => ChannelsLast(file, x))]);
        using Safetensors result = Run("causal-conv1d", "--grad", "--activation", name.Contains("silu") ? "silu" : "none");
        Expect(result, "out", (double[])ChannelsLast(file, "out").Values, 1e-12);
        foreach (string x in names)
            Expect(result, "d" + x, (double[])ChannelsLast(file, "grad." + x).Values, 1e-12);
    }

    [Test]
    public void Rms_norm_gives_the_official_numbers([ValueSource(nameof(Norms))] string name)
    {
        using var file = Safetensors.Open(Path.Combine(Fixtures, "rms_norm", name + ".safetensors"));
        Given([.. new[] { "x", "weight", "dout" }.Select(x => (x, file[x].Shape, (Array)file.ReadDoubles(x)))]);
        using Safetensors result = Run("rms-norm", "--grad", "--eps", "1e-5");
        Expect(result, "out", file.ReadDoubles("out"), 1e-12);
        Expect(result, "dx", file.ReadDoubles("grad.x"), 1e-12);
        Expect(result, "dweight", file.ReadDoubles("grad.weight"), 1e-12);
    }

    [Test]
    public void Rms_norm_takes_its_epsilon()
    {
        Given(("x", (1, 2), new[] { 1.0, 3 }), ("weight", 2, new[] { 2.0, 1 }));
        using Safetensors result = Run("rms-norm", "--eps", "4");
        Expect(result, "out", [2.0 / 3, 1], 1e-15);         // mean of squares 5, and 4: rms 3
    }

    [Test]
    public void Cross_entropy_by_hand()
    {
        // probabilities ¼ ¾, ½ ½, and a row that counts for nothing
        Given(("logits", (3, 2), new[] { 0, Math.Log(3), 1, 1, 5, 6 }), ("targets", 3, new long[] { 1, 0, 7 }), ("dout", 1, new[] { 2.0 }));
        using (Safetensors result = Run("cross-entropy", "--grad", "--ignore-index", "7"))
        {
            Expect(result, "out", [(Math.Log(4.0 / 3) + Math.Log(2)) / 2], 1e-15);
            Expect(result, "dlogits", [0.25, -0.25, -0.5, 0.5, 0, 0], 1e-15);
            Assert.That(result["out"].Shape.Rank, Is.Zero);
        }
        Given(("logits", (1, 3), new[] { 0, Math.Log(3), 99 }), ("targets", 1, new[] { 1 }));
        using Safetensors fewer = Run("cross-entropy", "--grad", "--classes", "2");
        Expect(fewer, "out", [Math.Log(4.0 / 3)], 1e-15);
        Expect(fewer, "dlogits", [0.25, -0.25, 0], 1e-15);
    }

    [Test]
    public void Matmul_by_hand([Values] bool transposeA, [Values] bool transposeB)
    {
        double[] a = transposeA ? [1, 4, 2, 5, 3, 6] : [1, 2, 3, 4, 5, 6], b = transposeB ? [1, 0, 2, 3, 1, 1] : [1, 3, 0, 1, 2, 1];
        Given(("a", transposeA ? (3, 2) : (2, 3), a), ("b", transposeB ? (2, 3) : (3, 2), b), ("dout", (2, 2), new[] { 1.0, 0, 0, 1 }));
        using Safetensors result = Run("matmul", ["--grad", .. transposeA ? new[] { "--transpose-a" } : [], .. transposeB ? new[] { "--transpose-b" } : []]);
        Expect(result, "out", [7, 8, 16, 23], 1e-15);
        Expect(result, "da", transposeA ? [1, 3, 0, 1, 2, 1] : [1, 0, 2, 3, 1, 1], 1e-15);
        Expect(result, "db", transposeB ? [1, 2, 3, 4, 5, 6] : [1, 4, 2, 5, 3, 6], 1e-15);
    }

    [Test]
    public void The_dtype_is_that_of_the_inputs_unless_said_and_half_precision_is_read()
    {
        Given(("a", (1, 1), new[] { 3f }), ("b", (1, 1), new[] { 0.5f }));
        using (Safetensors result = Run("matmul"))
            Assert.That((result["out"].Type, result.ReadDoubles("out")[0]), Is.EqualTo(("F32", 1.5)));
        using (Safetensors result = Run("matmul", "--dtype", "float64"))
            Assert.That((result["out"].Type, result.ReadDoubles("out")[0]), Is.EqualTo(("F64", 1.5)));
        Given(("a", (1, 1), new[] { 3f }), ("b", (1, 1), new[] { 0.5 }));
        using (Safetensors result = Run("matmul"))
            Assert.That((result["out"].Type, result.ReadDoubles("out")[0]), Is.EqualTo(("F64", 1.5)));

        const string Header = """{"a":{"dtype":"F16","shape":[1,1],"data_offsets":[0,2]},"b":{"dtype":"BF16","shape":[1,1],"data_offsets":[2,4]}}""";
        byte[] values = [0x00, 0xC2, 0x49, 0x40];      // −3; 3.140625
        File.WriteAllBytes(input, [.. BitConverter.GetBytes((ulong)Header.Length), .. System.Text.Encoding.ASCII.GetBytes(Header), .. values]);
        using Safetensors halves = Run("matmul");
        Assert.That((halves["out"].Type, halves.ReadDoubles("out")[0]), Is.EqualTo(("F32", -9.421875)));
    }

    [Test]
    public void What_another_framework_found_may_be_in_the_file_and_the_output_may_replace_it()
    {
        Given(("a", (1, 1), new[] { 3.0 }), ("b", (1, 1), new[] { 0.5 }), ("out", (1, 1), new[] { 9.0 }), ("da", (1, 1), new[] { 9.0 }));
        MambaInProcess.Succeed("op", "matmul", "--input", input, "--output", input, "--device", "cpu");
        using Safetensors result = Safetensors.Open(input);
        Assert.That(result.ReadDoubles("out"), Is.EqualTo(new[] { 1.5 }));
    }

    [Test]
    public void What_is_wrong_with_the_tensors_is_one_clear_line()
    {
        (string, Shape, Array) x = ("x", (1, 2, 3), new float[6]), weight = ("weight", (3, 2), new float[6]);
        Given(x, weight);
        Refuse("causal-conv1d", ["--grad"], "no tensor 'dout' (b, l, d) in it, the gradient of 'out': --grad needs it");
        Refuse("causal-conv1d", ["--activation", "gelu"], "gelu", "silu or none");
        Refuse("causal-conv1d", ["--dtype", "float16"], "float16", "float32 or float64");
        MambaInProcess.Refuse(["op", "causal-conv1d", "--input", input, "--output", output, "--device", "tpu"], "tpu");
        MambaInProcess.Refuse(["op", "causal-conv1d", "--input", input], "--output");
        Refuse("rms-norm", [], "weight has shape (3, 2)");
        Refuse("rms-norm", ["--eps", "-1"], "--eps");
        Given(x);
        Refuse("causal-conv1d", [], "no tensor 'weight'", "reads x (b, l, d), weight (d, k), bias (d) (optional)");
        Given(x, weight, ("bais", 3, new float[3]));
        Refuse("causal-conv1d", [], "knows no tensor 'bais'", "bias");
        Given(x, weight, ("dout", (1, 2, 2), new float[4]));
        Refuse("causal-conv1d", ["--grad"], "'dout' has shape (1, 2, 2); expected (1, 2, 3)");
        Given(x, ("weight", (3, 2), new int[6]));
        Refuse("causal-conv1d", [], "'weight' is I32; expected F32");
        Given(("x", (1, 0, 3), Array.Empty<float>()), weight);
        Refuse("causal-conv1d", [], "'x' has shape (1, 0, 3): there is nothing in it");
        Given(("logits", (2, 3), new float[6]), ("targets", 2, new long[] { 0, 3 }));
        Refuse("cross-entropy", [], "a target is 3; expected 0 to 2");
        Refuse("cross-entropy", ["--classes", "4"], "4 classes");
        Given(("logits", (2, 3), new float[6]), ("targets", 2, new long[] { 0, 1L << 40 }));
        Refuse("cross-entropy", [], "1099511627776");
        Given(("logits", (2, 3), new float[6]), ("targets", 2, new float[2]));
        Refuse("cross-entropy", [], "'targets' is F32");
        (string, Shape, Array)[] scan = [("u", (1, 2, 3), new float[6]), ("delta", (1, 2, 3), new float[6]), ("A", (3, 4), new float[12]),
            ("B", (1, 2, 4), new float[8]), ("C", (1, 2, 4), new float[8])];
        Given(scan);
        Refuse("selective-scan", ["--discretization", "runge-kutta"], "runge-kutta", "zoh");
        Refuse("selective-scan", ["--algorithm", "magic"], "magic", "chunked");
        Refuse("selective-scan", ["--grad"], "'dout'");
        Given([.. scan[..4], ("C", (1, 2, 5), new float[10])]);
        Refuse("selective-scan", [], "SelectiveScan: C has shape (1, 2, 5)");
        File.Delete(input);
        Refuse("matmul", [], "there is no such file");
    }

    public static string[] Names => [.. BridgeOps.All.Select(op => op.Name)];

    [Test]
    public void Help_names_every_tensor_and_option([ValueSource(nameof(Names))] string name)
    {
        (int code, string text, string error) = MambaProcess.Run(folder, "op", name, "--help");
        Assert.That((code, error), Is.EqualTo((0, "")));
        BridgeOp op = BridgeOps.All.Single(x => x.Name == name);
        string[] words = text.Split([' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries);
        string[] outputs = [.. op.Outputs.SelectMany(y => new[] { y.Name, "d" + y.Name })];
        foreach (string word in (string[])[.. op.Inputs.Select(x => x.Name), .. outputs, .. op.Options.Select(o => o.Name), "--grad"])
            Assert.That(words, Does.Contain(word));
    }
}
