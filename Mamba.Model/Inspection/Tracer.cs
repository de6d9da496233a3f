using System.Globalization;

namespace Mamba;

/// <summary>
/// Runs a model and hands on what it sees inside. A long sequence goes in pieces: forward, each from the state after the piece before; then, for gradients,
/// backward, each computed anew from the state it began with, and ∂L/∂state handed to the piece before it. No more than a piece is held.
/// </summary>
internal sealed class Tracer
{
    /// <summary>Numbers of one array of states, or probabilities, that are worked on at a time: 16 or 32 MB.</summary>
    const int PieceNumbers = 1 << 22;

    const int LongestPiece = 1024;

    readonly MambaLM model;
    readonly TraceSettings options;
    readonly Tensor tokens;
    readonly int[] ids;
    readonly long b, l;
    readonly int[] layers;
    readonly int vocabulary;

    public Tracer(MambaLM model, Tensor tokens, TraceSettings options)
    {
        if (tokens.DType != DType.Int32 || tokens.Shape.Rank != 2 || tokens.Count == 0)
            throw new MambaException($"Trace: tokens are {tokens.DType.Name()} {tokens.Shape}; expected int32 (b, l), one or more.");
        if (options.Likeliest < 1)
            throw new MambaException($"Trace: the {options.Likeliest} likeliest tokens were asked for; expected 1 or more.");
        if (options.Piece < 1)
            throw new MambaException($"Trace: pieces of {options.Piece} tokens were asked for; expected 1 or more.");
        (this.model, this.tokens, this.options, vocabulary) = (model, tokens, options, model.Config.VocabSize);
        (b, l, ids) = (tokens.Shape[0], tokens.Shape[1], tokens.ToArray<int>());
        int all = model.Backbone.Layers.Count;
        if (options.Layers is { } chosen && (chosen.IsEmpty || chosen.Largest is not { } largest || largest >= all))
            throw new MambaException($"Trace: layers {chosen} were asked for; the model has 0 to {all - 1}.");
        layers = [.. Enumerable.Range(0, all).Where(i => options.Layers?.Contains(i) ?? true)];
        foreach (Hook hook in options.Hooks)
            hook.Expect(all, l);
    }

    public IReadOnlyList<int> Layers => layers;

    /// <summary>The value of the quantity; 0 if there is none.</summary>
    public double Value { get; private set; }

    /// <summary>The arrays there will be, gradients apart: a run over the first tokens tells. Their values are no longer there.</summary>
    public IReadOnlyList<TraceArray> Plan()
    {
        var plan = new List<TraceArray>();
        using var scope = new TensorScope();
        using MambaState state = model.NewState(b);
        long few = Math.Min(2, l);
        var first = new Tracer(model, Ops.Slice(tokens, 1, 0, few).Clone(), options with { Hooks = [], Quantity = null, Reset = null, Progress = null });
        first.Forward(state, 0, few, new Planned(l - few, plan), constants: true);
        return plan;
    }

    sealed class Planned(long rest, List<TraceArray> plan) : ITraceSink
    {
        public void Write(in TraceArray array, long first) => plan.Add(array with { Length = array.Length + rest });
    }

    /// <summary>As many tokens at a time as make <see cref="PieceNumbers"/> of the largest of the arrays.</summary>
    public static int UsualPiece(IEnumerable<TraceArray> plan)
    {
        long token = plan.Where(array => array.Length is not null).Select(array => array.Values.Count / array.Values.Shape[1]).DefaultIfEmpty(1).Max();
        return (int)Math.Clamp(PieceNumbers / token, 1, LongestPiece);
    }

