using System.Text.Json;
using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>A training that ends in NaN stops before it does harm, and says where.</summary>
public class DivergenceTests
{
    static readonly MambaConfig Config = new() { DModel = 8, NLayer = 2, VocabSize = 16, SsmCfg = new SsmConfig { DState = 4 } };

    static readonly TrainOptions Options = new() { Task = "induction-heads", Seed = 3, Stages = [new(12, 4, 20)], CheckpointEvery = 4 };

    const string ALog = "backbone.layers.1.mixer.A_log";

    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-divergence-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    RunFolder NewRun(TrainOptions options)
    {
        var run = new RunFolder(Path.Combine(folder, "run"));
        run.Create(Config, options);
        return run;
    }

    // A = −exp(A_log) is infinite and Ā = 0: the loss is finite, and ∂L/∂A_log = A · 0.
    static void SpoilTheGradient(Trainer trainer) =>
        trainer.Model.Parameters[ALog].Value.WriteRounded([.. Enumerable.Repeat(1000.0, 16 * 4)]);

    static void ExpectReadable(RunFolder run, long step, int lines)
    {
        using (Safetensors checkpoint = Safetensors.Open(run.Checkpoint), model = Safetensors.Open(run.Model))
        {
            Assert.That(model.Metadata["step"], Is.EqualTo($"{step}"));
            foreach (Safetensors file in (Safetensors[])[checkpoint, model])
                foreach (SafetensorsEntry entry in file.Entries)
                    Assert.That(file.ReadDoubles(entry.Name).All(double.IsFinite), $"{file.Path}: {entry.Name}");
        }
        string[] log = File.ReadAllLines(run.Log);
        Assert.That(log, Has.Length.EqualTo(lines));
        Assert.That(run.ReadLog(), Has.Count.EqualTo(lines));
        foreach (string line in log)
            Assert.That(JsonDocument.Parse(line).RootElement.GetProperty("grad_norm").GetDouble(), Is.GreaterThan(0));
        using var device = new HostDevice(1);
        using var trainer = new Trainer(run.ReadOptions(), Config, device);
        using var training = new TrainingRun(run, trainer);        // as --resume does
        Assert.That(trainer.State.Step, Is.EqualTo(step));
    }

    [Test]
    public void A_NaN_gradient_stops_training_and_changes_nothing([Values(0, 1, 1000)] double clip, [Values("float32", "float64")] string dtype)
    {
        TrainOptions options = Options with { Clip = clip, Dtype = dtype };
        RunFolder run = NewRun(options);
        using var device = new HostDevice(2);
        using var trainer = new Trainer(options, Config, device);
        using (var training = new TrainingRun(run, trainer))
        {
            double[] before = [], m = [];
            Assert.That(() => training.Run(step =>
            {
                if (step.Step < 6)
                    return;
                SpoilTheGradient(trainer);
                (before, m) = (trainer.Model.Parameters.Flat.ToDoubles(), trainer.Optimizer.Moments.First().ToDoubles());
            }, CancellationToken.None), Throws.TypeOf<MambaException>().With.Message.StartsWith("The gradient of backbone.layers.1.")
                .And.Message.Contains(" is infinite or NaN at step 7: ").And.Message.Contains("--lr").And.Message.Contains("--clip")
                .And.Message.Not.Contains('\n')
                .And.Message.Matches<string>(message => message!.Contains("--dtype float64", StringComparison.Ordinal) == (dtype == "float32")));
            Assert.That(trainer.Model.Parameters.Flat.ToDoubles(), Is.EqualTo(before));
            Assert.That(trainer.Optimizer.Moments.First().ToDoubles(), Is.EqualTo(m));
            Assert.That((trainer.State.Step, trainer.Optimizer.StepCount), Is.EqualTo((6, 6)));
        }
        ExpectReadable(run, step: 4, lines: 6);
    }

    [Test]
    public void The_files_of_a_run_are_there_before_its_first_step_and_stay_when_it_fails([Values] bool loss)
    {
        RunFolder run = NewRun(Options);
        using var device = new HostDevice(2);
        using var trainer = new Trainer(Options, Config, device);
        if (loss)
            trainer.Model.Parameters["backbone.norm_f.weight"].Value.WriteRounded([.. Enumerable.Repeat(1e38, 8)]);
        else
            SpoilTheGradient(trainer);
        using (var training = new TrainingRun(run, trainer))
            Assert.That(() => training.Run(_ => { }, CancellationToken.None), Throws.TypeOf<MambaException>().With.Message.Contains("at step 1: "));
        ExpectReadable(run, step: 0, lines: 0);
    }

