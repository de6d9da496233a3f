using System.Diagnostics;
using System.IO.Compression;
using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

public class SequencePiecesTests
{
    static readonly string[] Names = SequenceCases.Pooled;

    static Device Cpu => TestDevices.Open("cpu-256");

    static void Refused(Action run, string message) => Assert.That(run, Throws.TypeOf<MambaException>().With.Message.EqualTo(message));

    static double[] Draw(SequenceModel model, int batch, int length) =>
        [.. Enumerable.Range(0, batch).SelectMany(row => SequenceCases.Draw(model.Config, length, row))];

    static SequencePieces Cut(SequenceModel model, int batch, int length, int piece)
    {
        double[] all = Draw(model, batch, length);
        return new(batch, length, piece, (start, count) => SequenceCases.On(model, all, batch, length)[.., (int)start..((int)start + count)]);
    }

    // not linear, and another slope for each output
    static Tensor Loss(Tensor scores) =>
        (scores * scores * Tensor.From(TestData.Uniform(scores.Count, 7), scores.Shape, scores.DType, scores.Device)).Sum() + scores.Sum();

    static (double Loss, double[][] Gradients) OnOneTape(SequenceModel model, int batch, int length)
    {
        using var tape = new Tape();
        Tensor loss = Loss(model.Forward(SequenceCases.On(model, Draw(model, batch, length), batch, length)));
        return (loss.Item(), tape.Backward(loss, new Gradients(model.Parameters)).Values(model));
    }

    // 1, 3, 7, whole and longer, in positions
    static int[] Pieces(SequenceModel model, int length) =>
        [.. new[] { 1, 3, 7 }.Select(piece => piece * model.Patch), length, length + 1, 1000];

    // ---- equal to the whole --------------------------------------------------------------------------------------------

    [Test]
    public void What_it_says_of_pieces_is_what_it_says_of_the_whole([ValueSource(nameof(Names))] string name, [Values(1, 3)] int batch)
    {
        using var scope = new TensorScope();
        using SequenceModel model = SequenceCases.Model(name, Cpu);
        foreach (int length in (int[])[1, 2, 31])
        {
            double[] whole = model.Forward(SequenceCases.On(model, Draw(model, batch, length), batch, length)).ToDoubles();
            foreach (int piece in Pieces(model, length))
                Assert.That(SequenceCases.Error(model.Forward(Cut(model, batch, length, piece)).ToDoubles(), whole),
                    Is.LessThan(1e-12), $"{length} in {piece}");
        }
    }

    [Test]
    public void Gradients_of_pieces_are_those_of_one_tape([ValueSource(nameof(Names))] string name, [Values(1, 3)] int batch)
    {
        using var scope = new TensorScope();
        using SequenceModel model = SequenceCases.Model(name, Cpu);
        double worst = 0;
        foreach (int length in (int[])[1, 2, 31])
        {
            (double loss, double[][] whole) = OnOneTape(model, batch, length);
            foreach (int piece in Pieces(model, length))
            {
                var into = new Gradients(model.Parameters);
                Assert.That(Cut(model, batch, length, piece).Backward(model, Loss, into), Is.EqualTo(loss).Within(1e-11 * Math.Abs(loss)));
                foreach ((Parameter p, double[] a, double[] e) in model.Parameters.Zip(into.Values(model), whole))
                {
                    double error = SequenceCases.Error(a, e);
                    worst = Math.Max(worst, error);
                    Assert.That(error, Is.LessThan(1e-11), $"{p.Name}, {length} in {piece}");
                }
            }
        }
        TestContext.Out.WriteLine($"largest relative difference {worst:0.0e+0}");
    }