    /// <summary>Runs the model.</summary>
    /// <param name="sink">Where the arrays go.</param>
    /// <param name="most">Tokens of a piece at most.</param>
    /// <returns>The logits (b, l, v), owned by nobody, where the sequence goes whole.</returns>
    public Tensor? Run(ITraceSink sink, long most)
    {
        long piece = options.Quantity is { TakesPieces: false } ? l : Math.Min(l, most);
        long count = (l + piece - 1) / piece;
        var starts = new List<MambaState>();
        try
        {
            using IDisposable pause = Tape.NoGrad();
            Tensor? logits = null;
            using MambaState state = model.NewState(b);
            bool onceOnly = count == 1 && options.Quantity is not null;         // its backward pass has the values too
            for (long i = 0; i < count && !onceOnly; i++)
            {
                if (options.Quantity is not null)
                    starts.Add(state.Clone());
                Say(i);
                using var scope = new TensorScope();
                Tensor these = Forward(count == 1 ? null : state, i * piece, Math.Min(piece, l - i * piece), sink, constants: i == 0);
                logits = count == 1 ? these.Clone().Unowned() : null;
            }
            if (options.Quantity is null)
                return logits;
            Tensor?[] dState = new Tensor?[state.Named().Count()];
            for (long i = count - 1; i >= 0; i--)
            {
                Say(2 * count - 1 - i);
                using var tape = new Tape();
                (Tensor these, dState) = Backward(count == 1 ? null : starts[(int)i], dState, i * piece, Math.Min(piece, l - i * piece), sink, onceOnly);
                logits = count == 1 ? these.Clone().Unowned() : null;
            }
            foreach (Tensor? rest in dState)
                rest?.Dispose();
            return logits;

            void Say(long done) => options.Progress?.Invoke((double)done / (options.Quantity is null ? count : 2 * count));
        }
        finally
        {
            foreach (MambaState start in starts)
                start.Dispose();
        }
    }

    /// <summary>The logits of some tokens; the values go to the sink.</summary>
    Tensor Forward(MambaState? state, long first, long count, ITraceSink sink, bool constants, List<(int Layer, ScanRecord Record)>? kept = null,
        bool values = true)
    {
        Tensor these = Part(tokens, first, count);
        var records = new Dictionary<int, ScanRecord>();
        return model.Run(these, state, options.Reset is null ? null : Part(options.Reset, first, count), options.Hooks, i =>
        {
            options.Stop.ThrowIfCancellationRequested();
            if (!layers.Contains(i))
                return null;
            ScanRecord record = records[i] = new ScanRecord(options.Values, Named(i));
            kept?.Add((i, record));
            return record;
        }, (i, residual) =>
        {
            if (!values || !records.TryGetValue(i, out ScanRecord? record))
                return;
            record.WriteValues(constants);
            if (constants && model.Backbone.Layers[i].Mixer is MambaBlock { ConvWeight: var weight })
                sink.Write(new TraceArray(TraceFile.NameOf(i, "conv"), weight.Value.View((weight.Shape[0], weight.Shape[2])), null), first);
            if (options.Values.HasFlag(TraceValues.Predictions))
                Predict(i, residual(), first, sink);
        });

        Action<string, Tensor, bool, bool> Named(int layer) => (name, array, ofTokens, ofStates) =>
            sink.Write(new TraceArray(TraceFile.NameOf(layer, name), array, ofTokens ? l : null, ofStates), first);
    }

    /// <summary>The logits of some tokens again, and ∂L/∂(the state before them); the gradients go to the sink.</summary>
    (Tensor Logits, Tensor?[] DState) Backward(MambaState? start, Tensor?[] dAfter, long first, long count, ITraceSink sink, bool values)
    {
        var records = new List<(int, ScanRecord Record)>();
        StateTensor[] tensors = start is null ? [] : [.. start.Named().Select(named => named.Tensor)];
        Tensor[] before = [.. tensors.Select(tensor => Tape.Watch(tensor.Value.Clone()))];
        if (start is not null)
            start.CarryGradient = true;
        for (int i = 0; i < tensors.Length; i++)
            tensors[i].Write(before[i]);
        Tensor logits = Forward(start, first, count, sink, constants: true, records, values);
        var seeds = new List<(Tensor, Tensor)>();
        if (options.Quantity!.In(logits, new Quantity.Part(ids, l, first, vocabulary)) is { } part)
        {
            Value += part.Item();
            seeds.Add((part, Ops.Fill(part.Like(), 1)));
        }
        for (int i = 0; i < tensors.Length; i++)
            if (dAfter[i] is { } d)
                seeds.Add((tensors[i].Read(), d));
        Gradients gradients = Tape.Recording!.Backward(seeds);
        foreach ((_, ScanRecord record) in records)
            record.WriteGradients(gradients);
        foreach (Tensor? used in dAfter)
            used?.Dispose();
        return (logits, [.. before.Select(state => gradients.Contains(state) ? gradients[state].Clone().Unowned() : null)]);
    }

