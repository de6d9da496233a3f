namespace Mamba;

/// <summary>One sequence of a task, made as it is read: a million tokens need no array of a million.</summary>
public abstract class TaskSequence
{
    /// <summary>Tokens read so far.</summary>
    public int Position { get; private set; }

    /// <summary>The next token and its target; <see cref="SequenceTask.Ignore"/> where nobody asks.</summary>
    protected abstract (int Token, int Target) Next();

    /// <summary>Reads on: as many tokens, and their targets, as the spans are long.</summary>
    /// <param name="tokens">Filled.</param>
    /// <param name="targets">Filled; as long.</param>
    public void Read(Span<int> tokens, Span<int> targets)
    {
        for (int i = 0; i < tokens.Length; i++)
        {
            (tokens[i], targets[i]) = Next();
            Position++;
        }
    }
}
