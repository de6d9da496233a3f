using System.Text;
using nietras.SeparatedValues;

namespace Mamba;

/// <summary>
/// A table as CSV (RFC 4180), read row by row, plain or compressed by gzip, in UTF-8. The first line names the columns; commas, semicolons or tabs are between
/// fields, whichever of them the header has most of. A field in quotes may hold them, and ends of lines. Empty lines mean nothing.
/// </summary>
public sealed class CsvTable : IDisposable
{
    const char Quote = '"';

    readonly DataFile file;
    readonly char separator;
    readonly long header;               // its line
    readonly string[] columns;
    readonly Dictionary<string, int> places = new(StringComparer.Ordinal);

    CsvTable(DataFile file)
    {
        this.file = file;
        separator = SeparatorOf(file);
        (header, columns) = Lines().FirstOrDefault();
        if (columns is null)
            throw new MambaException($"{Path}: line 1: the file is empty; expected a header with the names of columns.");
        for (int i = 0; i < columns.Length; i++)
        {
            columns[i] = columns[i].Trim();
            if (columns[i].Length == 0)
                throw new MambaException($"{Path}: line {header}: column {i + 1} has no name.");
            if (!places.TryAdd(columns[i], i))
                throw new MambaException(
                    $"{Path}: line {header}: columns {places[columns[i]] + 1} and {i + 1} have the same name, '{DataFile.Shown(columns[i])}'.");
        }
    }

    /// <summary>The names of the columns, in their order.</summary>
    public IReadOnlyList<string> Columns => columns;

    /// <summary>The file.</summary>
    public string Path => file.Path;

    /// <summary>Opens a table and reads its header.</summary>
    /// <param name="path">CSV, plain or compressed by gzip, whatever its name.</param>
    /// <exception cref="MambaException">It cannot be read, is empty, or a column has no name, or that of another.</exception>
    public static CsvTable Open(string path)
    {
        var opened = DataFile.Open(path);
        try
        {
            return new CsvTable(opened);
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>The place of a column, from 0.</summary>
    /// <param name="column">Its name, as the header has it.</param>
    /// <exception cref="MambaException">There is no such column: the message says which there are.</exception>
    public int IndexOf(string column) => places.TryGetValue(column, out int place)
        ? place
        : throw new MambaException(
            $"{Path}: line {header}: there is no column '{DataFile.Shown(column)}'; there are {string.Join(", ", columns.Select(DataFile.Shown))}.");

    /// <summary>The rows, one in memory at a time, each time from the first.</summary>
    /// <exception cref="MambaException">
    /// A row has more or fewer fields than the header, a quote is not closed, the text is no UTF-8, or there is no row at all: the file and the line.
    /// </exception>
    public IEnumerable<CsvRow> Rows()
    {
        bool any = false;
        foreach ((long line, string[] fields) in Lines().Skip(1))
        {
            if (fields.Length != columns.Length)
                throw new MambaException($"{Path}: line {line} has {Fields(fields.Length)}; the header, line {header}, has {columns.Length}.");
            any = true;
            yield return new CsvRow(this, line, fields);
        }
        if (!any)
            throw new MambaException($"{Path}: line {header}: there is no row behind the header.");
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => file.Dispose();

    static string Fields(int count) => FormattableString.Invariant($"{count} field{(count == 1 ? "" : "s")}");

    // Sep tells neither an unclosed quote nor which line it was at when it failed: both are asked of each row.
    IEnumerable<(long Line, string[] Fields)> Lines()
    {
        using StreamReader text = file.OpenText();
        using SepReader reader = Reading(1, () =>
            Sep.New(separator).Reader(options => options with { HasHeader = false, Unescape = true, DisableColCountCheck = true }).From(text));
        for (long line = 1; Reading(line, reader.MoveNext);)
        {
            (long start, line) = (line, reader.Current.LineNumberToExcl);
            ReadOnlySpan<char> all = reader.Current.Span;
            if (all.IsEmpty)
                continue;
            if (all.Count(Quote) % 2 != 0)
                throw new MambaException($"{Path}: line {start}: a quote is not closed up to the end of the file.");
            string[] fields = new string[reader.Current.ColCount];
            for (int i = 0; i < fields.Length; i++)
                fields[i] = reader.Current[i].ToString();
            yield return (start, fields);
        }
    }

    T Reading<T>(long line, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (DecoderFallbackException e)
        {
            throw new MambaException($"{Path}: line {line} or one behind it is no UTF-8.", e);
        }
        catch (Exception e) when (e is NotSupportedException or InvalidDataException or ArgumentException)
        {
            throw new MambaException($"{Path}: line {line}: cannot be read: {InputFile.Sentence(e)}", e);
        }
    }

    static char SeparatorOf(DataFile file)
    {
        using var text = new StreamReader(file.OpenStream(), Encoding.UTF8);
        int commas = 0, semicolons = 0, tabs = 0;
        bool quoted = false, any = false;
        for (int c = text.Read(); c >= 0 && (quoted || !any || c is not ('\n' or '\r')); c = text.Read())
        {
            any |= c is not ('\n' or '\r');
            quoted ^= c == Quote;
            if (quoted)
                continue;
            commas += c == ',' ? 1 : 0;
            semicolons += c == ';' ? 1 : 0;
            tabs += c == '\t' ? 1 : 0;
        }
        return tabs > Math.Max(commas, semicolons) ? '\t' : semicolons > commas ? ';' : ',';
    }
}
