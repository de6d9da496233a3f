using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>What can be seen in a trained model, by number.</summary>
public class InspectionTests
{
    const int Sequences = 100, Length = 24;

    static Device Cpu => TestDevices.Open("cpu");

    /// <summary>The model of the README's first command.</summary>
    static MambaLM InductionHeads(DType dtype = DType.Float32) =>
        MambaLM.Load(Path.Combine(TestData.Root, "learn", "models", "induction-heads"), Cpu, dtype);

    /// <summary>Random tokens, the special one somewhere and again at the end; where it was first, and what came after it.</summary>
    static (int[] Ids, int At, int Answer) Sequence(int seed)
    {
        var random = new Random(seed);
        int[] ids = [.. Enumerable.Range(0, Length).Select(_ => random.Next(Mamba.InductionHeads.Special))];
        int at = random.Next(3, Length - 8);
        ids[at] = ids[^1] = Mamba.InductionHeads.Special;
        return (ids, at, ids[at + 1]);
    }

    static int Says(Tensor logits)
    {
        double[] last = Ops.Index(logits, 0, ^1).ToDoubles();
        return Enumerable.Range(0, Mamba.InductionHeads.Special).MaxBy(id => last[id]);
    }

    [Test]
    public void Induction_attends_to_the_token_after_the_earlier_occurrence()
    {
        using MambaLM model = InductionHeads();
        int right = 0, there = 0;
        double share = 0;
        for (int seed = 0; seed < Sequences; seed++)
        {
            (int[] ids, int at, int answer) = Sequence(seed);
            using var scope = new TensorScope();
            using ModelTrace trace = model.Trace(Tensor.From(ids, (1, Length), Cpu));
            double[] ofTokens = Ops.Index(trace[0].Attention(), 0, ^1).ToDoubles();
            double[] ofInputs = Ops.Index(trace[0].Attention(ofTokens: false), 0, ^1).ToDoubles();
            right += Says(trace.Logits) == answer ? 1 : 0;
            there += Enumerable.Range(0, Length).MaxBy(j => ofTokens[j]) == at + 1 ? 1 : 0;
            share += ofInputs.AsSpan(at + 1, 4).ToArray().Sum();        // the inputs u that the token after is in: the convolution is four wide
        }
        Assert.That(right, Is.EqualTo(Sequences));
        Assert.That(there, Is.EqualTo(Sequences));
        Assert.That(share / Sequences, Is.GreaterThan(0.9));
    }

    [Test]
    public void Wiping_the_state_there_breaks_the_answer_and_before_it_does_not()
    {
        using MambaLM model = InductionHeads();
        int before = 0, there = 0, scaled = 0;
        for (int seed = 0; seed < Sequences; seed++)
        {
            (int[] ids, int at, int answer) = Sequence(seed);
            using var scope = new TensorScope();
            Tensor tokens = Tensor.From(ids, (1, Length), Cpu);
            // the token after is in the inputs as far as the convolution reaches: three further
            before += Says(model.Forward(tokens, hooks: [Hook.Wipe(Site.H, layers: 0, positions: at + 1)])) == answer ? 1 : 0;
            there += Says(model.Forward(tokens, hooks: [Hook.Wipe(Site.H, layers: 0, positions: at + 4)])) == answer ? 1 : 0;
            scaled += Says(model.Forward(tokens, hooks: [Hook.Scale(Site.H, 0.9, layers: 0, positions: at + 4)])) == answer ? 1 : 0;
        }
        Assert.That(before, Is.EqualTo(Sequences));
        Assert.That(there, Is.LessThan(Sequences * 0.15));             // one in fifteen is right by chance
        Assert.That(scaled, Is.EqualTo(Sequences));
    }

