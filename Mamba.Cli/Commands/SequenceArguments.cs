using System.CommandLine;
using System.Globalization;

namespace Mamba.Cli;

/// <summary>What can be said to <c>mamba train</c> of examples: where they stand in the data, how they are split, and what the model makes of them.</summary>
internal sealed class SequenceArguments
{
    readonly Option<string?> sequenceColumn = Option.Text("--sequence-column", "NAME", "For classify, CSV: the column of the sequences (sequence or seq).");
    readonly Option<string?> columns = Option.Text("--columns", "A,B,…",
        "Columns of numbers: for classify, the steps of a row's sequence; for forecast, the channels (all that are numbers).");
    readonly Option<string?> labelColumn = Option.Text("--label-column", "NAME", "For classify, CSV: the column of the labels (label).");
    readonly Option<string?> labels = Option.Text("--labels", "FILE", "For FASTA and recordings: a text of labels, one a line, or 'name,label' lines.");
    readonly Option<string?> labelPattern = Option.Text("--label-pattern", "REGEX",
        "For recordings: its first group is the label in a name (what stands before the first underscore).");
    readonly Option<string?> splitColumn = Option.Text("--split-column", "NAME", "For classify, CSV: the column that says train, validation or test.");
    readonly Option<string?> testPattern = Option.Text("--test-pattern", "REGEX", "For recordings: those whose names match are the test.");
    readonly Option<double?> test = Option.Real("--test", "The part of the examples that is the test: 0 to below 1 (0.1).");
    readonly Option<double?> validation = Option.Real("--validation", "The part that is held out, to keep the best weights: 0 to below 1 (0.1).");
    readonly Option<ulong?> splitSeed = Option.Seed("--split-seed", "Seed of the split (--seed).");
    readonly Option<string?> alphabet = Option.Text("--alphabet", "dna|numbers|LETTERS", "What sequences are made of (dna).");
    readonly Option<string?> pool = Option.Text("--pool", "mean|last|gated", "How a sequence becomes one vector (the preset's).");
    readonly Option<string?> bidirectional = Option.Text("--bidirectional", "tied|untied|off", "Blocks read in both directions (the preset's).");
    readonly Option<int?> patch = Option.Int("--patch", "For numbers: steps that become one position (the preset's).");
    readonly Option<bool> muLaw = Option.Flag("--mu-law", "For recordings: samples as 256 mu-law tokens, not as numbers.");
    readonly Option<bool> generate = Option.Flag("--generate", "For recordings: foretell the next sample, so that new ones can be made.");
    readonly Option<int?> lookBack = Option.Int("--look-back", "For forecast: rows that are read (96).");
    readonly Option<int?> horizon = Option.Int("--horizon", "For forecast: rows that are foretold (96).");
    readonly Option<string?> rows = Option.Text("--rows", "TRAIN,VALIDATION,TEST",
        "For forecast: rows of the three parts, from the first on (by --test, --validation).");

    /// <summary>All of them, and the tasks that each is for.</summary>
    IReadOnlyList<(System.CommandLine.Option Option, string[] Tasks)> Known =>
    [
        (sequenceColumn, ["classify"]), (columns, ["classify", "forecast"]), (labelColumn, ["classify"]), (labels, ["classify", "audio"]),
        (labelPattern, ["audio"]), (splitColumn, ["classify"]), (testPattern, ["audio"]), (test, ["classify", "audio", "forecast"]),
        (validation, ["classify", "audio", "forecast"]), (splitSeed, ["classify", "audio"]), (alphabet, ["classify"]),
        (pool, ["classify", "audio", "forecast"]), (bidirectional, ["classify", "audio", "forecast"]), (patch, ["classify", "audio", "forecast"]),
        (muLaw, ["audio"]), (generate, ["audio"]), (lookBack, ["forecast"]), (horizon, ["forecast"]), (rows, ["forecast"]),
    ];

    /// <summary>All of them.</summary>
    public IReadOnlyList<System.CommandLine.Option> All => [.. Known.Select(one => one.Option)];

    /// <summary>Throws one clear line if something was said that the task does not ask for.</summary>
    public void Expect(ParseResult parsed, string task)
    {
        foreach ((System.CommandLine.Option option, string[] tasks) in Known)
            if (parsed.GetResult(option) is { Implicit: false } && !tasks.Contains(task, StringComparer.Ordinal))
                throw new MambaException($"{option.Name} was given; it is for {string.Join(" and ", tasks)}.");
        if (parsed.GetValue(generate) && ((System.CommandLine.Option[])[pool, bidirectional, patch]).FirstOrDefault(option =>
            parsed.GetResult(option) is { Implicit: false }) is { } ofLabels)
            throw new MambaException($"{ofLabels.Name} was given; a training with --generate foretells samples one by one, forward.");
    }

    /// <summary>The options with what was said.</summary>
    public SequenceOptions Apply(ParseResult parsed, SequenceOptions options)
    {
        bool tokens = parsed.GetValue(muLaw) || parsed.GetValue(generate) || options.MuLaw || options.Generate;
        SequenceOptions said = options with
        {
            SequenceColumn = parsed.GetValue(sequenceColumn) ?? options.SequenceColumn,
            Columns = parsed.GetValue(columns)?.Split(',', StringSplitOptions.TrimEntries) ?? options.Columns,
            LabelColumn = parsed.GetValue(labelColumn) ?? options.LabelColumn,
            Labels = parsed.GetValue(labels) is { } file ? Path.GetFullPath(file) : options.Labels,
            LabelPattern = parsed.GetValue(labelPattern) ?? options.LabelPattern,
            SplitColumn = parsed.GetValue(splitColumn) ?? options.SplitColumn,
            TestPattern = parsed.GetValue(testPattern) ?? options.TestPattern,
            Test = parsed.GetValue(test) ?? options.Test,
            Validation = parsed.GetValue(validation) ?? options.Validation,
            SplitSeed = parsed.GetValue(splitSeed) ?? options.SplitSeed,
            Alphabet = parsed.GetValue(alphabet) ?? options.Alphabet,
            Pool = parsed.GetValue(pool) is { } pooling ? PoolingOf(pooling) : options.Pool,
            Bidirectional = parsed.GetValue(bidirectional) switch { null => options.Bidirectional, "off" => null, var way => way },
            Patch = parsed.GetValue(patch) ?? (tokens ? 1 : options.Patch),
            MuLaw = parsed.GetValue(muLaw) || options.MuLaw,
            Generate = parsed.GetValue(generate) || options.Generate,
            LookBack = parsed.GetValue(lookBack) ?? options.LookBack,
            Horizon = parsed.GetValue(horizon) ?? options.Horizon,
            Rows = parsed.GetValue(rows) is { } counts ? Counts(counts) : options.Rows,
        };
        said.Validate();
        return said;
    }

    static Pooling PoolingOf(string name) => name switch
    {
        "mean" => Pooling.Mean,
        "last" => Pooling.Last,
        "gated" => Pooling.Gated,
        _ => throw new MambaException($"--pool is '{name}'; expected mean, last or gated."),
    };

    static int[] Counts(string text) => Array.ConvertAll(text.Split(','), word =>
        int.TryParse(word, NumberStyles.Integer, CultureInfo.InvariantCulture, out int count) ? count
            : throw new MambaException($"--rows is '{text}'; expected three counts: 8640,2880,2880."));
}
