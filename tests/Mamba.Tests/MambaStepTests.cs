using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

public class MambaStepTests
{
    /// <summary>Batch, channels, states, taps, rank.</summary>
    public readonly record struct Sizes(int B, int D, int N, int K, int R)
    {
        /// <summary>xz, convState, ssmState, convWeight, convBias, xProj, dtProj, deltaBias, ALog, D.</summary>
        public Shape[] Shapes => [(B, 2 * D), (B, K, D), (B, N, D), (D, K), D, (R + 2 * N, D), (D, R), D, (D, N), D];
    }

    static readonly Sizes[] All =
    [
        new(1, 1, 1, 1, 1), new(3, 7, 3, 2, 1), new(1, 33, 16, 3, 3), new(5, 17, 5, 4, 2), new(2, 64, 16, 5, 4), new(1, 129, 17, 6, 9), new(9, 20, 64, 7, 2),
            new(2, 35, 256, 8, 3), new(1, 2048, 16, 4, 48),
    ];

    static IEnumerable<Sizes> On(string device) => device == "ilgpu-cpu" ? All[..2] : All;

    // Projections as large as those of a model: larger ones make steps of hundreds, whose exponentials lose digits.
    static Tensor[] Inputs(Sizes s, DType dtype, Device device) => [.. s.Shapes.Select((shape, i) =>
    {
        double bound = i is 5 or 6 ? 1 / Math.Sqrt(shape[1]) : 1;
        return TestData.Random(shape, dtype, device, i + 1, -bound, bound);
    })];

    static Tensor Step(Tensor[] x, bool bias) => Ops.MambaStep(x[0], x[1], x[2], x[3], bias ? x[4] : null, x[5], x[6], x[7], x[8], x[9]);

    // y, and both states after it, by loops
    static (double[] Y, double[] Conv, double[] Ssm) Plain(Sizes s, double[][] x, bool hasBias)
    {
        (int B, int D, int N, int K, int R) = s;
        double[] y = new double[B * D], conv = [.. x[1]], ssm = [.. x[2]];
        static double Silu(double v) => v / (1 + Math.Exp(-v));
        for (int b = 0; b < B; b++)
        {
            double[] u = new double[D], projected = new double[R + 2 * N];
            for (int d = 0; d < D; d++)
            {
                double pre = hasBias ? x[4][d] : 0;
                for (int j = 0; j < K; j++)
                {
                    int at = (b * K + j) * D + d;
                    conv[at] = j < K - 1 ? x[1][at + D] : x[0][b * 2 * D + d];
                    pre += conv[at] * x[3][d * K + j];
                }
                u[d] = Silu(pre);
            }
            for (int i = 0; i < R + 2 * N; i++)
                for (int d = 0; d < D; d++)
                    projected[i] += u[d] * x[5][i * D + d];
            for (int d = 0; d < D; d++)
            {
                double raw = x[7][d], sum = x[9][d] * u[d];
                for (int r = 0; r < R; r++)
                    raw += projected[r] * x[6][d * R + r];
                double delta = Math.Log(1 + Math.Exp(raw));
                for (int n = 0; n < N; n++)
                {
                    ref double h = ref ssm[(b * N + n) * D + d];
                    h = Math.Exp(-delta * Math.Exp(x[8][d * N + n])) * h + delta * projected[R + n] * u[d];
                    sum += projected[R + N + n] * h;
                }
                y[b * D + d] = sum * Silu(x[0][(2 * b + 1) * D + d]);
            }
        }
        return (y, conv, ssm);
    }

    [Test]
    public void A_step_is_that_of_plain_loops([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values] bool bias)
    {
        foreach (Sizes s in On(device))
        {
            using var scope = new TensorScope();
            Tensor[] x = Inputs(s, dtype, TestDevices.Open(device));
            (double[] y, double[] conv, double[] ssm) = Plain(s, [.. x.Select(t => t.ToDoubles())], bias);
            double tolerance = dtype == DType.Float64 ? 1e-13 : 1e-5;
            Assert.That(TestData.RelativeError(Step(x, bias).ToDoubles(), y), Is.LessThan(tolerance), $"{s}: y");
            Assert.That(x[1].ToDoubles(), Is.EqualTo(conv), $"{s}: the state of the convolution");
            Assert.That(TestData.RelativeError(x[2].ToDoubles(), ssm), Is.LessThan(tolerance), $"{s}: the state of the scan");
        }
    }

