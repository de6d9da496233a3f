using System.Text.Json;
using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary><see cref="Trainer"/> and run folders with a <see cref="SequenceModel"/>.</summary>
public class SequenceTrainingTests
{
    static readonly MambaConfig Config = new()
    {
        DModel = 8,
        NLayer = 1,
        VocabSize = 4,
        SsmCfg = new SsmConfig { DState = 2 },
        Head = new HeadConfig { Kind = HeadConfig.Classes, Outputs = 2, Labels = ["few", "many"] },
    };

    static readonly TrainOptions Options = new()
    {
        Task = "test",
        Seed = 3,
        Stages = [new(12, 8, 40)],
        LearningRate = 1e-2,
        CheckpointEvery = 5,
        EvalEvery = 10,
    };

    sealed record Labelled(int[] Tokens, Segments Segments, int[] Labels, int B, int L) : Batch(Tokens, Labels, B, L)
    {
        public override long Positions => Segments.Positions;
    }

    /// <summary>The same, of which nothing can be said on what is held out.</summary>
    sealed class Unmeasurable(TrainingData data) : TrainingData
    {
        public override string Name => "unmeasurable";
        public override int VocabSize => data.VocabSize;
        public override int Answers => data.Answers;
        public override int MinLength => data.MinLength;

        public override Batch BatchOf(ulong seed, long step, Stage stage) => data.BatchOf(seed, step, stage);

        public override TrainingLoss LossOf(MambaModel model, Batch batch) => data.LossOf(model, batch);

        public override HeldOutScore? Score(MambaModel model, int? window, CancellationToken stop = default) => new(double.NaN);
    }

    [Test]
    public void A_loss_that_is_no_number_on_what_is_held_out_stops_the_training()
    {
        using var trainer = new Trainer(Options, Config, TestDevices.Open("cpu"), new Unmeasurable(new Majority()));
        trainer.Step();
        Assert.That(() => trainer.Validate(), Throws.InstanceOf<MambaException>().With.Message.Contains("held out is NaN after step 1"));
        Assert.That(trainer.State.BestLoss, Is.Null);
    }

    /// <summary>Whether more than half of the tokens are 3: sequences of 1 to as many tokens as the stage says, packed.</summary>
    sealed class Majority : TrainingData
    {
        public override string Name => "majority";
        public override int VocabSize => 4;
        public override int Answers => 1;
        public override int MinLength => 1;

        /// <summary>Spoils the measurements from this one on.</summary>
        public int WorseFrom { get; init; } = int.MaxValue;

        int measured;

        public override Batch BatchOf(ulong seed, long step, Stage stage)
        {
            var random = new Random(HashCode.Combine(seed, step));
            int[][] sequences = [.. Enumerable.Range(0, stage.Batch).Select(_ =>
            {
                double share = random.NextDouble();
                return Enumerable.Range(0, random.Next(1, stage.Length + 1)).Select(_ => random.NextDouble() < share ? 3 : random.Next(3)).ToArray();
            })];
            Segments segments = Segments.Packed([.. sequences.Select(s => s.Length)]);
            int[] tokens = new int[segments.Rows * segments.Length];
            for (int i = 0; i < sequences.Length; i++)
                sequences[i].CopyTo(tokens, segments[i].Row * segments.Length + segments[i].Start);
            return new Labelled(tokens, segments, [.. sequences.Select(s => 2 * s.Count(t => t == 3) > s.Length ? 1 : 0)], segments.Rows, segments.Length);
        }

        public override TrainingLoss LossOf(MambaModel model, Batch batch)
        {
            if (model is not SequenceModel sequences || batch is not Labelled labelled)
                return base.LossOf(model, batch);
            Tensor tokens = Tensor.From(labelled.Tokens, (labelled.B, labelled.L), model.Parameters.Device);
            Tensor scores = sequences.Forward(tokens, labelled.Segments, dropout: labelled.Dropout);
            Tensor labels = Tensor.From(labelled.Labels, labelled.Labels.Length, model.Parameters.Device);
            return new(Ops.CrossEntropy(scores, labels), () => Ops.CountCorrect(scores, labels).Accuracy);
        }

        public override HeldOutScore? Score(MambaModel model, int? window, CancellationToken stop = default)
        {
            using var scope = new TensorScope();
            TrainingLoss held = LossOf(model, BatchOf(99, 0, new Stage(12, 64, 1)));
            double spoiled = ++measured >= WorseFrom ? 100 : 0;
            return new(held.Loss.Item() + spoiled, Accuracy: held.Accuracy!());
        }
    }

    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-heads-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    RunFolder Run(string name) => new(Path.Combine(folder, name));

    void Train(string name, TrainOptions options, TrainingData data, long until = long.MaxValue, MambaConfig? config = null)
    {
        RunFolder run = Run(name);
        if (!run.IsRun)
            run.Create(config ?? Config, options);
        using var device = new HostDevice(2);
        using var trainer = new Trainer(options, run.ReadConfig(), device, data, File.Exists(run.Checkpoint) ? run.Checkpoint : null);
        using var training = new TrainingRun(run, trainer);
        using var stop = new CancellationTokenSource();
        training.Run(step =>
        {
            if (step.Step >= until)
                stop.Cancel();
        }, stop.Token);
    }

