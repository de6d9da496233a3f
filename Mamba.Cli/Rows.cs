using Spectre.Console;

namespace Mamba.Cli;

/// <summary>Rows under a head: a table on a terminal, as wide as there is room for; aligned columns as they come where the output goes elsewhere.</summary>
internal sealed class Rows : IDisposable
{
    readonly Column[] columns;
    readonly List<(bool Good, string[] Cells)>? kept;

    /// <param name="columns">The columns.</param>
    public Rows(params Column[] columns)
    {
        this.columns = columns;
        if (!Console.IsOutputRedirected)
            kept = [];
        else
            Line([.. columns.Select(column => column.Name)]);
    }

    /// <summary>Does some work; on a terminal what it says is shown meanwhile.</summary>
    public static void While(bool quiet, Action<Action<string>> work)
    {
        if (quiet || Console.IsOutputRedirected)
            work(_ => { });
        else
            AnsiConsole.Status().Start("…", context => work(text => context.Status(Column.Cut(text, AnsiConsole.Profile.Width - 4).EscapeMarkup())));
    }

    /// <summary>One row; <paramref name="good"/> colours its verdict.</summary>
    public void Add(bool good, params string[] cells)
    {
        if (kept is null)
            Line(cells);
        else
            kept.Add((good, cells));
    }

    void Line(string[] cells)
    {
        Console.WriteLine(string.Join("  ", cells.Select((cell, i) => Padded(cell, columns[i].Width))).TrimEnd());

        static string Padded(string cell, int width) => width < 0 ? cell.PadRight(-width) : cell.PadLeft(width);
    }

    /// <summary>Writes a table with the columns there is room for, and says which are left out. No word or number is broken.</summary>
    public static void Write(IAnsiConsole console, Column[] columns, IReadOnlyList<(bool Good, string[] Cells)> rows)
    {
        const int Between = 3, Around = 4;      // " │ ", "│ " and " │"
        (int, int)[] widths = [.. columns.Select((column, i) => column.WidthOf(rows.Select(row => row.Cells[i])))];
        (int Index, int Width)[] shown = Column.Fit(columns, widths, console.Profile.Width, Between, Around);
        Table table = new Table().Border(TableBorder.Rounded).BorderColor(Color.Grey);
        foreach ((int i, int width) in shown)
        {
            TableColumn head = new TableColumn(Column.Cut(columns[i].Name, width).EscapeMarkup()).Width(width);
            head = columns[i].Width < 0 ? head.LeftAligned() : head.RightAligned();
            table.AddColumn(columns[i].IsProse ? head : head.NoWrap());
        }
        foreach ((bool good, string[] cells) in rows)
            table.AddRow([.. shown.Select(column => Cell(cells, column.Index, column.Width, good))]);
        console.Write(table);
        if (Column.Absent(columns, shown) is { } absent)
            console.MarkupLineInterpolated($"[grey]{absent}[/]");

        string Cell(string[] cells, int i, int width, bool good)
        {
            string text = (columns[i].IsProse ? cells[i] : Column.Cut(cells[i], width)).EscapeMarkup();
            return columns[i].IsVerdict ? $"[{(good ? "green" : "red")}]{text}[/]" : text;
        }
    }

    public void Dispose()
    {
        if (kept is not null)
            Write(AnsiConsole.Console, columns, kept);
    }
}
