using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NUnit.Framework;
using Peer = Microsoft.ML.Tokenizers;

namespace Mamba.Tests;

/// <summary>Text to tokens and back: bytes, byte-level BPE by hand and against Microsoft.ML.Tokenizers, pieces of characters, broken files.</summary>
public class TokenizerTests
{
    static string NeoX => RealData.PathOf("tokenizer/gpt-neox-20b-tokenizer.json");

    static readonly string[] Hard =
    [
        "", " ", "  ", "Hello world", " Hello  world ",
        "a\nb\n\nc\r\n\r\nd", "\t\ttab", "don't we'll I'M they've", "3.14159 1,000 ½ ²", "naïve café",
        "e\u0301 n\u0303 a\u0328\u0301",
        "日本語 中文字符 한국어", "𠀀𠀁 漢𠀀字", "𝒳𝒴 x𝒵y", "😀👩‍👩‍👧‍👦🏳️‍🌈",
        "مرحبا بالعالم", "שלום", "\0\u0001\u001f\u007f\u0085", "<|endoftext|>", "a<|endoftext|>b<|padding|>",
        "<|endoftext", "                         x",
        "x                                                     y\n      z", "\u00a0\u2003\u3000wide",
        "\ufeffbom", "\u200bzero\u200dwidth", "ﬁ ﬂ Å Ω", "<|endoftext|>\u0338", "\u1100\u1161\u11a8", "𝟘𝟙𝟚",
    ];

