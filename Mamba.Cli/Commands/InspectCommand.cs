using System.CommandLine;
using System.Globalization;
using System.Text;
using Mamba.Pictures;

namespace Mamba.Cli;

/// <summary><c>mamba inspect</c>: what is inside a model while it reads a text.</summary>
internal static class InspectCommand
{
    const string TraceName = "trace.safetensors", PageName = "trace.html", CausalName = "causal";

    static readonly Option<string?> Model = BridgeFiles.Required(Option.Text("--model", "MODEL", "A model's folder, a run folder, or a .gguf file."));
    static readonly Option<string?> Prompt = OneText("--prompt", "TEXT", "What the model reads.");
    static readonly Option<string?> PromptFile = Option.Text("--prompt-file", "FILE", "It reads the text of a file.");
    static readonly Option<string?> Ids = OneText("--ids", "1,2,3", "It reads these token ids.");
    static readonly Option<string?> TokenizerOption = Option.Text("--tokenizer", "FILE|MODEL|bytes", "Another tokenizer than the model's own.");
    static readonly Option<string?> Output = BridgeFiles.Required(Option.Text("--out", "DIR",
        "The folder for the trace and the pictures; files of their names are replaced."));
    static readonly Option<string?> Layers = Option.Text("--layers", "0,2-5", "Only these layers, from 0 (all).");
    static readonly Option<string?> Values = Option.Text("--values", "LIST",
        $"Only these of each layer: {string.Join(", ", Names.Select(name => name.Name))} (all). A state is n numbers a channel and token: "
        + "without h, Abar and Bbar a trace is small.");
    static readonly Option<string?> Gradient = OneText("--gradient", QuantityText.Forms, "Also the gradient of this with respect to each value: the loss, or "
        + "the logit or the log probability of a token (an id, or its text) after the last position; @P: after position P; logit:A-B: of A less that of B.");
    static readonly Option<bool> Html = Option.Flag("--html", $"Also a page to explore it with, {PageName}: one file, which needs no network.");
    static readonly Option<string?> Against = Option.Text("--against", "TRACE", $"On the page, beside another run: its {TraceName}. It makes --html.");
    static readonly Option<string?> Pictures = Option.Text("--pictures", "both|png|svg|none", "As what pictures are written (both).");
    static readonly Option<string?> Causal = OneText("--causal", "TEXT|1,2,3",
        "Causal tracing: the model reads this corrupted prompt, of as many tokens, with one value of the right run restored, at every layer and position "
        + "in turn; what comes back of --gradient's quantity is drawn. By default the log probability of what the model says after the right one.");
    static readonly Option<string?> SiteOption = Option.Text("--site", "SITE", "What --causal restores: h, y, delta, B or C (h).");
    static readonly Option<string?> Dtype = BridgeFiles.DTypeOption("float64 if the weights are F64, else float32");

    static (string Name, TraceValues Value)[] Names =>
    [
        .. Enum.GetValues<Site>().Select(site => (TraceFile.NameOf(site), TraceSettings.ValueOf(site))), ("Abar", TraceValues.Abar), ("Bbar", TraceValues.Bbar),
        ("predictions", TraceValues.Predictions),
    ];

    static readonly HelpWith.Section Files = new("Writes into DIR:",
    [
        (TraceName, "layer.I.delta, layer.I.h, layer.I.dh, …", "every value, in the order (batch, length, channel, state)"),
        ("delta.png, …", "", "step sizes, states, hidden attention, rates, half-lives, how far back each layer looks"),
        (PageName, "", "with --html, the page"),
        ($"{CausalName}.csv, {CausalName}.png", "", "with --causal, what each layer and position brings back"),
    ]);

    // Any text: a prompt may be a space.
    static Option<string?> OneText(string name, string placeholder, string description) =>
        new(name) { Description = description, HelpName = placeholder, Arity = ArgumentArity.ExactlyOne };

    public static Command Create()
    {
        var command = new Command("inspect",
            "See what is inside a model while it reads: every step size, state, gradient; change them, and see what becomes of it.")
        {
            Model, Prompt, PromptFile, Ids, TokenizerOption, Output, Layers, Values, Gradient, Html, Against, Pictures, Causal, SiteOption, Dtype,
        };
        var hooks = new HookText();
        hooks.AddTo(command);
        var device = new DeviceOptions();
        device.AddTo(command);
        HelpWith.AddTo(command, Files);
        command.SetAction(parsed => Run(parsed, hooks, device));
        return command;
    }

