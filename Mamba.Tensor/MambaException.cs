namespace Mamba;

/// <summary>
/// An error a user can act on, said in one line: which op, which argument, what came, what was expected, where that number came from.
/// The command prints the message and exits with 1; it never prints the stack.
/// </summary>
public sealed class MambaException : Exception
{
    /// <param name="message">One line: which op, which argument, what came, what was expected, where that number came from.</param>
    public MambaException(string message) : base(message) { }

    /// <param name="message">One line, as of the other.</param>
    /// <param name="inner">What was thrown below; the message says what it means.</param>
    public MambaException(string message, Exception inner) : base(message, inner) { }

    /// <summary>What <c>new MambaException($"…")</c> calls: numbers are written as they are read, whatever the culture.</summary>
    public MambaException(InvariantText message) : base(message.Take()) { }

    /// <inheritdoc cref="MambaException(InvariantText)"/>
    public MambaException(InvariantText message, Exception inner) : base(message.Take(), inner) { }
}
