using System.Globalization;

namespace Mamba;

/// <summary>A row of a <see cref="CsvTable"/>.</summary>
public sealed class CsvRow
{
    readonly CsvTable table;
    readonly string[] fields;

    internal CsvRow(CsvTable table, long line, string[] fields) => (this.table, Line, this.fields) = (table, line, fields);

    /// <summary>Its line in the file, from 1; the first of them, where a field in quotes goes over several.</summary>
    public long Line { get; }

    /// <summary>Where it is, as the start of a message: <c>file.csv: line 7</c>.</summary>
    public string Place => FormattableString.Invariant($"{table.Path}: line {Line}");

    /// <summary>The fields in their order.</summary>
    public IReadOnlyList<string> Fields => fields;

    /// <summary>A field, without the quotes around it.</summary>
    /// <param name="column">The name of its column.</param>
    /// <exception cref="MambaException">There is no such column: the message says which there are.</exception>
    public string this[string column] => fields[table.IndexOf(column)];

    /// <summary>A field as a number: <c>12</c>, <c>-0.5</c>, <c>1e-3</c>, with a point whatever the culture.</summary>
    /// <param name="column">The name of its column.</param>
    /// <exception cref="MambaException">It is no finite number (empty, <c>nan</c>, <c>inf</c>, <c>1e999</c>), or there is no such column.</exception>
    public double Number(string column)
    {
        string text = this[column];
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number)
            ? number
            : throw new MambaException(
                $"{Place}, column '{DataFile.Shown(column)}': '{DataFile.Shown(text)}' is no number; expected a finite one, as 12, -0.5 or 1e-3.");
    }

    /// <summary>A field as a number in float32.</summary>
    /// <param name="column">The name of its column.</param>
    /// <exception cref="MambaException">It is no finite number, or float32 does not reach that far.</exception>
    public float Single(string column) => (float)Number(column) is var number && float.IsFinite(number) ? number
        : throw new MambaException($"{Place}, column '{DataFile.Shown(column)}': {DataFile.Shown(this[column])} is more than float32 holds.");
}
