namespace Mamba.Bench;

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
        int better = Changes.Count(c => c.Moved && c.Better), worse = Changes.Count(c => c.Moved && !c.Better);
        return string.Join('\n', [.. lines,
            $"{Changes.Count} rows in both: {better} better, {worse} worse beyond the spread, {Changes.Count(c => !c.Moved)} within it.",
            .. Only("first", OnlyBefore), .. Only("second", OnlyAfter)]);

        static string[] Only(string which, IReadOnlyList<string> rows) => rows.Count == 0
            ? [] : [$"{rows.Count} only in the {which}: {string.Join("; ", rows.Take(5))}{(rows.Count > 5 ? "; …" : "")}"];
    }
}