    string folder = "";

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("mamba-tokenizer-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    string In(string name) => Path.Combine(folder, name);

    static BpeTokenizer OpenNeoX() => BpeTokenizer.Read(NeoX);

    // ---- a small vocabulary: all bytes, and he, ll, hell, hello, ␣w --------------------------------

    static JsonObject Small(Action<JsonObject>? change = null)
    {
        var vocabulary = new JsonObject();
        for (int i = 0; i < 256; i++)
            vocabulary[ByteAlphabet.Letter((byte)i).ToString()] = i;
        foreach (string token in (string[])["he", "ll", "hell", "hello", "Ġw"])
            vocabulary[token] = vocabulary.Count;
        JsonObject json = JsonNode.Parse("""
            {
              "version": "1.0", "normalizer": null, "post_processor": null,
              "added_tokens":
              [{ "id": 261, "content": "<|endoftext|>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false }],
              "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true },
              "decoder": { "type": "ByteLevel" },
              "model": { "type": "BPE", "dropout": null, "unk_token": null, "merges": ["h e", "l l", "he ll", "hell o", "Ġ w"] }
            }
            """)!.AsObject();
        json["model"]!["vocab"] = vocabulary;
        change?.Invoke(json);
        return json;
    }

    string Write(JsonObject json)
    {
        File.WriteAllText(In("tokenizer.json"), json.ToJsonString());
        return In("tokenizer.json");
    }

    BpeTokenizer SmallTokenizer(Action<JsonObject>? change = null) => BpeTokenizer.Read(Write(Small(change)));

    static JsonNode Node(string json) => JsonNode.Parse(json)!;

    static int[] Bytes(string text) => new ByteTokenizer().Encode(text);

    [Test]
    public void Pairs_are_joined_in_the_order_of_the_merges()
    {
        BpeTokenizer tokenizer = SmallTokenizer();
        Assert.That(tokenizer.Encode("hello"), Is.EqualTo(new[] { 259 }));
        Assert.That(tokenizer.Encode("helo"), Is.EqualTo(new[] { 256, 'l', 'o' }));
        Assert.That(tokenizer.Encode("llll"), Is.EqualTo(new[] { 257, 257 }));
        Assert.That(tokenizer.Encode("lll"), Is.EqualTo(new[] { 257, 'l' }), "the leftmost of equals");
        BpeTokenizer crossing = SmallTokenizer(json =>
        {
            json["model"]!["vocab"]!["el"] = 262;
            json["model"]!["merges"]!.AsArray().Add("e l");
        });
        Assert.That(crossing.Encode("ell"), Is.EqualTo(new[] { 'e', 257 }), "el cannot be joined once ll is");
        Assert.That(tokenizer.Encode("hello world"), Is.EqualTo(new[] { 259, 260, 'o', 'r', 'l', 'd' }));
        Assert.That(tokenizer.Encode("hello\u00e9"), Is.EqualTo(new[] { 259, 0xC3, 0xA9 }));
        Assert.That(tokenizer.Encode("hello<|endoftext|>hello"), Is.EqualTo(new[] { 259, 261, 259 }));
        Assert.That(tokenizer.Encode(""), Is.Empty);
        Assert.That((tokenizer.VocabSize, tokenizer.EndOfText, tokenizer.BeginOfText), Is.EqualTo((262, 261, (int?)null)));
        Assert.That(tokenizer.Encode("\ud800x"), Is.EqualTo(new[] { 0xEF, 0xBF, 0xBD, 'x' }), "half a surrogate pair");
        Assert.That(tokenizer.Bytes(400).Length, Is.Zero);
    }

    [Test]
    public void Merges_are_pairs_or_strings_and_a_whole_word_may_win_over_them()
    {
        BpeTokenizer pairs = SmallTokenizer(json => json["model"]!["merges"] = Node("""[["h","e"],["l","l"],["he","ll"],["hell","o"],["Ġ","w"]]"""));
        Assert.That(pairs.Encode("hello wo"), Is.EqualTo(new[] { 259, 260, 'o' }));
        Action<JsonObject> few = json => json["model"]!["merges"] = Node("""["l l"]""");
        Assert.That(SmallTokenizer(few).Encode("hello"), Is.EqualTo(new[] { 'h', 'e', 257, 'o' }));
        Assert.That(SmallTokenizer(json =>
        {
            few(json);
            json["model"]!["ignore_merges"] = true;
        }).Encode("hello hello"), Is.EqualTo(new[] { 259, ' ', 'h', 'e', 257, 'o' }));
    }

    [Test]
    public void A_space_is_put_before_each_part_where_the_file_asks_for_it()
    {
        BpeTokenizer tokenizer = SmallTokenizer(json => json["pre_tokenizer"]!["add_prefix_space"] = true);
        Assert.That(tokenizer.Encode("wh"), Is.EqualTo(new[] { 260, 'h' }));
        Assert.That(tokenizer.Encode(" wh"), Is.EqualTo(new[] { 260, 'h' }));
        Assert.That(tokenizer.Encode("wh<|endoftext|>wh"), Is.EqualTo(new[] { 260, 'h', 261, 260, 'h' }));
    }

    [Test]
    public void Words_are_cut_as_the_file_says()
    {
        JsonNode Sequence(params string[] parts) => Node($$"""{ "type": "Sequence", "pretokenizers": [{{string.Join(',', parts)}}] }""");
        const string Bytes = """{ "type": "ByteLevel", "add_prefix_space": false, "use_regex": false }""";
        int[] Ids(JsonNode preTokenizer, string text) => SmallTokenizer(json => json["pre_tokenizer"] = preTokenizer).Encode(text);

        Assert.That(Ids(Node(Bytes), "o w"), Is.EqualTo(new[] { 'o', 260 }));
        Assert.That(Ids(Sequence("""{ "type": "Split", "pattern": { "Regex": "l" }, "behavior": "Isolated", "invert": false }""", Bytes), "hello"),
            Is.EqualTo(new[] { 256, 'l', 'l', 'o' }), "matches and what is between");
        Assert.That(Ids(Sequence("""{ "type": "Split", "pattern": { "String": "el" }, "behavior": "Isolated" }""", Bytes), "hello"),
            Is.EqualTo(new[] { 'h', 'e', 'l', 'l', 'o' }));
        Assert.That(Ids(Sequence("""{ "type": "Punctuation", "behavior": "Contiguous" }""", Bytes), "hello."), Is.EqualTo(new[] { 259, '.' }));
        Assert.That(Ids(Sequence(Bytes, """{ "type": "Split", "pattern": { "Regex": "Ġ" }, "behavior": "Isolated" }"""), "o w"),
            Is.EqualTo(new[] { 'o', ' ', 'w' }), "after ByteLevel a space is Ġ");
    }

    [Test]
    public void A_character_beyond_16_bits_is_a_letter_where_it_is_one()
    {
        var words = new List<string>();
        new WordPattern(WordPattern.Gpt2).Cut("x𝒵y 𠀀漢😀!1𝟚", word => words.Add(word.ToString()));
        Assert.That(words, Is.EqualTo(new[] { "x𝒵y", " 𠀀漢", "😀!", "1𝟚" }));
        for (int i = 0; i < WordPattern.Representatives.Length; i++)
            Assert.That((int)CharUnicodeInfo.GetUnicodeCategory(WordPattern.Representatives[i]), Is.EqualTo(i).Or.EqualTo((int)UnicodeCategory.SpaceSeparator));
    }

    [Test]
    public void Composed_and_decomposed_text_has_the_same_tokens_under_NFC_only()
    {
        BpeTokenizer nfc = SmallTokenizer(json => json["normalizer"] = Node("""{ "type": "NFC" }""")), none = SmallTokenizer();
        Assert.That(nfc.Encode("e\u0301"), Is.EqualTo(Bytes("é")));
        Assert.That(none.Encode("e\u0301"), Is.EqualTo(Bytes("e\u0301")));
        // Unicode's NormalizationTest.txt: order of marks, exclusions, Hangul, singletons, beyond 16 bits
        (string From, string To)[] cases =
        [
            ("a\u0328\u0301", "\u0105\u0301"), ("a\u0301\u0328", "\u0105\u0301"), ("\u0958", "\u0915\u093c"), ("\u1100\u1161\u11a8", "각"),
            ("가\u11a8", "각"),
            ("\u212b", "Å"), ("\u2126", "Ω"), ("\u1e0b\u0323", "\u1e0d\u0307"), ("D\u0307\u0323", "\u1e0c\u0307"),
            ("\u0344", "\u0308\u0301"), ("\u05b8\u05b9\u05b1\u0591", "\u05b1\u05b8\u05b9\u0591"),
            ("\U0001D15E", "\U0001D157\U0001D165"), ("\U000110A5\U000110BA", "\U000110AB"),
            ("\u0300a", "\u0300a"), ("a\u033f\u0301", "a\u033f\u0301"),
            ("\u09c7\u0334\u09be", "\u09c7\u0334\u09be"), ("가\u11a7", "가\u11a7"), ("\u1e69", "ṩ"), ("s\u0307\u0323", "ṩ"),
        ];
        foreach ((string from, string to) in cases)
            Assert.That(Nfc.Normalize(from), Is.EqualTo(to), string.Join(' ', from.Select(c => ((int)c).ToString("x4", CultureInfo.InvariantCulture))));
    }

    // ---- the tokenizer of the published models ------------------------------------------------------

    [Test]
    public void GPT_NeoX_has_the_ids_that_everybody_knows()
    {
        BpeTokenizer tokenizer = OpenNeoX();
        Assert.That(tokenizer.Encode("Hello world"), Is.EqualTo(new[] { 12092, 1533 }));
        Assert.That((tokenizer.VocabSize, tokenizer.EndOfText), Is.EqualTo((50277, 0)));
        Assert.That(tokenizer.Encode("a<|endoftext|>"), Is.EqualTo(new[] { 66, 0 }));
        Assert.That(tokenizer.Encode(new string(' ', 24)), Is.EqualTo(new[] { 50254 }), "the longest of the added tokens");
    }

    [Test]
    public void What_is_encoded_decodes_to_itself_at_once_and_token_by_token([Values] bool bytes)
    {
        Tokenizer tokenizer = bytes ? new ByteTokenizer() : OpenNeoX();
        foreach (string text in Hard)
        {
            int[] ids = tokenizer.Encode(text);
            string expected = bytes || text == "<|endoftext|>\u0338" ? text : Nfc.Normalize(text);      // an added token is found before NFC
            Assert.That(tokenizer.Decode(ids), Is.EqualTo(expected));
            var decoder = new TextDecoder(tokenizer);
            string[] pieces = [.. ids.Select(decoder.Add), decoder.Finish()];
            Assert.That(string.Concat(pieces), Is.EqualTo(expected));
            Assert.That(pieces.Any(piece => piece.Contains('\ufffd')), Is.False, "no half character");
        }
    }

    [Test]
    public void Files_of_text_decode_to_themselves([Values("alice29.txt", "tinyshakespeare.txt", "warandpeace.txt")] string name, [Values] bool bytes)
    {
        string path = RealData.PathOf($"text/{name}");
        Tokenizer tokenizer = bytes ? new ByteTokenizer() : OpenNeoX();
        string text = File.ReadAllText(path, new UTF8Encoding(false));
        int[] ids = tokenizer.Encode(text);
        Assert.That(tokenizer.Decode(ids) == text, Is.True);
        using TokenSource source = TokenSource.OfText(path, tokenizer);
        int[] streamed = new int[source.Count];
        source.Read(0, streamed);
        Assert.That(streamed.AsSpan().SequenceEqual(bytes ? Array.ConvertAll(File.ReadAllBytes(path), b => (int)b) : ids), Is.True);
        Assert.That(source.Bytes, Is.EqualTo(new FileInfo(path).Length));
    }

    [Test]
    public void Ids_are_those_of_Microsoft_ML_Tokenizers()
    {
        BpeTokenizer tokenizer = OpenNeoX();
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(NeoX));
        JsonElement model = json.RootElement.GetProperty("model");
        var vocabulary = model.GetProperty("vocab").EnumerateObject().ToDictionary(pair => pair.Name, pair => pair.Value.GetInt32(), StringComparer.Ordinal);
        var added = json.RootElement.GetProperty("added_tokens").EnumerateArray()
            .ToDictionary(t => t.GetProperty("content").GetString()!, t => t.GetProperty("id").GetInt32(), StringComparer.Ordinal);
        foreach ((string content, int id) in added)
            vocabulary[content] = id;
        var peer = Peer.BpeTokenizer.Create(new Peer.BpeOptions(vocabulary)
        {
            Merges = model.GetProperty("merges").EnumerateArray().Select(merge => merge.GetString()!),
            SpecialTokens = added,
            ByteLevel = true,
            PreTokenizer = new Peer.RegexPreTokenizer(new(WordPattern.Gpt2, default, TimeSpan.FromMinutes(1)), added),
        });
        // it takes characters beyond 16 bits for no letters, and has no NFC without ICU
        foreach (string text in Hard.Where(text => text == Nfc.Normalize(text) && !text.Any(char.IsHighSurrogate)))
            Assert.That(tokenizer.Encode(text), Is.EqualTo(peer.EncodeToIds(text)), text);
        string alice = File.ReadAllText(RealData.PathOf("text/alice29.txt"));
        Assert.That(tokenizer.Encode(alice), Is.EqualTo(peer.EncodeToIds(alice)));
    }

