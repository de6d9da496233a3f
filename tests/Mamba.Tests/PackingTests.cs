using NUnit.Framework;

namespace Mamba.Tests;

public class PackingTests
{
    const int Ignore = -100;

    static readonly Dictionary<string, MambaConfig> Configs = new(StringComparer.Ordinal)
    {
        ["plain"] = new() { DModel = 8, NLayer = 2, VocabSize = 11 },
        ["LayerNorm, biases, untied, narrow"] = new()
        {
            DModel = 5,
            NLayer = 2,
            VocabSize = 11,
            RmsNorm = false,
            TieEmbeddings = false,
            SsmCfg = new SsmConfig { DState = 3, DConv = 2, Bias = true },
        },
        ["d_conv 1"] = new() { DModel = 3, NLayer = 1, VocabSize = 11, SsmCfg = new SsmConfig { DState = 1, DConv = 1 } },
        ["d_conv 8, three layers"] = new()
        {
            DModel = 6,
            NLayer = 3,
            VocabSize = 11,
            SsmCfg = new SsmConfig { DState = 5, DConv = 8, ConvBias = false, Expand = 3 },
        },
    };

    static string[] Names => [.. Configs.Keys];

    static MambaLM Model(MambaConfig config, Device device, DType dtype = DType.Float64) => TestData.Stirred(config, device, dtype);

    // ---- the mask ----------------------------------------------------------------------------------

    [Test]
    public void A_mask_marks_each_first_token_and_the_padding()
    {
        using var scope = new TensorScope();
        Tensor reset = Packing.Resets(TestDevices.Open("cpu-256"), length: 5, [2, 3], [5], [1, 1, 2], []);
        Assert.That(reset.Shape, Is.EqualTo(new Shape(4, 5)));
        Assert.That(reset.ToArray<int>(), Is.EqualTo(new[]
        {
            1, 0, 1, 0, 0,
            1, 0, 0, 0, 0,
            1, 1, 1, 0, 1,
            1, 0, 0, 0, 0,
        }));
        Assert.That(Packing.Resets(reset.Device, 1, [1]).ToArray<int>(), Is.EqualTo(new[] { 1 }));
        Assert.That(Packing.Resets(reset.Device, 0, [], []).Shape, Is.EqualTo(new Shape(2, 0)));
        Assert.That(Packing.Resets(reset.Device, 3).Shape, Is.EqualTo(new Shape(0, 3)));
    }

    [Test]
    public void Lengths_that_do_not_fit_are_one_clear_line()
    {
        Device device = TestDevices.Open("cpu-256");
        void Refused(string message, long length, params long[][] lengths) =>
            Assert.That(() => Packing.Resets(device, length, lengths), Throws.TypeOf<MambaException>().With.Message.EqualTo(message));
        Refused("Packing.Resets: the rows have length -1; expected at least 0.", -1);
        Refused("Packing.Resets: the sequences of row 1 have 3 + 2 + 1 tokens; a row has 5.", 5, [5], [3, 2, 1]);
        Refused("Packing.Resets: row 0 has a sequence of 0 tokens; expected at least 1.", 5, [3, 0, 2]);
        Refused("Packing.Resets: row 0 has a sequence of -2 tokens; expected at least 1.", 5, [-2, 2]);
        Refused("Packing.Resets: the sequences of row 0 have 2 + 9223372036854775807 tokens; a row has 5.", 5, [2, long.MaxValue]);
    }

