
using System.Globalization;

namespace Mamba;

/// <summary>
/// What was inside a model while it read some tokens: <see cref="MambaLM.Trace(Tensor, TraceSettings?)"/> makes it.
/// <code>
/// using ModelTrace trace = model.Trace(tokens, new TraceSettings { Quantity = Quantity.Loss });
/// Tensor h = trace[1].H, dh = trace[1].DH;                // (b, l, n, d): every state of layer 1, and the gradient of the loss
/// </code>
/// </summary>
public sealed class ModelTrace : IDisposable
{
    readonly SortedDictionary<int, LayerTrace> layers = [];
    readonly TraceSettings options;
    readonly MambaLM model;
    readonly Tensor? reset, logits;

    ModelTrace(MambaLM model, Tensor tokens, TraceSettings options)
    {
        (this.model, this.options) = (model, options);
        var tracer = new Tracer(model, tokens, options);
        Tokens = tokens.Clone().Unowned();
        reset = options.Reset?.Clone().Unowned();
        try
        {
            foreach (int layer in tracer.Layers)
                layers.Add(layer, new LayerTrace(layer, model.Config.Discretization, reset));
            logits = tracer.Run(new Sink(this), tokens.Shape[1])!;
            QuantityValue = options.Quantity is null ? null : tracer.Value;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    internal static ModelTrace Of(MambaLM model, Tensor tokens, TraceSettings options) => new(model, tokens, options);

    sealed class Sink(ModelTrace trace) : ITraceSink
    {
        public void Write(in TraceArray array, long first)
        {
            string[] name = array.Name.Split('.', 3);           // layer.I.NAME
            Tensor kept = array.IsOfStates ? array.Values : array.Values.Clone();
            trace.layers[int.Parse(name[1], CultureInfo.InvariantCulture)].Add(name[2], array with { Values = kept.Unowned() });
        }
    }

    /// <summary>(b, l) int32: what the model read.</summary>
    public Tensor Tokens { get; }

    /// <summary>(b, l, v): what it made of that, padding of the vocabulary included.</summary>
    public Tensor Logits => logits!;

    /// <summary>The layers that were traced, first to last.</summary>
    public IReadOnlyList<LayerTrace> Layers => [.. layers.Values];

    /// <summary>A layer that was traced.</summary>
    /// <param name="layer">Its place in the model, from 0.</param>
    /// <exception cref="MambaException">It was not.</exception>
    public LayerTrace this[int layer] => layers.TryGetValue(layer, out LayerTrace? found) ? found
        : throw new MambaException($"Trace: layer {layer} was not traced; layers {string.Join(", ", layers.Keys)} were.");

    /// <summary>The value of the quantity; null if there is none.</summary>
    public double? QuantityValue { get; }

    /// <summary>Writes it as a file, which <see cref="TraceFile"/> opens.</summary>
    /// <param name="path">The safetensors file, replaced if it is there.</param>
    /// <exception cref="MambaException">It cannot be written.</exception>
    public void Save(string path) => TraceWriter.Write(model, Tokens, options with { Reset = reset }, path, QuantityValue,
        [.. layers.Values.SelectMany(layer => layer.Arrays)]);

    /// <summary>The values of a site at some tokens, of the shape of those that they replace: what a patch puts there.</summary>
    internal Tensor ValuesAt(HookPoint at, Tensor instead, Indices? positions)
    {
        Tensor values = this[at.Layer][TraceFile.NameOf(at.Site)];
        return Instead(at, instead, positions, values.Shape, (first, count) => Ops.Slice(values, 1, first, count).To(instead.Device, instead.DType));
    }

    /// <summary>Another run's values, where it has them; where it has none and none are to be replaced, those that are there.</summary>
    /// <param name="at">Which values.</param>
    /// <param name="instead">What they replace.</param>
    /// <param name="positions">Which are to be replaced; null: all.</param>
    /// <param name="shape">(b, l, …): what the other run has.</param>
    /// <param name="read">The other run's values of some tokens: the first, and how many.</param>
    internal static Tensor Instead(HookPoint at, Tensor instead, Indices? positions, Shape shape, Func<long, long, Tensor> read)
    {
        long there = shape[1], count = Math.Min(there - at.Position, at.Count);
        long last = positions is null ? at.Position + at.Count - 1 : positions.Within(at.Position, at.Position + at.Count).LastOrDefault(-1);
        if (last >= there)
            throw new MambaException($"Hook.Patch: position {last} is to be replaced; the other run has {there} tokens.");
        if (shape.Rank != instead.Shape.Rank || shape[2..] != instead.Shape[2..] || (shape[0] != 1 && shape[0] != instead.Shape[0]))
            throw new MambaException($"Hook.Patch: {at.Site} of layer {at.Layer} is {shape} in the other run, {instead.Shape} in this; "
                + "expected the same, or one sequence there.");
        if (last < at.Position)
            return instead;
        Tensor part = Ops.Expand(read(at.Position, count), new Shape([instead.Shape[0], count, .. shape[2..].ToArray()]));
        return count == at.Count ? part : Ops.Concat(1, part, Ops.Slice(instead, 1, count, at.Count - count));
    }

    /// <summary>Gives its memory back.</summary>
    public void Dispose()
    {
        foreach (TraceArray array in layers.Values.SelectMany(layer => layer.Arrays))
            array.Values.Root.Dispose();
        reset?.Dispose();
        Tokens.Dispose();
        logits?.Dispose();
    }
}
