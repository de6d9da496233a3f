using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Mamba.Pictures;

/// <summary>
/// One html file in which a person looks into a trace: page.html, page.css and page.js of this folder with the numbers between them. Nothing is loaded
/// from elsewhere, the page itself forbids it, and it is smaller than <see cref="MostBytes"/> whatever the trace: what does not fit is left out, and the
/// page says so.
/// </summary>
internal static class TracePage
{
    /// <summary>No page is larger: so it can be sent by mail and opens at once.</summary>
    public const int MostBytes = 5_000_000;

    const int BytesPerFloat = 6;            // 4 as base64, 5⅓, and some for names

    /// <summary>Writes a page.</summary>
    /// <param name="path">The file; it appears whole or not at all.</param>
    /// <param name="trace">What is shown.</param>
    /// <param name="against">A second run to compare with; none when null.</param>
    /// <param name="row">Which of the b sequences.</param>
    /// <exception cref="MambaException">A trace has no layers or tokens, no such sequence or is broken, or the page cannot be written.</exception>
    public static void Write(string path, TraceFile trace, TraceFile? against = null, int row = 0)
    {
        Check(trace, row);
        if (against is not null)
            Check(against, row);
        byte[] page = Make(trace, against, row);
        AtomicFile.Write(path, stream => stream.Write(page));
    }

    /// <summary>The bytes of a page.</summary>
    static byte[] Make(TraceFile trace, TraceFile? against, int row)
    {
        string html = Part("page.html"), style = Part("page.css"), script = Part("page.js");
        for (long budget = MostBytes; ; budget /= 2)
        {
            // the text of tokens is not in the reckoning of floats: where there is a lot of it, less is asked for until all fits
            string data = Data(trace, against, row, (budget - html.Length - style.Length - script.Length) / BytesPerFloat);
            string hash = "sha256-" + Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(script)));
            byte[] page = Encoding.UTF8.GetBytes(Fill(html, ("{{script-hash}}", hash), ("{{style}}", style), ("{{script}}", script), ("{{data}}", data)));
            if (page.Length < MostBytes)
                return page;
        }
    }

    // Every mark is replaced once, in the template alone: what is put in may look like a mark.
    static string Fill(string template, params (string Mark, string Text)[] parts)
    {
        var page = new StringBuilder();
        int done = 0;
        foreach ((string mark, string text) in parts.OrderBy(part => template.IndexOf(part.Mark, StringComparison.Ordinal)))
        {
            int at = template.IndexOf(mark, StringComparison.Ordinal);
            page.Append(template, done, at - done).Append(text);
            done = at + mark.Length;
        }
        return page.Append(template, done, template.Length - done).ToString();
    }

    // JSON as System.Text.Json writes it by default: < > & ' and all that is not ASCII as \uXXXX, so no text can end the element it stands in.
    static string Data(TraceFile trace, TraceFile? against, int row, long floats)
    {
        PageWindow window = PageWindow.Of(trace, against, against is null ? floats : floats / 2);
        var notes = new List<string>();
        var channels = window.Layers.ToDictionary(layer => layer, layer => ChannelChoice.Of(trace, layer, row, window));
        using var host = Device.Open("cpu");
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WritePropertyName("run");
            new PageRun(trace, row, window, channels, notes, host).Write(json);
            if (against is not null)
            {
                json.WritePropertyName("against");
                new PageRun(against, row, window.For(against), channels, [], host).Write(json);
            }
            window.Describe(trace, notes);
            if (trace.Batch > 1)
                notes.Insert(0, $"Sequence {row} of the {Words.Count(trace.Batch, "sequence")} of the trace; the others are left out.");
            json.WriteStartArray("notes");
            foreach (string note in notes.Take(20))
                json.WriteStringValue(note);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }

    static void Check(TraceFile trace, int row)
    {
        if (trace.Length == 0 || trace.Layers.Count == 0)
            throw new MambaException($"{trace.Path}: the trace has {Words.Count(trace.Length, "token")} and {Words.Count(trace.Layers.Count, "layer")}; "
                + "a page needs one of each.");
        if (row < 0 || row >= trace.Batch)
            throw new MambaException($"{trace.Path}: sequence {row} was asked for; there are {trace.Batch}, counted from 0.");
    }

    static string Part(string name)
    {
        using Stream stream = typeof(TracePage).Assembly.GetManifestResourceStream(name)!;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd().ReplaceLineEndings("\n");        // as a browser has it when it takes the hash of the script
    }
}
