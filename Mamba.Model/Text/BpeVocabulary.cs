namespace Mamba;

/// <summary>What a byte-level BPE tokenizer is made of, wherever it was found: in a tokenizer.json, or in a GGUF file.</summary>
internal sealed record BpeVocabulary
{
    /// <summary>By id, in the alphabet of GPT-2 that writes each byte as a printable character; added tokens as they are. Null where an id has none.</summary>
    public required IReadOnlyList<string?> Tokens { get; init; }

    /// <summary>Pairs to be joined, the first ones first.</summary>
    public required IReadOnlyList<(string Left, string Right)> Merges { get; init; }

    /// <summary>Tokens that are found in the text before anything else is done with it, by id.</summary>
    public IReadOnlyDictionary<int, AddedToken> Added { get; init; } = new Dictionary<int, AddedToken>();

    /// <summary>The regular expression whose matches are the words; null: GPT-2's.</summary>
    public string? Pattern { get; init; }

    /// <summary>Regular expressions whose matches are cut out of the words of <see cref="Pattern"/>, one after another.</summary>
    public IReadOnlyList<string> FurtherPatterns { get; init; } = [];

    /// <summary>The same, for words written in the alphabet of GPT-2: Falcon's tokenizer looks for digits there.</summary>
    public IReadOnlyList<string> PatternsOfBytes { get; init; } = [];

    /// <summary>The name that llama.cpp has for <see cref="Pattern"/>: <c>tokenizer.ggml.pre</c>.</summary>
    public string? Pre { get; init; }

    /// <summary>Whether the text is brought into Unicode's form NFC first.</summary>
    public bool IsNfc { get; init; }

    /// <summary>Whether a text that does not begin with a space gets one.</summary>
    public bool AddsPrefixSpace { get; init; }

    /// <summary>Whether a word that is a token is that token, whatever the merges make of it.</summary>
    public bool IgnoresMerges { get; init; }

    /// <summary>Whether a text that a model is to read begins with <see cref="BeginOfText"/>.</summary>
    public bool AddsBeginOfText { get; init; }

    /// <summary>The token that begins a text, or null.</summary>
    public int? BeginOfText { get; init; }

    /// <summary>The token that ends a text, or null.</summary>
    public int? EndOfText { get; init; }

    /// <summary>A token that is found in the text as it is.</summary>
    /// <param name="Content">The text.</param>
    /// <param name="IsSpecial">It says something about the text instead of being part of it: end-of-text.</param>
    /// <param name="IsNormalized">It is looked for after the text was brought into form NFC, in what other added tokens left of it.</param>
    public readonly record struct AddedToken(string Content, bool IsSpecial, bool IsNormalized = false);
}
