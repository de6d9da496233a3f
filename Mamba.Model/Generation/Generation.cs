namespace Mamba;

/// <summary>How to go on from a prompt.</summary>
public sealed record Generation
{
    /// <summary>Tokens to add at most.</summary>
    public int MaxTokens { get; init; } = 128;

    /// <summary>Which token comes next.</summary>
    public Sampler Sampler { get; init; } = Sampler.Greedy;

    /// <summary>
    /// Of the draws. The draw for a token depends on this and on how many tokens are before it, so a prompt has the same continuation alone and among
    /// others, in one run and in two with the state saved between.
    /// </summary>
    public ulong Seed { get; init; }

    /// <summary>Makes text of tokens; null where only ids are wanted.</summary>
    public Tokenizer? Tokenizer { get; init; }

    /// <summary>Strings that end the text where they appear, also across tokens. They need a tokenizer.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Goes on behind the token that ends a text.</summary>
    public bool IgnoreEndOfText { get; init; }

    /// <summary>The token that ends a text; by default the tokenizer's.</summary>
    public int? EndOfText { get; init; }

    /// <summary>
    /// The state to go on from, of one sequence; the prompt may then be empty if it has a token <see cref="MambaState.Pending"/>. It moves on: after each
    /// token it is the state that the next one is computed from, and at the end can be saved and gone on from. Null: from nothing.
    /// </summary>
    public MambaState? State { get; init; }

    /// <summary>States of prompts before this one, to begin where the longest of them ends; the state after this prompt is added. For one prompt.</summary>
    public PrefixCache? Cache { get; init; }

    /// <summary>
    /// What is changed inside the blocks at every token, one after another: to steer what is made. Those that choose positions are for one prompt; none go with
    /// a cache.
    /// </summary>
    public IReadOnlyList<Hook> Hooks { get; init; } = [];
}
