using System.Text;

namespace Mamba.Examples;

/// <summary>A language model in a few lines: text in, text out as it is made; samplers put together; a prefix read once; how well a text is foretold.</summary>
public static class Generate
{
    public static void Run(Device device)
    {
        var tokenizer = new ByteTokenizer();            // or Tokenizer.Of(path) beside ModelFolder.Load(path, device)
        using var model = new MambaLM(new MambaConfig { DModel = 16, NLayer = 2, VocabSize = tokenizer.VocabSize }, device, seed: 1);

        var options = new Generation
        {
            Tokenizer = tokenizer,
            MaxTokens = 12,
            Sampler = Sampler.Draw.TopK(40).Temperature(0.8).TopP(0.95).Then((logits, tokens) => logits[..32].Fill(double.NegativeInfinity)),
            Seed = 7,
            Stop = ["\n\n"],
        };
        foreach (GeneratedToken token in model.Generate("To be", options))
            Console.Write(token.Text);
        Console.WriteLine();

        // Several prompts at once; each gets what it gets alone.
        IReadOnlyList<int>[] prompts = [tokenizer.Encode("or not"), tokenizer.Encode("to be: that is the question")];
        foreach (IGrouping<int, GeneratedToken> sequence in model.Generate(prompts, options).GroupBy(token => token.Sequence))
            Console.WriteLine($"prompt {sequence.Key}: {sequence.Count()} tokens, ln p {sequence.Sum(token => token.LogProb):0.0}, {sequence.Last().Finish}");

        // What many prompts begin with is read once.
        using var cache = new PrefixCache(model, capacity: 8);
        string shared = "A long beginning that all of them have. ";
        foreach (string question in (string[])["", "Who?", "Where?"])
            model.Generate(shared + question, options with { Cache = cache }).Count();
        using MambaState state = model.NewState(1);
        int known = cache.Find(tokenizer.Encode(shared + "When?"), state);
        Console.WriteLine($"{known} of {shared.Length} tokens need not be read again");

        using TokenSource text = TokenSource.Of(Array.ConvertAll(Encoding.UTF8.GetBytes(shared), b => (int)b));
        Console.WriteLine($"perplexity {Perplexity.Measure(model, text, window: 16).PerToken:0} of 256");
    }
}
