namespace Mamba;

/// <summary>
/// A text of labels: one a line, in the order of the sequences, or a name, a tab or comma, and its label on each line. Empty lines and those that start with
/// <c>#</c> mean nothing; blanks around names and labels are no part of them.
/// </summary>
public sealed class LabelFile
{
    readonly string path;
    readonly List<(long Line, string Name, string Label)> entries = [];
    readonly Dictionary<string, int> places = new(StringComparer.Ordinal);

    LabelFile(string path, string text)
    {
        this.path = path;
        long number = 0;
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            number++;
            if (!line.IsWhiteSpace() && line[0] != '#')
                Add(number, line.ToString());
        }
        if (entries.Count == 0)
            throw new MambaException($"{path}: line {Math.Max(1, number)}: there is no label up to here, the end; expected one a line.");
    }

    /// <summary>How many labels there are.</summary>
    public int Count => entries.Count;

    /// <summary>Whether each line names its sequence.</summary>
    public bool HasNames { get; private set; }

    /// <summary>Reads it. The first label decides whether the lines have names; all are then alike.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MambaException">It cannot be read, has no label, or a line is unlike the first, or names what an earlier one does: the line.</exception>
    public static LabelFile Read(string path) => new(path, InputFile.ReadText(path));

    /// <summary>The label of a sequence.</summary>
    /// <param name="index">Its place, from 0: what counts where there are no names.</param>
    /// <param name="name">Its name: what counts where there are.</param>
    /// <exception cref="MambaException">It has none.</exception>
    public string LabelOf(int index, string name) => HasNames
        ? places.TryGetValue(name, out int place)
            ? entries[place].Label
            : throw new MambaException($"{path}: line {entries[^1].Line}, the last: no line up to here has a label for '{name}', sequence {index + 1}.")
        : index >= 0 && index < entries.Count
            ? entries[index].Label
            : throw new MambaException($"{path}: line {entries[^1].Line} has the last of {entries.Count} labels; sequence {index + 1}, '{name}', has none.");

    /// <summary>The labels of all sequences, none of them left over.</summary>
    /// <param name="names">Of the sequences, in their order.</param>
    /// <exception cref="MambaException">A sequence has no label, or a label no sequence: the line.</exception>
    public IReadOnlyList<string> LabelsOf(IReadOnlyList<string> names)
    {
        string[] labels = [.. names.Select((name, index) => LabelOf(index, name))];
        HashSet<string> known = HasNames ? names.ToHashSet(StringComparer.Ordinal) : [];
        for (int i = 0; i < entries.Count; i++)
            if (HasNames ? !known.Contains(entries[i].Name) : i >= names.Count)
                throw new MambaException(HasNames
                    ? $"{path}: line {entries[i].Line}: there is no sequence '{entries[i].Name}'."
                    : $"{path}: line {entries[i].Line}: label {i + 1} has no sequence; there are {names.Count}.");
        return labels;
    }

    void Add(long number, string line)
    {
        int between = line.IndexOf('\t', StringComparison.Ordinal) is >= 0 and int tab ? tab : line.IndexOf(',', StringComparison.Ordinal);
        if (entries.Count == 0)
            HasNames = between >= 0;
        if (HasNames != between >= 0)
            throw new MambaException(HasNames
                ? $"{path}: line {number}: '{line}' has neither a tab nor a comma; expected a name and its label, as on line {entries[0].Line}."
                : $"{path}: line {number}: '{line}' has a name and a label; expected a label alone, as on line {entries[0].Line}.");
        string name = HasNames ? line[..between].Trim() : "", label = line[(between + 1)..].Trim();
        if (HasNames && (name.Length == 0 || label.Length == 0))
            throw new MambaException($"{path}: line {number}: '{line}' has no {(name.Length == 0 ? "name" : "label")}; expected both.");
        if (HasNames && !places.TryAdd(name, entries.Count))
            throw new MambaException($"{path}: line {number}: '{name}' has a label already, on line {entries[places[name]].Line}.");
        entries.Add((number, name, label));
    }
}
