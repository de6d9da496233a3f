namespace Mamba;

/// <summary>Why a sequence ended.</summary>
public enum FinishReason
{
    /// <summary>It did not.</summary>
    None,

    /// <summary>With as many tokens as were asked for.</summary>
    Length,

    /// <summary>With the token that ends a text.</summary>
    EndOfText,

    /// <summary>With a stop string, which is not part of the text.</summary>
    Stop,
}
