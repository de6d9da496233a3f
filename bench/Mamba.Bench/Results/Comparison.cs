namespace Mamba.Bench;

/// <summary>How a row moved from one run to another.</summary>
/// <param name="Ratio">The second's median over the first's.</param>
/// <param name="Moved">Whether the quartiles of the two lie apart.</param>
/// <param name="Better">Whether the second is the better one.</param>
internal readonly record struct Change(string Row, Sample Before, Sample After, double Ratio, bool Moved, bool Better)
{
    public string Verdict => !Moved ? "" : Better ? "better" : "WORSE";
}

/// <summary>Two runs, row by row.</summary>
internal sealed record Comparison(IReadOnlyList<Change> Changes, IReadOnlyList<string> OnlyBefore, IReadOnlyList<string> OnlyAfter)
{
    public static Comparison Of(Report before, Report after)
    {
        Dictionary<string, Sample> a = Samples(before), b = Samples(after);
        return new Comparison(
            [.. a.Where(row => b.ContainsKey(row.Key)).Select(row => Compare(row.Key, row.Value, b[row.Key]))],
            [.. a.Keys.Where(row => !b.ContainsKey(row))], [.. b.Keys.Where(row => !a.ContainsKey(row))]);
    }

    static Dictionary<string, Sample> Samples(Report report)
    {
        var samples = new Dictionary<string, Sample>(StringComparer.Ordinal);
        foreach (Table table in report.Tables)
            foreach (Row row in table.Rows)
                if (row.Sample is { } sample)
                    samples.TryAdd($"{table.Device}, {table.DType}, {table.Name}: {row.Name}", sample);
        return samples;
    }

    static Change Compare(string row, Sample before, Sample after)
    {
        bool up = after.Low > before.High, down = after.High < before.Low;
        return new Change(row, before, after, after.Median / before.Median, up || down, before.MoreIsBetter ? up : down);
    }

    public string ToConsole()
    {
        int width = Changes.Select(c => c.Row.Length).DefaultIfEmpty().Max();
        IEnumerable<string> lines = Changes.Select(c => $"  {c.Row.PadRight(width)}  {c.Before,14} → {c.After,14}  × {c.Ratio,-6:F2} {c.Verdict}".TrimEnd());
        return string.Join('\n', [.. lines, $"{Changes.Count} rows in both: {Changes.Count(c => c.Moved && c.Better)} better, {Changes.Count(c => c.Moved && !c.Better)} worse beyond the spread, {Changes.Count(c => !c.Moved)} within it.",
            .. Only("first", OnlyBefore), .. Only("second", OnlyAfter)]);

        static string[] Only(string which, IReadOnlyList<string> rows) => rows.Count == 0 ? [] : [$"{rows.Count} only in the {which}: {string.Join("; ", rows.Take(5))}{(rows.Count > 5 ? "; …" : "")}"];
    }
}