    [Test]
    public void Causal_tracing_finds_the_layer_and_position_that_hold_the_answer()
    {
        using MambaLM model = InductionHeads();
        using var scope = new TensorScope();
        (int[] ids, int at, int answer) = Sequence(seed: 7);
        int[] corrupted = [.. ids];
        corrupted[at + 1] = (answer + 3) % Mamba.InductionHeads.Special;
        var tracing = CausalTracing.Run(model, Tensor.From(ids, (1, Length), Cpu), Tensor.From(corrupted, (1, Length), Cpu), Quantity.LogProbability(answer));
        double[,] share = tracing.Share;
        for (int t = 0; t < Length; t++)
        {
            // layer 0 knows the answer once the convolution has let it in, until the end
            if (t <= at)
                Assert.That(share[0, t], Is.EqualTo(0).Within(1e-3), $"position {t}");
            if (t >= at + 4)
                Assert.That(share[0, t], Is.GreaterThan(0.9), $"position {t}");
        }
        Assert.That((tracing.Clean, tracing.Corrupted), Is.EqualTo((Math.Log(1), -10.0)).Using<(double, double)>((a, b) => a.Item1 > -0.01 && a.Item2 < -3));
    }

    [Test]
    public void Causal_tracing_is_one_run_for_each_value([Values] Site site)
    {
        using MambaLM model = InductionHeads(DType.Float64);
        using var scope = new TensorScope();
        Tensor clean = Tensor.From([15, 3, 4, 15, 5, 2], (1, 6), Cpu), corrupted = Tensor.From([15, 7, 4, 15, 1, 2], (1, 6), Cpu);
        using ModelTrace right = model.Trace(clean);
        var tracing = CausalTracing.Run(model, clean, corrupted, Quantity.Loss, site, layers: 1, positions: [0, 3, 5]);
        Assert.That((tracing.Layers, tracing.Positions), Is.EqualTo((new[] { 1 }, new[] { 0L, 3, 5 })));
        for (int j = 0; j < 3; j++)
        {
            Tensor logits = model.Forward(corrupted, hooks: [Hook.Patch(site, right, layers: 1, positions: (int)tracing.Positions[j])]);
            double expected = Quantity.Loss.In(logits, new Quantity.Part(corrupted.ToArray<int>(), 6, 0, 16))!.Item();
            Assert.That(tracing.Restored[0, j], Is.EqualTo(expected).Within(1e-12));
        }
        Assert.That(() => CausalTracing.Run(model, clean, Tensor.From([1], (1, 1), Cpu), Quantity.Loss), Throws.TypeOf<MambaException>().With.Message.EqualTo(
            "CausalTracing: the clean tokens are (1, 6), the corrupted ones (1, 1); expected the same shape."));
        Assert.That(() => CausalTracing.Run(model, clean, corrupted, Quantity.Loss, positions: 6), Throws.TypeOf<MambaException>().With.Message.EqualTo(
            "CausalTracing: positions 6 were asked for; the sequence has 0 to 5."));
    }

    [Test]
    public void Hidden_attention_times_the_input_is_the_scan([ValueSource(typeof(Discretization), nameof(Discretization.All))] Discretization discretization)
    {
        var config = new MambaConfig { DModel = 6, NLayer = 1, VocabSize = 16, Discretization = discretization };
        using var model = new MambaLM(config, Cpu, seed: 3, DType.Float64);
        using var scope = new TensorScope();
        Tensor tokens = Tensor.From([.. Enumerable.Range(0, 26).Select(i => i * 7 % 16)], (2, 13), Cpu);
        Tensor reset = Tensor.From([.. Enumerable.Range(0, 26).Select(i => i is 4 or 20 ? 1 : 0)], (2, 13), Cpu);
        using ModelTrace trace = model.Trace(tokens, new TraceSettings { Reset = reset });
        LayerTrace layer = trace[0];
        Tensor u = Ops.Transpose(layer.U);                                                                  // (b, d, l)
        Tensor m = Ops.Concat(1, layer.HiddenAttention(0, 5), layer.HiddenAttention(5, 7));                 // (b, d, l, l)
        Tensor y = Ops.Transpose(Ops.Sum(m * Ops.Reshape(u, (2, 12, 1, 13)), 3)) + layer.D * layer.U;
        Assert.That(TestData.RelativeError(y.ToDoubles(), layer.Y.ToDoubles()), Is.LessThan(1e-13));
    }

