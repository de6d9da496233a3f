namespace Mamba.Examples;

/// <summary>A language model of a text of yours, byte by byte: trained, measured on the tenth that was held out, and asked to write.</summary>
public static class TextModel
{
    public static void Run(Device device)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, string.Concat(Enumerable.Range(0, 400).Select(i => $"{i % 10} is followed by {(i + 1) % 10}.\n")));
        using var data = new TextData(path);
        var options = new TrainOptions
        {
            Task = "text",
            Stages = [new Stage(Length: 64, Batch: 8, Steps: 300)],
            LearningRate = 1e-2,
            Schedule = "cosine",
            Warmup = 10,
            Clip = 1,
        };
        using var trainer = new Trainer(options, new MambaConfig { DModel = 32, NLayer = 1, VocabSize = data.VocabSize }, device, data);
        while (!trainer.IsDone)
            trainer.Step();
        Perplexity windows = data.Validate(trainer.Model, window: 64)!, carried = data.Validate(trainer.Model, window: null)!;
        Console.WriteLine($"held out: {windows.BitsPerByte:0.00} bits a byte in windows, {carried.BitsPerByte:0.00} with the state carried");
        int[] written = trainer.Model.Generate(data.Tokenizer.Encode("7 is followed by "), count: 2);
        Console.WriteLine($"7 is followed by {data.Tokenizer.Decode(written)}");
        File.Delete(path);
    }
}