    // What llama.cpp (LLamaSharp 0.30.0, bench/peer/Mamba.Bench.Llama) makes of it with this vocabulary in a GGUF file, where there is no NFC.
    [Test]
    public void Ids_of_a_hard_text_are_those_of_llama_cpp()
    {
        const string Text = "Hello world  two  spaces\n\nnewlines\r\n\ttabs\t\t \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301 \u00e9 n\u0303 "
            + "\u4f60\u597d\u4e16\u754c \u3053\u3093\u306b\u3061\u306f \ud55c\uad6d\uc5b4 \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u0001\u0002"
            + "\u001b[0m \u00a0nbsp don't I'LL we've 1234567890 3.14159 __init__ <|endoftext|> after        many   \U00010348\U0001d54f \ufeff bo"
            + "m \u200b zw ''s 's're ---- //// \\n\\t   \n   \n end";
        int[] theirs =
        [
            12092, 1533, 50276, 9389, 50276, 31748, 187, 187, 1826, 8737, 2379, 186, 33754, 623, 49042, 211, 14931, 228, 103, 325, 224, 14931, 228,
            104, 325, 224, 14931, 228, 102, 299, 136, 212, 3974, 295, 136, 214, 209, 24553, 34439, 42848, 45261, 209, 10446, 13639, 5444, 23826, 6418,
            209, 39742, 166, 115, 244, 39907, 9445, 13793, 6900, 13621, 32229, 209, 178, 179, 36320, 17, 78, 209, 575, 6732, 1053, 626, 309, 8, 2293,
            359, 1849, 1249, 16767, 25025, 2270, 495, 15, 1047, 17220, 4772, 4478, 876, 209, 0, 846, 50270, 20415, 50275, 172, 227, 224, 219, 172,
            240, 232, 226, 35762, 13962, 41301, 39231, 15078, 84, 686, 84, 1472, 18218, 1380, 605, 393, 79, 61, 85, 50275, 187, 50275, 187, 990,
        ];
        var tokenizer = new BpeTokenizer(TokenizerJson.Read(NeoX) with { IsNfc = false });
        Assert.That(tokenizer.Encode(Text), Is.EqualTo(theirs));
        Assert.That(tokenizer.Decode(theirs), Is.EqualTo(Text));
    }

