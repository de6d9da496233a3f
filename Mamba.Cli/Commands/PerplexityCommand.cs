using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;

namespace Mamba.Cli;

/// <summary><c>mamba perplexity</c>: how well a model foretells a text.</summary>
internal static class PerplexityCommand
{
    const int UsualWindow = 1024;

    static readonly Option<string?> Model = BridgeFiles.Required(Option.Text("--model", "MODEL", "A model's folder, a run folder, or a .gguf file."));
    static readonly Option<string?> Data = BridgeFiles.Required(Option.Text("--data", "FILE", "The text, of any size; it is read piece by piece."));
    static readonly Option<int?> Window = Option.Int("--window", $"Forget everything after every N tokens ({UsualWindow}).");
    static readonly Option<bool> Carry = Option.Flag("--carry", "Forget nothing: the state is carried through the whole text.");
    static readonly Option<string?> TokenizerOption = Option.Text("--tokenizer", "FILE|MODEL|bytes", "Another tokenizer than the model's own.");
    static readonly Option<int?> Batch = Option.Int("--batch",
        "Windows at once; by default as many as do some thousand tokens. The result does not depend on it, to rounding.");
    static readonly Option<bool> Json = Option.Flag("--json", "As JSON.");
    static readonly Option<string?> Dtype = BridgeFiles.DTypeOption("float64 if the weights are F64, else float32");

    public static Command Create()
    {
        var command = new Command("perplexity", "Measure how well a model foretells a text: nats and bits for each byte and each token.")
        {
            Model, Data, Window, Carry, TokenizerOption, Batch, Json, Dtype,
        };
        var device = new DeviceOptions();
        device.AddTo(command);
        command.SetAction(parsed => Run(parsed, device));
        return command;
    }

    static int Run(ParseResult parsed, DeviceOptions deviceOptions)
    {
        string folder = parsed.GetValue(Model)!, data = parsed.GetValue(Data)!;
        int? window = parsed.GetValue(Window);
        bool carry = parsed.GetValue(Carry);
        if (carry && window is not null)
            throw new MambaException("mamba perplexity: --carry and --window are both given; expected one of them.");
        if (window < 1 || parsed.GetValue(Batch) < 1)
            throw new MambaException($"{(window < 1 ? $"--window is {window}" : $"--batch is {parsed.GetValue(Batch)}")}; expected 1 or more.");
        window = carry ? null : window ?? UsualWindow;
        DType? dtype = BridgeFiles.ParseDType(parsed.GetValue(Dtype));
        Tokenizer tokenizer = GenerateCommand.OpenTokenizer(folder, parsed.GetValue(TokenizerOption));
        using var interrupt = new Interrupt();
        long done = 0;
        try
        {
            using TokenSource tokens = TokenSource.OfText(data, tokenizer, interrupt.Token);
            if (tokens.Count < 2)
                throw new MambaException($"{data}: there {(tokens.Count == 1 ? "is one token" : "is nothing")} in it; expected two tokens or more.");
            int[] first = new int[1];
            tokens.Read(0, first);
            using Device device = deviceOptions.Open(parsed);
            using MambaLM model = ModelFolder.Load(folder, device, dtype);
            long start = Stopwatch.GetTimestamp(), said = start;
            Perplexity result = Perplexity.Measure(model, tokens, window, parsed.GetValue(Batch), (count, nats) =>
            {
                done = count;
                if (Console.IsErrorRedirected || Stopwatch.GetElapsedTime(said) < TimeSpan.FromSeconds(1))
                    return;
                said = Stopwatch.GetTimestamp();
                Console.Error.Write($"\r{100.0 * count / (tokens.Count - 1):0.0} %, {nats / count:0.0000} nats a token \r");
            }, interrupt.Token, tokenizer.Bytes(first[0]).Length);
            Write(parsed.GetValue(Json), result, window);
            Console.Error.WriteLine($"{result.Tokens:N0} tokens, {result.Tokens / Stopwatch.GetElapsedTime(start).TotalSeconds:N0} a second on {device.Name}");
            return 0;
        }
        catch (OperationCanceledException)
        {
            return Interrupt.Stopped(parsed, $"{done} tokens");
        }
    }

    static void Write(bool asJson, Perplexity result, int? window)
    {
        if (asJson)
        {
            Console.WriteLine(JsonSerializer.Serialize(new
            {
                tokens = result.Tokens,
                bytes = result.Bytes,
                window,
                nats = result.Nats,
                nats_per_token = result.NatsPerToken,
                perplexity_per_token = double.IsFinite(result.PerToken) ? result.PerToken : (double?)null,
                nats_per_byte = result.NatsPerByte,
                bits_per_byte = result.BitsPerByte,
            }));
            return;
        }
        Console.WriteLine(window is { } n ? $"windows of {n} tokens" : "state carried");
        Console.WriteLine($"nats a token  {result.NatsPerToken:0.000000}   perplexity {result.PerToken:0.0000}");
        if (result.Bytes is not null)
            Console.WriteLine($"nats a byte   {result.NatsPerByte:0.000000}   bits a byte {result.BitsPerByte:0.000000}");
    }
}