    static int Run(ParseResult parsed, HookText hookText, DeviceOptions deviceOptions)
    {
        string folder = parsed.GetValue(Model)!, output = parsed.GetValue(Output)!;
        (int[] ids, Tokenizer? tokenizer) = ReadPrompt(parsed, folder);
        PictureFormats? formats = ParseFormats(parsed.GetValue(Pictures));
        Site site = ParseSite(parsed.GetValue(SiteOption));
        var opened = new List<TraceFile>();
        List<string> written = [], pictures = [];
        using var interrupt = new Interrupt();
        try
        {
            TraceFile? against = parsed.GetValue(Against) is { } other ? Open(other) : null;
            var options = new TraceSettings
            {
                Layers = parsed.GetValue(Layers) is { } layers ? Indices.Parse(layers)
                    ?? throw new MambaException($"--layers is '{layers}'; expected numbers and ranges from 0, such as 0,2-5.") : null,
                Values = ParseValues(parsed.GetValue(Values)),
                Quantity = parsed.GetValue(Gradient) is { } gradient ? QuantityText.Parse(gradient, tokenizer) : null,
                Hooks = hookText.Read(parsed, Open),
                Tokenizer = tokenizer,
                Stop = interrupt.Token,
                Progress = Say,
            };
            int[]? corrupted = parsed.GetValue(Causal) is { } causal ? ReadCorrupted(causal, ids, parsed.GetValue(Ids) is not null, tokenizer, folder) : null;
            DType? dtype = BridgeFiles.ParseDType(parsed.GetValue(Dtype));
            using Device device = deviceOptions.Open(parsed);
            using MambaLM model = ModelFolder.Load(folder, device, dtype);
            MakeFolder(output);
            using var scope = new TensorScope();
            Tensor tokens = Tensor.From(ids, (1, ids.Length), device);
            string path = Path.Combine(output, TraceName);
            model.Trace(tokens, path, options);
            written.Add(path);
            using (TraceFile trace = TraceFile.Open(path))
            {
                TraceSummary.Write(trace, tokenizer is null ? null : id => Tracer.TextOf(tokenizer, id));
                if (trace.QuantityValue is { } value)
                    Console.WriteLine($"{trace.Quantity}: {Text(value)}");
                if (parsed.GetValue(Html) || against is not null)
                {
                    written.Add(Path.Combine(output, PageName));
                    TracePage.Write(written[^1], trace, against);
                }
                if (formats is { } wanted)
                    Try(() => pictures.AddRange(Draw(trace, output, wanted)));
            }
            if (corrupted is not null)
                written.Add(TraceCause(model, tokens, corrupted, options, site, formats, output, tokenizer, pictures));
            foreach (string file in written)
                Console.WriteLine($"{file} ({new FileInfo(file).Length / 1e6:0.0} MB)");
            if (pictures.Count > 0)
                Console.WriteLine($"{output}: {pictures.Count} pictures: {Listed(pictures)}");
            return 0;
        }
        catch (OperationCanceledException)
        {
            return Interrupt.Stopped(parsed, $"{written.Count} files");
        }
        finally
        {
            foreach (TraceFile file in opened)
                file.Dispose();
        }

        TraceFile Open(string path)
        {
            var file = TraceFile.Open(path);
            opened.Add(file);
            return file;
        }
    }

    static void Say(double share)
    {
        if (!Console.IsErrorRedirected && share > 0)
            Console.Error.Write($"\r{100 * share:0} % \r");
    }

    /// <summary>The log probability of what the model says after the tokens.</summary>
    static Quantity Answer(MambaLM model, Tensor tokens)
    {
        using var scope = new TensorScope();
        Tensor logits = Ops.Slice(model.Forward(tokens, lastOnly: true), 1, 0, model.Config.VocabSize);
        return Quantity.LogProbability(Ops.ArgMax(logits).ToArray<int>()[0]);
    }

    static (int[] Ids, Tokenizer? Tokenizer) ReadPrompt(ParseResult parsed, string folder)
    {
        string? prompt = parsed.GetValue(Prompt), file = parsed.GetValue(PromptFile), ids = parsed.GetValue(Ids), asked = parsed.GetValue(TokenizerOption);
        if (new[] { prompt, file, ids }.Count(given => given is not null) != 1)
            throw new MambaException("mamba inspect: expected --prompt, --prompt-file or --ids, one of them.");
        Tokenizer? tokenizer = ids is not null && asked is null ? GenerateCommand.OwnOrNone(folder) : GenerateCommand.OpenTokenizer(folder, asked);
        int[] read = ids is not null ? TokenizeCommand.Ids(ids, "--ids") : tokenizer!.EncodePrompt(prompt ?? InputFile.ReadText(file!), goesOn: false);
        if (read.Length == 0)
            throw new MambaException("mamba inspect: there are no tokens to read; expected one or more.");
        return (Known(read, folder, "--ids"), tokenizer);
    }

    static int[] Known(int[] ids, string folder, string option)
    {
        int vocabulary = ModelFolder.ReadConfig(folder).VocabSize, wrong = Array.FindIndex(ids, id => id >= vocabulary);
        return wrong < 0 ? ids : throw new MambaException($"{option}: token {wrong} is {ids[wrong]}; the model knows 0 to {vocabulary - 1}.");
    }

