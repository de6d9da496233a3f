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
    /// <exception cref="MambaException">A number is less than 1.</exception>
    public SequencePieces(long batch, long length, int piece, Func<long, int, Tensor> read)
    {
        if (batch < 1 || length < 1 || piece < 1)
            throw new MambaException($"SequencePieces: {batch} sequences of {length} steps in pieces of {piece}; expected 1 or more of each.");
        (Batch, this.length, this.piece, this.read) = (batch, length, piece, read);
    }

    /// <summary>The tokens of a source, (1, l), read as they are needed.</summary>
    /// <param name="tokens">A FASTA file, a text, …; 1 token or more.</param>
    /// <param name="piece">Tokens of a piece.</param>
    /// <param name="device">Where the model is.</param>
    /// <exception cref="MambaException">There are no tokens.</exception>
    public static SequencePieces Of(TokenSource tokens, int piece, Device device) => new(1, tokens.Count, piece, (start, count) =>
    {
        int[] ids = new int[count];
        tokens.Read(start, ids);
        return Tensor.From(ids, (1, count), device);
    });

    /// <summary>b.</summary>
    public long Batch { get; }

    /// <summary>Number of pieces.</summary>
    public int Count => checked((int)((length + piece - 1) / piece));

    internal Tensor Read(int i) => read((long)i * piece, (int)Math.Min(piece, length - (long)i * piece));

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
    /// <exception cref="MambaException">The head says something of each position, or the model reads in both directions.</exception>
    public double Backward(SequenceModel model, Func<Tensor, Tensor> loss, Gradients into, CancellationToken stop = default)
    {
        using MambaState state = model.NewState(Batch);
        var before = new List<MambaState>();
        try
        {
            return Run(model, loss, into, state, before, stop);
        }
        finally
        {
            foreach (MambaState kept in before)
                kept.Dispose();
        }
    }

    double Run(SequenceModel model, Func<Tensor, Tensor> loss, Gradients into, MambaState state, List<MambaState> before, CancellationToken stop)
    {
        var pooled = new PooledSums(model, Batch);
        using (Tape.NoGrad())
            for (int i = 0; i < Count; i++)
            {
                stop.ThrowIfCancellationRequested();
                before.Add(state.Clone());
                using var scope = new TensorScope();
                Tensor features = model.Features(Read(i), null, state);
                pooled.Add(model.PartialSums(features), features.Shape[1]);
            }

        using var gradientsOfStates = new TensorScope();
        (double value, Tensor[] dSums) = OfHead();
        Tensor?[]? dState = null;           // of the state after the piece
        for (int i = Count - 1; i >= 0; i--)
        {
            stop.ThrowIfCancellationRequested();
            bool isLast = i == Count - 1;
            using var tape = new Tape();
            Tensor[] leaves = before[i].Begin();
            Tensor[] sums = model.PartialSums(model.Features(Read(i), null, before[i]));
            var seeds = new List<(Tensor, Tensor)>();
            if (isLast || model.PoolKind != Pooling.Last)
                seeds.AddRange(sums.Zip(dSums));
            if (dState is not null)
                seeds.AddRange(before[i].Recorded().Zip(dState).Where(pair => pair.Second is not null).Select(pair => (pair.First, pair.Second!)));
            tape.Backward(seeds, into);
            Tensor?[]? used = dState;
            dState = Array.ConvertAll(leaves, leaf => into.Release(leaf) is { } gradient ? tape.Keep(gradient.Clone()) : null);
            foreach (Tensor? old in used ?? [])
                old?.Dispose();
        }
        return value;

        (double, Tensor[]) OfHead()
        {
            using var tape = new Tape();
            Tensor[] sums = Array.ConvertAll(pooled.Tensors(), Tape.Watch);
            Tensor l = loss(model.Finish(sums, pooled.Positions));
            Gradients gradients = tape.Backward(l, into);
            return (l.Item(), Array.ConvertAll(sums, sum => tape.Keep(gradients.Release(sum)!.Clone())));
        }
    }
}
