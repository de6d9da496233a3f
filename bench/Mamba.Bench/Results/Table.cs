namespace Mamba.Bench;

/// <summary>What a run must do at least: each part takes time at the machine's ceilings.</summary>
/// <param name="Flops">A multiply-add is two.</param>
/// <param name="Exps">Exponentials.</param>
/// <param name="Bytes">Through memory, each value read or written once.</param>
/// <param name="Launches">Kernels.</param>
/// <param name="ReadOnly">The bytes are nearly all read.</param>
/// <param name="AtOnce">Of the bytes, those of one pass over memory, where there are several: what decides which memory holds them.</param>
internal sealed record Work(double Flops = 0, double Exps = 0, double Bytes = 0, double Launches = 1, bool ReadOnly = false, double? AtOnce = null)
{
    /// <summary>Flops for each byte, an exponential being a flop here; what a roofline has on its axis.</summary>
    public double Intensity => (Flops + Exps) / Bytes;

    public static Work operator *(Work work, double times) => work with { Flops = work.Flops * times, Exps = work.Exps * times, Bytes = work.Bytes * times, Launches = work.Launches * times };

    public static Work operator +(Work a, Work b) => new(a.Flops + b.Flops, a.Exps + b.Exps, a.Bytes + b.Bytes, a.Launches + b.Launches, a.ReadOnly || b.ReadOnly);
}

/// <summary>One line of a table. Its name identifies it when two runs are compared.</summary>
/// <param name="Name">What was measured.</param>
/// <param name="Cells">The table's own columns.</param>
/// <param name="Sample">The measurement; null where the row only states facts.</param>
/// <param name="Fraction">Of the limiting ceiling.</param>
/// <param name="Limit">Which ceiling that is.</param>
/// <param name="Work">What the fraction is of, for the roofline.</param>
internal sealed record Row(string Name, IReadOnlyList<string> Cells, Sample? Sample = null, double? Fraction = null, string? Limit = null, Work? Work = null);

/// <summary>What one benchmark found on one device.</summary>
internal sealed record Table(string Name, string Title, string Device, string DType, IReadOnlyList<string> Columns)
{
    public List<Row> Rows { get; init; } = [];

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
        return string.Join('\n', [$"{Title}, {Device}, {DType}", Line(header), .. lines.Select(Line), .. Notes.Select(n => "  " + n), .. Files.Select(f => $"  → {f}")]) + "\n";
    }

    public string ToMarkdown()
    {
        (string[] header, string[][] lines) = Text();
        static string Line(IEnumerable<string> cells) => "| " + string.Join(" | ", cells.Select(c => c.Replace("|", "\\|", StringComparison.Ordinal))) + " |";
        IEnumerable<string> files = Files.Select(f => f.EndsWith(".png", StringComparison.Ordinal) ? $"![{Title}]({f})" : $"[{f}]({f})");
        return string.Join('\n', [$"### {Title}", "", $"{Device}, {DType}.", "", Line(header), "|" + string.Concat(header.Select((_, i) => i == 0 ? "---|" : "---:|")), .. lines.Select(Line),
            "", .. Notes.SelectMany(n => (string[])[n, ""]), .. files.SelectMany(f => (string[])[f, ""])]);
    }
}
