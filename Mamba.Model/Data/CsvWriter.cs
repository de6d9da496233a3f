using System.Text;

namespace Mamba;

/// <summary>Writes tables as CSV (RFC 4180): UTF-8, commas, lines that end in a line feed.</summary>
public static class CsvWriter
{
    /// <summary>Writes a table: the file is there whole, or as it was. A field is put in quotes where it needs them.</summary>
    /// <param name="path">The file.</param>
    /// <param name="columns">The header, one name or more.</param>
    /// <param name="rows">As many fields each; asked for one by one while it is written.</param>
    /// <exception cref="MambaException">It cannot be written, or a row has more or fewer fields than the header.</exception>
    public static void Save(string path, IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<string>> rows) => AtomicFile.Write(path, stream =>
    {
        using var text = new StreamWriter(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), 1 << 16, leaveOpen: true) { NewLine = "\n" };
        Write(text, path, columns, rows);
    });

    /// <summary>Writes a table to where text goes: a screen.</summary>
    /// <param name="text">Stays open.</param>
    /// <param name="columns">The header, one name or more.</param>
    /// <param name="rows">As many fields each.</param>
    /// <exception cref="MambaException">A row has more or fewer fields than the header.</exception>
    public static void Write(TextWriter text, IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<string>> rows) =>
        Write(text, "CsvWriter", columns, rows);

    static void Write(TextWriter text, string path, IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<string>> rows)
    {
        if (columns.Count == 0)
            throw new MambaException($"{path}: there is no column to write; expected one or more.");
        text.WriteLine(Line(columns));
        long number = 0;
        foreach (IReadOnlyList<string> row in rows)
        {
            number++;
            if (row.Count != columns.Count)
                throw new MambaException($"{path}: row {number} to write has {row.Count} fields; the header has {columns.Count}.");
            text.WriteLine(Line(row));
        }
    }

    // A line of one empty field would be an empty line, which means nothing.
    static string Line(IReadOnlyList<string> fields) => fields is [""] ? "\"\"" : string.Join(',', fields.Select(Quoted));

    static string Quoted(string field) => field.AsSpan().ContainsAny(",;\t\"\r\n") || field.Length != field.AsSpan().Trim().Length
        ? $"\"{field.Replace("\"", "\"\"", StringComparison.Ordinal)}\""
        : field;
}
