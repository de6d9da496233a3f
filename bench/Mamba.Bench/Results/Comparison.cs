namespace Mamba.Bench;

/// <summary>Two runs, or two devices of one, row by row: by what was measured, or by the fractions of the limit.</summary>
/// <param name="Changes">Rows of both.</param>
/// <param name="OnlyBefore">Rows of the first alone.</param>
/// <param name="OnlyAfter">Rows of the second alone.</param>
/// <param name="Remarks">What is compared, and why, where it is not what a reader would think.</param>
/// <param name="ByFraction">Whether the fractions are compared: a higher one says that the machine is used better, not that it is faster.</param>
internal sealed record Comparison(
    IReadOnlyList<Change> Changes, IReadOnlyList<string> OnlyBefore, IReadOnlyList<string> OnlyAfter, IReadOnlyList<string> Remarks, bool ByFraction)
{
    /// <summary>Compares two reports.</summary>
    /// <param name="before">The first.</param>
    /// <param name="after">The second; it may be the same.</param>
    /// <param name="devices">A device of both, or one of each; empty: all that both have, or the only one of each.</param>
    /// <param name="fractions">
    /// Whether fractions of the limit are compared; null: where machines or devices differ, for there times tell of the machines, not of the code.
    /// </param>
    public static Comparison Of(Report before, Report after, IReadOnlyList<string>? devices = null, bool? fractions = null)
    {
        (string Before, string After)[] pairs = Pairs(before, after, devices ?? []);
        string? differ = Difference(before, after, pairs);
        bool byFraction = fractions ?? differ is not null;
        Dictionary<string, Sample> a = Samples(before, pairs.ToDictionary(p => p.Before, StringComparer.Ordinal), byFraction);
        Dictionary<string, Sample> b = Samples(after, pairs.ToDictionary(p => p.After, StringComparer.Ordinal), byFraction);
        if (!a.Keys.Any(b.ContainsKey))
            throw new MambaException($"No row is in both: {Contents("the first", a, byFraction)}; {Contents("the second", b, byFraction)}.");
        List<string> remarks = [];
        if (differ is not null)
            remarks.Add($"{differ}: {(byFraction ? "fractions of the limit are compared (--by times for the times)." : "times tell of the machines too.")}");
        return new Comparison(
            [.. a.Where(row => b.ContainsKey(row.Key)).Select(row => Compare(row.Key, row.Value, b[row.Key]))],
            [.. a.Keys.Where(row => !b.ContainsKey(row))], [.. b.Keys.Where(row => !a.ContainsKey(row))], remarks, byFraction);
    }

    static (string Before, string After)[] Pairs(Report before, Report after, IReadOnlyList<string> devices)
    {
        string[] a = DevicesOf(before), b = DevicesOf(after), both = [.. a.Intersect(b, StringComparer.Ordinal)];
        if (devices.Count > 2)
            throw new MambaException($"--devices has {devices.Count} names; expected one, or one of the first and one of the second.");
        if (devices.Count > 0)
        {
            (string first, string second) = (devices[0], devices[^1]);
            if (!a.Contains(first, StringComparer.Ordinal) || !b.Contains(second, StringComparer.Ordinal))
                throw new MambaException($"--devices is '{string.Join(',', devices)}'; the first has rows of {string.Join(", ", a)}, the second of "
                    + $"{string.Join(", ", b)}.");
            return [(first, second)];
        }
        if (ReferenceEquals(before, after))
            return a.Length == 2 ? [(a[0], a[1])]
                : throw new MambaException($"There is one run, with rows of {string.Join(", ", a)}; expected another, or --devices FIRST,SECOND.");
        if (both.Length > 0)
            return [.. both.Select(name => (name, name))];
        return a.Length == 1 && b.Length == 1
            ? [(a[0], b[0])]
            : throw new MambaException($"No device is in both: the first has rows of {string.Join(", ", a)}, the second of {string.Join(", ", b)}; "
                + "--devices FIRST,SECOND says which.");
    }

    static string[] DevicesOf(Report report) => [.. report.Tables.Select(t => t.Device).Distinct(StringComparer.Ordinal)];

    /// <summary>In what the two differ beside the code: "The devices differ, cpu and opencl:0"; null if in nothing.</summary>
    static string? Difference(Report before, Report after, (string Before, string After)[] pairs)
    {
        string Name(Machine m) => $"{m.Processor}, {m.Cores} cores";
        if (Name(before.Machine) != Name(after.Machine))
            return $"The machines differ, {Name(before.Machine)} and {Name(after.Machine)}";
        foreach ((string a, string b) in pairs)
        {
            string? first = Description(before, a), second = Description(after, b);
            if (a != b)
                return $"The devices differ, {a} and {b}";
            if (first != second)
                return $"The devices differ, {a} being {first} and {second}";
        }
        return null;

        static string? Description(Report report, string device) => report.Machine.Devices.FirstOrDefault(d => d.Name == device)?.Description;
    }

    static Dictionary<string, Sample> Samples(Report report, Dictionary<string, (string Before, string After)> pairs, bool byFraction)
    {
        var samples = new Dictionary<string, Sample>(StringComparer.Ordinal);
        foreach (Table table in report.Tables)
            foreach (Row row in table.Rows)
                if (pairs.TryGetValue(table.Device, out var pair) && (byFraction ? row.FractionSample : row.Sample) is { } sample)
                {
                    string device = pair.Before == pair.After ? pair.Before : $"{pair.Before} → {pair.After}";
                    samples.TryAdd($"{device}, {table.DType}, {table.KeyOf(row)}", sample);
                }
        return samples;
    }

    static string Contents(string which, Dictionary<string, Sample> rows, bool byFraction) => rows.Count == 0
        ? $"{which} has no row{(byFraction ? " with a limit" : "")}"
        : $"{which} has {rows.Count}, the first of them {rows.Keys.First()}";

    static Change Compare(string row, Sample before, Sample after)
    {
        bool up = after.Low > before.High, down = after.High < before.Low;
        return new Change(row, before, after, after.Median / before.Median, up || down, before.MoreIsBetter ? up : down);
    }

    public string ToConsole()
    {
        int width = Changes.Select(c => c.Row.Length).DefaultIfEmpty().Max();
        (string up, string down) = ByFraction ? ("higher", "lower") : ("better", "worse");
        IEnumerable<string> lines = Changes.Select(c => $"  {c.Row.PadRight(width)}  {c.Before,14} → {c.After,14}  × {c.Ratio,-6:F2} {Verdict(c)}".TrimEnd());
        int better = Changes.Count(c => c.Moved && c.Better), worse = Changes.Count(c => c.Moved && !c.Better);
        return string.Join('\n', [.. Remarks, .. lines,
            $"{Changes.Count} rows in both: {better} {up}, {worse} {down} beyond the spread, {Changes.Count(c => !c.Moved)} within it.",
            .. Only("first", OnlyBefore), .. Only("second", OnlyAfter)]);

        string Verdict(Change c) => ByFraction && c.Moved ? c.Better ? up : down : c.Verdict;

        static string[] Only(string which, IReadOnlyList<string> rows) => rows.Count == 0
            ? [] : [$"{rows.Count} only in the {which}: {string.Join("; ", rows.Take(5))}{(rows.Count > 5 ? "; …" : "")}"];
    }
}