    [Test]
    public void A_word_of_a_million_characters_takes_seconds_at_most()
    {
        BpeTokenizer tokenizer = SmallTokenizer();
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        Assert.That(tokenizer.Encode(string.Concat(Enumerable.Repeat("hell", 250_000))), Has.Length.EqualTo(250_000).And.All.EqualTo(258));
        Assert.That(System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds, Is.LessThan(20));
    }

    // ---- bytes that come in pieces ------------------------------------------------------------------

    [Test]
    public void A_character_appears_with_its_last_byte_and_what_is_none_as_a_replacement()
    {
        var decoder = new TextDecoder(new ByteTokenizer());
        string[] Pieces(params int[] bytes) => [.. bytes.Select(decoder.Add), decoder.Finish()];
        Assert.That(Pieces(0xF0, 0x9F, 0x98, 0x80), Is.EqualTo(new[] { "", "", "", "😀", "" }));
        Assert.That(Pieces('a', 0xC3), Is.EqualTo(new[] { "a", "", "\ufffd" }), "cut off at the end");
        Assert.That(Pieces(0xC3, 'b'), Is.EqualTo(new[] { "", "\ufffdb", "" }));
        Assert.That(Pieces(0xFF, 'c'), Is.EqualTo(new[] { "\ufffd", "c", "" }));
        Assert.That(Pieces('d'), Is.EqualTo(new[] { "d", "" }), "and it can be used again");
    }

