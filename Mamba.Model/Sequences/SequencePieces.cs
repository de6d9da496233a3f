namespace Mamba;

/// <summary>
/// A long sequence as a <see cref="SequenceModel"/> reads it: in pieces, of which one is in memory at a time. <see cref="SequenceModel.Forward(SequencePieces,
/// CancellationToken)"/> says what it is; <see cref="Backward"/> has the exact gradient of all of it, not that of a truncated one.
/// </summary>
public sealed class SequencePieces
{
    readonly long length;
    readonly int piece;
    readonly Func<long, int, Tensor> read;

    /// <param name="batch">b: sequences, all of one length.</param>
    /// <param name="length">l: steps of each, 1 or more.</param>
    /// <param name="piece">Steps of a piece, 1 or more; the last may be shorter.</param>
    /// <param name="read">From a start and a count to x (b, count) or (b, count, c), as the model reads it. Called several times for a piece.</param>
    /// <exception cref="MambaException">A number is less than 1, or there are more pieces than can be counted.</exception>
    public SequencePieces(long batch, long length, int piece, Func<long, int, Tensor> read)
    {
        if (batch < 1 || length < 1 || piece < 1)
            throw new MambaException($"SequencePieces: {batch} sequences of {length} steps in pieces of {piece}; expected 1 or more of each.");
        long count = (length - 1) / piece + 1;
        if (count > Array.MaxLength)
            throw new MambaException($"SequencePieces: {length} steps in pieces of {piece} are {count} pieces; expected {Array.MaxLength} at most.");
        (Batch, this.length, this.piece, this.read, Count) = (batch, length, piece, read, (int)count);
    }

    /// <summary>The tokens of a source, (1, l), read as they are needed.</summary>
    /// <param name="tokens">A FASTA file, a text, …; 1 token or more.</param>
    /// <param name="piece">Tokens of a piece.</param>
    /// <param name="device">Where the model is.</param>
    /// <exception cref="MambaException">There are no tokens, or a piece has none.</exception>
    public static SequencePieces Of(TokenSource tokens, int piece, Device device) => new(1, tokens.Count, piece, (start, count) =>
    {
        int[] ids = new int[count];
        tokens.Read(start, ids);
        return Tensor.From(ids, (1, count), device);
    });

    /// <summary>b.</summary>
    public long Batch { get; }

    /// <summary>Number of pieces.</summary>
    public int Count { get; }

    internal Tensor Read(int i)
    {
        int count = (int)Math.Min(piece, length - (long)i * piece);
        Tensor x = read((long)i * piece, count);
        return x.Shape.Rank >= 2 && x.Shape[0] == Batch && x.Shape[1] == count ? x
            : throw new MambaException($"SequencePieces: read gave {x.Describe()} for steps {(long)i * piece} to {(long)i * piece + count}; "
                + $"expected ({Batch}, {count}, …).");
    }

    /// <summary>Throws one clear line unless the model can read in pieces, and these ones.</summary>
    internal void Expect(SequenceModel model)
    {
        if (!model.Config.Head!.IsPooled)
            throw new MambaException($"SequencePieces: the head is for {model.Config.Head.Kind}, which it says at each position; "
                + $"expected '{HeadConfig.Classes}' or '{HeadConfig.Regression}', which say one thing of all.");
        if (Count > 1 && piece % model.Patch != 0)
            throw new MambaException($"SequencePieces: the pieces are of {piece} steps; expected a multiple of the model's patch, {model.Patch}.");
    }

    /// <summary>
    /// The loss of the whole sequence and its gradient by every weight, exactly: as one tape over all of it would give it, to rounding. A first pass keeps the
    /// state before each piece, a second goes through the pieces from the last to the first, each computed again on a tape of its own, with the gradient of
    /// the state that it leaves. It takes the memory of a piece, of a state for each piece, and the time of one more forward. Chen et al. 2016 (arXiv
    /// 1604.06174), with the state as the checkpoint.
    /// </summary>
    /// <param name="model">Reads in one direction, and has a head for the sequence as a whole.</param>
    /// <param name="loss">From what the head says, (b, outputs), to one element.</param>
    /// <param name="into">The gradients to add to: <c>new Gradients(model.Parameters)</c>, made outside of any tape that closes before they are used.</param>
    /// <param name="stop">Ends the work with an <see cref="OperationCanceledException"/>.</param>
    /// <returns>The loss.</returns>
    /// <exception cref="MambaException">The head is for each position, the model reads in both directions, or a piece is no whole patches.</exception>
    public double Backward(SequenceModel model, Func<Tensor, Tensor> loss, Gradients into, CancellationToken stop = default)
    {
        Expect(model);
        var before = new Stack<MambaState>();       // the states before the pieces
        try
        {
            PooledSums pooled = FirstPass(model, before, stop);
            return SecondPass(model, loss, into, pooled, before, stop);
        }
        finally
        {
            foreach (MambaState state in before)
                state.Dispose();
        }
    }

    PooledSums FirstPass(SequenceModel model, Stack<MambaState> before, CancellationToken stop)
    {
        using IDisposable plain = Tape.NoGrad();
        using MambaState state = model.NewState(Batch);
        var pooled = new PooledSums(model, Batch);
        for (int i = 0; i < Count; i++)
        {
            stop.ThrowIfCancellationRequested();
            before.Push(state.Clone());
            using var scope = new TensorScope();
            Tensor features = model.Features(Read(i), state: state);
            pooled.Add(model.PartialSums(features), features.Shape[1]);
        }
        return pooled;
    }

    double SecondPass(SequenceModel model, Func<Tensor, Tensor> loss, Gradients into, PooledSums pooled, Stack<MambaState> before, CancellationToken stop)
    {
        using var kept = new TensorScope();
        (double value, Tensor?[] dSums) = OfHead();
        Tensor?[] dState = [];              // ∂loss/∂state after the piece; after the last, nothing asks for it
        for (int i = Count - 1; i >= 0; i--)
        {
            stop.ThrowIfCancellationRequested();
            using MambaState state = before.Pop();
            using var tape = new Tape();
            Tensor[] start = state.Begin();
            Tensor[] sums = model.PartialSums(model.Features(Read(i), state: state));
            var seeds = new List<(Tensor, Tensor)>();
            if (i == Count - 1 || model.PoolKind != Pooling.Last)
                Seed(sums, dSums);
            if (i < Count - 1)
                Seed(state.Recorded(), dState);
            tape.Backward(seeds, into);
            foreach (Tensor? used in dState)
                used?.Dispose();
            dState = Array.ConvertAll(start, Taken);

            void Seed(Tensor[] outputs, Tensor?[] gradients)
            {
                foreach ((Tensor output, Tensor? gradient) in outputs.Zip(gradients))
                    if (gradient is not null)
                        seeds.Add((output, gradient));
            }
        }
        return value;

        (double, Tensor?[]) OfHead()
        {
            using var tape = new Tape();
            Tensor[] sums = Array.ConvertAll(pooled.Tensors(), Tape.Watch);
            Tensor l = loss(model.Finish(sums, pooled.Positions));
            tape.Backward(l, into);
            return (l.Item(), Array.ConvertAll(sums, Taken));
        }

        // out of the tape that closes, to the scope around it
        Tensor? Taken(Tensor watched) => into.Release(watched) is { } gradient ? Tape.Recording!.Keep(gradient.Clone()) : null;
    }
}
