using Spectre.Console;

namespace Mamba.Cli;

/// <summary>Rows under a head: a table on a terminal, aligned columns as they come where the output goes elsewhere.</summary>
internal sealed class Rows : IDisposable
{
    readonly (string Name, int Width)[] columns;
    readonly Table? table;

    /// <param name="columns">Names and widths of the columns; those of negative width are aligned to the left.</param>
    public Rows(params (string Name, int Width)[] columns)
    {
        this.columns = columns;
        if (!Console.IsOutputRedirected)
        {
            table = new Table().Border(TableBorder.Rounded).BorderColor(Color.Grey);
            foreach ((string name, int width) in columns)
                table.AddColumn(width < 0 ? new TableColumn(name).LeftAligned() : new TableColumn(name).RightAligned().NoWrap());
            return;
        }
        Line([.. columns.Select(c => c.Name)]);
    }

    /// <summary>Does some work; on a terminal what it says is shown meanwhile.</summary>
    public static void While(bool quiet, Action<Action<string>> work)
    {
        if (quiet || Console.IsOutputRedirected)
            work(_ => { });
        else
            AnsiConsole.Status().Start("…", context => work(text => context.Status(text.EscapeMarkup())));
    }

    /// <summary>One row; <paramref name="good"/> colours its last cell.</summary>
    public void Add(bool good, params string[] cells)
    {
        if (table is null)
            Line(cells);
        else
            table.AddRow([.. cells.Select((cell, i) => i == cells.Length - 1 ? $"[{(good ? "green" : "red")}]{cell.EscapeMarkup()}[/]" : cell.EscapeMarkup())]);
    }

    void Line(string[] cells)
    {
        Console.WriteLine(string.Join("  ", cells.Select((cell, i) => Padded(cell, columns[i].Width))).TrimEnd());

        static string Padded(string cell, int width) => width < 0 ? cell.PadRight(-width) : cell.PadLeft(width);
    }

    public void Dispose()
    {
        if (table is not null)
            AnsiConsole.Write(table);
    }
}
