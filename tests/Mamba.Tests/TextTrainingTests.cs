using System.Text;
using System.Text.Json;
using Mamba.Cli;
using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary><see cref="TextData"/> and <c>mamba train text</c>.</summary>
public class TextTrainingTests
{
    static readonly MambaConfig Tiny = new() { DModel = 8, NLayer = 2, VocabSize = 256, SsmCfg = new SsmConfig { DState = 3 } };

    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-text-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    string In(string name) => Path.Combine(folder, name);

    /// <summary>A file in which a few bytes tell where they are: the first 256 are all different, and nothing repeats after that.</summary>
    string File(int bytes)
    {
        System.IO.File.WriteAllBytes(In("text.txt"), [.. Enumerable.Range(0, bytes).Select(i => (byte)(i < 256 ? i * 7 : i * 7 + i * i / 11 % 253))]);
        return In("text.txt");
    }

    static TrainOptions Options(string data, int length, int batch, long steps) => new()
    {
        Task = "text",
        Data = data,
        Stages = [new(length, batch, steps)],
        LearningRate = 1e-2,
        Schedule = "cosine",
        Clip = 1,
        EvalEvery = 3,
        CheckpointEvery = 2,
    };

    // ---- batches ---------------------------------------------------------------------------------

    [TestCase(300, 16, 3)]
    [TestCase(301, 7, 2)]
    [TestCase(64, 16, 1)]
    [TestCase(30, 26, 2)]       // a window is almost all of it
    [TestCase(12, 64, 3)]       // it is shorter than a window
    [TestCase(2, 1, 1)]
    [TestCase(3, 2, 5)]
    public void An_epoch_reads_each_window_once_and_never_what_is_held_out(int bytes, int length, int batch)
    {
        byte[] all = System.IO.File.ReadAllBytes(File(bytes));
        using var data = new TextData(In("text.txt"));
        int training = bytes - bytes / 10, inputs = training - 1, l = Math.Min(length, inputs), offsets = Math.Min(l, inputs - l + 1);
        int windows = (inputs - (offsets - 1)) / l;
        var starts = new List<int>();
        for (int step = 0; starts.Count < 3 * windows; step++)
        {
            Batch drawn = data.BatchOf(5, step, new Stage(length, batch, 100));
            Assert.That((drawn.B, drawn.L), Is.EqualTo((batch, l)));
            for (int row = 0; row < batch; row++)
            {
                int[] tokens = drawn.Tokens[(row * l)..((row + 1) * l)], targets = drawn.Targets[(row * l)..((row + 1) * l)];
                int start = Enumerable.Range(0, inputs - l + 1).First(at => tokens.Select((token, i) => token == all[at + i]).All(same => same));
                Assert.That(targets, Is.EqualTo(all.Skip(start + 1).Take(l)), "each token foretells the next");
                starts.Add(start);
            }
        }
        for (int epoch = 0; epoch < 3; epoch++)
        {
            int[] these = [.. starts.Skip(epoch * windows).Take(windows).Order()];
            Assert.That(these.Select((start, i) => start - i * l).Distinct().Count(), Is.EqualTo(1), $"windows side by side: {string.Join(' ', these)}");
        }
        if (windows > 8)
        {
            Assert.That(starts.Take(windows), Is.Not.Ordered, "in another order");
            Assert.That(starts.Skip(windows).Take(windows).Min(), Is.Not.EqualTo(starts.Take(windows).Min()), "from another offset");
        }
    }

    [Test]
    public void Another_seed_is_another_order_and_the_same_seed_the_same()
    {
        using var data = new TextData(File(3000));
        var stage = new Stage(16, 4, 10);
        int[] drawn = data.BatchOf(1, 3, stage).Tokens, again = data.BatchOf(1, 3, stage).Tokens, other = data.BatchOf(2, 3, stage).Tokens;
        Assert.That(drawn, Is.EqualTo(again).And.Not.EqualTo(other));
    }

