namespace Mamba.Examples;

/// <summary>A classifier of sequences of different lengths, read both ways: whether the letters TATA stand somewhere in a stretch of DNA.</summary>
public static class Classify
{
    public static void Run(Device device) => Train(device, steps: 150);

    /// <summary>The share of new sequences that it has right.</summary>
    public static double Train(Device device, int steps)
    {
        var config = new MambaConfig
        {
            DModel = 32,
            NLayer = 2,
            VocabSize = Alphabet.Dna.Count,
            Mixer = new BidirectionalConfig { Tied = true },
            Head = new HeadConfig { Kind = HeadConfig.Classes, Outputs = 2, Labels = ["without", "with"], Pool = Pooling.Gated },
        };
        using var model = new SequenceModel(config, device, seed: 1);
        using var optimizer = new AdamW(model.Parameters, learningRate: 3e-3);
        var loop = new TrainingLoop(optimizer) { Clip = 1 };
        for (int step = 0; step < steps; step++)
        {
            (int[][] sequences, int[] labels) = Draw(step, count: 32);
            LoopStep done = loop.Step(() => Ops.CrossEntropy(Scores(model, sequences), Tensor.From(labels, labels.Length, device)));
            if (step % 50 == 0)
                Console.WriteLine($"step {done.Step,3}  loss {done.Loss:0.000}");
        }
        using var scope = new TensorScope();
        (int[][] held, int[] expected) = Draw(1_000_000, count: 256);
        double accuracy = Ops.CountCorrect(Scores(model, held), Tensor.From(expected, expected.Length, device)).Accuracy;
        Console.WriteLine($"{accuracy:P0} of {held.Length} new sequences of {held.Min(s => s.Length)} to {held.Max(s => s.Length)} bases");
        return accuracy;
    }

    static Tensor Scores(SequenceModel model, int[][] sequences)
    {
        Segments segments = Segments.Packed([.. sequences.Select(s => s.Length)]);                      // several in a row
        return model.Forward(segments.Tokens(sequences, model.Parameters.Device), segments);            // (sequences, 2)
    }

    static (int[][], int[]) Draw(int seed, int count)
    {
        var random = new PhiloxRandom((ulong)seed);
        int[] tata = [3, 0, 3, 0];
        int[] labels = [.. Enumerable.Range(0, count).Select(_ => random.Next(2))];
        int[][] sequences = [.. labels.Select(label =>
        {
            int[] bases = [.. Enumerable.Range(0, 8 + random.Next(57)).Select(_ => random.Next(4))];
            for (int at; (at = bases.AsSpan().IndexOf(tata)) >= 0;)
                bases[at] = 1 + random.Next(2);
            if (label == 1)
                tata.CopyTo(bases, random.Next(bases.Length - 3));
            return bases;
        })];
        return (sequences, labels);
    }
}
