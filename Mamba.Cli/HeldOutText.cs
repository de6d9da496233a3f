using System.Text.Json;

namespace Mamba.Cli;

/// <summary>What ends a training on text: how the best weights do on what is held out, forgetting and not, and a page that they write.</summary>
internal static class HeldOutText
{
    const int SampleTokens = 160, PageTokens = 500;

    const double Temperature = 0.8;

    static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    public static int Run(Display display, RunFolder folder, MambaLM model, TrainingData data, TrainOptions options, CancellationToken stop)
    {
        int window = options.Context ?? options.Stages[^1].Length;
        Perplexity? windows, carried;
        try
        {
            (windows, carried) = (data.Validate(model, window, stop), data.Validate(model, null, stop));
        }
        catch (OperationCanceledException)
        {
            display.Say($"evaluation stopped, nothing of it is saved; to have it again: mamba eval {folder.Path}");
            return CommandLine.Interrupted;
        }
        if (windows is not null && carried is not null)
        {
            object Row(Perplexity of) => new { ValLoss = of.NatsPerToken, of.BitsPerByte };
            AtomicFile.WriteText(folder.Eval, JsonSerializer.Serialize(new
            {
                ValLoss = windows.NatsPerToken,
                windows.BitsPerByte,
                Window = window,
                windows.Tokens,
                Carried = Row(carried),
            }, Json) + "\n");
            display.Say($"held out, {windows.Tokens:N0} tokens: {Told(windows)} in windows of {window:N0}; {Told(carried)} with the state carried");
        }
        display.Say(Sample(model, data, PageTokens));
        Evaluation.SayFiles(display, folder);
        return 0;

        string Told(Perplexity of) => $"{of.NatsPerToken:0.0000} nats a token{(of.BitsPerByte is { } bits ? $" ({bits:0.000} bits a {data.ByteName})" : "")}";
    }

    /// <summary>What a model writes after a line feed; nothing where the data are no text.</summary>
    public static string Sample(MambaModel network, TrainingData data, int tokens = SampleTokens)
    {
        if (data is not TextData { Tokenizer: { } tokenizer } || network is not MambaLM model)
            return "";
        int[] prompt = tokenizer.Encode("\n");
        string text = prompt.Length == 0 ? "" : tokenizer.Decode(model.Generate(prompt, tokens, Temperature, seed: 1));
        return string.Concat(text.Trim('\n', '\uFFFD').Select(c => char.IsControl(c) && c != '\n' ? ' ' : c));         // a terminal obeys some of them
    }
}