    // ---- which one a model has ----------------------------------------------------------------------

    [Test]
    public void A_model_has_the_tokenizer_of_its_folder_or_bytes_or_none()
    {
        void Config(int vocabulary) => File.WriteAllText(In("config.json"), new MambaConfig { DModel = 8, NLayer = 1, VocabSize = vocabulary }.ToJson());
        Config(256);
        Assert.That(Tokenizer.Of(folder), Is.TypeOf<ByteTokenizer>());
        Config(100);
        Assert.That(() => Tokenizer.Of(folder), Throws.TypeOf<MambaException>().With.Message.Contains("--ids").And.Message.Contains("100"));
        Write(Small());
        Assert.That(() => Tokenizer.Of(folder),
            Throws.TypeOf<MambaException>().With.Message.EqualTo($"{folder}: the tokenizer has ids up to 261; the model knows 0 to 103."));
        Config(258);        // padded to 264
        Assert.That(Tokenizer.Of(folder).VocabSize, Is.EqualTo(262));
        Assert.That(Tokenizer.Open(folder).VocabSize, Is.EqualTo(262));
        Assert.That(Tokenizer.Open("bytes"), Is.TypeOf<ByteTokenizer>());
        Assert.That(() => Tokenizer.Open(In("nowhere")), Throws.TypeOf<MambaException>().With.Message.Contains("there is no such file"));
    }

