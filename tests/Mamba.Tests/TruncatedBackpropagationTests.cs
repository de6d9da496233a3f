using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

public class TruncatedBackpropagationTests
{
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

    static MambaLM Model(string config, Device device)
    {
        var model = new MambaLM(Configs[config], device, seed: 1, DType.Float64);
        int seed = 1;
        foreach (Parameter p in model.Parameters)
            p.Value.WriteRounded(TestData.Uniform(p.Shape.Count, seed++));
        return model;
    }

    static Device Cpu => TestDevices.Open("cpu-256");

    static int[] Ids(int count, int seed = 1) => [.. TestData.Uniform(count, seed, 0, 11).Select(v => (int)v)];

    // The loss of a piece: a sum, so that those of the pieces add up to that of the whole.
    static Tensor Loss(Tensor logits, Tensor targets) => Ops.CrossEntropy(logits, targets) * targets.Count;

    static double[][] Values(Gradients gradients, MambaLM model) => [.. model.Parameters.Select(p => gradients[p].ToDoubles())];

    static double Difference(double[][] a, double[][] b) => a.Zip(b, (x, y) => TestData.RelativeError(x, y)).Max();

    /// <summary>One row of tokens, what comes next, and what is done with it in pieces.</summary>
    sealed class Sequence(MambaLM model, int batch, int[] sizes, Tensor? reset = null)
    {
        readonly Device device = model.Parameters.Device;
        readonly int length = sizes.Sum();
        readonly int[] ids = Ids(batch * sizes.Sum()), next = Ids(batch * sizes.Sum(), 2);

        public Tensor Tokens => Tensor.From(ids, (batch, length), device);
        public Tensor Targets => Tensor.From(next, (batch, length), device);

        public (double[] Logits, double[][] Gradients) Whole()
        {
            using var tape = new Tape();
            Tensor logits = model.Forward(Tokens, reset: reset);
            return (logits.ToDoubles(), Values(tape.Backward(Loss(logits, Targets), new Gradients(model.Parameters)), model));
        }

        /// <summary>All pieces on one tape; before each, <paramref name="before"/>.</summary>
        public (double[] Logits, double[][] Gradients) OnOneTape(MambaState state, Action<int>? before = null)
        {
            using var tape = new Tape();
            Tensor[] logits = Forward(state, 0, sizes.Length, before);
            Tensor loss = logits.Select((y, i) => Loss(y, Piece(Targets, i))).Aggregate((a, b) => a + b);
            return (Ops.Concat(1, logits).ToDoubles(), Values(tape.Backward(loss, new Gradients(model.Parameters)), model));
        }

        /// <summary>A tape for each run of pieces, the gradients added up.</summary>
        public double[][] OnTapes(MambaState state, params int[] runs)
        {
            using var scope = new TensorScope();
            var sum = new Gradients(model.Parameters);
            int first = 0;
            foreach (int run in runs)
            {
                using var tape = new Tape();
                Tensor[] logits = Forward(state, first, run, null);
                tape.Backward(logits.Select((y, i) => Loss(y, Piece(Targets, first + i))).Aggregate((a, b) => a + b), sum);
                first += run;
            }
            return Values(sum, model);
        }

        public Tensor Piece(Tensor x, int i) => Ops.Slice(x, 1, sizes[..i].Sum(), sizes[i]);

        Tensor[] Forward(MambaState state, int first, int count, Action<int>? before) => [.. Enumerable.Range(first, count).Select(i =>
        {
            before?.Invoke(i);
            return model.Forward(Piece(Tokens, i), state, reset: reset is null ? null : Piece(reset, i));
        })];
    }

    // ---- with gradient through the state -------------------------------------------------------------

    [Test]
    public void Pieces_on_one_tape_are_the_unbroken_sequence([ValueSource(nameof(Names))] string config,
        [Values("cpu-256", "opencl:0", "cuda:0")] string device)
    {
        using MambaLM model = Model(config, TestDevices.Open(device));
        using MambaState state = model.NewState(2);
        state.CarryGradient = true;
        var sequence = new Sequence(model, 2, [3, 1, 1, 2, 40, 1, 9]);
        (double[] logits, double[][] gradients) = sequence.Whole();
        (double[] Logits, double[][] Gradients) pieces = sequence.OnOneTape(state);
        double[] expected = logits, actual = pieces.Logits;
        Assert.That(TestData.RelativeError(actual, expected), Is.LessThan(1e-12));
        Assert.That(Difference(pieces.Gradients, gradients), Is.LessThan(1e-10));
        using MambaState constant = model.NewState(2);
        Assert.That(Difference(sequence.OnOneTape(constant).Gradients, gradients), Is.GreaterThan(1e-3), "the gradient through the state matters");
    }

