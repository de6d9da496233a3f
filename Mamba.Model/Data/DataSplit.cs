namespace Mamba;

/// <summary>Which examples are to train, to validate and to test. A run keeps it, so that it is tested on what it never saw.</summary>
public sealed class DataSplit
{
    const string IdColumn = "id", PartColumn = "part";

    /// <summary>Its streams of random numbers: 4 in the highest bits, so that they are nobody else's.</summary>
    const ulong Stream = 4UL << 60;

    readonly string[] ids;
    readonly DataPart[] parts;

    DataSplit(IReadOnlyList<string> ids, DataPart[] parts) => (this.ids, this.parts) = ([.. ids], parts);

    /// <summary>How many examples there are.</summary>
    public int Count => parts.Length;

    /// <summary>The part of an example.</summary>
    /// <param name="index">From 0.</param>
    public DataPart this[int index] => parts[index];

    /// <summary>
    /// By chance: the same for the same seed and number of examples, on every machine. A part that is asked for has an example at least,
    /// where there are as many examples as parts; otherwise the test comes before the validation, and training before both.
    /// </summary>
    /// <param name="ids">Of the examples.</param>
    /// <param name="seed">Another seed, another split.</param>
    /// <param name="validation">The share held out to validate, from 0.</param>
    /// <param name="test">The share held out to test, from 0; both together are below 1.</param>
    /// <exception cref="MambaException">The shares are none.</exception>
    public static DataSplit BySeed(IReadOnlyList<string> ids, ulong seed, double validation, double test)
    {
        ExpectShares(validation, test);
        var dealt = new DataPart[ids.Count];
        Deal(dealt, [.. Enumerable.Range(0, ids.Count)], new PhiloxRandom(seed, Stream), validation, test);
        return new DataSplit(ids, dealt);
    }

    /// <summary>
    /// By chance, as <see cref="BySeed"/>, among the examples of each label by itself: each part has all labels in the same shares. An example that is the only
    /// one of its label is trained on.
    /// </summary>
    /// <param name="ids">Of the examples.</param>
    /// <param name="labels">Of the examples.</param>
    /// <param name="seed">Another seed, another split.</param>
    /// <param name="validation">The share held out to validate, from 0.</param>
    /// <param name="test">The share held out to test, from 0; both together are below 1.</param>
    /// <exception cref="MambaException">The shares are none, or there are more or fewer labels than examples.</exception>
    public static DataSplit Stratified(IReadOnlyList<string> ids, IReadOnlyList<string> labels, ulong seed, double validation, double test)
    {
        ExpectShares(validation, test);
        if (labels.Count != ids.Count)
            throw new MambaException($"DataSplit: there are {labels.Count} labels; expected {ids.Count}, as many as examples.");
        var dealt = new DataPart[ids.Count];
        var random = new PhiloxRandom(seed, Stream | 1);
        IEnumerable<IGrouping<string, int>> groups = Enumerable.Range(0, ids.Count).GroupBy(i => labels[i], StringComparer.Ordinal);
        foreach (IGrouping<string, int> group in groups.OrderBy(group => group.Key, StringComparer.Ordinal))
            Deal(dealt, [.. group], random, validation, test);
        return new DataSplit(ids, dealt);
    }

    /// <summary>By what a column says.</summary>
    /// <param name="ids">Of the examples.</param>
    /// <param name="parts">train, valid, validation, val, dev or test, in any case.</param>
    /// <param name="place">What a message about example i starts with (<see cref="CsvRow.Place"/>); by default its row, from 1.</param>
    /// <exception cref="MambaException">One is none of these, or there are more or fewer than examples.</exception>
    public static DataSplit ByNames(IReadOnlyList<string> ids, IReadOnlyList<string> parts, Func<int, string>? place = null)
    {
        if (parts.Count != ids.Count)
            throw new MambaException($"DataSplit: there are {parts.Count} names of parts; expected {ids.Count}, as many as examples.");
        return new DataSplit(ids, [.. parts.Select((name, i) => PartOf(name) ?? throw new MambaException(
            $"{place?.Invoke(i) ?? FormattableString.Invariant($"DataSplit: row {i + 1}")}: '{DataFile.Shown(ids[i])}' is for '{DataFile.Shown(name)}'; " +
            $"expected train, valid, validation, val, dev or test."))]);
    }

