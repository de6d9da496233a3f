using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Mamba.Cli;

/// <summary><c>mamba generate</c>: what a model goes on with.</summary>
internal static class GenerateCommand
{
    const double UsualTemperature = 0.8;

    static readonly Option<string?> Model = BridgeFiles.Required(Option.Text("--model", "MODEL", "A model's folder, a run folder, or a .gguf file."));
    static readonly Option<string[]> Prompt = Any("--prompt", "TEXT", "What to go on from; several are gone on from at once.");
    static readonly Option<string?> PromptFile = Option.Text("--prompt-file", "FILE", "The prompt is the text of a file.");
    static readonly Option<string[]> Ids = Any("--ids", "1,2,3", "Token ids instead of text; several as --prompt.");
    static readonly Option<string?> TokenizerOption = Option.Text("--tokenizer", "FILE|MODEL|bytes", "Another tokenizer than the model's own.");
    static readonly Option<int?> MaxTokens = Option.Int("--max-tokens", "Tokens to add at most (128).");
    static readonly Option<double?> Temperature = Option.Real("--temperature", $"0 is greedy: the likeliest token each time ({UsualTemperature}).");
    static readonly Option<int?> TopK = Option.Int("--top-k", "Draw from the N likeliest tokens; 0 is off (0).");
    static readonly Option<double?> TopP = Option.Real("--top-p", "Draw from the likeliest tokens that together have this probability; 1 is off (1).");
    static readonly Option<double?> MinP = Option.Real("--min-p", "Draw from tokens at least this many times as likely as the likeliest; 0 is off (0).");
    static readonly Option<double?> RepetitionPenalty = Option.Real("--repetition-penalty",
        "Above 1: tokens that were there become less likely; 1 is off (1).");
    static readonly Option<ulong?> Seed = Option.Seed("--seed", "Of the draws: the same seed, the same text (0).");
    static readonly Option<string[]> Stop = Any("--stop", "TEXT", "End where this text appears; may be given several times.");
    static readonly Option<bool> IgnoreEos = Option.Flag("--ignore-eos", "Go on behind the token that ends a text.");
    static readonly Option<bool> PrintIds = Option.Flag("--print-ids",
        "Print token ids instead of text, with commas: the prompt's, then the new ones; a line each prompt.");
    static readonly Option<bool> Logprobs = Option.Flag("--logprobs", "On standard error, each token's id, ln of its probability, and its piece.");
    static readonly Option<string?> StateIn = Option.Text("--state-in", "FILE", "Go on from a saved state, as if all that it has read were before the prompt.");
    static readonly Option<string?> StateOut = Option.Text("--state-out", "FILE", "Save the state at the end.");
    static readonly Option<string?> Dtype = BridgeFiles.DTypeOption("float64 if the weights are F64, else float32");

    public static Command Create()
    {
        var command = new Command("generate", "Let a language model go on from a prompt.")
        {
            Model, Prompt, PromptFile, Ids, TokenizerOption, MaxTokens, Temperature, TopK, TopP, MinP, RepetitionPenalty, Seed, Stop, IgnoreEos, PrintIds,
            Logprobs, StateIn, StateOut, Dtype,
        };
        var device = new DeviceOptions();
        device.AddTo(command);
        command.SetAction(parsed => Run(parsed, device));
        return command;
    }

    // Any text at all: a prompt may be a space.
    static Option<string[]> Any(string name, string placeholder, string description) => new(name)
    {
        Description = description,
        HelpName = placeholder,
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
    };

    /// <summary>The tokenizer asked for, or else the model's own.</summary>
    public static Tokenizer OpenTokenizer(string model, string? asked)
    {
        if (asked is null)
            return Tokenizer.Of(model);
        var tokenizer = Tokenizer.Open(asked);
        tokenizer.ExpectFits(ModelFolder.ReadConfig(model), $"--tokenizer {asked} for {model}");
        return tokenizer;
    }