    [Test]
    public void The_number_of_cores_changes_no_bit([Values(DType.Float32, DType.Float64)] DType dtype)
    {
        double[][] With(int threads)
        {
            using var device = new HostDevice(threads);
            using var scope = new TensorScope();
            Tensor[] x = Inputs(new Sizes(3, 1027, 16, 4, 48), dtype, device);
            return [Step(x, bias: true).ToDoubles(), x[1].ToDoubles(), x[2].ToDoubles()];
        }
        double[][] one = With(1);
        foreach (int threads in (int[])[2, 3, 7])
            Assert.That(With(threads), Is.EqualTo(one), $"{threads} threads");
    }

    [Test]
    public void No_sequences_are_no_work()
    {
        using var scope = new TensorScope();
        Assert.That(Step(Inputs(new Sizes(0, 5, 3, 4, 2), DType.Float32, TestDevices.Open("cpu-256")), bias: true).Shape, Is.EqualTo(new Shape(0, 5)));
    }

    [Test]
    public void What_does_not_fit_is_one_clear_line()
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Open("cpu-256");
        var sizes = new Sizes(2, 5, 3, 4, 2);
        string[] names = ["xz", "convState", "ssmState", "convWeight", "convBias", "xProj", "dtProj", "deltaBias", "ALog", "D"];
        for (int i = 0; i < names.Length; i++)
        {
            Tensor[] x = Inputs(sizes, DType.Float32, device);
            x[i] = Tensor.Zeros((7, 7, 7, 7), DType.Float32, device);
            Assert.That(() => Step(x, bias: true), Throws.TypeOf<MambaException>().With.Message.StartsWith("MambaStep: ").And.Message.Contains(names[i]),
                names[i]);
            x = Inputs(sizes, DType.Float32, device);
            x[i] = Tensor.Zeros(sizes.Shapes[i], DType.Float64, device);
            Assert.That(() => Step(x, bias: true), Throws.TypeOf<MambaException>().With.Message.StartsWith("MambaStep: "), names[i]);
        }
        Assert.That(() => Step(Inputs(sizes with { K = 9 }, DType.Float32, device), bias: true),
            Throws.TypeOf<MambaException>().With.Message.EqualTo("MambaStep: convState has shape (2, 9, 5); expected (b, k, d), k from 1 to 8."));
    }

    // ---- the model --------------------------------------------------------------------------------------------

    static MambaLM Model(MambaConfig config, Device device)
    {
        var model = new MambaLM(config, device, seed: 1, DType.Float64);
        int seed = 1;
        foreach (Parameter p in model.Parameters)
            p.Value.WriteRounded(TestData.Uniform(p.Shape.Count, seed++));
        return model;
    }

    [Test]
    public void Steps_after_a_prompt_equal_the_whole([Values("cpu-128", "cpu-256", "cpu-512", "opencl:0")] string device, [Range(1, 8)] int taps,
        [Values(1, 5)] int batch)
    {
        const int Length = 14;
        using var scope = new TensorScope();
        Device on = TestDevices.Open(device);
        // 33 channels
        var config = new MambaConfig { DModel = 11, NLayer = 2, VocabSize = 13, SsmCfg = new SsmConfig { DConv = taps, Expand = 3, DState = 7 } };
        using MambaLM model = Model(config, on);
        Tensor tokens = Tensor.From([.. TestData.Uniform(batch * Length, taps, 0, 13).Select(v => (int)v)], (batch, Length), on);
        int[] ids = tokens.ToArray<int>();
        int v = config.PaddedVocabSize;
        using MambaState whole = model.NewState(batch);
        double[] expected = model.Forward(tokens, whole).ToDoubles();
        foreach (int prompt in (int[])[0, 1, 3, 9])
        {
            using MambaState state = model.NewState(batch);
            if (prompt > 0)
                model.Forward(tokens.Slice(1, 0, prompt), state, lastOnly: true);
            for (int t = prompt; t < Length; t++)
            {
                double[] logits = model.Step(Tensor.From([.. Enumerable.Range(0, batch).Select(b => ids[b * Length + t])], batch, on), state).ToDoubles();
                double[] part = [.. Enumerable.Range(0, batch).SelectMany(b => expected[((b * Length + t) * v)..((b * Length + t + 1) * v)])];
                Assert.That(TestData.RelativeError(logits, part), Is.LessThan(1e-12), $"token {t} after a prompt of {prompt}");
            }
            Assert.That(state.Position, Is.EqualTo(Length));
            foreach ((MambaBlockState a, MambaBlockState b) in whole.Blocks().Zip(state.Blocks()))
            {
                Assert.That(TestData.RelativeError(b.Conv.Value.ToDoubles(), a.Conv.Value.ToDoubles()), Is.LessThan(1e-12));
                Assert.That(TestData.RelativeError(b.Ssm.Value.ToDoubles(), a.Ssm.Value.ToDoubles()), Is.LessThan(1e-12));
            }
        }
    }

    [Test]
    public void A_sequence_has_the_bits_it_has_among_others()
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open("cpu-256");
        using MambaLM model = Model(new MambaConfig { DModel = 11, NLayer = 2, VocabSize = 13 }, on);
        using MambaState together = model.NewState(8);
        using MambaState alone = model.NewState(1);
        for (int t = 0; t < 5; t++)
        {
            double[] all = model.Step(Tensor.From([.. Enumerable.Range(0, 8).Select(b => (3 * b + t) % 13)], 8, on), together).ToDoubles();
            double[] one = model.Step(Tensor.From([(3 * 6 + t) % 13], 1, on), alone).ToDoubles();
            Assert.That(one, Is.EqualTo(all[(6 * one.Length)..(7 * one.Length)]));
        }
    }

    [Test]
    public void A_recorded_step_has_gradients_and_the_same_logits()
    {
        using var scope = new TensorScope();
        Device on = TestDevices.Open("cpu-256");
        using MambaLM model = Model(new MambaConfig { DModel = 11, NLayer = 2, VocabSize = 13 }, on);
        using MambaState state = model.NewState(2), other = model.NewState(2);
        Tensor token = Tensor.From([3, 5], 2, on);
        double[] expected = model.Step(token, other).ToDoubles();
        using var tape = new Tape();
        Tensor logits = model.Step(token, state);
        Assert.That(TestData.RelativeError(logits.ToDoubles(), expected), Is.LessThan(1e-12));
        Gradients gradients = tape.Backward([(logits, logits)]);
        Assert.That(gradients[model.Parameters["backbone.layers.0.mixer.in_proj.weight"]].ToDoubles(), Has.Some.Not.Zero);
    }

    // Measured: 21 KB in all: the tensors, and what the norms and the projections would record.
    [Test]
    public void A_step_allocates_little_and_memory_does_not_grow()
    {
        using var device = new HostDevice(threads: 2);
        using var scope = new TensorScope();
        const int Layers = 4;
        using var model = new MambaLM(new MambaConfig { DModel = 16, NLayer = Layers, VocabSize = 16 }, device, seed: 1);
        using MambaState state = model.NewState(3);
        Tensor tokens = Tensor.From([1, 2, 3], 3, device);
        void Step()
        {
            using var inner = new TensorScope();
            _ = model.Step(tokens, state);
        }
        Step();
        Step();
        (long reserved, long peak, int live) = (device.Memory.ReservedBytes, device.Memory.PeakBytes, device.Memory.LiveBuffers);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10; i++)
            Step();
        long bytes = (GC.GetAllocatedBytesForCurrentThread() - before) / 10;
        TestContext.Out.WriteLine($"{bytes} bytes a step of {Layers} layers");
        Assert.That(bytes, Is.LessThan(5000 * (Layers + 1)));
        Assert.That((device.Memory.ReservedBytes, device.Memory.PeakBytes, device.Memory.LiveBuffers), Is.EqualTo((reserved, peak, live)));
    }
}
