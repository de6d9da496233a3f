using System.Text;

namespace Mamba;

/// <summary>
/// A text of labels in UTF-8, plain or compressed by gzip: one a line, in the order of the sequences, or a name, a tab or comma, and its
/// label on each line. Empty lines and those that start with <c>#</c> mean nothing; blanks around names and labels are no part of them.
/// </summary>
public sealed class LabelFile
{
    readonly string path;
    readonly List<(long Line, string Name, string Label)> entries = [];
    readonly Dictionary<string, int> places = new(StringComparer.Ordinal);

    LabelFile(string path, TextReader text)
    {
        this.path = path;
        long number = 0;
        while (ReadLine(text, number + 1) is { } line)
        {
            number++;
            if (!string.IsNullOrWhiteSpace(line) && line[0] != '#')
                Add(number, line);
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
    /// <exception cref="MambaException">
    /// It cannot be read, has no label, or a line is unlike the first, or names what an earlier one does: the line.
    /// </exception>
    public static LabelFile Read(string path)
    {
        using var file = DataFile.Open(path);
        using StreamReader text = file.OpenText();
        return new LabelFile(path, text);
    }

    /// <summary>The label of a sequence.</summary>
    /// <param name="index">Its place, from 0: what counts where there are no names.</param>
    /// <param name="name">Its name: what counts where there are.</param>
    /// <exception cref="MambaException">It has none.</exception>
    public string LabelOf(int index, string name) => HasNames
        ? places.TryGetValue(name, out int place)
            ? entries[place].Label
            : throw new MambaException(
                $"{path}: line {entries[^1].Line}, the last: no line up to here has a label for '{DataFile.Shown(name)}', sequence {index + 1}.")
        : index >= 0 && index < entries.Count
            ? entries[index].Label
            : throw new MambaException(
                $"{path}: line {entries[^1].Line} has the last of {entries.Count} labels; sequence {index + 1}, '{DataFile.Shown(name)}', has none.");

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
                    ? $"{path}: line {entries[i].Line}: there is no sequence '{DataFile.Shown(entries[i].Name)}'."
                    : $"{path}: line {entries[i].Line}: label {i + 1} has no sequence; there are {names.Count}.");
        return labels;
    }

    string? ReadLine(TextReader text, long number)
    {
        try
        {
            return text.ReadLine();
        }
        catch (DecoderFallbackException e)
        {
            throw new MambaException($"{path}: line {number} or one behind it is no UTF-8.", e);
        }
    }

    void Add(long number, string line)
    {
        int between = line.IndexOf('\t', StringComparison.Ordinal) is >= 0 and int tab ? tab : line.IndexOf(',', StringComparison.Ordinal);
        if (entries.Count == 0)
            HasNames = between >= 0;
        if (HasNames != between >= 0)
            throw new MambaException(HasNames
                ? $"{path}: line {number}: '{DataFile.Shown(line)}' has neither a tab nor a comma; expected a name and its label, as on line {entries[0].Line}."
                : $"{path}: line {number}: '{DataFile.Shown(line)}' has a name and a label; expected a label alone, as on line {entries[0].Line}.");
        string name = HasNames ? line[..between].Trim() : "", label = line[(between + 1)..].Trim();
        if (HasNames && (name.Length == 0 || label.Length == 0))
            throw new MambaException($"{path}: line {number}: '{DataFile.Shown(line)}' has no {(name.Length == 0 ? "name" : "label")}; expected both.");
        if (HasNames && !places.TryAdd(name, entries.Count))
            throw new MambaException($"{path}: line {number}: '{DataFile.Shown(name)}' has a label already, on line {entries[places[name]].Line}.");
        entries.Add((number, name, label));
    }
}
