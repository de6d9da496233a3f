using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>What a training on examples reads of its data, and what is asked of it: <c>sequence</c> in train.json. Null, or a default: as usual.</summary>
public sealed record SequenceOptions
{
    /// <summary>The column of a CSV file that has the sequences: letters, or numbers with spaces between; null: <c>sequence</c> or <c>seq</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? SequenceColumn { get; init; }

    /// <summary>
    /// Columns of numbers. Of <c>classify</c>: a row is a sequence of so many steps. Of <c>forecast</c>: a row is a step of so many channels.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Columns { get; init; }

    /// <summary>The column that has the labels; null: <c>label</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? LabelColumn { get; init; }

    /// <summary>A file of labels, for FASTA and recordings: <see cref="LabelFile"/>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Labels { get; init; }

    /// <summary>A regular expression whose first group is the label in the name of a recording; null: what stands before the first underscore.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? LabelPattern { get; init; }

    /// <summary>The column that says train, validation or test; null: the seed splits.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? SplitColumn { get; init; }

    /// <summary>A regular expression that the names of test examples match; null: the seed splits.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? TestPattern { get; init; }

    /// <summary>The part of the examples that the seed puts aside for the test: 0 to below 1.</summary>
    public double Test { get; init; } = 0.1;

    /// <summary>The part that the seed holds out of the training, to keep the best weights: 0 to below 1.</summary>
    public double Validation { get; init; } = 0.1;

    /// <summary>Seed of the split; null: the run's.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ulong? SplitSeed { get; init; }

    /// <summary><c>dna</c>, <c>numbers</c>, or the letters of an alphabet.</summary>
    public string Alphabet { get; init; } = "dna";

    /// <summary>How a sequence becomes one vector.</summary>
    [JsonConverter(typeof(JsonStringEnumConverter<Pooling>))]
    public Pooling Pool { get; init; }

    /// <summary><c>tied</c> or <c>untied</c>: the blocks read in both directions; null: forward.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Bidirectional { get; init; }

    /// <summary>Steps of numbers that become one position: 1 or more.</summary>
    public int Patch { get; init; } = 1;

    /// <summary>Sound as 256 mu-law tokens, not as numbers.</summary>
    public bool MuLaw { get; init; }

    /// <summary>Of recordings: foretell the next sample, from the label on, instead of the label.</summary>
    public bool Generate { get; init; }

    /// <summary>Of <c>forecast</c>: steps that are read.</summary>
    public int LookBack { get; init; } = 96;

    /// <summary>Of <c>forecast</c>: steps that are foretold.</summary>
    public int Horizon { get; init; } = 96;

    /// <summary>
    /// Of <c>forecast</c>: rows for training, validation and test, from the first on; null: the last parts, as <see cref="Validation"/> and
    /// <see cref="Test"/> say.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? Rows { get; init; }

    /// <summary>The blocks, read both ways where that is asked for.</summary>
    internal MixerConfig MixerOf(MixerConfig blocks) =>
        Bidirectional is { } way ? new BidirectionalConfig { Inner = blocks, Tied = way == "tied" } : blocks;

    internal void Validate()
    {
        if (!(Test >= 0 && Validation >= 0 && Test + Validation < 1))
            throw new MambaException($"validation and test are {Validation} and {Test}; expected 0 or more each, together below 1.");
        if (Bidirectional is not (null or "tied" or "untied"))
            throw new MambaException($"bidirectional is '{Bidirectional}'; expected tied or untied.");
        if (Patch < 1 || LookBack < 1 || Horizon < 1)
            throw new MambaException($"patch, look-back and horizon are {Patch}, {LookBack} and {Horizon}; expected 1 or more.");
        if (Rows is { } rows && (rows.Count != 3 || rows.Any(count => count < 1)))
            throw new MambaException($"rows is [{string.Join(", ", rows)}]; expected three counts: training, validation, test.");
        if (MuLaw && Patch > 1)
            throw new MambaException($"patch is {Patch} and mu-law is on; a patch is of numbers.");
        if (SplitColumn is not null && TestPattern is not null)
            throw new MambaException("a column and a pattern were given to split by; expected one of them.");
        if (Columns is { Count: 0 })
            throw new MambaException("columns is empty; expected one name or more.");
    }
}
