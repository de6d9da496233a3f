namespace Mamba.Examples;

/// <summary>A table of sequences with labels, from the file to the confusion of classes: what <c>mamba train classify</c> does.</summary>
public static class OwnLabels
{
    public static void Run(Device device)
    {
        string path = Path.Combine(Path.GetTempPath(), $"mamba-{Environment.ProcessId}.csv");
        Write(path);
        SequenceOptions asked = new() { Alphabet = "abc", Bidirectional = "untied", Test = 0.2 };
        var data = new LabeledData("classify", SequenceSet.Read(path, asked), asked, seed: 1);          // split by the seed: the same everywhere
        MambaConfig config = data.ModelOf(new MambaConfig { DModel = 16, NLayer = 1 });                 // its alphabet, its classes
        var options = new TrainOptions { Task = "classify", Stages = [new Stage(Length: 64, Batch: 16, Steps: 120)], LearningRate = 1e-2, Seed = 1 };
        using var trainer = new Trainer(options, config, device, data);
        while (!trainer.IsDone)
            trainer.Step();
        ClassificationReport report = data.Evaluate(trainer.Network, DataPart.Test).Classification!;
        Console.WriteLine($"{100 * report.Accuracy:0} % of {report.Count} test sequences, Matthews {report.Matthews:0.00}, AUC {report.Auc:0.00}");
        File.Delete(path);
    }

    // which comes first, the only b or the only c?
    static void Write(string path)
    {
        var random = new PhiloxRandom(1);
        var rows = new List<string[]>();
        for (int i = 0; i < 400; i++)
        {
            char[] letters = [.. Enumerable.Repeat('a', 6 + random.Next(20))];
            int b = random.Next(letters.Length), c = (b + 1 + random.Next(letters.Length - 1)) % letters.Length;
            (letters[b], letters[c]) = ('b', 'c');
            rows.Add([new string(letters), b < c ? "b first" : "c first"]);
        }
        CsvWriter.Save(path, ["sequence", "label"], rows);
    }
}
