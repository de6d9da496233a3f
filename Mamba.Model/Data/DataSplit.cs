namespace Mamba;

/// <summary>Which examples are to train, to validate and to test.</summary>
public sealed class DataSplit
{
    DataSplit() => throw new NotImplementedException();

    /// <summary>How many examples there are.</summary>
    public int Count => throw new NotImplementedException();

    /// <summary>By chance: the same for the same seed and number of examples, on every machine.</summary>
    /// <param name="ids">Of the examples.</param>
    /// <param name="seed">Another seed, another split.</param>
    /// <param name="validation">The share held out to validate, 0 to 1.</param>
    /// <param name="test">The share held out to test; with the other below 1.</param>
    /// <exception cref="MambaException">The shares are none.</exception>
    public static DataSplit BySeed(IReadOnlyList<string> ids, ulong seed, double validation, double test) => throw new NotImplementedException();

    /// <summary>By chance, label by label.</summary>
    /// <param name="ids">Of the examples.</param>
    /// <param name="labels">Of the examples.</param>
    /// <param name="seed">Another seed, another split.</param>
    /// <param name="validation">The share held out to validate, 0 to 1.</param>
    /// <param name="test">The share held out to test; with the other below 1.</param>
    /// <exception cref="MambaException">The shares are none, or there are not as many labels.</exception>
    public static DataSplit Stratified(IReadOnlyList<string> ids, IReadOnlyList<string> labels, ulong seed, double validation, double test) => throw new NotImplementedException();

    /// <summary>By what a column says.</summary>
    /// <param name="ids">Of the examples.</param>
    /// <param name="parts">train, valid, validation, val, dev or test, in any case.</param>
    /// <param name="place">What a message about example i starts with; by default its row.</param>
    /// <exception cref="MambaException">One is none of these.</exception>
    public static DataSplit ByNames(IReadOnlyList<string> ids, IReadOnlyList<string> parts, Func<int, string>? place = null) => throw new NotImplementedException();

    /// <summary>The part of an example.</summary>
    /// <param name="index">From 0.</param>
    public DataPart this[int index] => throw new NotImplementedException();

    /// <summary>The examples of a part, in their order.</summary>
    /// <param name="part">Which.</param>
    public IReadOnlyList<int> Indices(DataPart part) => throw new NotImplementedException();

    /// <summary>Writes it as CSV: <c>id,part</c>.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MambaException">It cannot be written.</exception>
    public void Save(string path) => throw new NotImplementedException();

    /// <summary>Reads what <see cref="Save"/> wrote.</summary>
    /// <param name="path">The file.</param>
    /// <param name="ids">Of the examples: the file must have these, in this order.</param>
    /// <exception cref="MambaException">It cannot be read, or is of other examples: the first that differs.</exception>
    public static DataSplit Load(string path, IReadOnlyList<string> ids) => throw new NotImplementedException();
}
