using System.Text.Json;

namespace Mamba;

/// <summary>
/// Reads a <c>tokenizer.json</c> of Hugging Face's tokenizers library, as GPT-2's, GPT-NeoX's and others of byte-level BPE are written. What it asks for
/// that is not done here is refused by name: a tokenizer that is nearly right is wrong.
/// </summary>
internal static class TokenizerJson
{
    public const string FileName = "tokenizer.json";

    const string ConfigName = "tokenizer_config.json";

    const int MostTokens = 1 << 24;

    const string Anything = "(?s:.+)", Digits = @"\p{N}+", Digit = @"\p{N}", Punctuation = @"[\p{P}$+<=>^`|~]";

    static readonly string[] UsualEnds = ["<|endoftext|>", "<|end_of_text|>", "</s>"];

    /// <summary>Where the tokenizer.json is that <see cref="Tokenizer.Open"/> reads; null if it reads none: bytes, or the vocabulary of a .gguf file.</summary>
    public static string? FileOf(string path) => Directory.Exists(path)
        ? File.Exists(Path.Combine(path, FileName)) ? Path.Combine(path, FileName) : null
        : !File.Exists(path) || GgufFile.IsGguf(path) ? null : path;

    /// <exception cref="MambaException">It is broken, or of a tokenizer of another kind.</exception>
    public static BpeVocabulary Read(string path)
    {
        string json = InputFile.ReadText(path);
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = 64 });
            JsonElement root = document.RootElement;
            JsonElement model = root.GetProperty("model");
            Expect(path, "model.type", Text(model, "type") ?? "BPE", "BPE");
            ExpectModel(path, model);
            Dictionary<int, BpeVocabulary.AddedToken> added = ReadAdded(path, root);
            var words = new Words(path);
            if (Object(root, "pre_tokenizer") is { } preTokenizer)
                words.Read(preTokenizer, isFirst: true);
            if (!words.IsOfBytes)
                throw new MambaException($"{path}: its pre_tokenizer has no ByteLevel; only byte-level BPE is done here.");
            if (Object(root, "decoder") is { } decoder && !Parts(decoder, "decoders").Any(part => Text(part, "type") == "ByteLevel"))
                throw new MambaException($"{path}: its decoder is {Safetensors.Quote(Text(decoder, "type") ?? "")}; expected ByteLevel.");
            string?[] tokens = ReadTokens(path, model, added);
            (int? begin, bool adds) = ReadBegin(path, root, added);
            (string? beginText, string? endText) = ReadConfig(Path.Combine(Path.GetDirectoryName(path) ?? "", ConfigName));
            return new BpeVocabulary
            {
                Tokens = tokens,
                Merges = [.. model.GetProperty("merges").EnumerateArray().Select(pair => ReadMerge(path, pair))],
                Added = added,
                Pattern = words.Before.Count == 0 ? Anything : words.Before[0],
                FurtherPatterns = [.. words.Before.Skip(1)],
                PatternsOfBytes = words.After,
                IsNfc = Object(root, "normalizer") is { } normalizer && IsNfc(path, normalizer),
                AddsPrefixSpace = words.AddsPrefixSpace,
                IgnoresMerges = Flag(model, "ignore_merges"),
                AddsBeginOfText = adds,
                BeginOfText = begin ?? Find(beginText),
                EndOfText = Find(endText) ?? UsualEnds.Select(Find).FirstOrDefault(id => id is not null),
            };

            int? Find(string? content) => content is null ? null
                : added.Where(pair => pair.Value.Content == content).Select(pair => (int?)pair.Key).FirstOrDefault();
        }
        catch (Exception e) when (JsonText.IsMalformed(e))
        {
            throw new MambaException($"{path}: this is not a tokenizer.json of byte-level BPE: {InputFile.Sentence(e)}", e);
        }
    }

    static void ExpectModel(string path, JsonElement model)
    {
        foreach (string name in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            Expect(path, "model." + name, Text(model, name) ?? "", "");
        if (Flag(model, "byte_fallback"))
            throw new MambaException($"{path}: model.byte_fallback is true; only byte-level BPE is done here.");
        if (model.TryGetProperty("dropout", out JsonElement dropout) && dropout.ValueKind != JsonValueKind.Null && dropout.GetDouble() != 0)
            throw new MambaException($"{path}: model.dropout is {dropout.GetDouble()}; expected none.");
    }

    static string?[] ReadTokens(string path, JsonElement model, Dictionary<int, BpeVocabulary.AddedToken> added)
    {
        (string Token, int Id)[] all = [.. model.GetProperty("vocab").EnumerateObject().Select(pair => (pair.Name, pair.Value.GetInt32()))];
        foreach (int id in all.Select(pair => pair.Id).Concat(added.Keys))
            if (id is < 0 or >= MostTokens)
                throw new MambaException($"{path}: a token has id {id}; expected 0 to {MostTokens - 1}.");
        string?[] tokens = new string?[all.Select(pair => pair.Id).Concat(added.Keys).DefaultIfEmpty(-1).Max() + 1];
        foreach ((string token, int id) in all)
        {
            if (tokens[id] is { } other)
                throw new MambaException($"{path}: id {id} is that of {Safetensors.Quote(other)} and of {Safetensors.Quote(token)}.");
            tokens[id] = token;
        }
        foreach ((int id, BpeVocabulary.AddedToken token) in added)
            tokens[id] = token.Content;
        return tokens;
    }

    static Dictionary<int, BpeVocabulary.AddedToken> ReadAdded(string path, JsonElement root)
    {
        var added = new Dictionary<int, BpeVocabulary.AddedToken>();
        if (!root.TryGetProperty("added_tokens", out JsonElement all) || all.ValueKind == JsonValueKind.Null)
            return added;
        foreach (JsonElement token in all.EnumerateArray())
        {
            string content = token.GetProperty("content").GetString() ?? "";
            foreach (string flag in (string[])["single_word", "lstrip", "rstrip"])
                if (Flag(token, flag))
                    throw new MambaException($"{path}: the added token {Safetensors.Quote(content)} has {flag}; that is not done here.");
            int id = token.GetProperty("id").GetInt32();
            if (!added.TryAdd(id, new(content, Flag(token, "special"), Flag(token, "normalized"))))
                throw new MambaException($"{path}: id {id} is that of two added tokens.");
        }
        return added;
    }

    static (string, string) ReadMerge(string path, JsonElement merge)
    {
        string[] pair = merge.ValueKind == JsonValueKind.Array
            ? [.. merge.EnumerateArray().Select(part => part.GetString() ?? "")]
            : (merge.GetString() ?? "").Split(' ');
        return pair.Length == 2 && pair[0].Length > 0 && pair[1].Length > 0
            ? (pair[0], pair[1])
            : throw new MambaException($"{path}: a merge is {Safetensors.Quote(string.Join(' ', pair))}; expected two tokens.");
    }

    static bool IsNfc(string path, JsonElement normalizer)
    {
        bool found = false;
        foreach (JsonElement part in Parts(normalizer, "normalizers"))
        {
            Expect(path, "normalizer", Text(part, "type") ?? "", "NFC");
            found = true;
        }
        return found;
    }

    // A template that puts a token before the text: <|begin_of_text|>. One that puts tokens behind it, or does anything else, is for two texts.
    static (int? Begin, bool Adds) ReadBegin(string path, JsonElement root, Dictionary<int, BpeVocabulary.AddedToken> added)
    {
        if (Object(root, "post_processor") is not { } processor)
            return (null, false);
        foreach (JsonElement part in Parts(processor, "processors"))
        {
            string type = Text(part, "type") ?? "";
            if (type == "ByteLevel")
                continue;
            Expect(path, "post_processor", type, "TemplateProcessing");
            JsonElement[] single = [.. part.GetProperty("single").EnumerateArray()];
            if (single.Length == 1 && single[0].TryGetProperty("Sequence", out _))
                continue;
            if (single.Length != 2 || !single[0].TryGetProperty("SpecialToken", out JsonElement special) || !single[1].TryGetProperty("Sequence", out _))
                throw new MambaException($"{path}: its post_processor puts more around a text than a token before it; that is not done here.");
            string name = special.GetProperty("id").GetString() ?? "";
            return added.Any(pair => pair.Value.Content == name)
                ? (added.First(pair => pair.Value.Content == name).Key, true)
                : throw new MambaException($"{path}: its post_processor puts {Safetensors.Quote(name)} before a text, which is not among the added tokens.");
        }
        return (null, false);
    }

    // tokenizer_config.json beside it says which tokens begin and end a text; tokenizer.json itself does not.
    static (string? Begin, string? End) ReadConfig(string path)
    {
        if (!File.Exists(path))
            return (null, null);
        string json = InputFile.ReadText(path);
        try
        {
            using JsonDocument document = JsonDocument.Parse(JsonText.FromPython(json), JsonText.NamesOnce);
            return (Token("bos_token"), Token("eos_token"));

            string? Token(string name) => Object(document.RootElement, name) is { } token ? Text(token, "content") : Text(document.RootElement, name);
        }
        catch (Exception e) when (JsonText.IsMalformed(e))
        {
            throw new MambaException($"{path}: this is not the configuration of a tokenizer: {InputFile.Sentence(e)}", e);
        }
    }

    static void Expect(string path, string field, string value, string expected)
    {
        if (value != expected)
            throw new MambaException($"{path}: {field} is {Safetensors.Quote(value)}; expected {(expected.Length > 0 ? expected : "none")}.");
    }

    // The parts of a Sequence; of anything else itself.
    static IEnumerable<JsonElement> Parts(JsonElement element, string name) => Text(element, "type") == "Sequence"
        ? element.GetProperty(name).EnumerateArray().SelectMany(part => Parts(part, name))
        : [element];

    static JsonElement? Object(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Object ? value : null;

    static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value.GetString() : null;

    static bool Flag(JsonElement element, string name, bool otherwise = false) =>
        element.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value.GetBoolean() : otherwise;

    /// <summary>What the pre-tokenizers make of a text: expressions to cut it by, before and after it is written in the alphabet of bytes.</summary>
    sealed class Words(string path)
    {
        public List<string> Before { get; } = [];
        public List<string> After { get; } = [];
        public bool IsOfBytes { get; private set; }
        public bool AddsPrefixSpace { get; private set; }

        public void Read(JsonElement element, bool isFirst)
        {
            string type = Text(element, "type") ?? "";
            switch (type)
            {
                case "Sequence":
                    foreach (JsonElement part in element.GetProperty("pretokenizers").EnumerateArray())
                    {
                        Read(part, isFirst);
                        isFirst = false;
                    }
                    break;
                case "ByteLevel" when IsOfBytes:
                    throw new MambaException($"{path}: its pre_tokenizer has ByteLevel twice.");
                case "ByteLevel":
                    AddsPrefixSpace = Flag(element, "add_prefix_space", otherwise: true);
                    if (AddsPrefixSpace && !isFirst)
                        throw new MambaException($"{path}: its pre_tokenizer cuts the text and then has add_prefix_space; that is not done here.");
                    if (Flag(element, "use_regex", otherwise: true))
                        Before.Add(WordPattern.Gpt2);
                    IsOfBytes = true;
                    break;
                case "Digits":
                    Add(Flag(element, "individual_digits") ? Digit : Digits);
                    break;
                case "Punctuation":
                    string punctuation = Text(element, "behavior") ?? "Isolated";
                    Add(punctuation == "Contiguous" ? Punctuation + "+" : punctuation == "Isolated" ? Punctuation : throw Behavior(type, punctuation));
                    break;
                case "Split":
                    JsonElement pattern = element.GetProperty("pattern");
                    string behavior = Text(element, "behavior") ?? "";
                    string regex = Text(pattern, "Regex") ?? System.Text.RegularExpressions.Regex.Escape(pattern.GetProperty("String").GetString()!);
                    if (behavior != "Isolated" && !(behavior == "Removed" && Flag(element, "invert")))
                        throw Behavior(type, behavior);
                    Add(regex);
                    break;
                default:
                    throw new MambaException($"{path}: its pre_tokenizer is {Safetensors.Quote(type)}; "
                        + "expected ByteLevel, Split, Digits, Punctuation or a Sequence.");
            }
        }

        void Add(string pattern) => (IsOfBytes ? After : Before).Add(pattern);

        MambaException Behavior(string type, string behavior) =>
            new($"{path}: its {type} has the behavior {Safetensors.Quote(behavior)}; that is not done here.");
    }
}