    [Test]
    public void Also_on_every_device([Values("cpu-128", "cpu-512", "opencl:0", "ilgpu-cpu", "cuda:0")] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var scope = new TensorScope();
        using SequenceModel model = SequenceCases.Model("plain; numbers; classes by a gate", TestDevices.Open(device), dtype);
        (double loss, double[][] whole) = OnOneTape(model, 2, 9);
        var into = new Gradients(model.Parameters);
        double tolerance = dtype == DType.Float64 ? 1e-11 : 1e-4;
        Assert.That(Cut(model, 2, 9, 4).Backward(model, Loss, into), Is.EqualTo(loss).Within(tolerance * Math.Abs(loss)));
        foreach ((Parameter p, double[] a, double[] e) in model.Parameters.Zip(into.Values(model), whole))
            Assert.That(SequenceCases.Error(a, e), Is.LessThan(tolerance), p.Name);
    }

    [Test]
    public void Every_discretization_and_scan_goes_through_pieces([Values] bool mlp)
    {
        using var scope = new TensorScope();
        foreach (Discretization discretization in Discretization.All)
            foreach (ScanAlgorithm algorithm in (ScanAlgorithm[])[ScanAlgorithm.Chunked, ScanAlgorithm.Blelloch])
            {
                MambaConfig config = SequenceCases.Config("plain; tokens; classes by the last") with
                {
                    Discretization = discretization,
                    ScanAlgorithm = algorithm,
                    DIntermediate = mlp ? 3 : 0,
                };
                using SequenceModel model = SequenceCases.Model(config, Cpu);
                (_, double[][] whole) = OnOneTape(model, 1, 11);
                var into = new Gradients(model.Parameters);
                Cut(model, 1, 11, 3).Backward(model, Loss, into);
                foreach ((Parameter p, double[] a, double[] e) in model.Parameters.Zip(into.Values(model), whole))
                    Assert.That(SequenceCases.Error(a, e), Is.LessThan(1e-11), $"{p.Name}, {discretization.Name}, {algorithm.Name}");
            }
    }

    [Test]
    public void What_comes_first_counts_for_the_gradient_of_the_last()
    {
        // truncated backpropagation, which these are not
        using var scope = new TensorScope();
        using SequenceModel model = SequenceCases.Model("plain; tokens; classes by the last", Cpu);
        Gradients all = new(model.Parameters), last = new(model.Parameters);
        Cut(model, 1, 12, 4).Backward(model, Loss, all);
        using MambaState state = model.NewState(1);
        Tensor x = SequenceCases.On(model, Draw(model, 1, 12), 1, 12);
        _ = model.Features(x[.., ..8], state: state);
        using (var tape = new Tape())
            tape.Backward(Loss(model.Forward(x[.., 8..], state: state)), last);
        Assert.That(all.Values(model).Zip(last.Values(model), SequenceCases.Error).Max(), Is.GreaterThan(1e-3));
    }

    [Test]
    public void Gradients_are_added_to_those_that_are_there()
    {
        using var scope = new TensorScope();
        using SequenceModel model = SequenceCases.Model("plain; numbers; regression", Cpu);
        Gradients once = new(model.Parameters), twice = new(model.Parameters);
        Cut(model, 1, 9, 4).Backward(model, Loss, once);
        for (int i = 0; i < 2; i++)
            Cut(model, 1, 9, 4).Backward(model, Loss, twice);
        foreach ((double[] a, double[] b) in twice.Values(model).Zip(once.Values(model)))
            Assert.That(SequenceCases.Error(a, [.. b.Select(value => 2 * value)]), Is.LessThan(1e-13));
    }

    [Test]
    public void A_loss_that_does_not_look_at_it_has_no_gradient()
    {
        using var scope = new TensorScope();
        using SequenceModel model = SequenceCases.Model("plain; tokens; regression", Cpu);
        var into = new Gradients(model.Parameters);
        Assert.That(Cut(model, 1, 9, 4).Backward(model, scores => Ops.Fill(scores.Like(1), 3), into), Is.EqualTo(3));
        Assert.That(into.FlatOf(model.Parameters).ToDoubles(), Is.All.Zero);
    }

    [Test]
    public void Tokens_of_a_source_are_read_as_they_are_needed()
    {
        using var scope = new TensorScope();
        using SequenceModel model = SequenceCases.Model("plain; tokens; classes by the mean", Cpu);
        int[] ids = [.. Draw(model, 1, 29).Select(value => (int)value)];
        using TokenSource source = TokenSource.Of(ids);
        var pieces = SequencePieces.Of(source, 8, Cpu);
        Assert.That((pieces.Batch, pieces.Count), Is.EqualTo((1L, 4)));
        Assert.That(SequenceCases.Error(model.Forward(pieces).ToDoubles(), model.Forward(Tensor.From(ids, (1, 29), Cpu)).ToDoubles()), Is.LessThan(1e-12));
    }

