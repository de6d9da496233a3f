using System.Diagnostics;
using System.Text.Json;
using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

public class CheckpointTests
{
    static readonly MambaConfig Config = new() { DModel = 8, NLayer = 2, VocabSize = 16, SsmCfg = new SsmConfig { DState = 4 } };

    static readonly TrainOptions Options = new()
    {
        Task = "induction-heads",
        Seed = 3,
        Stages = [new(12, 4, 10), new(20, 2, 20)],
        Clip = 1,
        WeightDecay = 0.1,
        Warmup = 5,
        CheckpointEvery = 4,
    };

    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-checkpoint-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    /// <summary>Trains in the folder of that name until told to stop, from its checkpoint if there is one; the losses of these steps.</summary>
    List<double> Train(string name, TrainOptions options, long until = long.MaxValue, int threads = 1)
    {
        var run = new RunFolder(Path.Combine(folder, name));
        if (!run.IsRun)
            run.Create(Config, options);
        using var device = new HostDevice(threads);
        using var trainer = new Trainer(options, Config, device);
        using var training = new TrainingRun(run, trainer);
        using var stop = new CancellationTokenSource();
        var losses = new List<double>();
        training.Run(step =>
        {
            losses.Add(step.Loss);
            if (step.Step >= until)
                stop.Cancel();
        }, stop.Token);
        return losses;
    }

    byte[] Bytes(string run, string file = "checkpoint.safetensors") => File.ReadAllBytes(Path.Combine(folder, run, file));

    double[] LoggedLosses(string run) =>
        [.. File.ReadAllLines(Path.Combine(folder, run, "log.jsonl")).Select(line => JsonDocument.Parse(line).RootElement.GetProperty("loss").GetDouble())];

    [Test]
    public void The_same_seed_gives_the_same_bits_whatever_the_number_of_threads([Values("float32", "float64")] string dtype)
    {
        List<double> losses = Train("a", Options with { Dtype = dtype });
        Assert.That(losses, Has.Count.EqualTo(30));
        Assert.That(Train("b", Options with { Dtype = dtype }), Is.EqualTo(losses));
        Assert.That(Train("c", Options with { Dtype = dtype }, threads: 3), Is.EqualTo(losses));
        Assert.That(Bytes("b"), Is.EqualTo(Bytes("a")));
        Assert.That(Bytes("c"), Is.EqualTo(Bytes("a")));
        Assert.That(Train("d", Options with { Dtype = dtype, Seed = 4 }), Is.Not.EqualTo(losses));
    }

    [Test]
    public void A_run_stopped_at_any_step_goes_on_as_if_nothing_had_happened([Values("float32", "float64")] string dtype)
    {
        TrainOptions options = Options with { Dtype = dtype };
        List<double> whole = Train("whole", options);
        foreach (int stop in (int[])[1, 4, 9, 10, 11, 29])
        {
            string name = $"stopped-{stop}";
            List<double> first = Train(name, options, until: stop), rest = Train(name, options);
            Assert.That(first.Concat(rest), Is.EqualTo(whole), name);
            Assert.That(Bytes(name), Is.EqualTo(Bytes("whole")), name);
            Assert.That(Bytes(name, "model.safetensors"), Is.EqualTo(Bytes("whole", "model.safetensors")), name);
            Assert.That(LoggedLosses(name), Is.EqualTo(whole), name);
        }
    }

