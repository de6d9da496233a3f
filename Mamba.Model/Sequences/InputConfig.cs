using System.Text.Json.Serialization;

namespace Mamba;

/// <summary>What a <see cref="SequenceModel"/> reads when it is not tokens: <c>input</c> in config.json.</summary>
public sealed record InputConfig
{
    /// <summary>Numbers at each step, c: 1 or more.</summary>
    public int Channels { get; init; } = 1;

    /// <summary>
    /// Steps that become one position, p: (b, l, c) is cut into ⌈l / p⌉ patches of p · c numbers, each made a vector by one linear layer. A last patch that
    /// is not full is filled up with 0, once <see cref="Mean"/> and <see cref="Deviation"/> have been used. 1: each step is a position.
    /// </summary>
    public int Patch { get; init; } = 1;

    /// <summary>Taken from each channel first: (c); null: 0.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double>? Mean { get; init; }

    /// <summary>Each channel is then divided by it: (c), above 0; null: 1.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double>? Deviation { get; init; }

    internal void Validate()
    {
        ConfigField.Positive(Channels, "input.channels");
        ConfigField.Positive(Patch, "input.patch");
        if ((long)Channels * Patch > int.MaxValue)
            throw new MambaException($"MambaConfig: input.channels {Channels} by input.patch {Patch} are more numbers in a position than can be counted.");
        Expect(Mean, "input.mean", double.IsFinite, "a number");
        Expect(Deviation, "input.deviation", value => value > 0 && double.IsFinite(value), "a number above 0");

        void Expect(IReadOnlyList<double>? values, string name, Predicate<double> good, string expected)
        {
            if (values is null)
                return;
            if (values.Count != Channels)
                throw new MambaException($"MambaConfig: {name} has {values.Count} numbers; expected {Channels}, one for each channel.");
            foreach (double value in values)
                if (!good(value))
                    throw new MambaException($"MambaConfig: {name} has {value}; expected {expected}.");
        }
    }
}