    // ---- memory --------------------------------------------------------------------------------------------------------

    static readonly MambaConfig Thin = new()
    {
        DModel = 2,
        NLayer = 1,
        VocabSize = 4,
        SsmCfg = new SsmConfig { DState = 1, DConv = 2, Expand = 1 },
        Head = new HeadConfig { Kind = HeadConfig.Classes, Outputs = 2, Pool = Pooling.Gated },
    };

    static SequencePieces Counted(long length, int piece, Device device) =>
        new(1, length, piece, (start, count) => Tensor.From([.. Enumerable.Range((int)start, count).Select(i => i * 7 % 4)], (1, count), device));

    static long Peak(Device device, Action run)
    {
        device.Memory.ResetPeak();
        long before = device.Memory.LiveBytes;
        run();
        Assert.That(device.Memory.LiveBytes, Is.EqualTo(before), "what is left behind");
        return device.Memory.PeakBytes - before;
    }

    [Test]
    public void A_million_positions_take_the_memory_of_few()
    {
        using var device = new HostDevice(threads: 2);
        using var model = new SequenceModel(Thin, device, seed: 1);
        long Of(long length) => Peak(device, () =>
        {
            using var scope = new TensorScope();
            Assert.That(model.Forward(Counted(length, 8192, device)).ToDoubles(), Is.All.Matches<double>(double.IsFinite));
        });
        long few = Of(65536);
        Assert.That(Of(1 << 20), Is.EqualTo(few));
        Assert.That(few, Is.LessThan(8192 * 2 * 4 * 64), "some tens of tensors of a piece");
    }

    [Test]
    public void Gradients_of_a_million_positions_take_that_and_a_state_for_each_piece()
    {
        using var device = new HostDevice(threads: 2);
        using var model = new SequenceModel(Thin, device, seed: 1);
        long stateBytes = Peak(device, () => model.NewState(1).Dispose());
        Assert.That(stateBytes, Is.GreaterThan(0));
        long Of(long length) => Peak(device, () =>
        {
            using var scope = new TensorScope();
            var into = new Gradients(model.Parameters);
            Counted(length, 8192, device).Backward(model, scores => Ops.CrossEntropy(scores, Tensor.From([1], 1, device)), into);
            Assert.That(into.FlatOf(model.Parameters).IsFinite());
        });
        long few = Of(65536), many = Of(1 << 20);
        Assert.That(many - few, Is.EqualTo((128 - 8) * stateBytes));
    }

    [Test]
    public void Stopped_or_broken_it_leaves_nothing_behind()
    {
        using var device = new HostDevice(threads: 2);
        using var model = new SequenceModel(Thin, device, seed: 1);
        using var scope = new TensorScope();
        var into = new Gradients(model.Parameters);
        int before = device.Memory.LiveBuffers;
        for (int at = 0; at < 8; at++)
        {
            using var stop = new CancellationTokenSource();
            int reads = 0;
            var pieces = new SequencePieces(1, 40, 10, (start, count) =>
            {
                if (reads++ == at)
                    stop.Cancel();
                return Tensor.Zeros((1, count), DType.Int32, device);
            });
            Assert.That(() => pieces.Backward(model, Loss, into, stop.Token), at == 7 ? Throws.Nothing : Throws.InstanceOf<OperationCanceledException>());
            Assert.That(device.Memory.LiveBuffers, Is.EqualTo(before), $"stopped after {at} reads");
        }
        var broken = new SequencePieces(1, 40, 10, (start, count) =>
            start == 20 ? throw new IOException("gone") : Tensor.Zeros((1, count), DType.Int32, device));
        Assert.That(() => broken.Backward(model, Loss, into), Throws.TypeOf<IOException>());
        Assert.That(() => model.Forward(broken), Throws.TypeOf<IOException>());
        Assert.That(device.Memory.LiveBuffers, Is.EqualTo(before));
        Assert.That(Tape.Recording, Is.Null);
    }

