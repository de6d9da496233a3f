namespace Mamba;

/// <summary>
/// How well a model foretells a text: −log p of every token but the first, given those before it in its window, or all of them where the state is carried.
/// The same model, text, window and device give the same number, whatever the batch is: it is summed in float64, token by token.
/// </summary>
/// <param name="Tokens">Tokens foretold: all but the first.</param>
/// <param name="Nats">The sum of −log p over them, p the softmax over the padded vocabulary.</param>
/// <param name="Bytes">Bytes of text that they stand for; null where that is not known.</param>
public sealed record Perplexity(long Tokens, double Nats, long? Bytes)
{
    // Logits of one piece, of all windows together: 64 MB in float32.
    const long MostLogits = 1 << 24;

    // Positions of one piece: few enough that activations stay near the processor.
    const int MostPositions = 1 << 13;

    /// <summary>The mean of −log p over the tokens.</summary>
    public double NatsPerToken => Nats / Tokens;

    /// <summary>e to the <see cref="NatsPerToken"/>: among how many equally likely tokens the model is in doubt.</summary>
    public double PerToken => Math.Exp(NatsPerToken);

    /// <summary><see cref="Nats"/> over <see cref="Bytes"/>.</summary>
    public double? NatsPerByte => Nats / Bytes;

    /// <summary>The same in bits.</summary>
    public double? BitsPerByte => NatsPerByte / Math.Log(2);

    /// <summary>Measures it.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tokens">Two or more.</param>
    /// <param name="window">
    /// Tokens that the model reads before it forgets: windows of so many, one behind another. Token i·window + 1 is foretold from token i·window alone,
    /// the next from those two. Null: the state is carried through the whole text.
    /// </param>
    /// <param name="batch">Windows at once at most; by default as many as do some thousand positions.</param>
    /// <param name="progress">Told how many tokens are done, and their nats, now and then.</param>
    /// <param name="stop">Ends the work with an <see cref="OperationCanceledException"/>.</param>
    /// <param name="firstBytes">Bytes of the first token, which do not count; by default 1 where each token is a byte.</param>
    /// <exception cref="MambaException">There are fewer than two tokens, one is outside the vocabulary, or the model's logits are not numbers.</exception>
    public static Perplexity Measure(MambaLM model, TokenSource tokens, int? window = null, int? batch = null, Action<long, double>? progress = null,
        CancellationToken stop = default, int? firstBytes = null)
    {
        if (tokens.Count < 2)
            throw new MambaException($"Perplexity: there {(tokens.Count == 1 ? "is 1 token" : "are no tokens")}; expected two or more.");
        if (window < 1 || batch < 1)
            throw new MambaException($"Perplexity: windows of {window ?? 1}, {batch ?? 1} at once; expected 1 or more.");
        long inputs = tokens.Count - 1, length = Math.Min(window ?? inputs, inputs), windows = (inputs + length - 1) / length;
        int vocabulary = model.Config.PaddedVocabSize;
        long positions = Math.Clamp(MostLogits / vocabulary, 1, MostPositions);
        long rows = Math.Min(windows, batch ?? Math.Max(1, positions / length));
        double nats = 0;
        long done = 0;
        using IDisposable plain = Tape.NoGrad();
        for (long first = 0; first < windows;)
        {
            // The last window may be shorter; it is by itself then.
            long start = first * length, l = Math.Min(length, inputs - start);
            int b = (int)Math.Min(rows, l < length ? 1 : Math.Max(1, (inputs - start) / length));
            long piece = Math.Max(1, positions / b);
            using MambaState state = model.NewState(b);
            double[] ofRow = new double[b];
            for (long at = 0; at < l; at += piece)
            {
                stop.ThrowIfCancellationRequested();
                int n = (int)Math.Min(piece, l - at);
                Add(model, tokens, state, start + at, length, b, n, ofRow);
                done += (long)b * n;
                progress?.Invoke(done, nats + ofRow.Sum());
            }
            foreach (double row in ofRow)
                nats += row;
            first += b;
        }
        if (!double.IsFinite(nats))
            throw new MambaException("Perplexity: the model's logits are infinite or NaN.");
        long? bytes = tokens.Bytes - (firstBytes ?? (tokens.Bytes == tokens.Count ? 1 : 0));
        return new Perplexity(inputs, nats, bytes > 0 ? bytes : null);
    }

    // n positions of b windows, which are a window apart
    static void Add(MambaLM model, TokenSource tokens, MambaState state, long start, long window, int b, int n, double[] ofRow)
    {
        using var scope = new TensorScope();
        int[] read = new int[n + 1], inputs = new int[b * n], targets = new int[b * n];
        for (int row = 0; row < b; row++)
        {
            long from = start + row * window;
            tokens.Read(from, read);
            int wrong = Array.FindIndex(read, id => id < 0 || id >= model.Config.PaddedVocabSize);
            if (wrong >= 0)
                throw new MambaException($"Perplexity: token {from + wrong} is {read[wrong]}; the model knows 0 to {model.Config.PaddedVocabSize - 1}.");
            read.AsSpan(0, n).CopyTo(inputs.AsSpan(row * n));
            read.AsSpan(1, n).CopyTo(targets.AsSpan(row * n));
        }
        Device device = model.Parameters.Device;
        Tensor logits = model.Forward(Tensor.From(inputs, (b, n), device), state);
        double[] losses = Ops.TokenLosses(logits, Tensor.From(targets, (b, n), device)).ToDoubles();
        for (int row = 0; row < b; row++)
            for (int i = 0; i < n; i++)
                ofRow[row] += losses[row * n + i];
    }
}
