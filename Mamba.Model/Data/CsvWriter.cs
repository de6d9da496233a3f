namespace Mamba;

/// <summary>Writes tables as CSV.</summary>
public static class CsvWriter
{
    /// <summary>Writes a table: the file is there whole, or as it was. A field is put in quotes where it needs them.</summary>
    /// <param name="path">The file.</param>
    /// <param name="columns">The header.</param>
    /// <param name="rows">As many fields each.</param>
    /// <exception cref="MambaException">It cannot be written, or a row has more or fewer fields.</exception>
    public static void Save(string path, IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<string>> rows) => throw new NotImplementedException();
}