    [Test]
    public void The_tokens_that_begin_and_end_a_text_are_those_of_the_files()
    {
        const string Begin = """{ "id": 262, "content": "<s>", "special": true }""";
        void Both(JsonObject json) => json["added_tokens"]!.AsArray().Add(Node(Begin));
        File.WriteAllText(In("tokenizer_config.json"), """{ "bos_token": { "content": "<s>" }, "eos_token": "<|endoftext|>", "model_max_length": Infinity }""");
        BpeTokenizer tokenizer = SmallTokenizer(Both);
        Assert.That((tokenizer.BeginOfText, tokenizer.AddsBeginOfText, tokenizer.EndOfText), Is.EqualTo((262, false, 261)));
        tokenizer = SmallTokenizer(json =>
        {
            Both(json);
            json["post_processor"] = Node("""
                { "type": "TemplateProcessing", "single": [{ "SpecialToken": { "id": "<s>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }] }
                """);
        });
        Assert.That((tokenizer.BeginOfText, tokenizer.AddsBeginOfText), Is.EqualTo((262, true)));
    }

    [Test]
    public void What_is_not_done_here_is_refused_in_one_line_that_names_it()
    {
        void Refuse(Action<JsonObject> change, params string[] mentions)
        {
            MambaException e = Assert.Throws<MambaException>(() => SmallTokenizer(change))!;
            Assert.That(e.Message, Does.Not.Contain('\n'));
            foreach (string mention in mentions)
                Assert.That(e.Message, Does.Contain(mention));
        }
        Refuse(json => json["model"]!["type"] = "Unigram", "tokenizer.json", "model.type", "Unigram", "BPE");
        Refuse(json => json["model"]!["byte_fallback"] = true, "byte_fallback");
        Refuse(json => json["model"]!["dropout"] = 0.1, "dropout");
        Refuse(json => json["model"]!["end_of_word_suffix"] = "</w>", "end_of_word_suffix", "</w>");
        Refuse(json => json["model"]!["merges"] = Node("""["h e l"]"""), "'h e l'");
        Refuse(json => json["model"]!["merges"] = Node("""["h x"]"""), "'hx'");
        Refuse(json => json["model"]!["vocab"]!["more"] = 3, "id 3");
        Refuse(json => json["model"]!["vocab"]!["more"] = int.MaxValue, "2147483647");
        Refuse(json => json["model"]!["vocab"]!["more"] = -1, "-1");
        Refuse(json => json["model"]!.AsObject().Remove("vocab"), "tokenizer.json");
        Refuse(json => json.Remove("model"), "tokenizer.json");
        Refuse(json => json["normalizer"] = Node("""{ "type": "Lowercase" }"""), "normalizer", "Lowercase");
        Refuse(json => json["pre_tokenizer"] = null, "ByteLevel");
        Refuse(json => json["pre_tokenizer"] = Node("""{ "type": "Metaspace" }"""), "Metaspace");
        JsonNode Split(string regex, string behavior) => Node($$"""
            {
              "type": "Sequence", "pretokenizers":
              [{ "type": "Split", "pattern": { "Regex": "{{regex}}" }, "behavior": "{{behavior}}" }, { "type": "ByteLevel", "add_prefix_space": false }]
            }
            """);
        Refuse(json => json["pre_tokenizer"] = Split("(", "Isolated"), "'('");
        Refuse(json => json["pre_tokenizer"] = Split("x", "MergedWithNext"), "MergedWithNext");
        Refuse(json => json["decoder"] = Node("""{ "type": "WordPiece" }"""), "decoder", "WordPiece");
        Refuse(json => json["added_tokens"]![0]!["lstrip"] = true, "<|endoftext|>", "lstrip");
        Refuse(json => json["post_processor"] = Node("""{ "type": "BertProcessing" }"""), "post_processor", "BertProcessing");
        File.WriteAllText(In("tokenizer.json"), "{");
        Assert.That(() => BpeTokenizer.Read(In("tokenizer.json")), Throws.TypeOf<MambaException>().With.Message.Contains("tokenizer.json"));
        BpeTokenizer without = SmallTokenizer(json => json["model"]!["vocab"]!.AsObject().Remove("z"));
        Assert.That(() => without.Encode("az"), Throws.TypeOf<MambaException>().With.Message.Contains("0x7A"));
    }