    [Test]
    public void What_was_written_after_the_checkpoint_is_dropped_and_half_a_line_too()
    {
        List<double> whole = Train("whole", Options);
        Train("torn", Options, until: 8);
        string log = Path.Combine(folder, "torn", "log.jsonl");
        string[] lines = File.ReadAllLines(Path.Combine(folder, "whole", "log.jsonl"));
        File.AppendAllText(log, lines[8] + "\n" + lines[9] + "\n" + lines[10][..20]);                    // steps 9, 10 and a half
        File.WriteAllText(Path.Combine(folder, "torn", "checkpoint.safetensors.tmp"), "half a checkpoint");
        File.WriteAllText(Path.Combine(folder, "torn", "model.safetensors"), "half a model");
        Train("torn", Options);
        Assert.That(LoggedLosses("torn"), Is.EqualTo(whole));
        Assert.That(Bytes("torn"), Is.EqualTo(Bytes("whole")));
        Assert.That(Bytes("torn", "model.safetensors"), Is.EqualTo(Bytes("whole", "model.safetensors")));
    }

    [Test]
    public void Losses_in_the_log_are_the_numbers_themselves() => Assert.That(Train("a", Options), Is.EqualTo(LoggedLosses("a")));

    [Test]
    public void Two_runs_do_not_write_to_one_folder()
    {
        Train("a", Options, until: 4);
        var run = new RunFolder(Path.Combine(folder, "a"));
        using var device = new HostDevice(1);
        using var first = new Trainer(Options, Config, device);
        using var second = new Trainer(Options, Config, device);
        using var training = new TrainingRun(run, first);
        Assert.That(() => new TrainingRun(run, second), Throws.TypeOf<MambaException>().With.Message.Contains("in use"));
    }

    [Test]
    public void A_checkpoint_of_something_else_is_refused_and_the_trainer_stays_as_it_was()
    {
        Train("a", Options, until: 4);
        string path = Path.Combine(folder, "a", "checkpoint.safetensors");
        using var device = new HostDevice(1);
        foreach ((TrainOptions options, MambaConfig config) in ((TrainOptions, MambaConfig)[])[
            (Options with { Dtype = "float64" }, Config), (Options, Config with { DModel = 16 }),
            (Options, Config with { NLayer = 1 }), (Options, Config with { NLayer = 3 })])
        {
            using var trainer = new Trainer(options, config, device);
            double[] before = trainer.Model.Parameters.Flat.ToDoubles();
            Assert.That(() => Checkpoint.Load(path, trainer), Throws.TypeOf<MambaException>().With.Message.StartsWith(path));
            Assert.That(trainer.Model.Parameters.Flat.ToDoubles(), Is.EqualTo(before));
            Assert.That(trainer.State, Is.EqualTo(new TrainState()));
        }
    }

    [Test]
    public void Weights_are_read_back_into_a_model()
    {
        Train("a", Options, until: 4);
        string path = Path.Combine(folder, "a", "model.safetensors");
        using var device = new HostDevice(1);
        using var trained = new Trainer(Options, Config, device);
        Checkpoint.Load(Path.Combine(folder, "a", "checkpoint.safetensors"), trained);
        using var model = new MambaLM(Config, device, seed: 99);
        Weights.Load(path, model);
        Assert.That(model.Parameters.Flat.ToDoubles(), Is.EqualTo(trained.Model.Parameters.Flat.ToDoubles()));
        using var other = new MambaLM(Config with { NLayer = 1 }, device);
        Assert.That(() => Weights.Load(path, other), Throws.TypeOf<MambaException>().With.Message.Contains("layers.1"));
    }

    [Test]
    public void Evaluation_does_not_depend_on_the_pieces([Values("induction-heads", "selective-copying")] string name)
    {
        using var device = new HostDevice(2);
        using var model = new MambaLM(Config, device, seed: 1, DType.Float64);
        SequenceTask task = SequenceTask.Named(name, dataTokens: 5);
        double AccuracyBy(int piece) => new Evaluator(model, task) { PieceTokens = piece, MostSequences = 16 }.Run(100).Accuracy;
        double[] accuracies = [.. ((int[])[1, 11, 64, 1000, 100_000]).Select(AccuracyBy)];
        using var scope = new TensorScope();
        int right = 0, l = task.Tokens(100), v = model.Config.VocabSize;
        for (int i = 0; i < 16; i++)
        {
            Batch batch = task.Draw(SequenceTask.ValidationStream(100, i), 1, 100);
            double[] logits = model.Forward(Tensor.From(batch.Tokens, (1, l), device)).ToDoubles();
            for (int t = 0; t < l; t++)
                if (batch.Targets[t] >= 0 && Enumerable.Range(0, v).MaxBy(k => logits[t * v + k]) == batch.Targets[t])
                    right++;
        }
        Assert.That(right, Is.GreaterThan(0));
        Assert.That(accuracies, Is.All.EqualTo((double)right / (16 * task.Answers)));
    }

