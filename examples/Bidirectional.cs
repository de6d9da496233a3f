namespace Mamba.Examples;

/// <summary>
/// A mixer run both ways. Each token shall say which comes after it: what reads forward cannot know, what reads both ways learns it; with tied directions it
/// knows both neighbours, but not which is which. Two sequences are in each row, and neither direction sees from one into the other.
/// </summary>
public static class Bidirectional
{
    const int Rows = 16, Length = 12, Letters = 8;

    public static void Run(Device device)
    {
        MixerConfig mamba = new SsmConfig { DState = 4 };
        Train("forward     ", mamba, device);
        Train("both ways   ", new BidirectionalConfig { Inner = mamba }, device);
        Train("tied        ", new BidirectionalConfig { Inner = mamba, Tied = true }, device);
    }

    static void Train(string name, MixerConfig mixer, Device device)
    {
        using var model = new MambaLM(new MambaConfig { DModel = 16, NLayer = 1, VocabSize = Letters, Mixer = mixer }, device, seed: 1);
        using var optimizer = new AdamW(model.Parameters, 1e-2, weightDecay: 0);
        using Tensor reset = Packing.Resets(device, Length, [.. Enumerable.Repeat(new long[] { 5, 7 }, Rows)]);
        CorrectCount count = default;
        for (int step = 0; step < 200; step++)
        {
            using var tape = new Tape();
            var random = new Random(step);
            int[] tokens = [.. Enumerable.Range(0, Rows * Length).Select(_ => random.Next(Letters))];
            int[] after = [.. tokens.Select((_, i) => i % Length is 4 or Length - 1 ? -100 : tokens[i + 1])];    // not asked at the ends
            Tensor targets = Tensor.From(after, (Rows, Length), device), logits = model.Forward(Tensor.From(tokens, (Rows, Length), device), reset: reset);
            count = Ops.CountCorrect(logits, targets);
            optimizer.Step(tape.Backward(Ops.CrossEntropy(logits, targets)));
        }
        Console.WriteLine($"{name}{model.Parameters.Sum(p => p.Shape.Count),5} weights, {100 * count.Accuracy:0} % right");
    }
}