    [Test]
    public void A_mask_that_does_not_fit_the_tokens_is_refused()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        using MambaLM model = Model(Configs["plain"], device);
        Assert.That(() => model.Forward(Tensor.From([1, 2, 3], (1, 3), device), reset: Packing.Resets(device, 2, [2])),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("MambaLM: reset is int32 (1, 2) on cpu; expected int32 (1, 3) on cpu, as the tokens."));
        Assert.That(() => model.Forward(Tensor.From([1, 2, 3], (1, 3), device), reset: Tensor.Zeros((1, 3), DType.Float64, device)),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("MambaLM: reset is float64 (1, 3) on cpu; expected int32 (1, 3) on cpu, as the tokens."));
    }

    // ---- the model -----------------------------------------------------------------------------------

    // The example of Packing's documentation.
    [Test]
    public void Two_sequences_and_padding_in_one_row()
    {
        using Device device = Device.Open("cpu");
        using MambaLM model = Model(Configs["plain"], device);
        using var scope = new TensorScope();
        Tensor tokens = Tensor.From([5, 2, 7, 1, 1, 3, 9, 0], (1, 8), device);                  // a sequence of 3, one of 4, padding
        Tensor targets = Tensor.From([2, 7, -100, 1, 3, 9, -100, -100], (1, 8), device);
        Tensor reset = Packing.Resets(device, length: 8, [3, 4]);
        Tensor loss = Ops.CrossEntropy(model.Forward(tokens, reset: reset), targets);

        Tensor first = Ops.CrossEntropy(model.Forward(Tensor.From([5, 2, 7], (1, 3), device)), Tensor.From([2, 7, -100], (1, 3), device));
        Tensor second = Ops.CrossEntropy(model.Forward(Tensor.From([1, 1, 3, 9], (1, 4), device)), Tensor.From([1, 3, 9, -100], (1, 4), device));
        Assert.That(loss.Item(), Is.EqualTo((2 * first.Item() + 3 * second.Item()) / 5).Within(1e-13));
        Assert.That(Ops.CrossEntropy(model.Forward(tokens), targets).Item(),
            Is.Not.EqualTo(loss.Item()).Within(1e-3), "without the mask the second sees the first");
    }

    /// <summary>Rows of sequences with next-token targets.</summary>
    sealed record Rows(int[][][] Sequences, int Length)
    {
        public static Rows ByChance(int seed, int batch, int length, int longest)
        {
            var random = new Random(seed);
            return new Rows([.. Enumerable.Range(0, batch).Select(_ =>
            {
                var row = new List<int[]>();
                for (int left = length - random.Next(3); left > 0; left -= row[^1].Length)
                    row.Add([.. Enumerable.Range(0, random.Next(1, Math.Min(left, longest) + 1)).Select(_ => random.Next(11))]);
                return row.ToArray();
            })], length);
        }

        public Tensor Tokens(Device device) => Packed(sequence => sequence, 0, device);
        public Tensor Targets(Device device) => Packed(Next, Ignore, device);
        public Tensor Reset(Device device) => Packing.Resets(device, Length, [.. Sequences.Select(row => row.Select(s => (long)s.Length).ToArray())]);

        public static int[] Next(int[] sequence) => [.. sequence[1..], Ignore];

        /// <summary>Targets that count.</summary>
        public int Counted => Sequences.Sum(row => row.Sum(s => s.Length - 1));

        Tensor Packed(Func<int[], int[]> of, int padding, Device device)
        {
            IEnumerable<int> Row(int[][] row) => row.SelectMany(of).Concat(Enumerable.Repeat(padding, Length - row.Sum(s => s.Length)));
            return Tensor.From([.. Sequences.SelectMany(Row)], (Sequences.Length, Length), device);
        }
    }

    static double[][] GradientsOf(Gradients gradients, MambaLM model) => [.. model.Parameters.Select(p => gradients[p].ToDoubles())];

    // logits of every token that is not padding, and the gradients of the mean loss
    static (double[] Logits, double[][] Gradients) Together(MambaLM model, Rows rows)
    {
        Device device = model.Parameters.Device;
        int v = model.Config.PaddedVocabSize;
        using var tape = new Tape();
        Tensor y = model.Forward(rows.Tokens(device), reset: rows.Reset(device));
        Gradients gradients = tape.Backward(Ops.CrossEntropy(y, rows.Targets(device)), new Gradients(model.Parameters));
        double[] all = y.ToDoubles();
        double[] Real(int[][] row, int b) => all.AsSpan(b * rows.Length * v, row.Sum(s => s.Length) * v).ToArray();
        return ([.. rows.Sequences.SelectMany(Real)], GradientsOf(gradients, model));
    }

    static (double[] Logits, double[][] Gradients) Apart(MambaLM model, Rows rows)
    {
        Device device = model.Parameters.Device;
        using var scope = new TensorScope();
        var sum = new Gradients(model.Parameters);
        var logits = new List<double>();
        foreach (int[] sequence in rows.Sequences.SelectMany(row => row))
        {
            using var tape = new Tape();
            Tensor y = model.Forward(Tensor.From(sequence, (1, sequence.Length), device));
            logits.AddRange(y.ToDoubles());
            tape.Backward(Ops.CrossEntropy(y, Tensor.From(Rows.Next(sequence), (1, sequence.Length), device)) * ((sequence.Length - 1.0) / rows.Counted), sum);
        }
        return ([.. logits], GradientsOf(sum, model));
    }

    static void ExpectSame(MambaLM model, (double[] Logits, double[][] Gradients) actual, (double[] Logits, double[][] Gradients) expected, double tolerance)
    {
        Assert.That(TestData.RelativeError(actual.Logits, expected.Logits), Is.LessThan(tolerance));
        foreach ((Parameter p, double[] a, double[] b) in model.Parameters.Zip(actual.Gradients, expected.Gradients))
        {
            Assert.That(TestData.RelativeError(a, b), Is.LessThan(tolerance), p.Name);
            Assert.That(b.Max(Math.Abs), Is.GreaterThan(1e-6), $"{p.Name} matters");
        }
    }

    static readonly string[] Devices = ["cpu-128", "cpu-256", "cpu-512", "opencl:0", "ilgpu-cpu", "cuda:0"];

    [Test]
    public void Sequences_in_one_row_are_those_run_apart([ValueSource(nameof(Devices))] string device, [ValueSource(nameof(Names))] string config)
    {
        using MambaLM model = Model(Configs[config], TestDevices.Open(device));
        var rows = Rows.ByChance(3, batch: 2, length: device == "ilgpu-cpu" ? 12 : 41, longest: 17);
        ExpectSame(model, Together(model, rows), Apart(model, rows), 2e-12);
    }

    [Test]
    public void Also_in_float32([Values("cpu", "opencl:0", "cuda:0")] string device, [ValueSource(nameof(Names))] string config)
    {
        using MambaLM model = Model(Configs[config], TestDevices.Open(device), DType.Float32);
        var rows = Rows.ByChance(4, batch: 2, length: 41, longest: 17);
        ExpectSame(model, Together(model, rows), Apart(model, rows), 2e-5);
    }

    [Test]
    public void Rows_of_chance_lengths([Range(0, 24)] int seed)
    {
        var random = new Random(seed);
        using MambaLM model = Model(Configs[Names[seed % Names.Length]], TestDevices.Open("cpu-256"));
        var rows = Rows.ByChance(seed, batch: random.Next(1, 4), length: random.Next(4, 150), longest: random.Next(2, 80));
        ExpectSame(model, Together(model, rows), Apart(model, rows), 2e-12);
    }

    [Test]
    public void Every_token_may_be_a_sequence_of_its_own([ValueSource(nameof(Names))] string config)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        using MambaLM model = Model(Configs[config], device);
        int[] ids = [.. Enumerable.Range(0, 9).Select(i => i * 7 % 11)];
        double[] together = model.Forward(Tensor.From(ids, (1, 9), device), reset: Packing.Resets(device, 9, [1, 1, 1, 1, 1, 1, 1, 1, 1])).ToDoubles();
        Assert.That(TestData.RelativeError(together, model.Forward(Tensor.From(ids, (9, 1), device)).ToDoubles()), Is.LessThan(1e-12));
    }

    [Test]
    public void A_packed_row_in_pieces_is_the_whole([ValueSource(nameof(Names))] string config, [Values] bool byToken)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        using MambaLM model = Model(Configs[config], device);
        using MambaState whole = model.NewState(3), pieces = model.NewState(3);
        var rows = Rows.ByChance(6, batch: 3, length: 40, longest: 9);
        Tensor tokens = rows.Tokens(device), reset = rows.Reset(device), expected = model.Forward(tokens, whole, reset: reset);
        // a state in which something is: the first tokens' resets cut it off
        _ = model.Forward(tokens, pieces);
        var parts = new List<Tensor>();
        int start = 0;
        foreach (int size in byToken ? Enumerable.Repeat(1, 40) : [1, 12, 0, 2, 1, 24])
        {
            parts.Add(model.Forward(Ops.Slice(tokens, 1, start, size), pieces, reset: Ops.Slice(reset, 1, start, size)));
            start += size;
        }
        Assert.That(TestData.RelativeError(Ops.Concat(1, [.. parts]).ToDoubles(), expected.ToDoubles()), Is.LessThan(1e-12));
        foreach ((MambaBlockState a, MambaBlockState b) in whole.Blocks().Zip(pieces.Blocks()))
        {
            Assert.That(TestData.RelativeError(b.Conv.Value.ToDoubles(), a.Conv.Value.ToDoubles()), Is.LessThan(1e-12));
            Assert.That(TestData.RelativeError(b.Ssm.Value.ToDoubles(), a.Ssm.Value.ToDoubles()), Is.LessThan(1e-12));
        }
    }
}
