namespace Mamba;

/// <summary>What a field of a config may be; throws one clear line for what it may not.</summary>
internal static class ConfigField
{
    public static void Positive(int value, string name) => Between(value, 1, int.MaxValue, name);

    public static void Between(int value, int low, int high, string name)
    {
        if (value < low || value > high)
            throw new MambaException($"MambaConfig: {name} is {value}; expected {(high == int.MaxValue ? $"{low} or more" : $"{low} to {high}")}.");
    }

    // Beyond float32 an epsilon would be infinite, and every output 0.
    public static void NotNegative(double value, string name)
    {
        if (!(value >= 0 && value <= float.MaxValue))
            throw new MambaException($"MambaConfig: {name} is {value}; expected a number from 0 to {float.MaxValue}.");
    }
}
