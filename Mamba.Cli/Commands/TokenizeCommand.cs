using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Spectre.Console;

namespace Mamba.Cli;

/// <summary><c>mamba tokenize</c>: the ids of a text, or the text of ids.</summary>
internal static class TokenizeCommand
{
    static readonly Option<string?> Of = BridgeFiles.Required(Option.Text("--tokenizer", "FILE|MODEL|bytes",
        "A tokenizer.json, a model's folder or .gguf file, or bytes."));
    static readonly Argument<string?> Words = new("text") { Description = "The text.", Arity = ArgumentArity.ZeroOrOne };
    static readonly Option<string?> FromFile = Option.Text("--file", "FILE", "The text is in a file.");
    static readonly Option<string?> Decode = Option.Text("--decode", "1,2,3", "The other way: the text of these ids.");
    static readonly Option<bool> Json = Option.Flag("--json", "Ids, pieces and the bytes of each as JSON.");
    static readonly Option<bool> Show = Option.Flag("--show", "A table of ids and pieces.");

    public static Command Create()
    {
        var command = new Command("tokenize", "Turn text into the ids of tokens, and back.") { Of, Words, FromFile, Decode, Json, Show };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        string? text = parsed.GetValue(Words), file = parsed.GetValue(FromFile), decode = parsed.GetValue(Decode);
        if (new[] { text, file, decode }.Count(given => given is not null) != 1)
            throw new MambaException("mamba tokenize: expected one of a text, --file and --decode.");
        Tokenizer tokenizer = Tokenizer.Open(parsed.GetValue(Of)!);
        int[] ids = decode is not null ? Ids(decode, "--decode") : tokenizer.Encode(text ?? InputFile.ReadText(file!));
        int wrong = Array.FindIndex(ids, id => id >= tokenizer.VocabSize);
        if (wrong >= 0)
            throw new MambaException($"--decode: {ids[wrong]} is no token; expected 0 to {tokenizer.VocabSize - 1}.");
        if (parsed.GetValue(Json))
            WriteJson(tokenizer, ids);
        else if (parsed.GetValue(Show))
            WriteTable(tokenizer, ids);
        else
            Console.WriteLine(decode is not null ? tokenizer.Decode(ids) : Text(ids));
        return 0;
    }

    /// <summary>Ids with commas between; none of nothing.</summary>
    public static int[] Ids(string text, string option) => string.IsNullOrWhiteSpace(text) ? [] : Array.ConvertAll(text.Split(','), part =>
        Numbers.Index(part.Trim(' ')) ?? throw new MambaException($"{option} is '{text}'; expected whole numbers from 0 with commas between."));

    public static string Text(IEnumerable<int> ids) => string.Join(',', ids.Select(id => id.ToString(CultureInfo.InvariantCulture)));

    static void WriteJson(Tokenizer tokenizer, int[] ids)
    {
        using Stream output = Console.OpenStandardOutput();
        using (var json = new Utf8JsonWriter(output))
        {
            json.WriteStartObject();
            json.WriteStartArray("ids");
            foreach (int id in ids)
                json.WriteNumberValue(id);
            json.WriteEndArray();
            json.WriteStartArray("pieces");
            foreach (int id in ids)
                json.WriteStringValue(tokenizer.Decode([id]));
            json.WriteEndArray();
            json.WriteStartArray("bytes");
            foreach (int id in ids)
                json.WriteStringValue(Convert.ToHexStringLower(tokenizer.Bytes(id).Span));
            json.WriteEndArray();
            json.WriteString("text", tokenizer.Decode(ids));
            json.WriteEndObject();
        }
        output.WriteByte((byte)'\n');
    }

    static void WriteTable(Tokenizer tokenizer, int[] ids)
    {
        using var rows = new Rows(new Column("id", 8), new Column("bytes", -24) { LeftOut = 1, MayBeCut = true }, new Column("piece"));
        foreach (int id in ids)
            rows.Add(true, id.ToString(CultureInfo.InvariantCulture), Convert.ToHexStringLower(tokenizer.Bytes(id).Span), Visible(tokenizer.Decode([id])));
    }

    // Spaces at the ends and control characters can be seen.
    static string Visible(string piece)
    {
        var text = new StringBuilder("'");
        foreach (char c in piece)
            text.Append(c switch { '\n' => "\\n", '\r' => "\\r", '\t' => "\\t", _ when char.IsControl(c) => $"\\x{(int)c:x2}", _ => c.ToString() });
        return text.Append('\'').ToString();
    }
}
