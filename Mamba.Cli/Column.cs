namespace Mamba.Cli;

/// <summary>A column of a table, and what becomes of it on a terminal that has no room for all of them.</summary>
/// <param name="Name">Its head.</param>
/// <param name="Width">Characters, where the output goes elsewhere and is aligned as it comes; negative: aligned to the left.</param>
internal readonly record struct Column(string Name, int Width = -1)
{
    /// <summary>Characters that cells keep when they are cut.</summary>
    const int Kept = 12;

    /// <summary>Those of the largest number are left out first; 0: never.</summary>
    public int LeftOut { get; init; }

    /// <summary>Its cells are cut, with an ellipsis, before a column is left out.</summary>
    public bool MayBeCut { get; init; }

    /// <summary>Its cells are prose, which goes over several lines.</summary>
    public bool IsProse { get; init; }

    /// <summary>Its cells are green or red.</summary>
    public bool IsVerdict { get; init; }

    /// <summary>How wide it is with these cells, and how wide at least: the longest word where it is prose.</summary>
    public (int Natural, int Least) WidthOf(IEnumerable<string> cells)
    {
        string[] all = [Name, .. cells];
        int natural = all.Max(cell => cell.Length);
        return (natural, IsProse ? all.Max(cell => cell.Split(' ').Max(word => word.Length)) : MayBeCut ? Math.Min(natural, Kept) : natural);
    }

    /// <summary>Which columns there is room for, and how wide each is.</summary>
    /// <param name="columns">All columns.</param>
    /// <param name="widths">What <see cref="WidthOf"/> says of each.</param>
    /// <param name="room">Characters of a line.</param>
    /// <param name="between">Characters between two columns.</param>
    /// <param name="around">Characters at both ends of a line together.</param>
    public static (int Index, int Width)[] Fit(IReadOnlyList<Column> columns, IReadOnlyList<(int Natural, int Least)> widths, int room, int between, int around)
    {
        List<int> kept = [.. Enumerable.Range(0, columns.Count)];
        int Taken(Func<int, int> width) => around + between * (kept.Count - 1) + kept.Sum(width);
        while (Taken(i => widths[i].Least) > room && kept.Exists(i => columns[i].LeftOut > 0))
            kept.Remove(kept.MaxBy(i => columns[i].LeftOut));
        // One column gives way: the one that may, or else the first.
        int gives = kept.FindIndex(i => columns[i].MayBeCut || columns[i].IsProse) is var found && found >= 0 ? kept[found] : kept[0];
        int over = Math.Max(0, Taken(i => widths[i].Natural) - room);
        return [.. kept.Select(i => (i, i == gives ? Math.Max(1, widths[i].Natural - over) : widths[i].Natural))];
    }

    /// <summary>Says which columns are left out; null: none.</summary>
    public static string? Absent(IReadOnlyList<Column> columns, (int Index, int Width)[] shown)
    {
        string[] names = [.. columns.Where((_, i) => !Array.Exists(shown, column => column.Index == i)).Select(column => column.Name)];
        return names.Length == 0 ? null : $"no room for: {string.Join(", ", names.Distinct(StringComparer.Ordinal))}";
    }

    /// <summary>A text in at most so many characters.</summary>
    public static string Cut(string text, int width) => text.Length <= width ? text : string.Concat(text.AsSpan(0, Math.Max(0, width - 1)), "…");
}
