namespace Mamba.Bench;

/// <summary>What one benchmark found on one device.</summary>
internal sealed record Table(string Name, string Title, string Device, string DType, IReadOnlyList<string> Columns)
{
    public List<Row> Rows { get; init; } = [];

    /// <summary>The sizes that all rows share, where they are not those of a full run: rows of other sizes are other rows.</summary>
    public string? Setup { get; init; }

    /// <summary>The same for <paramref name="setup"/>; null: for the sizes of a full run.</summary>
    public Table Sized(string? setup) => this with { Setup = setup };

    /// <summary>What tells one row of a report from all others, but for its device and its dtype.</summary>
    public string KeyOf(Row row) => $"{Name}{(Setup is null ? "" : $" ({Setup})")}: {row.Name}";

    /// <summary>Sentences below the table.</summary>
    public List<string> Notes { get; init; } = [];

    /// <summary>Files beside the report that belong to it: pictures, traces.</summary>
    public List<string> Files { get; init; } = [];

    /// <summary>Header and lines, a column each, without those that are empty throughout.</summary>
    public (string[] Header, string[][] Lines) Text()
    {
        string[] header = ["", .. Columns, "median", "spread", "runs", "of the limit", "limit"];
        string[][] lines = [.. Rows.Select(r => (string[])[r.Name, .. Columns.Select((_, i) => i < r.Cells.Count ? r.Cells[i] : ""), r.Sample?.ToString() ?? "",
            r.Sample?.Spread ?? "", r.Sample is { Count: > 1 } s ? $"{s.Count}" : "", r.Fraction is { } f ? $"{f:P0}" : "", r.Limit ?? ""])];
        int[] kept = [.. Enumerable.Range(0, header.Length).Where(i => i == 0 || lines.Any(line => line[i].Length > 0))];
        return ([.. kept.Select(i => header[i])], [.. lines.Select(line => (string[])[.. kept.Select(i => line[i])])]);
    }

    public string ToConsole()
    {
        (string[] header, string[][] lines) = Text();
        int[] widths = [.. header.Select((h, i) => lines.Select(line => line[i].Length).Append(h.Length).Max())];
        string Line(string[] cells) => ("  " + string.Join("  ", cells.Select((c, i) => i == 0 ? c.PadRight(widths[i]) : c.PadLeft(widths[i])))).TrimEnd();
        return string.Join('\n', [$"{Title}, {Device}, {DType}", Line(header), .. lines.Select(Line),
            .. Notes.Select(n => "  " + n), .. Files.Select(f => $"  → {f}")]) + "\n";
    }

    public string ToMarkdown()
    {
        (string[] header, string[][] lines) = Text();
        static string Line(IEnumerable<string> cells) => "| " + string.Join(" | ", cells.Select(c => c.Replace("|", "\\|", StringComparison.Ordinal))) + " |";
        IEnumerable<string> files = Files.Select(f => f.EndsWith(".png", StringComparison.Ordinal) ? $"![{Title}]({f})" : $"[{f}]({f})");
        string rule = "|" + string.Concat(header.Select((_, i) => i == 0 ? "---|" : "---:|"));
        return string.Join('\n', [$"### {Title}", "", $"{Device}, {DType}.", "", Line(header), rule, .. lines.Select(Line),
            "", .. Notes.SelectMany(n => (string[])[n, ""]), .. files.SelectMany(f => (string[])[f, ""])]);
    }
}
