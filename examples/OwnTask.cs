namespace Mamba.Examples;

/// <summary>
/// A task of your own under a name: the parity of the bits so far, at every position. What the library's tasks have, it has: stages, a run folder, resuming.
/// </summary>
public static class OwnTask
{
    sealed class Parity : TrainingData
    {
        public override string Name => "parity";
        public override int VocabSize => 2;
        public override int Answers => 1;
        public override int MinLength => 1;

        public override Batch BatchOf(ulong seed, long step, Stage stage)
        {
            PhiloxRandom random = SequenceTask.TrainingStream(seed, step);
            int[] tokens = new int[stage.Batch * stage.Length], targets = new int[tokens.Length];
            for (int i = 0; i < tokens.Length; i++)
            {
                tokens[i] = random.Next(2);
                targets[i] = tokens[i] ^ (i % stage.Length == 0 ? 0 : targets[i - 1]);
            }
            return new Batch(tokens, targets, stage.Batch, stage.Length);
        }

        // a loss of its own: every position counts, not the last alone
        public override TrainingLoss LossOf(MambaModel model, Batch batch)
        {
            Shape shape = (batch.B, batch.L);
            Tensor targets = Tensor.From(batch.Targets, shape, model.Parameters.Device);
            Tensor logits = Language(model).Forward(Tensor.From(batch.Tokens, shape, model.Parameters.Device));
            return new(Ops.CrossEntropy(logits, targets, classes: 2), () => Ops.CountCorrect(logits, targets, classes: 2).Accuracy);
        }
    }

    public static void Run(Device device)
    {
        if (!TrainingTask.All.Any(task => task.Name == "parity"))
            TrainingTask.Register(new TrainingTask("parity", "the parity of the bits so far", _ => new Parity()));
        var options = new TrainOptions { Task = "parity", Stages = [new Stage(Length: 8, Batch: 32, Steps: 60)], LearningRate = 5e-3, Seed = 1 };
        var config = new MambaConfig { DModel = 16, NLayer = 1, VocabSize = 2 };
        string path = Directory.CreateTempSubdirectory("mamba-").FullName;
        var folder = new RunFolder(path);
        folder.Create(config, options);
        using (var trainer = new Trainer(options, config, device))
        using (var run = new TrainingRun(folder, trainer))
            run.Run(step =>
            {
                if (step.Step % 20 == 0)
                    Console.WriteLine($"step {step.Step}  loss {step.Loss:0.000}  accuracy {step.Accuracy:0.00}");
            }, CancellationToken.None);
        IEnumerable<string?> files = Directory.EnumerateFiles(path).Select(Path.GetFileName).Where(name => name![0] != '.').Order(StringComparer.Ordinal);
        Console.WriteLine($"the run folder holds {string.Join(", ", files)}");
        Directory.Delete(path, recursive: true);
    }
}
