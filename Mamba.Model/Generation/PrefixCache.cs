namespace Mamba;

/// <summary>
/// States of a model after prompts it has read. A prompt that begins like one of them need not be read again up to there: a state is small, whatever the
/// length of the prompt. What comes out has the bits of a run that took the prefix and the rest as two pieces.
/// </summary>
/// <param name="model">Whose states they are.</param>
/// <param name="capacity">How many there are at most; the one that was not used for the longest time goes first.</param>
public sealed class PrefixCache(MambaLM model, int capacity = 16) : IDisposable
{
    readonly LinkedList<(int[] Tokens, MambaState State)> entries = new();      // the last one used first

    /// <summary>How many states there are.</summary>
    public int Count => entries.Count;

    /// <summary>Whose states they are.</summary>
    internal MambaLM Model { get; } = model;

    /// <summary>Sets a state to that after the longest prefix known.</summary>
    /// <param name="prompt">The tokens to be read.</param>
    /// <param name="state">Of one sequence; left as it is if no prefix is known.</param>
    /// <returns>The tokens that need not be read; fewer than all, since the last one's logits are wanted.</returns>
    public int Find(ReadOnlySpan<int> prompt, MambaState state)
    {
        LinkedListNode<(int[] Tokens, MambaState State)>? best = null;
        for (LinkedListNode<(int[] Tokens, MambaState State)>? node = entries.First; node is not null; node = node.Next)
            if (node.Value.Tokens.Length < prompt.Length && prompt.StartsWith(node.Value.Tokens) && node.Value.Tokens.Length > (best?.Value.Tokens.Length ?? 0))
                best = node;
        if (best is null)
            return 0;
        entries.Remove(best);
        entries.AddFirst(best);
        state.CopyFrom(best.Value.State);
        return best.Value.Tokens.Length;
    }

    /// <summary>Remembers a state.</summary>
    /// <param name="tokens">All that were read from the start.</param>
    /// <param name="state">The state after them; copied.</param>
    /// <exception cref="MambaException">It is the state of several sequences, or of none of the tokens.</exception>
    public void Add(ReadOnlySpan<int> tokens, MambaState state)
    {
        if (capacity < 1)
            throw new MambaException($"PrefixCache: its capacity is {capacity}; expected 1 or more.");
        if (state.Batch != 1 || tokens.IsEmpty)
            throw new MambaException($"PrefixCache: the state of {state.Batch} sequences after {tokens.Length} tokens; expected of one, after one or more.");
        for (LinkedListNode<(int[] Tokens, MambaState State)>? node = entries.First; node is not null; node = node.Next)
        {
            if (!tokens.SequenceEqual(node.Value.Tokens))
                continue;
            entries.Remove(node);
            node.Value.State.Dispose();
            break;
        }
        entries.AddFirst((tokens.ToArray(), state.Clone()));
        if (entries.Count <= capacity)
            return;
        entries.Last!.Value.State.Dispose();
        entries.RemoveLast();
    }

    /// <summary>Forgets all of them, and gives their memory back.</summary>
    public void Clear()
    {
        foreach ((_, MambaState state) in entries)
            state.Dispose();
        entries.Clear();
    }

    /// <inheritdoc cref="Clear"/>
    public void Dispose() => Clear();
}