    [Test]
    public void Evaluation_and_training_give_all_buffers_back()
    {
        using var device = new HostDevice(1);
        using (var trainer = new Trainer(Options, Config, device))
        {
            int before = device.Memory.LiveBuffers;
            trainer.Step();
            new Evaluator(trainer.Model, new InductionHeads()).Run(100);
            Assert.That(device.Memory.LiveBuffers, Is.EqualTo(before));
        }
        Assert.That(device.Memory.LiveBuffers, Is.Zero);
    }

    [Test]
    public void Memory_of_an_evaluation_does_not_grow_with_the_length()
    {
        using var device = new HostDevice(2);
        using var model = new MambaLM(Config, device);
        long Peak(int length)
        {
            device.Memory.ResetPeak();
            new Evaluator(model, new InductionHeads()) { FewestSequences = 2, MostSequences = 2, PieceTokens = 512 }.Run(length);
            return device.Memory.PeakBytes;
        }
        Peak(64);
        Assert.That(Peak(16384), Is.EqualTo(Peak(1024)));
    }

    /// <summary>The real command, killed without warning again and again, with a checkpoint at every step so that many kills meet one being written.</summary>
    [Test]
    public void Kills_at_random_moments_leave_no_trace()
    {
        string[] arguments = ["train", "--d-model", "8", "--n-layer", "1", "--d-state", "4", "--length", "12", "--batch", "2", "--steps", "1500",
            "--checkpoint-every", "1", "--threads", "1", "--seed", "5", "--max-eval-length", "0"];
        TimeSpan Time(params string[] more)
        {
            var time = Stopwatch.StartNew();
            Assert.That(MambaProcess.Run(folder, [.. arguments, .. more]).Code, Is.Zero);
            return time.Elapsed;
        }
        TimeSpan all = Time("--out", "whole"), start = Time("--resume", "whole");        // the second has nothing left to do
        var random = new PhiloxRandom(seed: (ulong)Environment.TickCount64);
        int kills = 0, within = 0;
        while (true)
        {
            bool begun = File.Exists(Path.Combine(folder, "killed", "train.json"));         // killed before that, it is no run to resume
            using Process process = MambaProcess.Start(folder, [.. arguments, .. begun ? ["--resume", "killed"] : (string[])["--out", "killed"]]);
            Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
            bool ended = kills >= 20
                ? process.WaitForExit(TimeSpan.FromMinutes(3))
                : process.WaitForExit(0.5 * start + random.NextDouble() * (0.5 * start + all / 12));
            if (!ended)
            {
                process.Kill();
                process.WaitForExit();
                kills++;
                if (File.Exists(Path.Combine(folder, "killed", "checkpoint.safetensors")))
                    within++;
                continue;
            }
            Assert.That(process.ExitCode, Is.Zero, error.GetAwaiter().GetResult() + output.GetAwaiter().GetResult());
            break;
        }
        TestContext.Out.WriteLine($"{kills} kills, {within} of them after a checkpoint");
        Assert.That(within, Is.GreaterThan(3));
        Assert.That(Bytes("killed"), Is.EqualTo(Bytes("whole")));
        Assert.That(Bytes("killed", "model.safetensors"), Is.EqualTo(Bytes("whole", "model.safetensors")));
        Assert.That(LoggedLosses("killed"), Is.EqualTo(LoggedLosses("whole")));
    }
}
