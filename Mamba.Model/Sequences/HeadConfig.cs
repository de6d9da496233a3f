using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>What a <see cref="SequenceModel"/> has after its backbone: <c>head</c> in config.json.</summary>
public sealed record HeadConfig
{
    /// <summary>A score for each token of the vocabulary, at every position: (b, l, v).</summary>
    public const string NextToken = "next-token";

    /// <summary>The next numbers, at every position: (b, l, outputs).</summary>
    public const string NextValue = "next-value";

    /// <summary>A score for each class, of each sequence: (sequences, outputs).</summary>
    public const string Classes = "classification";

    /// <summary>Numbers of each sequence: (sequences, outputs).</summary>
    public const string Regression = "regression";

    /// <summary>One of <see cref="NextToken"/>, <see cref="NextValue"/>, <see cref="Classes"/> and <see cref="Regression"/>.</summary>
    public required string Kind { get; init; }

    /// <summary>Classes, or numbers: 1 or more. <see cref="NextToken"/> does not look at it: it has the vocabulary's.</summary>
    public int Outputs { get; init; } = 1;

    /// <summary>How a sequence becomes one vector, for <see cref="Classes"/> and <see cref="Regression"/>.</summary>
    [JsonConverter(typeof(JsonStringEnumConverter<Pooling>))]
    public Pooling Pool { get; init; }

    /// <summary>What the classes are called, in their order; null: nothing.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>Whether it says something of a sequence as a whole, not of each position.</summary>
    [JsonIgnore]
    public bool IsPooled => Kind is Classes or Regression;

    internal void Validate(InputConfig? input)
    {
        if (Kind is not (NextToken or NextValue or Classes or Regression))
            throw new MambaException($"MambaConfig: head.kind is {Safetensors.Quote(Kind)}; "
                + $"expected '{NextToken}', '{NextValue}', '{Classes}' or '{Regression}'.");
        ConfigField.Positive(Outputs, "head.outputs");
        if (Kind == NextToken && input is not null)
            throw new MambaException($"MambaConfig: head.kind is '{NextToken}', but the model reads numbers (input); expected '{NextValue}'.");
        if (Kind == NextValue && input is null)
            throw new MambaException($"MambaConfig: head.kind is '{NextValue}', but the model reads tokens; expected an input, or '{NextToken}'.");
        if (!IsPooled && input is { Patch: > 1 })
            throw new MambaException($"MambaConfig: input.patch is {input.Patch}, so a position is several steps; "
                + $"a head for {Kind} needs 1: it says something of each step.");
        if (!Enum.IsDefined(Pool))
            throw new MambaException($"MambaConfig: head.pool is {Pool}; expected mean, last or gated.");
        if (Labels is not { } labels)
            return;
        if (Kind != Classes || labels.Count != Outputs)
            throw new MambaException($"MambaConfig: head.labels has {labels.Count} names; "
                + $"expected {(Kind == Classes ? $"{Outputs}, one for each class" : "none: the head has no classes")}.");
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (string? label in labels)
            if (string.IsNullOrEmpty(label) || !seen.Add(label))
                throw new MambaException($"MambaConfig: head.labels has {Safetensors.Quote(label ?? "")}{(string.IsNullOrEmpty(label) ? "" : " twice")}; "
                    + "expected a name of its own for each class.");
    }
}
