namespace Mamba;

/// <summary>What an example is for.</summary>
public enum DataPart
{
    /// <summary>To learn from.</summary>
    Train,

    /// <summary>To choose the weights and settings by.</summary>
    Validation,

    /// <summary>To measure the chosen model by, once.</summary>
    Test,
}