    [Test]
    public void Pieces_of_chance_lengths_packed_or_not([Range(0, 19)] int seed)
    {
        using var scope = new TensorScope();
        var random = new Random(seed);
        int batch = random.Next(1, 4);
        int[] sizes = [.. Enumerable.Range(0, random.Next(1, 8)).Select(_ => random.Next(1, random.Next(2, 40)))];
        using MambaLM model = Model(Names[seed % Names.Length], Cpu);
        int often = random.Next(2, 20);
        int[] Starts() => [.. Enumerable.Range(0, batch * sizes.Sum()).Select(_ => random.Next(often) == 0 ? 1 : 0)];
        Tensor? reset = random.Next(3) == 0 ? null : Tensor.From(Starts(), (batch, sizes.Sum()), Cpu);
        var sequence = new Sequence(model, batch, sizes, reset);
        using MambaState state = model.NewState(batch);
        state.CarryGradient = true;
        (double[] Logits, double[][] Gradients) whole = sequence.Whole(), pieces = sequence.OnOneTape(state);
        Assert.That(TestData.RelativeError(pieces.Logits, whole.Logits), Is.LessThan(1e-12));
        Assert.That(Difference(pieces.Gradients, whole.Gradients), Is.LessThan(1e-10));
    }

    [Test]
    public void A_piece_of_no_tokens_hands_the_gradient_on()
    {
        using MambaLM model = Model("plain", Cpu);
        using MambaState state = model.NewState(1);
        state.CarryGradient = true;
        var sequence = new Sequence(model, 1, [6, 5]);
        double[][] expected = sequence.Whole().Gradients;
        double[][] actual = sequence.OnOneTape(state, _ => model.Forward(Tensor.Empty((1, 0), DType.Int32, Cpu), state)).Gradients;
        Assert.That(Difference(actual, expected), Is.LessThan(1e-10));
    }

    // ---- without ---------------------------------------------------------------------------------------

    [Test]
    public void A_constant_state_gives_the_gradients_of_pieces_started_by_hand([ValueSource(nameof(Names))] string config)
    {
        using var scope = new TensorScope();
        using MambaLM model = Model(config, Cpu);
        var sequence = new Sequence(model, 2, [4, 1, 13, 2]);
        using MambaState state = model.NewState(2), walked = model.NewState(2);
        double[][] onOneTape = sequence.OnOneTape(state).Gradients;

        var sum = new Gradients(model.Parameters);
        for (int i = 0; i < 4; i++)
        {
            using MambaState copy = model.NewState(2);      // the values alone, as constants
            foreach ((MambaBlockState to, MambaBlockState from) in copy.Blocks().Zip(walked.Blocks()))
            {
                to.Conv.Overwrite().WriteRounded(from.Conv.Value.ToDoubles());
                to.Ssm.Overwrite().WriteRounded(from.Ssm.Value.ToDoubles());
            }
            _ = model.Forward(sequence.Piece(sequence.Tokens, i), walked);
            using var tape = new Tape();
            tape.Backward(Loss(model.Forward(sequence.Piece(sequence.Tokens, i), copy), sequence.Piece(sequence.Targets, i)), sum);
        }
        Assert.That(Difference(onOneTape, Values(sum, model)), Is.LessThan(1e-12));
        Assert.That(Difference(sequence.OnTapes(model.NewState(2), 1, 1, 1, 1), Values(sum, model)), Is.LessThan(1e-12));
    }

    [Test]
    public void Detach_cuts_where_it_is_called_and_so_does_a_new_tape([ValueSource(nameof(Names))] string config)
    {
        using MambaLM model = Model(config, Cpu);
        var sequence = new Sequence(model, 2, [4, 3, 13, 2]);
        using MambaState detached = model.NewState(2), tapes = model.NewState(2), off = model.NewState(2);
        detached.CarryGradient = tapes.CarryGradient = true;
        double[][] cut = sequence.OnOneTape(detached, i =>
        {
            if (i == 2)
                detached.Detach();
        }).Gradients;
        Assert.That(Difference(cut, sequence.OnTapes(tapes, 2, 2)), Is.LessThan(1e-12));
        Assert.That(Difference(cut, sequence.Whole().Gradients), Is.GreaterThan(1e-4));
        Assert.That(Difference(cut, sequence.OnOneTape(off).Gradients), Is.GreaterThan(1e-4));

        // turned off for one piece: a cut before it and one behind it
        using MambaState switched = model.NewState(2), apart = model.NewState(2);
        switched.CarryGradient = apart.CarryGradient = true;
        double[][] without = sequence.OnOneTape(switched, i => switched.CarryGradient = i != 1).Gradients;
        Assert.That(Difference(without, sequence.OnTapes(apart, 1, 1, 2)), Is.LessThan(1e-12));
    }

