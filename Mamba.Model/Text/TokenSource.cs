namespace Mamba;

/// <summary>Tokens by position, as many as there are: of an array, of a file larger than the memory, or of what a program makes up.</summary>
public abstract class TokenSource : IDisposable
{
    bool isClosed;

    /// <summary>How many tokens there are.</summary>
    public abstract long Count { get; }

    /// <summary>The bytes of text that the tokens stand for; null where that is not known.</summary>
    public virtual long? Bytes => null;

    /// <summary>Reads tokens. Several threads may do so at once.</summary>
    /// <param name="position">The first of them, from 0.</param>
    /// <param name="tokens">Filled whole: position + its length is at most <see cref="Count"/>.</param>
    /// <exception cref="MambaException">There are no such tokens, or the file cannot be read.</exception>
    public void Read(long position, Span<int> tokens)
    {
        if (position < 0 || position > Count - tokens.Length)
            throw new MambaException($"TokenSource: tokens {position} to {position + tokens.Length} were asked for; there are {Count}.");
        Fill(position, tokens);
    }

    /// <summary><see cref="Read"/>, of tokens that there are.</summary>
    /// <param name="position">The first of them.</param>
    /// <param name="tokens">To be filled whole.</param>
    protected abstract void Fill(long position, Span<int> tokens);

    /// <summary>The bytes of a file, each a token from 0 to 255. The file is mapped into memory, not read into it.</summary>
    /// <param name="path">Any file, of any size.</param>
    /// <exception cref="MambaException">It cannot be read.</exception>
    public static TokenSource OfFile(string path) => new FileTokens(path);

    /// <summary>
    /// The tokens of a text file, which is encoded piece by piece into a file that nobody sees. Bytes that are no UTF-8 are read as U+FFFD, but by a
    /// <see cref="ByteTokenizer"/>, which takes any.
    /// </summary>
    /// <param name="path">Any file, of any size.</param>
    /// <param name="tokenizer">From text to tokens.</param>
    /// <param name="stop">Ends the work with an <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="MambaException">It cannot be read.</exception>
    public static TokenSource OfText(string path, Tokenizer tokenizer, CancellationToken stop = default) =>
        tokenizer is ByteTokenizer ? OfFile(path) : EncodedTokens.Encode(path, tokenizer, stop);

    /// <summary>
    /// The sequences of a FASTA file, end to end, with the alphabet's unknown letter (N) between two of them; those without a letter are passed over. It counts
    /// a byte a token: bits a byte are bits a base.
    /// </summary>
    /// <param name="path">FASTA, plain or compressed by gzip.</param>
    /// <param name="alphabet">From letters to tokens; one without an unknown letter is for a file of one sequence.</param>
    /// <param name="stop">Ends the work with an <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="MambaException">It cannot be read, or a letter is none: the file, line and column.</exception>
    public static TokenSource OfFasta(string path, Alphabet alphabet, CancellationToken stop = default) =>
        FastaTokens.Encode(path, alphabet, stop);

    /// <summary>Tokens in memory.</summary>
    /// <param name="tokens">Looked at, not copied.</param>
    public static TokenSource Of(ReadOnlyMemory<int> tokens) => new TokensInMemory(tokens);

    /// <summary>A part of the tokens: the last tenth, to be held out. Its bytes are known where each token is one.</summary>
    /// <param name="start">The first.</param>
    /// <param name="count">How many.</param>
    /// <returns>It reads from this source, which must stay open.</returns>
    /// <exception cref="MambaException">There are no such tokens.</exception>
    public TokenSource Slice(long start, long count) => start >= 0 && count >= 0 && start <= Count - count
        ? new TokensSlice(this, start, count)
        : throw new MambaException($"TokenSource: {count} tokens from {start} were asked for; there are {Count}.");

    /// <summary>Closes its file.</summary>
    public void Dispose()
    {
        if (!isClosed)
            Dispose(true);
        isClosed = true;
        GC.SuppressFinalize(this);
    }

    /// <summary>Closes what it opened.</summary>
    /// <param name="disposing">Whether <see cref="Dispose()"/> was called.</param>
    protected virtual void Dispose(bool disposing)
    {
    }

    sealed class TokensInMemory(ReadOnlyMemory<int> all) : TokenSource
    {
        public override long Count => all.Length;

        protected override void Fill(long position, Span<int> tokens) => all.Span.Slice((int)position, tokens.Length).CopyTo(tokens);
    }

    sealed class TokensSlice(TokenSource whole, long start, long count) : TokenSource
    {
        public override long Count => count;

        public override long? Bytes => whole.Bytes == whole.Count ? count : null;

        protected override void Fill(long position, Span<int> tokens) => whole.Fill(start + position, tokens);
    }
}