    [TestCase(300, 16, 3)]
    [TestCase(57, 16, 4)]       // a stretch is shorter than a window
    [TestCase(3, 5, 7)]         // there are more sequences than stretches
    public void Carried_sequences_read_their_stretches_from_start_to_end_again_and_again(int bytes, int length, int batch)
    {
        byte[] all = System.IO.File.ReadAllBytes(File(bytes));
        using var data = new TextData(In("text.txt"), carried: true);
        Assert.That(data.CarriesState);
        int inputs = bytes - bytes / 10 - 1, stretches = Math.Min(batch, inputs), stretch = inputs / stretches;
        int l = Math.Min(length, stretch), pieces = stretch / l;
        for (int step = 0; step < 3 * pieces; step++)
        {
            Batch drawn = data.BatchOf(0, step, new Stage(length, batch, 100));
            Assert.That(drawn.Begins, Is.EqualTo(step % pieces == 0));
            for (int row = 0; row < batch; row++)
            {
                int start = row % stretches * stretch + step % pieces * l;
                Assert.That(drawn.Tokens[(row * l)..((row + 1) * l)], Is.EqualTo(all.Skip(start).Take(l)));
                Assert.That(drawn.Targets[(row * l)..((row + 1) * l)], Is.EqualTo(all.Skip(start + 1).Take(l)));
            }
        }
    }

    [Test]
    public void A_folder_is_its_files_end_to_end_in_the_order_of_their_names()
    {
        Directory.CreateDirectory(In("texts/b/.hidden"));
        (string, string)[] files = [("c.txt", "three"), ("a.txt", "one"), ("b/x.txt", "two"), ("b/empty", ""), ("b/.hidden/y", "no"), (".z", "no")];
        foreach ((string name, string text) in files)
            System.IO.File.WriteAllText(In("texts/" + name), text);
        using var data = new TextData(In("texts"));
        Batch drawn = data.BatchOf(0, 0, new Stage(100, 1, 1));
        string read = Encoding.ASCII.GetString([.. drawn.Tokens.Append(drawn.Targets[^1]).Select(token => (byte)token)]);
        Assert.That(read, Is.EqualTo("onetwothre"), "the last tenth is held out");
    }