    static int[] ReadCorrupted(string text, int[] right, bool areIds, Tokenizer? tokenizer, string folder)
    {
        int[] ids = areIds ? TokenizeCommand.Ids(text, "--causal") : tokenizer!.EncodePrompt(text, goesOn: false);
        return ids.Length == right.Length ? Known(ids, folder, "--causal")
            : throw new MambaException($"--causal: the corrupted prompt is {ids.Length} tokens, the right one {right.Length}; expected the same number.");
    }

    static IReadOnlyList<string> Draw(TraceFile trace, string output, PictureFormats formats)
    {
        TracePictures.Report report = TracePictures.WriteAll(trace, output, formats);
        foreach (string line in report.LeftOut)
            Console.Error.WriteLine($"left out: {line}");
        return report.Files;
    }

    // delta, mean-reach; of each layer delta, states
    static string Listed(IEnumerable<string> files)
    {
        ILookup<bool, string> names = files.Select(file => Path.GetFileNameWithoutExtension(file).Split(".layer-"))
            .ToLookup(parts => parts.Length > 1, parts => parts[0]);
        string Distinct(bool ofLayers) => string.Join(", ", names[ofLayers].Distinct(StringComparer.Ordinal));
        return $"{Distinct(false)}; of each layer {Distinct(true)}";
    }

    // Pictures are a courtesy: when they cannot be drawn, that is said and nothing else is lost.
    static void Try(Action draw)
    {
        try
        {
            draw();
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            Console.Error.WriteLine($"a picture could not be drawn: {e.Message.ReplaceLineEndings(" ")}");
        }
    }

    static string TraceCause(MambaLM model, Tensor clean, int[] corrupted, TraceSettings options, Site site, PictureFormats? formats, string output,
        Tokenizer? tokenizer, List<string> pictures)
    {
        Quantity quantity = options.Quantity ?? Answer(model, clean);
        var result = CausalTracing.Run(model, clean, Tensor.From(corrupted, clean.Shape, clean.Device), quantity, site, options.Layers, stop: options.Stop);
        Console.WriteLine($"{quantity}: {Text(result.Clean)} after the right prompt, {Text(result.Corrupted)} after the corrupted one");
        string[] texts = [.. corrupted.Select(id => tokenizer is null ? "" : Tracer.TextOf(tokenizer, id))];
        string table = Path.Combine(output, $"{CausalName}.csv");
        AtomicFile.WriteText(table, Csv(result, texts));
        Try(() =>
        {
            Sheet sheet = CausalPicture.Of(result, TraceFile.NameOf(site), $"{quantity}",
                [.. texts.Select((text, i) => TokenTexts.Printed(tokenizer is null ? null : text, corrupted[i]))]);
            foreach (PictureFormats format in (ReadOnlySpan<PictureFormats>)[PictureFormats.Png, PictureFormats.Svg])
                if (formats?.HasFlag(format) == true)
                {
                    string path = Path.Combine(output, $"{CausalName}.{(format == PictureFormats.Png ? "png" : "svg")}");
                    sheet.Save(path);
                    pictures.Add(path);
                }
        });
        return table;
    }

    static string Csv(CausalTracing result, string[] texts)
    {
        double[,] share = result.Share;
        var csv = new StringBuilder("layer,position,token,restored,share\n");
        for (int i = 0; i < result.Layers.Count; i++)
            for (int j = 0; j < result.Positions.Count; j++)
            {
                string token = texts[result.Positions[j]].Replace("\"", "\"\"", StringComparison.Ordinal);
                csv.Append(CultureInfo.InvariantCulture, $"{result.Layers[i]},{result.Positions[j]},\"{token}\",{result.Restored[i, j]:R},{share[i, j]:R}\n");
            }
        return csv.ToString();
    }

    static string Text(double value) => value.ToString("G5", CultureInfo.InvariantCulture);

    static void MakeFolder(string path)
    {
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception e) when (InputFile.IsOfFiles(e))
        {
            throw new MambaException($"--out {path}: the folder cannot be made: {InputFile.Sentence(e)}", e);
        }
    }

    static TraceValues ParseValues(string? text) => text is null ? TraceValues.All
        : text.Split(',').Aggregate(TraceValues.None, (all, name) => all | Names.FirstOrDefault(known => known.Name == name.Trim(' ')).Value switch
        {
            TraceValues.None => throw new MambaException($"--values: '{name}' is none of {string.Join(", ", Names.Select(known => known.Name))}."),
            var value => value,
        });

    static PictureFormats? ParseFormats(string? text) => text switch
    {
        null or "both" => PictureFormats.Both,
        "png" => PictureFormats.Png,
        "svg" => PictureFormats.Svg,
        "none" => null,
        _ => throw new MambaException($"--pictures is '{text}'; expected both, png, svg or none."),
    };

    static Site ParseSite(string? text) => text is null ? Site.H
        : Enum.GetValues<Site>().Cast<Site?>().FirstOrDefault(site => TraceFile.NameOf(site!.Value) == text)
            ?? throw new MambaException($"--site is '{text}'; expected h, y, delta, B or C.");
}
