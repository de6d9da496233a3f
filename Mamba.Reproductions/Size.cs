namespace Mamba.Reproductions;

/// <summary>How large a reproduction is.</summary>
public enum Size
{
    /// <summary>Seconds: it runs through, and what it claims need not hold.</summary>
    Quick,

    /// <summary>Minutes on two cores: what it claims holds.</summary>
    Reduced,

    /// <summary>The paper's own.</summary>
    Full,
}