    [Test]
    public void Weights_or_moments_that_are_no_numbers_are_never_saved([Values("weights", "backbone.norm_f.weight", "adam.v.")] string what)
    {
        TrainOptions options = Options with { LearningRate = what == "weights" ? 1e39 : 1e-3 };      // infinite in float32
        RunFolder run = NewRun(options);
        using var device = new HostDevice(2);
        using var trainer = new Trainer(options, Config, device);
        using (var training = new TrainingRun(run, trainer))
            Assert.That(() => training.Run(step =>
            {
                if (step.Step == 8 && what == "backbone.norm_f.weight")
                    trainer.Model.Parameters[what].Value.WriteRounded([.. Enumerable.Repeat(double.NegativeInfinity, 8)]);
                if (step.Step == 8 && what == "adam.v.")
                    trainer.Optimizer.Moments.Last().Part(5, 1).WriteRounded([double.NaN]);
            }, CancellationToken.None), Throws.TypeOf<MambaException>().With.Message.Contains(what == "weights" ? "step" : $"{what}")
                .And.Message.Contains(what == "weights" ? "--lr" : "after step 8: "));
        if (what == "weights")
            ExpectReadable(run, step: 0, lines: File.ReadAllLines(run.Log).Length);
        else
            ExpectReadable(run, step: 4, lines: 8);
    }

    [Test]
    public void Infinite_weights_of_a_single_step_are_not_saved()
    {
        TrainOptions options = Options with { LearningRate = 1e39, CheckpointEvery = 1 };
        RunFolder run = NewRun(options);
        using var device = new HostDevice(2);
        using var trainer = new Trainer(options, Config, device);
        using (var training = new TrainingRun(run, trainer))
            Assert.That(() => training.Run(_ => { }, CancellationToken.None),
                Throws.TypeOf<MambaException>().With.Message.Contains("is infinite or NaN after step 1: "));
        ExpectReadable(run, step: 0, lines: 1);
    }

    [Test]
    public void Training_does_not_start_from_weights_that_are_no_numbers()
    {
        RunFolder run = NewRun(Options);
        using var device = new HostDevice(2);
        using var trainer = new Trainer(Options, Config, device);
        trainer.Model.Parameters[ALog].Value.WriteRounded([.. Enumerable.Repeat(double.NaN, 16 * 4)]);
        using var training = new TrainingRun(run, trainer);
        Assert.That(() => training.Run(_ => { }, CancellationToken.None),
            Throws.TypeOf<MambaException>().With.Message.EqualTo($"{ALog} is infinite or NaN: training cannot start from these weights."));
        Assert.That(File.Exists(run.Checkpoint), Is.False);
    }

    [Test]
    public void Large_numbers_whose_squares_overflow_are_saved_all_the_same()
    {
        RunFolder run = NewRun(Options);
        using var device = new HostDevice(2);
        using var trainer = new Trainer(Options, Config, device);
        trainer.Optimizer.Moments.Last().Part(0, 64).WriteRounded([.. Enumerable.Repeat(3e38, 64)]);      // their norm is more than float32 holds
        trainer.ExpectFinite();
    }

    [Test]
    public void A_run_of_NaN_is_evaluated_as_such()
    {
        TrainOptions options = Options with { Stages = [new(12, 4, 1)], MaxEvalLength = 128 };
        RunFolder run = NewRun(options);
        using (var device = new HostDevice(2))
        using (var trainer = new Trainer(options, Config, device))
        using (var training = new TrainingRun(run, trainer))
        {
            training.Run(_ => { }, CancellationToken.None);
            trainer.Model.Parameters["backbone.norm_f.weight"].Value.WriteRounded([.. Enumerable.Repeat(double.NaN, 8)]);
            Weights.Save(run.Model, trainer.Model);
        }
        (int code, string output, string error) = MambaProcess.Run(folder, ["eval", "run", "--threads", "1"]);
        Assert.That((code, error), Is.EqualTo((0, "")));
        Assert.That(output, Does.Match(@"64 +NaN %").And.Match(@"128 +NaN %").And.Contain("gave no answer").And.Not.Contain("could not be drawn"));
        JsonElement rows = JsonDocument.Parse(File.ReadAllText(run.Eval)).RootElement;
        Assert.That(rows.EnumerateArray().Select(row => row.GetProperty("accuracy").ValueKind), Is.EqualTo(new[] { JsonValueKind.Null, JsonValueKind.Null }));
        Assert.That(rows[0].EnumerateObject().Select(p => p.Name), Is.EqualTo(new[] { "length", "accuracy", "sequences" }));
    }
}