    /// <summary>The examples of a part, in their order; from 0.</summary>
    /// <param name="part">Which.</param>
    public IReadOnlyList<int> Indices(DataPart part) => [.. Enumerable.Range(0, Count).Where(i => parts[i] == part)];

    /// <summary>Writes it as CSV: <c>id,part</c>.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MambaException">It cannot be written.</exception>
    public void Save(string path) => CsvWriter.Save(path, [IdColumn, PartColumn], ids.Zip(parts, (id, part) => new[] { id, NameOf(part) }));

    /// <summary>Reads what <see cref="Save"/> wrote.</summary>
    /// <param name="path">The file.</param>
    /// <param name="ids">Of the examples: the file must have these, in this order.</param>
    /// <exception cref="MambaException">It cannot be read, or is of other examples: the first that differs.</exception>
    public static DataSplit Load(string path, IReadOnlyList<string> ids)
    {
        using var table = CsvTable.Open(path);
        table.IndexOf(IdColumn);
        table.IndexOf(PartColumn);
        var places = new List<string>();
        var names = new List<string>();
        foreach (CsvRow row in table.Rows())
        {
            int i = names.Count;
            if (i == ids.Count)
                throw new MambaException($"{row.Place}: the split goes on with '{DataFile.Shown(row[IdColumn])}'; the data have {ids.Count} examples only.");
            if (row[IdColumn] != ids[i])
                throw new MambaException($"{row.Place}: the split has '{DataFile.Shown(row[IdColumn])}'; " +
                    $"example {i + 1} of the data is '{DataFile.Shown(ids[i])}'. It is of other data.");
            places.Add(row.Place);
            names.Add(row[PartColumn]);
        }
        return names.Count == ids.Count
            ? ByNames(ids, names, i => places[i])
            : throw new MambaException($"{places[^1]}: the split ends after {names.Count} examples; the data go on with '{DataFile.Shown(ids[names.Count])}'.");
    }

    static DataPart? PartOf(string name) => name.Trim().ToLowerInvariant() switch
    {
        "train" => DataPart.Train,
        "valid" or "validation" or "val" or "dev" => DataPart.Validation,
        "test" => DataPart.Test,
        _ => null,
    };

    static string NameOf(DataPart part) => part switch
    {
        DataPart.Train => "train",
        DataPart.Validation => "validation",
        _ => "test",
    };

    static void ExpectShares(double validation, double test)
    {
        if (!(validation >= 0 && test >= 0 && validation + test < 1))
            throw new MambaException($"DataSplit: shares of {validation} to validate and {test} to test; expected 0 or more each, below 1 together.");
    }

    // Shuffles examples (Fisher and Yates) and gives the first to the test, the next to the validation, the rest to training.
    static void Deal(DataPart[] parts, int[] examples, PhiloxRandom random, double validation, double test)
    {
        for (int i = examples.Length - 1; i > 0; i--)
        {
            int other = random.Next(i + 1);
            (examples[i], examples[other]) = (examples[other], examples[i]);
        }
        int spare = examples.Length - 1;
        int tested = Held(test, Math.Max(Math.Min(1, spare), validation > 0 ? spare - 1 : spare), examples.Length);
        int validated = Held(validation, spare - tested, examples.Length);
        for (int i = 0; i < examples.Length; i++)
            parts[examples[i]] = i < tested ? DataPart.Test : i < tested + validated ? DataPart.Validation : DataPart.Train;
    }

    // the share of all, one at least where it is asked for, and no more than can be spared
    static int Held(double share, int most, int all)
    {
        most = share > 0 ? Math.Max(0, most) : 0;
        return Math.Clamp((int)Math.Round(share * all, MidpointRounding.AwayFromZero), Math.Min(1, most), most);
    }
}