    [Test]
    public void Abar_is_0_where_a_sequence_starts_and_its_gradient_too()
    {
        var config = new MambaConfig { DModel = 6, NLayer = 1, VocabSize = 16 };
        using var model = new MambaLM(config, Cpu, seed: 3, DType.Float64);
        using var scope = new TensorScope();
        Tensor tokens = Tensor.From([.. Enumerable.Range(0, 8).Select(i => i * 7 % 16)], (1, 8), Cpu);
        Tensor reset = Tensor.From([0, 0, 0, 1, 0, 0, 0, 0], (1, 8), Cpu);
        using ModelTrace trace = model.Trace(tokens, new TraceSettings { Reset = reset, Quantity = Quantity.Loss });
        for (int t = 0; t < 7; t++)         // the loss is not of what comes after the last
        {
            Assert.That(Ops.Slice(trace[0].Abar, 1, t, 1).ToDoubles(), t == 3 ? Is.All.Zero : Is.All.Not.Zero);
            Assert.That(Ops.Slice(trace[0].DAbar, 1, t, 1).ToDoubles(), t is 0 or 3 ? Is.All.Zero : Is.All.Not.Zero);
        }
    }

    [Test]
    public void Attention_and_reach_end_where_a_sequence_starts([ValueSource(typeof(Discretization), nameof(Discretization.All))] Discretization discretization)
    {
        const int B = 2, L = 9, D = 19;
        using var scope = new TensorScope();
        Tensor delta = TestData.Random((B, L, D), DType.Float64, Cpu, 1, 0.01, 0.5), A = TestData.Random((D, 3), DType.Float64, Cpu, 2, -2, -0.1);
        Tensor b = TestData.Random((B, L, 3), DType.Float64, Cpu, 3), c = TestData.Random((B, L, 3), DType.Float64, Cpu, 4);
        Tensor reset = Tensor.From([.. Enumerable.Range(0, B * L).Select(i => i is 0 or 4 or 10 or 15 or 16 ? 1 : 0)], (B, L), Cpu);
        double[] m = Ops.HiddenAttention(delta, A, b, c, deltaSoftplus: false, reset: reset, discretization: discretization).ToDoubles();
        foreach (AttentionBlock block in AttentionBlock.Of(delta, A, b, c, discretization, reset))
            for (int j = 0; j < L; j++)
            {
                double[] column = block.Column(j).ToArray();
                for (int i = j; i < L; i++)
                    for (int lane = 0; lane < block.Count; lane++)
                        Assert.That(column[(i - j) * AttentionBlock.Lanes + lane],
                            Is.EqualTo(m[((block.Row * D + block.First + lane) * L + i) * L + j]).Within(1e-14));
            }
        var reach = Reach.Of(delta, A, b, c, discretization, reset);
        for (int lag = 0; lag < L; lag++)
        {
            double sum = 0;
            for (int channel = 0; channel < B * D; channel++)
                for (int i = lag; i < L; i++)
                    sum += Math.Abs(m[(channel * L + i) * L + i - lag]);
            Assert.That(reach.ReceptiveField[lag], Is.EqualTo(sum / (B * D * (L - lag))).Within(1e-14));
        }
    }

    [Test]
    public void Attention_of_tokens_goes_through_the_convolution([Values(1, 4, 7)] int width, [Values(1, 3, 9)] int l)
    {
        var config = new MambaConfig { DModel = 6, NLayer = 1, VocabSize = 16, SsmCfg = new SsmConfig { DConv = width } };
        using var model = new MambaLM(config, Cpu, seed: 3, DType.Float64);
        using var scope = new TensorScope();
        using ModelTrace trace = model.Trace(Tensor.From([.. Enumerable.Range(0, l).Select(i => i * 7 % 16)], (1, l), Cpu));
        double[] m = trace[0].HiddenAttention(0, 12).ToDoubles(), w = trace[0].Conv.ToDoubles(), actual = trace[0].Attention().ToDoubles();
        for (int i = 0; i < l; i++)
        {
            double[] row = new double[l];
            for (int c = 0; c < 12; c++)
                for (int j = 0; j <= i; j++)
                    for (int t = Math.Max(0, j - width + 1); t <= j; t++)
                        row[t] += Math.Abs(m[(c * l + i) * l + j]) * Math.Abs(w[c * width + width - 1 - (j - t)]);
            Assert.That(actual.AsSpan(i * l, l).ToArray(), Is.EqualTo(row.Select(value => value / row.Sum())).Within(1e-12));
        }
    }
}
