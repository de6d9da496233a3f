namespace Mamba;

/// <summary>
/// Where a model holds what it knows: of a run that went wrong, over corrupted tokens, one value after another is put right, a layer and a position at a
/// time, and what that brings back of the answer is measured. Meng et al. 2022 (arXiv 2202.05262) §2; of Mamba, Sharma et al. 2024 (arXiv 2404.03646).
/// </summary>
public sealed class CausalTracing
{
    CausalTracing(int[] layers, long[] positions, double clean, double corrupted, double[,] restored) =>
        (Layers, Positions, Clean, Corrupted, Restored) = (layers, positions, clean, corrupted, restored);

    /// <summary>The layers that were restored, from 0.</summary>
    public IReadOnlyList<int> Layers { get; }

    /// <summary>The positions that were restored, from 0.</summary>
    public IReadOnlyList<long> Positions { get; }

    /// <summary>The quantity of the clean run.</summary>
    public double Clean { get; }

    /// <summary>The quantity of the corrupted run.</summary>
    public double Corrupted { get; }

    /// <summary>(layers, positions): the quantity of the corrupted run with one value restored.</summary>
    public double[,] Restored { get; }

    /// <summary>(layers, positions): how much of the difference came back; 0 nothing, 1 all. NaN where the two runs do not differ.</summary>
    public double[,] Share
    {
        get
        {
            double[,] share = new double[Layers.Count, Positions.Count];
            for (int i = 0; i < Layers.Count; i++)
                for (int j = 0; j < Positions.Count; j++)
                    share[i, j] = Clean == Corrupted ? double.NaN : (Restored[i, j] - Corrupted) / (Clean - Corrupted);
            return share;
        }
    }

    /// <summary>
    /// Restores every layer and position in turn. That is as many runs as there are pairs, each from the restored position on: what is before it is as in
    /// the corrupted run.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="clean">(b, l) int32: the tokens of the right run.</param>
    /// <param name="corrupted">(b, l) int32: those of the other, with a changed name or word.</param>
    /// <param name="quantity">What is measured, such as the log probability of the right answer.</param>
    /// <param name="site">What is restored: the states, all that a layer remembers at a position, unless said.</param>
    /// <param name="layers">Null: all.</param>
    /// <param name="positions">Null: all.</param>
    /// <param name="stop">Ends it with an <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="MambaException">The tokens differ in shape, or what was chosen is not there.</exception>
    public static CausalTracing Run(MambaLM model, Tensor clean, Tensor corrupted, Quantity quantity, Site site = Site.H, Indices? layers = null,
        Indices? positions = null, CancellationToken stop = default)
    {
        if (clean.Shape != corrupted.Shape)
            throw new MambaException($"CausalTracing: the clean tokens are {clean.Shape}, the corrupted ones {corrupted.Shape}; expected the same shape.");
        using IDisposable pause = Tape.NoGrad();
        using ModelTrace right = model.Trace(clean, new TraceSettings { Layers = layers, Values = TraceSettings.ValueOf(site) });
        long l = clean.Shape[1];
        if (positions is { IsEmpty: true } || positions?.Largest >= l || positions is { Largest: null })
            throw new MambaException($"CausalTracing: positions {positions} were asked for; the sequence has 0 to {l - 1}.");
        long[] where = [.. (positions ?? ..).Within(0, l)];
        int[] chosen = [.. right.Layers.Select(layer => layer.Index)];
        var restored = new double[chosen.Length, where.Length];
        int[] cleanIds = clean.ToArray<int>(), ids = corrupted.ToArray<int>();
        using var scope = new TensorScope();
        Tensor wrong = model.Forward(corrupted);
        using MambaState before = model.NewState(clean.Shape[0]);
        for (int j = 0; j < where.Length; j++)
        {
            using var ofPosition = new TensorScope();
            long at = where[j], done = before.Position;
            if (at > done)
                model.Forward(Ops.Slice(corrupted, 1, done, at - done), before);
            Tensor rest = Ops.Slice(corrupted, 1, at, l - at);
            for (int i = 0; i < chosen.Length; i++)
            {
                stop.ThrowIfCancellationRequested();
                using var ofLayer = new TensorScope();
                using MambaState state = before.Clone();
                Tensor logits = model.Forward(rest, state, hooks: [Hook.Patch(site, right, chosen[i], (int)at)]);
                restored[i, j] = Value(at == 0 ? logits : Ops.Concat(1, Ops.Slice(wrong, 1, 0, at), logits), ids);
            }
        }
        return new CausalTracing(chosen, where, Value(right.Logits, cleanIds), Value(wrong, ids), restored);

        double Value(Tensor logits, int[] tokens) =>
            quantity.In(logits, new Quantity.Part(tokens, l, 0, model.Config.VocabSize))?.Item() ?? 0;
    }
}