    // ---- errors --------------------------------------------------------------------------------------------------------

    [Test]
    public void Pieces_that_cannot_be_are_one_clear_line()
    {
        using var scope = new TensorScope();
        Tensor Read(long start, int count) => Tensor.Zeros((1, count), DType.Int32, Cpu);
        Refused(() => _ = new SequencePieces(1, 0, 4, Read), "SequencePieces: 1 sequences of 0 steps in pieces of 4; expected 1 or more of each.");
        Refused(() => _ = new SequencePieces(0, 1, 4, Read), "SequencePieces: 0 sequences of 1 steps in pieces of 4; expected 1 or more of each.");
        Refused(() => _ = new SequencePieces(1, 1, 0, Read), "SequencePieces: 1 sequences of 1 steps in pieces of 0; expected 1 or more of each.");
        Refused(() => _ = new SequencePieces(1, 1L << 40, 2, Read),
            "SequencePieces: 1099511627776 steps in pieces of 2 are 549755813888 pieces; expected 2147483591 at most.");
        Assert.That(new SequencePieces(1, 1L << 61, int.MaxValue - 1, Read).Count, Is.GreaterThan(0), "not read yet");
        using TokenSource none = TokenSource.Of(Array.Empty<int>());
        Refused(() => SequencePieces.Of(none, 4, Cpu), "SequencePieces: 1 sequences of 0 steps in pieces of 4; expected 1 or more of each.");

        using SequenceModel model = SequenceCases.Model("plain; tokens; regression", Cpu), next = SequenceCases.Model("plain; tokens; next token", Cpu),
            patches = SequenceCases.Model("plain; patches; regression", Cpu);
        var into = new Gradients(model.Parameters);
        const string Head = "SequencePieces: the head is for next-token, which it says at each position; "
            + "expected 'classification' or 'regression', which say one thing of all.";
        Refused(() => next.Forward(Cut(next, 1, 9, 4)), Head);
        Refused(() => Cut(next, 1, 9, 4).Backward(next, Loss, into), Head);
        const string Patch = "SequencePieces: the pieces are of 6 steps; expected a multiple of the model's patch, 4.";
        Refused(() => patches.Forward(Cut(patches, 1, 9, 6)), Patch);
        Refused(() => Cut(patches, 1, 9, 6).Backward(patches, Loss, into), Patch);
        using SequenceModel bothWays = SequenceCases.Model("both ways; tokens; regression", Cpu);
        foreach (Action run in (Action[])[() => bothWays.Forward(Cut(bothWays, 1, 9, 4)), () => Cut(bothWays, 1, 9, 4).Backward(bothWays, Loss, into)])
            Assert.That(run, Throws.TypeOf<MambaException>().With.Message.Contains("reads to the end of a sequence"));
        Assert.That(() => patches.Forward(Cut(patches, 1, 5, 6)), Throws.Nothing, "one piece may be any");
        Refused(() => model.Forward(new SequencePieces(2, 9, 4, Read)), "SequencePieces: read gave int32 (1, 4) on cpu for steps 0 to 4; expected (2, 4, …).");
        Refused(() => model.Forward(new SequencePieces(1, 9, 4, (start, count) => Read(start, 4))),
            "SequencePieces: read gave int32 (1, 4) on cpu for steps 8 to 9; expected (1, 1, …).");
        Assert.That(() => Cut(model, 1, 9, 4).Backward(model, scores => scores, into),
            Throws.TypeOf<MambaException>().With.Message.Contains("expected one element"));
    }

    // ---- a million bases -----------------------------------------------------------------------------------------------

