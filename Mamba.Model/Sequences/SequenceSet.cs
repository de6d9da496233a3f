using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace Mamba;

/// <summary>
/// Sequences with labels, read from a CSV file, a FASTA file with a file of labels, or recordings: a byte a letter or mu-law sample, four a number, in memory.
/// </summary>
public sealed class SequenceSet
{
    SequenceSet(string source, IReadOnlyList<SequenceExample> examples, IReadOnlyList<string> classes) =>
        (Source, Examples, Classes) = (source, examples, classes);

    /// <summary>The file or folder.</summary>
    public string Source { get; }

    /// <summary>The sequences, in the order of the file.</summary>
    public IReadOnlyList<SequenceExample> Examples { get; }

    /// <summary>What the labels are called: numbers in their order, words in that of the alphabet.</summary>
    public IReadOnlyList<string> Classes { get; }

    /// <summary>Tokens are 0 … VocabSize − 1; 0 where there are numbers.</summary>
    public int VocabSize { get; private init; }

    /// <summary>Samples a second, of recordings; 0: not known.</summary>
    public int SampleRate { get; private init; }

    /// <summary>The column that says the part of each example; null: there is none.</summary>
    public IReadOnlyList<string>? Parts { get; private init; }

    /// <summary>Reads what the options name.</summary>
    /// <param name="path">CSV (<c>.csv</c>, <c>.tsv</c>, gzipped or not); FASTA; a folder or an archive of WAV files.</param>
    /// <param name="options">Columns, labels, alphabet.</param>
    /// <param name="classes">The classes that there are, for a model that knows them; labels may then be missing. Null: those in the file.</param>
    /// <exception cref="MambaException">A file is missing or broken: the line says where.</exception>
    public static SequenceSet Read(string path, SequenceOptions options, IReadOnlyList<string>? classes = null)
    {
        options.Validate();
        string name = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? path[..^3] : path;
        bool isRecordings = Directory.Exists(path) || HasEnding(name, ".wav", ".tar", ".tgz", ".zip");
        bool isTable = !isRecordings && HasEnding(name, ".csv", ".tsv");
        if (!isTable && (options.SplitColumn ?? options.Columns?[0]) is { } column)
            throw new MambaException($"{path}: this is no CSV file; column '{column}' was asked for.");
        if (isTable && options.Labels is not null)
            throw new MambaException($"{path}: the labels of a CSV file stand in a column of it; a file of labels is for FASTA and recordings.");
        return isRecordings ? OfRecordings(path, options, classes)
            : isTable ? OfCsv(path, options, classes)
            : OfFasta(path, options, classes);

        static bool HasEnding(string path, params string[] endings) => Array.Exists(endings, end => path.EndsWith(end, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>Where an example stands, for messages.</summary>
    internal string PlaceOf(int index) => Examples[index].Line is { } line ? $"{Source}: line {line}" : $"{Source}: {Examples[index].Id}";

    /// <summary>What a split calls the examples: their ids, with a hash of what is in them, so that other data are noticed.</summary>
    internal IReadOnlyList<string> Keys => [.. Examples.Select(example => $"{example.Id}:{Hash(example)}")];

    string Hash(SequenceExample example)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(example.Tokens ?? MemoryMarshal.AsBytes(example.Values.AsSpan()));
        if (example.Label >= 0)
            hash.AppendData(Encoding.UTF8.GetBytes(Classes[example.Label]));
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..8];
    }

    static SequenceSet OfCsv(string path, SequenceOptions options, IReadOnlyList<string>? classes)
    {
        using CsvTable table = CsvTable.Open(path);
        string[] columns = [.. table.Columns];
        string? sequence = options.Columns is not null ? null
            : options.SequenceColumn ?? columns.FirstOrDefault(column => column is "sequence" or "seq") ?? throw new MambaException(
                $"{path}: there is no column 'sequence' or 'seq'; --sequence-column or --columns names one of {string.Join(", ", columns)}.");
        string label = options.LabelColumn ?? "label";
        foreach (string? column in (string?[])[sequence, classes is null ? label : null, options.SplitColumn, .. options.Columns ?? []])
            if (column is not null)
                _ = table.IndexOf(column);
        bool hasLabels = columns.Contains(label);
        Alphabet? alphabet = sequence is null ? null : AlphabetOf(options);
        var read = new Reading(path, classes);
        var parts = new List<string>();
        foreach (CsvRow row in table.Rows())
        {
            SequenceExample example = sequence is null
                ? new("", 0) { Values = [.. options.Columns!.Select(row.Single)] }
                : alphabet is not null ? new("", 0) { Tokens = alphabet.Encode(row, sequence) }
                : new("", 0) { Values = Numbers(row, sequence) };
            if ((example.Tokens?.Length ?? example.Values!.Length) == 0)
                throw new MambaException($"{row.Place}: column '{sequence}' is empty; expected a sequence.");
            read.Add(example with { Id = row.Line.ToString(CultureInfo.InvariantCulture), Line = row.Line }, hasLabels ? row[label] : null, row.Place);
            if (options.SplitColumn is not null)
                parts.Add(row[options.SplitColumn]);
        }
        return read.Finish(alphabet?.Count ?? 0, options.SplitColumn is null ? null : parts);
    }

    static float[] Numbers(CsvRow row, string column)
    {
        string[] words = row[column].Split([' ', ';', '|'], StringSplitOptions.RemoveEmptyEntries);
        return Array.ConvertAll(words, word => float.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out float value) && float.IsFinite(value)
            ? value
            : throw new MambaException($"{row.Place}: column '{column}' has '{word}'; expected numbers with spaces between."));
    }