    // ---- pieces of a long text ----------------------------------------------------------------------

    [Test]
    public void A_text_is_cut_only_where_no_token_lies()
    {
        Assert.That(EncodedTokens.Border("ab cd ef", []), Is.EqualTo(5));
        Assert.That(EncodedTokens.Border("ab cd ef", ["d e"]), Is.EqualTo(2));
        Assert.That(EncodedTokens.Border("ab\ncd", []), Is.EqualTo(3));
        Assert.That(EncodedTokens.Border("ab  cd. ef 1\n\nx", []), Is.Zero);
        Assert.That(EncodedTokens.Border("", []), Is.Zero);
    }

    [Test]
    public void A_file_of_any_bytes_is_tokens()
    {
        File.WriteAllBytes(In("empty"), []);
        File.WriteAllBytes(In("any"), [0, 255, 0xC3, 10]);
        using TokenSource empty = TokenSource.OfFile(In("empty")), any = TokenSource.OfFile(In("any"));
        Assert.That((empty.Count, empty.Bytes), Is.EqualTo((0, 0)));
        int[] tokens = new int[3];
        any.Read(1, tokens);
        Assert.That(tokens, Is.EqualTo(new[] { 255, 0xC3, 10 }));
        Assert.That(() => any.Read(2, tokens), Throws.TypeOf<MambaException>());
        Assert.That(() => any.Read(-1, tokens), Throws.TypeOf<MambaException>());
        using TokenSource last = any.Slice(2, 2), text = TokenSource.OfText(In("any"), SmallTokenizer());
        last.Read(1, tokens.AsSpan(0, 1));
        Assert.That((tokens[0], last.Count, last.Bytes), Is.EqualTo((10, 2, 2)));
        Assert.That(() => any.Slice(2, 3), Throws.TypeOf<MambaException>());
        int[] all = new int[text.Count];
        text.Read(0, all);
        Assert.That((all, text.Bytes), Is.EqualTo((new[] { 0, 0xEF, 0xBF, 0xBD, 0xEF, 0xBF, 0xBD, 10 }, 4)), "what is no UTF-8 is U+FFFD");
        Assert.That(() => TokenSource.OfFile(folder), Throws.TypeOf<MambaException>().With.Message.Contains("is a folder"));
    }

    // ---- the command --------------------------------------------------------------------------------

    [Test]
    public void The_command_prints_ids_and_text()
    {
        string path = Write(Small());
        File.WriteAllText(In("text"), "hello\n");
        (int Code, string Output, string Error) Run(params string[] args) => MambaProcess.Run(folder, ["tokenize", "--tokenizer", path, .. args]);
        Assert.That(Run("hello world"), Is.EqualTo((0, "259,260,111,114,108,100\n", "")));
        Assert.That(Run("--file", "text"), Is.EqualTo((0, "259,10\n", "")));
        Assert.That(Run("--decode", "259,260"), Is.EqualTo((0, "hello w\n", "")));
        Assert.That(Run("").Output, Is.EqualTo("\n"));
        using JsonDocument json = JsonDocument.Parse(Run("hello é", "--json").Output);
        Assert.That(json.RootElement.GetProperty("bytes").EnumerateArray().Select(x => x.GetString()), Is.EqualTo(new[] { "68656c6c6f", "20", "c3", "a9" }));
        Assert.That(Run("hello\n", "--show").Output, Does.Contain("259").And.Contain("'hello'").And.Contain("'\\n'"));
        MambaInProcess.Refuse(["tokenize", "--tokenizer", path], "expected one of");
        MambaInProcess.Refuse(["tokenize", "--tokenizer", path, "--decode", "1,x"], "'1,x'");
        MambaInProcess.Refuse(["tokenize", "--tokenizer", path, "--decode", "262"], "262 is no token; expected 0 to 261");
        MambaInProcess.Refuse(["tokenize", "--tokenizer", "nowhere", "x"], "nowhere: there is no such file");
    }
}