    static int Run(ParseResult parsed, DeviceOptions deviceOptions)
    {
        string folder = parsed.GetValue(Model)!;
        (int[][] prompts, string[]? texts, Tokenizer? tokenizer) = ReadPrompts(parsed, folder);
        var options = new Generation
        {
            MaxTokens = parsed.GetValue(MaxTokens) ?? 128,
            Sampler = Sampler.Official(parsed.GetValue(Temperature) ?? UsualTemperature, parsed.GetValue(TopK) ?? 0, parsed.GetValue(TopP) ?? 1,
                parsed.GetValue(MinP) ?? 0, parsed.GetValue(RepetitionPenalty) ?? 1),
            Seed = parsed.GetValue(Seed) ?? 0,
            Tokenizer = tokenizer,
            Stop = parsed.GetValue(Stop) ?? [],
            IgnoreEndOfText = parsed.GetValue(IgnoreEos),
        };
        if (options.MaxTokens < 0)
            throw new MambaException($"--max-tokens is {options.MaxTokens}; expected 0 or more.");
        string? stateIn = parsed.GetValue(StateIn), stateOut = parsed.GetValue(StateOut);
        if ((stateIn ?? stateOut) is not null && prompts.Length > 1)
            throw new MambaException($"mamba generate: {prompts.Length} prompts with {(stateIn is null ? "--state-out" : "--state-in")}; expected one.");
        DType? dtype = BridgeFiles.ParseDType(parsed.GetValue(Dtype));
        using var interrupt = new Interrupt();
        using Device device = deviceOptions.Open(parsed);
        using MambaLM model = ModelFolder.Load(folder, device, dtype);
        using MambaState? state = (stateIn ?? stateOut) is null ? null : model.NewState(1);
        if (stateIn is not null)
            state!.Load(stateIn);
        options = options with { State = state };
        bool asIds = parsed.GetValue(PrintIds) || tokenizer is null;
        var output = new GenerateOutput(prompts, texts, asIds, parsed.GetValue(Logprobs) ? tokenizer ?? new ByteTokenizer() : null);
        int made = 0;
        bool stopped = false;
        long start = Stopwatch.GetTimestamp(), first = 0, last = start;
        try
        {
            output.Begin();
            foreach (GeneratedToken token in model.Generate(prompts, options, interrupt.Token))
            {
                last = Stopwatch.GetTimestamp();
                first = made++ < prompts.Length ? last : first;
                output.Add(token);
            }
        }
        catch (OperationCanceledException)
        {
            stopped = true;
        }
        output.End();
        if (stopped)
            return Interrupt.Stopped(parsed, $"{made} tokens");
        if (stateOut is not null)
            state!.Save(stateOut);
        if (made > 0)
        {
            WriteFigures(prompts.Sum(prompt => prompt.Length), Stopwatch.GetElapsedTime(start, first), made - prompts.Length,
                Stopwatch.GetElapsedTime(first, last), device);
        }
        return 0;
    }

    static void WriteFigures(int read, TimeSpan reading, int made, TimeSpan making, Device device) => Console.Error.WriteLine(
        $"{read} tokens read, {read / Math.Max(reading.TotalSeconds, 1e-6):N0} a second; "
        + $"{made} made after the first, {(made > 0 ? made / Math.Max(making.TotalSeconds, 1e-6) : 0):N0} a second, on {device.Name}");

    static (int[][] Ids, string[]? Texts, Tokenizer? Tokenizer) ReadPrompts(ParseResult parsed, string folder)
    {
        string[] prompts = parsed.GetValue(Prompt) ?? [], ids = parsed.GetValue(Ids) ?? [];
        string? file = parsed.GetValue(PromptFile), asked = parsed.GetValue(TokenizerOption);
        bool mayBeEmpty = parsed.GetValue(StateIn) is not null;
        int kinds = new[] { prompts.Length > 0, ids.Length > 0, file is not null }.Count(given => given);
        if (kinds > 1 || (kinds == 0 && !mayBeEmpty))
            throw new MambaException("mamba generate: expected --prompt, --prompt-file or --ids, one of them.");
        if (ids.Length > 0)
        {
            Tokenizer? own = asked is null ? OwnOrNone(folder) : OpenTokenizer(folder, asked);
            return ([.. ids.Select(text => NotEmpty(TokenizeCommand.Ids(text, "--ids")))], null, own);
        }
        Tokenizer tokenizer = OpenTokenizer(folder, asked);
        string[] texts = file is not null ? [InputFile.ReadText(file)] : prompts.Length > 0 ? prompts : [""];
        return ([.. texts.Select(text => NotEmpty(tokenizer.EncodePrompt(text, goesOn: mayBeEmpty)))], texts, tokenizer);

        int[] NotEmpty(int[] prompt) => prompt.Length > 0 || mayBeEmpty ? prompt
            : throw new MambaException("mamba generate: the prompt is empty, and the model has no token that begins a text; expected one token or more.");
    }

    public static Tokenizer? OwnOrNone(string folder)
    {
        try
        {
            return Tokenizer.Of(folder);
        }
        catch (MambaException) when (!File.Exists(Path.Combine(folder, "tokenizer.json")))
        {
            return null;        // ids in, ids out
        }
    }
}