    static Alphabet? AlphabetOf(SequenceOptions options) => options.Alphabet switch
    {
        "dna" => Alphabet.Dna,
        "numbers" => null,
        var letters => Alphabet.OfLetters(letters),
    };

    static SequenceSet OfFasta(string path, SequenceOptions options, IReadOnlyList<string>? classes)
    {
        Alphabet alphabet = AlphabetOf(options) ?? throw new MambaException($"{path}: this is no CSV file; numbers are read from one.");
        if (options.Labels is null && classes is null)
            throw new MambaException($"{path}: the labels are missing; --labels names a file of them.");
        FastaRecord[] records = [.. FastaReader.Read(path, alphabet)];
        string[] names = [.. records.Select(record => record.Name)];
        IReadOnlyList<string>? labels = options.Labels is { } file ? LabelFile.Read(file).LabelsOf(names) : null;
        var read = new Reading(path, classes);
        for (int i = 0; i < records.Length; i++)
        {
            if (records[i].Tokens.Length == 0)
                throw new MambaException($"{path}: line {records[i].Line}: '{records[i].Name}' has no letters; expected a sequence.");
            var example = new SequenceExample(records[i].Name, 0) { Tokens = records[i].Tokens, Line = records[i].Line };
            read.Add(example, labels?[i], $"{path}: line {records[i].Line}");
        }
        return read.Finish(alphabet.Count, null);
    }

