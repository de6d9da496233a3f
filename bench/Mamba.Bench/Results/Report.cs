using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mamba.Bench;

/// <summary>Everything a run found: one page for people, and one file to compare another run with.</summary>
internal sealed record Report(Machine Machine, IReadOnlyList<Table> Tables)
{
    public const string PageName = "report.md", DataName = "results.json";

    static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    public string ToJson() => JsonSerializer.Serialize(this, Json) + "\n";

    public static Report FromJson(string json, string source)
    {
        try
        {
            return JsonSerializer.Deserialize<Report>(json, Json) ?? throw new JsonException("it is null");
        }
        catch (Exception e) when (JsonText.IsMalformed(e))
        {
            throw new MambaException($"{source}: this is no result of a benchmark: {InputFile.Sentence(e)}", e);
        }
    }

    /// <summary>Reads a file, or the one in a folder.</summary>
    public static Report Load(string path)
    {
        string file = Directory.Exists(path) ? Path.Combine(path, DataName) : path;
        return File.Exists(file)
            ? FromJson(InputFile.ReadText(file), file)
            : throw new MambaException($"{file}: there is no such file; expected one that 'bench all' wrote, or its folder.");
    }

    public string ToMarkdown()
    {
        Machine m = Machine;
        return string.Join('\n', [
            $"# {m.Processor}", "",
            $"{m.Cores} cores, {m.Memory}, {m.System}, {m.Runtime}, ILGPU {m.Ilgpu}. Commit {m.Commit}, {m.Date}. Made by", "",
            $"    {m.Command}", "",
            "| device | | driver |", "|---|---|---|", .. m.Devices.Select(d => $"| {d.Name} | {d.Description} | {d.Driver} |"), "",
            "Times are medians after a warm-up, the device waited for each time; the spread is half the distance of the quartiles. The limit is the ceiling",
            "that bounds a row, the best run of a kernel of our own, measured with the rows; a fraction above 100 % means that data stayed in a nearer memory",
            "than the copy the row is held against, or that the machine was busier when the ceiling was measured.", "",
            .. SideBySide(),
            .. Tables.GroupBy(t => t.Device, StringComparer.Ordinal)
                .SelectMany(device => (string[])[$"## {device.Key}", "", .. device.Select(t => t.ToMarkdown())])]);
    }

    // Rows measured on several devices, a column each.
    IEnumerable<string> SideBySide()
    {
        string[] devices = [.. Tables.Select(t => t.Device).Distinct(StringComparer.Ordinal)];
        if (devices.Length < 2)
            return [];
        var rows = Tables.SelectMany(t => t.Rows.Where(r => r.Sample is not null).Select(r => (Key: (Row: t.KeyOf(r), t.DType), t.Device, Row: r)))
            .GroupBy(r => r.Key).Where(g => g.Select(r => r.Device).Distinct(StringComparer.Ordinal).Count() > 1);
        return ["## Devices side by side", "", $"| | {string.Join(" | ", devices)} |", $"|---|{string.Concat(devices.Select(_ => "---:|"))}",
            .. rows.Select(g => $"| {g.Key.Row} | {string.Join(" | ", devices.Select(d => Cell(g.FirstOrDefault(r => r.Device == d).Row)))} |"),
            ""];

        static string Cell(Row? row) => row is null ? "" : $"{row.Sample}{(row.Fraction is { } f ? $" ({f:P0})" : "")}";
    }

    /// <summary>Writes the page and the data into <paramref name="folder"/>.</summary>
    public void Save(string folder)
    {
        Directory.CreateDirectory(folder);
        AtomicFile.WriteText(Path.Combine(folder, PageName), ToMarkdown());
        AtomicFile.WriteText(Path.Combine(folder, DataName), ToJson());
    }
}