    // ---- the state and its tape -------------------------------------------------------------------------

    [Test]
    public void A_closed_tape_leaves_the_values_and_nothing_else([Values] bool carry)
    {
        using var device = new HostDevice(threads: 2);
        using MambaLM model = Model("plain", device);
        using MambaState state = model.NewState(1), plain = model.NewState(1);
        state.CarryGradient = carry;
        int before = device.Memory.LiveBuffers;
        for (int i = 0; i < 3; i++)
            using (var tape = new Tape())
                tape.Backward(model.Forward(Tensor.From(Ids(5, i), (1, 5), device), state).Sum());
        Assert.That(device.Memory.LiveBuffers, Is.EqualTo(before));
        using var scope = new TensorScope();
        for (int i = 0; i < 3; i++)
            _ = model.Forward(Tensor.From(Ids(5, i), (1, 5), device), plain);
        Tensor more = Tensor.From(Ids(4, 9), (1, 4), device);
        Assert.That(state.Position, Is.EqualTo(15));
        Assert.That(model.Forward(more, state).ToDoubles(), Is.EqualTo(model.Forward(more, plain).ToDoubles()));
        foreach ((MambaBlockState a, MambaBlockState b) in state.Blocks().Zip(plain.Blocks()))
            Assert.That(a.Conv.Value.ToDoubles().Concat(a.Ssm.Value.ToDoubles()), Is.EqualTo(b.Conv.Value.ToDoubles().Concat(b.Ssm.Value.ToDoubles())));
    }

    [Test]
    public void What_moves_the_state_on_off_the_tape_counts()
    {
        // pieces, single tokens, a thread without a tape, an inner tape and forgetting everything, while a tape carries gradients
        using MambaLM model = Model("plain", Cpu);
        using MambaState state = model.NewState(1), plain = model.NewState(1);
        state.CarryGradient = true;
        List<double> Walk(MambaState s)
        {
            using var tape = new Tape();
            var logits = new List<double>();
            void Piece(int seed, int length) => logits.AddRange(model.Forward(Tensor.From(Ids(length, seed), (1, length), Cpu), s).ToDoubles());
            Piece(1, 4);
            logits.AddRange(model.Step(Tensor.From([3], 1, Cpu), s).ToDoubles());
            Piece(2, 3);
            var thread = new Thread(() =>
            {
                using var scope = new TensorScope();
                logits.AddRange(model.Step(Tensor.From([5], 1, Cpu), s).ToDoubles());
            });
            thread.Start();
            thread.Join();
            Piece(6, 2);
            using (new Tape())
                Piece(3, 5);
            Piece(4, 2);
            s.Reset();
            Piece(5, 4);
            return logits;
        }
        List<double> expected;
        using (new TensorScope())
            expected = Walk(plain);
        Assert.That(TestData.RelativeError(Walk(state), expected), Is.LessThan(1e-13));
    }

    [Test]
    public void Forgetting_everything_forgets_gradients_too()
    {
        using MambaLM model = Model("plain", Cpu);
        var sequence = new Sequence(model, 1, [5, 5]);
        using MambaState carried = model.NewState(1), constant = model.NewState(1);
        carried.CarryGradient = true;
        double[][] a = sequence.OnOneTape(carried, _ => carried.Reset()).Gradients, b = sequence.OnOneTape(constant, _ => constant.Reset()).Gradients;
        Assert.That(Difference(a, b), Is.Zero);
    }

    [Test]
    public void Without_a_tape_carrying_gradients_costs_nothing()
    {
        using var device = new HostDevice(threads: 2);
        using MambaLM model = Model("plain", device);
        using MambaState state = model.NewState(1);
        state.CarryGradient = true;
        int before = device.Memory.LiveBuffers;
        for (int i = 0; i < 3; i++)
            using (new TensorScope())
                _ = model.Forward(Tensor.From(Ids(5), (1, 5), device), state);
        Assert.That(device.Memory.LiveBuffers, Is.EqualTo(before));
        foreach (StateTensor tensor in state.Layers.SelectMany(layer => layer.Tensors))
            Assert.That(tensor.Read(), Is.SameAs(tensor.Value), tensor.Name);
    }
}