    static SequenceSet OfRecordings(string path, SequenceOptions options, IReadOnlyList<string>? classes)
    {
        Regex? pattern = options.LabelPattern is { } given ? Pattern(given) : null;
        var all = new List<(string Name, WavAudio Audio)>();
        foreach ((string name, WavAudio audio) in RecordingSource.Read(path))
        {
            if (audio.Frames == 0)
                throw new MambaException($"{path}: {name} has no samples; expected a recording.");
            if (all.Count > 0 && audio.SampleRate != all[0].Audio.SampleRate)
                throw new MambaException($"{path}: {name} has {audio.SampleRate} samples a second, {all[0].Name} {all[0].Audio.SampleRate}; "
                    + "expected one rate.");
            all.Add((name, audio.Mono()));
        }
        IReadOnlyList<string>? labels = options.Labels is { } file ? LabelFile.Read(file).LabelsOf([.. all.Select(one => one.Name)]) : null;
        var read = new Reading(path, classes);
        for (int i = 0; i < all.Count; i++)
        {
            (string name, WavAudio audio) = all[i];
            string? label = labels is not null ? labels[i] : LabelIn(name);
            if (classes is not null && label is not null && !classes.Contains(label, StringComparer.Ordinal))
                label = null;               // a name need not tell a label when a model is asked for one
            read.Add(OfSamples(name, audio.Samples, options.MuLaw), label, $"{path}: {name}");
        }
        return read.Finish(options.MuLaw ? MuLaw.Count : 0, null, all.Count > 0 ? all[0].Audio.SampleRate : 0);

        string? LabelIn(string name)
        {
            string last = Path.GetFileNameWithoutExtension(name);
            if (pattern is null)
                return last.Contains('_', StringComparison.Ordinal) ? last[..last.IndexOf('_', StringComparison.Ordinal)] : null;
            Match match = pattern.Match(name);
            return match is { Success: true, Groups.Count: > 1 } ? match.Groups[1].Value : null;
        }
    }

    /// <summary>Recordings in memory, each with its label.</summary>
    internal static SequenceSet Of(IReadOnlyList<WavAudio> recordings, IReadOnlyList<string> labels, IReadOnlyList<string> classes, bool muLaw)
    {
        var read = new Reading("recordings in memory", classes);
        for (int i = 0; i < recordings.Count; i++)
            read.Add(OfSamples(labels[i], recordings[i].Samples, muLaw), labels[i], labels[i]);
        return read.Finish(muLaw ? MuLaw.Count : 0, null, recordings[0].SampleRate);
    }

    static SequenceExample OfSamples(string name, float[] samples, bool muLaw) =>
        muLaw ? new(name, 0) { Tokens = Array.ConvertAll(samples, MuLaw.Encode) } : new(name, 0) { Values = samples };

    internal static Regex Pattern(string text)
    {
        try
        {
            return new Regex(text, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));
        }
        catch (ArgumentException e)
        {
            throw new MambaException($"'{text}' is no regular expression: {InputFile.Sentence(e)}", e);
        }
    }

    /// <summary>Collects examples and the names of their labels.</summary>
    sealed class Reading(string source, IReadOnlyList<string>? classes)
    {
        readonly List<(SequenceExample Example, string? Label)> all = [];

        public void Add(SequenceExample example, string? label, string place)
        {
            if (classes is not null && string.IsNullOrWhiteSpace(label))
                label = null;
            if (classes is null ? string.IsNullOrWhiteSpace(label) : label is not null && !classes.Contains(label, StringComparer.Ordinal))
                throw new MambaException(classes is null ? $"{place}: the label is missing."
                    : $"{place}: the label '{label}' is none of the model's: {string.Join(", ", classes)}.");
            all.Add((example, label));
        }

        public SequenceSet Finish(int vocabulary, IReadOnlyList<string>? parts, int rate = 0)
        {
            if (all.Count == 0)
                throw new MambaException($"{source}: there are no sequences in it; expected one or more.");
            string[] found = [.. all.Select(one => one.Label!).Distinct(StringComparer.Ordinal)];
            string[] named = classes is not null ? [.. classes]
                : Array.TrueForAll(found, label => double.TryParse(label, CultureInfo.InvariantCulture, out _))
                ? [.. found.OrderBy(label => double.Parse(label, CultureInfo.InvariantCulture))]
                : [.. found.Order(StringComparer.Ordinal)];
            var index = named.Select((label, i) => (label, i)).ToDictionary(pair => pair.label, pair => pair.i, StringComparer.Ordinal);
            return new SequenceSet(source, [.. all.Select(one => one.Example with { Label = one.Label is null ? -1 : index[one.Label] })], named)
            {
                VocabSize = vocabulary,
                Parts = parts,
                SampleRate = rate,
            };
        }
    }
}