    Tensor Part(Tensor values, long first, long count) => count == l ? values : Ops.Slice(values, 1, first, count);

    /// <summary>The likeliest next tokens after a layer, and the probability of the one that comes.</summary>
    void Predict(int layer, Tensor residual, long first, ITraceSink sink)
    {
        using IDisposable pause = Tape.NoGrad();
        using var scope = new TensorScope();
        long count = residual.Shape[1];
        int k = Math.Min(options.Likeliest, vocabulary);
        Tensor normed = Ops.Reshape(model.Backbone.Norm(residual), (b * count, residual.Shape[2]));
        double[] top = new double[b * count * k], next = new double[b * Math.Min(count, l - 1 - first)], row = new double[vocabulary];
        int[] topIds = new int[top.Length];
        long atOnce = Math.Max(1, PieceNumbers / vocabulary);
        for (long start = 0; start < b * count; start += atOnce)
        {
            using var some = new TensorScope();
            Tensor logits = Ops.Linear(normed.Rows(start, Math.Min(atOnce, b * count - start)), model.Head);
            double[] p = Ops.Softmax(Ops.Slice(logits, 1, 0, vocabulary)).ToDoubles();
            for (long r = start; r < start + p.Length / vocabulary; r++)
            {
                Array.Copy(p, (r - start) * vocabulary, row, 0, vocabulary);
                int[] best = Best(row, k);
                long sequence = r / count, t = r % count;
                for (int j = 0; j < k; j++)
                    (topIds[r * k + j], top[r * k + j]) = (best[j], row[best[j]]);
                if (first + t + 1 < l)
                    next[sequence * (next.Length / b) + t] = row[ids[sequence * l + first + t + 1]];
            }
        }
        Device device = residual.Device;
        sink.Write(new TraceArray(TraceFile.NameOf(layer, "top_ids"), Tensor.From(topIds, (b, count, k), device), l), first);
        sink.Write(new TraceArray(TraceFile.NameOf(layer, "top_p"), Tensor.From(top, (b, count, k), residual.DType, device), l), first);
        if (next.Length > 0)
            sink.Write(new TraceArray(TraceFile.NameOf(layer, "next_p"), Tensor.From(next, (b, next.Length / b), residual.DType, device), l - 1), first);
    }

    // The largest first, of equals the first; NaN last.
    static int[] Best(double[] values, int k)
    {
        var queue = new PriorityQueue<int, (double, int)>();        // the worst of the best is on top
        for (int i = 0; i < values.Length; i++)
        {
            (double, int) rank = (double.IsNaN(values[i]) ? double.NegativeInfinity : values[i], -i);
            if (queue.Count < k)
                queue.Enqueue(i, rank);
            else if (queue.TryPeek(out _, out (double, int) worst) && rank.CompareTo(worst) > 0)
                queue.EnqueueDequeue(i, rank);
        }
        int[] best = new int[k];
        for (int j = k - 1; j >= 0; j--)
            best[j] = queue.Dequeue();
        return best;
    }

    /// <summary>The text of a token as it is shown: its id, where it has none.</summary>
    public static string TextOf(Tokenizer tokenizer, int id) =>
        tokenizer.Decode([id]) is { Length: > 0 } text ? text : $"#{id.ToString(CultureInfo.InvariantCulture)}";
}