    /// <summary>The first bases of E. coli 536, or as many drawn ones where it is not here.</summary>
    static int[] Bases(int count)
    {
        int[] bases = new int[count];
        if (RealData.Find("dna/ecoli-536.fna.gz") is not { } path)
        {
            var random = new PhiloxRandom(5);
            for (int i = 0; i < count; i++)
                bases[i] = random.Next(4);
            return bases;
        }
        using var reader = new StreamReader(new GZipStream(File.OpenRead(path), CompressionMode.Decompress));
        reader.ReadLine();
        for (int i = 0; i < count;)
            if (reader.Read() is not '\n' and var letter)
                bases[i++] = "ACGT".IndexOf((char)letter, StringComparison.Ordinal) is >= 0 and var token ? token : 4;
        return bases;
    }

    [Test]
    public void A_million_bases_are_classified_and_trained_on()
    {
        using var device = new HostDevice(threads: 2);
        MambaConfig config = Thin with { DModel = 16, SsmCfg = new SsmConfig { DState = 8 }, VocabSize = 5, Head = Thin.Head! with { Pool = Pooling.Mean } };
        using var model = new SequenceModel(config, device, seed: 1);
        using var optimizer = new AdamW(model.Parameters, 1e-3);
        const int Piece = 1 << 13;
        int[] all = Bases(1_000_000);
        long stateBytes = Peak(device, () => model.NewState(1).Dispose());
        Tensor Loss(Tensor scores) => Ops.CrossEntropy(scores, Tensor.From([1], 1, device));
        var peaks = new List<(int Length, long Forward, long Step)>();
        foreach (int length in (int[])[1 << 14, 1 << 17, 1_000_000])
        {
            using TokenSource source = TokenSource.Of(all.AsMemory(0, length));
            var pieces = SequencePieces.Of(source, Piece, device);
            long start = Stopwatch.GetTimestamp();
            long forward = Peak(device, () =>
            {
                using var scope = new TensorScope();
                Assert.That(model.Forward(pieces).ToDoubles(), Has.Length.EqualTo(2).And.All.Matches<double>(double.IsFinite));
            });
            double forwardSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (length == 1 << 14)
                ExpectOneTape(model, all.AsMemory(0, length), pieces, Loss);
            double[] before = model.Parameters.Flat.ToDoubles();
            start = Stopwatch.GetTimestamp();
            long step = Peak(device, () =>
            {
                using var scope = new TensorScope();
                var into = new Gradients(model.Parameters);
                pieces.Backward(model, Loss, into);
                optimizer.Step(into.ClipNorm(1));
            });
            TestContext.Out.WriteLine($"{length,9:N0} bases: forward {forwardSeconds:0.00} s, {forward / 1e6:0.0} MB; "
                + $"a step {Stopwatch.GetElapsedTime(start).TotalSeconds:0.00} s, {step / 1e6:0.0} MB"
                + $", of which states {pieces.Count * stateBytes / 1e6:0.00} MB");
            Assert.That(model.Parameters.Flat.ToDoubles(), Is.Not.EqualTo(before).And.All.Matches<double>(double.IsFinite));
            peaks.Add((length, forward, step - pieces.Count * stateBytes));
        }
        Assert.That(peaks.Select(peak => peak.Forward), Is.All.EqualTo(peaks[0].Forward));
        Assert.That(peaks[2].Step, Is.LessThanOrEqualTo(peaks[0].Step));
    }

    static void ExpectOneTape(SequenceModel model, ReadOnlyMemory<int> tokens, SequencePieces pieces, Func<Tensor, Tensor> loss)
    {
        using var scope = new TensorScope();
        Gradients inPieces = new(model.Parameters), whole = new(model.Parameters);
        double value = pieces.Backward(model, loss, inPieces);
        using var tape = new Tape();
        Tensor one = loss(model.Forward(Tensor.From(tokens.ToArray(), (1, tokens.Length), model.Parameters.Device)));
        tape.Backward(one, whole);
        Assert.That(value, Is.EqualTo(one.Item()).Within(1e-6));
        double worst = inPieces.Values(model).Zip(whole.Values(model), SequenceCases.Error).Max();
        TestContext.Out.WriteLine($"{tokens.Length:N0} bases, float32: gradients of pieces and of one tape differ by {worst:0.0e+0} at most");
        Assert.That(worst, Is.LessThan(1e-3));
    }
}