    [Test]
    public void Ten_gigabytes_are_not_read_into_memory()
    {
        using (FileStream file = System.IO.File.Create(In("large")))
        {
            file.SetLength(10L << 30);          // a hole: it takes no room on the disk
            file.Seek((9L << 30) - 5000, SeekOrigin.Begin);
            file.Write("here"u8);
        }
        long before = GC.GetAllocatedBytesForCurrentThread();
        using var data = new TextData(In("large"));
        Assert.That(data.BatchOf(0, 1L << 40, new Stage(256, 8, 1)).Tokens, Has.Length.EqualTo(2048));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1 << 20));
    }

    // ---- what is held out ------------------------------------------------------------------------

    // cross-entropy is a sum of float64 logarithms either way: the rest is rounding
    [TestCase(4)]
    [TestCase(7)]
    [TestCase(1000)]
    public void The_loss_held_out_is_that_of_consecutive_windows_over_the_last_tenth(int window)
    {
        byte[] all = System.IO.File.ReadAllBytes(File(305));
        using var data = new TextData(In("text.txt"));
        using var model = new MambaLM(Tiny, TestDevices.Open("cpu"), seed: 2, DType.Float64);
        int[] held = [.. all.Skip(305 - 30).Select(b => (int)b)];
        double sum = 0;
        using var scope = new TensorScope();
        for (int start = 0; start < held.Length - 1; start += window)
        {
            int l = Math.Min(window, held.Length - 1 - start);
            double[] logits = model.Forward(Tensor.From(held[start..(start + l)], (1, l), TestDevices.Open("cpu"))).ToDoubles();
            for (int i = 0; i < l; i++)
            {
                double[] row = logits[(i * 256)..((i + 1) * 256)];
                sum += Math.Log(row.Sum(Math.Exp)) - row[held[start + i + 1]];
            }
        }
        Perplexity? measured = data.Validate(model, window);
        Assert.That(measured!.Tokens, Is.EqualTo(29));
        Assert.That(measured.NatsPerToken, Is.EqualTo(sum / 29).Within(1e-13).Percent);
        Assert.That(measured.BitsPerByte, Is.EqualTo(measured.NatsPerToken / Math.Log(2)).Within(1e-12).Percent);
    }

    [Test]
    public void The_best_weights_are_the_model_and_the_last_the_checkpoint()
    {
        // a learning rate that ruins what was learned: the best is not the last
        TrainOptions options = Options(File(600), 16, 4, 12) with { LearningRate = 0.3, Schedule = "constant" };
        var run = new RunFolder(In("run"));
        run.Create(Tiny, options);
        using var trainer = new Trainer(options, Tiny, TestDevices.Open("cpu"));
        var measured = new List<ValidationReport>();
        var weights = new List<double[]>();
        using (var training = new TrainingRun(run, trainer))
            training.Run(_ => { }, CancellationToken.None, validation =>
            {
                measured.Add(validation);
                weights.Add(trainer.Model.Parameters.Flat.ToDoubles());
            });
        Assert.That(measured.Select(validation => validation.Step), Is.EqualTo(new[] { 3, 6, 9, 12 }));
        int best = measured.IndexOf(measured.MinBy(validation => validation.Loss));
        Assert.That(best, Is.LessThan(3), "or the test shows nothing");
        Assert.That((trainer.State.BestLoss, trainer.State.BestStep), Is.EqualTo((measured[best].Loss, measured[best].Step)));
        using MambaLM saved = Weights.Load(run.Model, Tiny, TestDevices.Open("cpu"));
        Assert.That(saved.Parameters.Flat.ToDoubles(), Is.EqualTo(weights[best]));
        using var data = new TextData(In("text.txt"));
        Assert.That(data.Validate(saved, 16)!.NatsPerToken, Is.EqualTo(measured[best].Loss));
        Assert.That(run.ReadValidations(), Is.EqualTo(measured));
        Assert.That(run.ReadLog(), Has.Count.EqualTo(12));
    }

    // ---- resuming --------------------------------------------------------------------------------

    /// <summary>Trains until told to stop, from the checkpoint if there is one.</summary>
    void Train(string name, TrainOptions options, long until = long.MaxValue)
    {
        var run = new RunFolder(In(name));
        if (!run.IsRun)
            run.Create(Tiny, options);
        using var device = new HostDevice(1);
        using var trainer = new Trainer(options, Tiny, device, checkpoint: System.IO.File.Exists(run.Checkpoint) ? run.Checkpoint : null);
        using var training = new TrainingRun(run, trainer);
        using var stop = new CancellationTokenSource();
        training.Run(step =>
        {
            if (step.Step >= until)
                stop.Cancel();
        }, stop.Token);
    }

    [Test]
    public void A_resumed_run_is_the_run_that_was_not_cut_bit_for_bit([Values] bool carried, [Values(0, 0.3)] double dropout, [Values(1, 3, 4, 7)] int cut)
    {
        // 540 bytes in stretches of 180: four pieces of 40, so the cuts are within a stretch and at its start
        TrainOptions options = Options(File(600), 40, 3, 10) with { Tbptt = carried, Dropout = dropout };
        Train("whole", options);
        Train("cut", options, until: cut);
        Train("cut", options);
        foreach (string file in new[] { "checkpoint.safetensors", "model.safetensors" })
            Assert.That(System.IO.File.ReadAllBytes(In($"cut/{file}")), Is.EqualTo(System.IO.File.ReadAllBytes(In($"whole/{file}"))), file);
        Assert.That(Lines("cut"), Is.EqualTo(Lines("whole")));

        string[] Lines(string name) => [.. System.IO.File.ReadAllLines(In($"{name}/log.jsonl")).Select(line => line.Split(",\"tokens_per_second")[0])];
    }

    [Test]
    public void A_killed_run_keeps_the_measurement_of_its_last_step_and_no_later_one()
    {
        using (var log = new TrainLog(In("log.jsonl"), 0))
            for (int step = 1; step <= 4; step++)
            {
                log.Write(new StepReport(step, 0, 12, 2, 1.0 / step, 0.5, 0.25, 1e-3, 24), 100);
                if (step % 2 == 0)
                    log.Write(new ValidationReport(step, 2.0 / step, step == 2 ? 1.5 : null, true));
            }
        using (var log = new TrainLog(In("log.jsonl"), 2))
        {
        }
        (List<StepReport> steps, List<ValidationReport> validations) = TrainLog.Read(In("log.jsonl"));
        Assert.That(steps.Select(step => step.Step), Is.EqualTo(new[] { 1, 2 }));
        Assert.That(validations, Is.EqualTo(new[] { new ValidationReport(2, 1, 1.5, true) }));
    }

    [Test]
    public void A_carried_state_makes_steps_see_what_was_before()
    {
        TrainOptions options = Options(File(400), 20, 2, 4) with { Tbptt = true, EvalEvery = 0 };
        using var trainer = new Trainer(options, Tiny, TestDevices.Open("cpu"));
        double first = trainer.Step().Loss;
        using var alone = new MambaLM(Tiny, TestDevices.Open("cpu"));
        using var scope = new TensorScope();
        Batch batch = trainer.Data.BatchOf(0, 1, options.Stages[0]);
        double[] weights = trainer.Model.Parameters.Flat.ToDoubles();
        alone.Parameters.Flat.WriteRounded(weights);
        double without = trainer.Data.LossOf(alone, batch).Loss.Item(), with = trainer.Step().Loss;
        Assert.That(first, Is.Positive);
        Assert.That(with, Is.Not.EqualTo(without));
        using MambaState state = alone.NewState(2);
        _ = alone.Forward(Tensor.From(trainer.Data.BatchOf(0, 0, options.Stages[0]).Tokens, (2, 20), alone.Parameters.Device), state);
        // the state was left by the weights before the first update, this one by those after it: near, and not the same
        Assert.That(trainer.Data.LossOf(alone, batch with { State = state }).Loss.Item(), Is.EqualTo(with).Within(0.02 * with));
    }

    // ---- dropout in the model --------------------------------------------------------------------

    [Test]
    public void Dropout_in_a_model_depends_on_seed_and_step_alone_and_none_is_none([Values(0, 128)] int mlp)
    {
        Device device = TestDevices.Open("cpu");
        using var model = new MambaLM(Tiny with { DIntermediate = mlp }, device, seed: 1, DType.Float64);
        using var scope = new TensorScope();
        Tensor tokens = Tensor.From([1, 2, 3, 4, 5, 6], (2, 3), device);
        double[] Logits(Dropout? dropout) => model.Forward(tokens, dropout: dropout).ToDoubles();
        Assert.That(Logits(new Dropout(0, 1, 2)), Is.EqualTo(Logits(null)));
        double[] dropped = Logits(new Dropout(0.4, 1, 2)), again = Logits(new Dropout(0.4, 1, 2));
        Assert.That(dropped, Is.EqualTo(again).And.Not.EqualTo(Logits(null)));
        Assert.That(dropped, Is.Not.EqualTo(Logits(new Dropout(0.4, 2, 2))).And.Not.EqualTo(Logits(new Dropout(0.4, 1, 3))));
    }

    [Test]
    public void Each_place_of_a_model_drops_elements_of_its_own()
    {
        Device device = TestDevices.Open("cpu");
        using var scope = new TensorScope();
        Tensor ones = Ops.Fill(Tensor.Empty(64, DType.Float64, device), 1);
        string Mask(int place) => string.Concat(new Dropout(0.5, 3, 4).At(place, ones).ToDoubles().Select(x => x > 0 ? '1' : '0'));
        string[] masks = [.. Enumerable.Range(0, 20).Select(Mask)];
        Assert.That(masks, Is.Unique);
    }

    [Test]
    public void Gradients_through_dropout_are_those_of_central_differences()
    {
        Device device = TestDevices.Open("cpu");
        using var model = new MambaLM(Tiny with { DIntermediate = 128 }, device, seed: 1, DType.Float64);
        int[] tokens = [1, 2, 3, 4, 5, 6], targets = [2, 3, 4, 5, 6, 7];
        var dropout = new Dropout(0.3, 5, 6);
        Tensor Loss() => Ops.CrossEntropy(model.Forward(Tensor.From(tokens, (2, 3), device), dropout: dropout), Tensor.From(targets, (2, 3), device));
        double[] gradients;
        foreach (string name in (string[])["backbone.embedding.weight", "backbone.layers.0.mixer.out_proj.weight", "backbone.layers.1.mlp.fc2.weight"])
        {
            Parameter parameter = model.Parameters[name];
            using (var tape = new Tape())
                gradients = tape.Backward(Loss())[parameter].ToDoubles();
            double[] values = parameter.Value.ToDoubles();
            // along one direction: the derivative there is the gradient times it
            double[] direction = TestData.Uniform(values.Length, 9);
            double At(double h)
            {
                parameter.Value.WriteRounded([.. values.Select((v, i) => v + h * direction[i])]);
                using var scope = new TensorScope();
                return Loss().Item();
            }
            double estimated = (8 * (At(1e-4) - At(-1e-4)) - (At(2e-4) - At(-2e-4))) / (12 * 1e-4), exact = gradients.Zip(direction, (g, d) => g * d).Sum();
            parameter.Value.WriteRounded(values);
            Assert.That(exact, Is.EqualTo(estimated).Within(1e-7 * Math.Abs(estimated)), parameter.Name);
        }
    }

    // ---- the command -----------------------------------------------------------------------------

    string[] Command(string data, string run, params string[] options) =>
    [
        "train", "text", "--data", data, "--out", In(run), "--device", "cpu", "--d-model", "8", "--n-layer", "1",
        "--length", "8", "--batch", "2", "--steps", "4", "--eval-every", "2", .. options,
    ];

    [Test]
    public void The_command_leaves_a_model_its_losses_and_a_picture([Values] bool carried)
    {
        MambaInProcess.Succeed(Command(File(500), "run", carried ? ["--tbptt"] : []));
        using JsonDocument eval = JsonDocument.Parse(System.IO.File.ReadAllText(In("run/eval.json")));
        double loss = eval.RootElement.GetProperty("val_loss").GetDouble();
        double[] logged = [.. System.IO.File.ReadAllLines(In("run/log.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)
            .Where(line => line.TryGetProperty("val_loss", out _)).Select(line => line.GetProperty("val_loss").GetDouble())];
        Assert.That(logged, Has.Length.EqualTo(2));
        Assert.That(loss, Is.EqualTo(logged.Min()));
        Assert.That(eval.RootElement.GetProperty("bits_per_byte").GetDouble(), Is.EqualTo(loss / Math.Log(2)).Within(1e-9));
        Assert.That(eval.RootElement.GetProperty("carried").GetProperty("val_loss").GetDouble(), Is.Positive.And.Not.EqualTo(loss));
        Assert.That(eval.RootElement.GetProperty("window").GetInt32(), Is.EqualTo(8));
        Assert.That(new FileInfo(In("run/loss.png")).Length, Is.GreaterThan(1000));
        System.IO.File.Delete(In("run/eval.json"));
        MambaInProcess.Succeed("eval", In("run"), "--device", "cpu");
        using JsonDocument again = JsonDocument.Parse(System.IO.File.ReadAllText(In("run/eval.json")));
        Assert.That(again.RootElement.GetProperty("val_loss").GetDouble(), Is.EqualTo(loss));
    }

    [Test]
    public void Training_goes_on_from_a_model()
    {
        MambaInProcess.Succeed(Command(File(500), "first"));
        MambaInProcess.Succeed("train", "text", "--data", In("text.txt"), "--init", In("first"), "--out", In("second"), "--device", "cpu", "--length", "8",
            "--batch", "2", "--steps", "1", "--eval-every", "1", "--lr", "1e-12", "--warmup", "0");
        double best = new RunFolder(In("first")).ReadValidations().Min(validation => validation.Loss);
        Assert.That(new RunFolder(In("second")).ReadValidations()[0].Loss, Is.EqualTo(best).Within(1e-5));
    }

    [TestCase(2)]
    [TestCase(3)]
    [TestCase(11)]
    [TestCase(21)]
    public void The_shortest_texts_can_be_trained_on(int bytes) => MambaInProcess.Succeed(Command(File(bytes), "run"));

    [Test]
    public void Bytes_that_are_no_text_can_be_trained_on()
    {
        System.IO.File.WriteAllBytes(In("noise"), [.. Enumerable.Range(0, 400).Select(i => (byte)(i * i * 31 + 0x80))]);
        MambaInProcess.Succeed(Command(In("noise"), "run"));
    }

    [Test]
    public void What_cannot_be_trained_on_is_one_clear_line_and_nothing_is_written()
    {
        System.IO.File.WriteAllBytes(In("empty"), []);
        System.IO.File.WriteAllBytes(In("one"), [65]);
        Directory.CreateDirectory(In("nothing"));
        MambaInProcess.Refuse(Command(In("empty"), "run"), "empty", "no tokens");
        MambaInProcess.Refuse(Command(In("one"), "run"), "one", "1 token");
        MambaInProcess.Refuse(Command(In("nothing"), "run"), "nothing", "no file");
        MambaInProcess.Refuse(Command(In("missing"), "run"), "missing", "no such file");
        MambaInProcess.Refuse(["train", "text", "--out", In("run")], "--data is missing");
        MambaInProcess.Refuse(Command(File(100), "run", "--dropout", "1"), "dropout is 1");
        MambaInProcess.Refuse(Command(File(100), "run", "--final-rate", "2"), "final-rate is 2");
        MambaInProcess.Refuse(Command(File(100), "run", "--lr", "0"), "lr is 0");
        MambaInProcess.Refuse(Command(File(100), "run", "--vocab-size", "100"), "vocab-size", "256");
        MambaInProcess.Refuse(Command(File(100), "run", "--tokenizer", In("missing.json")), "missing.json", "no such file");
        MambaInProcess.Refuse(["train", "induction-heads", "--tbptt", "--out", In("run")], "--tbptt", "text");
        Assert.That(Directory.Exists(In("run")), Is.False);
    }

    [Test]
    public void A_picture_shows_both_losses()
    {
        StepReport[] log = [.. Enumerable.Range(1, 200).Select(step => new StepReport(step, 0, 8, 2, 4.0 / step + 1, 0.5, 1, 1e-3, 16))];
        ValidationReport[] held = [new(50, 1.5, 2, true), new(100, 1.25, 1.8, true), new(200, 1.3, 1.9, false)];
        ScottPlot.Plot plot = Plots.HeldOutOf(Options(File(100), 8, 2, 200), log, held);
        Assert.That(plot.Axes.Title.Label.Text, Does.Contain("1.2500").And.Contain("100 steps"));
        ScottPlot.Plottables.Scatter drawn = plot.PlottableList.OfType<ScottPlot.Plottables.Scatter>().Single();
        Assert.That(drawn.Data.GetScatterPoints().Select(p => p.Y), Is.EqualTo(held.Select(v => v.Loss)));
    }

    [Test]
    public void The_cosine_ends_at_the_part_of_the_rate_that_is_asked_for()
    {
        TrainOptions options = Options("text", 8, 2, 100) with { LearningRate = 2, FinalRate = 0.1, Warmup = 10 };
        double At(long step) => options.LearningRateOf(new TrainState { Step = step });
        Assert.That(At(9), Is.EqualTo(2));
        Assert.That(At(55), Is.EqualTo(1.1).Within(1e-12));
        Assert.That(At(100), Is.EqualTo(0.2).Within(1e-12));
    }
}