    [Test]
    public void It_trains_and_keeps_its_head_in_the_folder()
    {
        TrainOptions longer = Options with { Stages = [new(12, 16, 200)] };
        Train("a", longer, new Majority());
        IReadOnlyList<StepReport> log = Run("a").ReadLog();
        Assert.That(log.Skip(180).Average(step => step.Accuracy), Is.GreaterThan(0.85).And.GreaterThan(log.Take(10).Average(step => step.Accuracy)));
        Assert.That(log[0].Tokens, Is.EqualTo(new Majority().BatchOf(3, 0, longer.Stages[0]).Positions), "padding is not counted");
        IReadOnlyList<ValidationReport> validations = Run("a").ReadValidations();
        Assert.That(validations, Has.Count.EqualTo(20));
        Assert.That(validations[^1].Accuracy, Is.GreaterThan(0.8));
        Assert.That(validations[^1].BitsPerByte, Is.Null);

        using Device device = new HostDevice(2);
        using SequenceModel model = SequenceModel.Load(Run("a").Path, device);
        Assert.That(model.Config.Head!.Labels, Is.EqualTo(["few", "many"]));
        using var scope = new TensorScope();
        Segments segments = Segments.Padded([9, 4]);
        Tensor scores = model.Forward(segments.Tokens([[3, 3, 1, 3, 3, 3, 2, 3, 3], [0, 1, 2, 0]], device), segments);
        Assert.That(Ops.ArgMax(scores).ToDoubles(), Is.EqualTo([1, 0]));
    }

    [Test]
    public void Cut_anywhere_and_resumed_it_is_the_same_run_bit_for_bit([Values("float32", "float64")] string dtype, [Values(0, 0.2)] double dropout)
    {
        TrainOptions options = Options with { Dtype = dtype, Dropout = dropout };
        Train("whole", options, new Majority());
        foreach (long cut in (long[])[1, 7, 23])
            Train("cut", options, new Majority(), until: cut);
        Train("cut", options, new Majority());
        foreach (string file in (string[])["checkpoint.safetensors", "model.safetensors"])
            Assert.That(File.ReadAllBytes(Path.Combine(Run("cut").Path, file)), Is.EqualTo(File.ReadAllBytes(Path.Combine(Run("whole").Path, file))), file);
        Assert.That(Run("cut").ReadLog().Select(step => (step.Step, step.Loss, step.Accuracy)),
            Is.EqualTo(Run("whole").ReadLog().Select(step => (step.Step, step.Loss, step.Accuracy))));
        Assert.That(Run("cut").ReadValidations(), Is.EqualTo(Run("whole").ReadValidations()));
    }

    [Test]
    public void A_validation_is_in_the_log_with_its_accuracy()
    {
        Train("a", Options, new Majority());
        string[] lines = [.. File.ReadAllLines(Run("a").Log).Where(line => line.Contains("val_loss", StringComparison.Ordinal))];
        Assert.That(lines, Has.Length.EqualTo(4));
        foreach ((string line, ValidationReport report) in lines.Zip(Run("a").ReadValidations()))
        {
            JsonElement json = JsonDocument.Parse(line).RootElement;
            Assert.That(json.GetProperty("val_accuracy").GetDouble(), Is.EqualTo(report.Accuracy).And.InRange(0, 1));
            Assert.That(json.GetProperty("val_loss").GetDouble(), Is.EqualTo(report.Loss));
            Assert.That(json.TryGetProperty("bits_per_byte", out _), Is.False);
        }
    }

    [Test]
    public void The_best_weights_are_the_runs_model()
    {
        Train("good", Options with { Steps = 20 }, new Majority());
        Train("spoiled", Options, new Majority { WorseFrom = 3 });      // measured after 10, 20, 30 and 40 steps
        Assert.That(File.ReadAllBytes(Run("spoiled").Model), Is.EqualTo(File.ReadAllBytes(Run("good").Model)));
        Assert.That(Run("spoiled").ReadValidations().Select(v => v.IsBest), Is.EqualTo([true, true, false, false]));
    }

    [Test]
    public void A_training_starts_from_the_weights_of_another()
    {
        Train("a", Options, new Majority());
        using var device = new HostDevice(2);
        using var trainer = new Trainer(Options with { Init = Run("a").Path }, Config, device, new Majority());
        using SequenceModel model = SequenceModel.Load(Run("a").Path, device);
        Assert.That(trainer.Network.Parameters.Flat.ToDoubles(), Is.EqualTo(model.Parameters.Flat.ToDoubles()));
    }

    [Test]
    public void Models_that_do_not_fit_the_data_are_one_clear_line()
    {
        using var device = new HostDevice(2);
        using var heads = new Trainer(Options, Config, device, new Majority());
        Assert.That(() => heads.Model, Throws.TypeOf<MambaException>().With.Message.EqualTo(
            "Trainer: the model has a head for classification and is in Network; Model has a language model."));
        using var text = new Trainer(Options with { Task = "induction-heads", Stages = [new(12, 2, 5)] }, Config with { VocabSize = 16 }, device);
        Assert.That(() => text.Step(), Throws.TypeOf<MambaException>().With.Message.EqualTo(
            "induction-heads: the model has a head for classification; expected a language model, without one."));
        Assert.That(() => text.Validate(), Throws.TypeOf<MambaException>().With.Message.EqualTo(
            "induction-heads: the model has a head for classification; expected a language model, without one."));
        using var language = new Trainer(Options, Config with { Head = null }, device, new Majority());
        Assert.That(language.Network, Is.SameAs(language.Model));
    }
}
