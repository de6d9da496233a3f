namespace Mamba;

/// <summary>A table as CSV, read row by row, plain or compressed by gzip.</summary>
public sealed class CsvTable : IDisposable
{
    CsvTable() => throw new NotImplementedException();

    /// <summary>The names of the columns, in their order.</summary>
    public IReadOnlyList<string> Columns => throw new NotImplementedException();

    /// <summary>The file.</summary>
    public string Path => throw new NotImplementedException();

    /// <summary>Opens a table and reads its header.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MambaException">It cannot be read, is empty, or its header is none.</exception>
    public static CsvTable Open(string path) => throw new NotImplementedException();

    /// <summary>The place of a column, from 0.</summary>
    /// <param name="column">Its name.</param>
    /// <exception cref="MambaException">There is no such column: the message says which there are.</exception>
    public int IndexOf(string column) => throw new NotImplementedException();

    /// <summary>The rows, each time from the first.</summary>
    /// <exception cref="MambaException">A row is ragged or the file cannot be read.</exception>
    public IEnumerable<CsvRow> Rows() => throw new NotImplementedException();

    /// <summary>Closes the file.</summary>
    public void Dispose() => throw new NotImplementedException();
}
