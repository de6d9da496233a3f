using System.Globalization;

namespace Mamba;

/// <summary>
/// An intervention: a change of a value inside the blocks while a model runs, at chosen layers, positions, channels and states. Given to
/// <see cref="MambaLM.Forward"/>, several one after another; gradients flow through the rest.
/// <code>
/// Tensor logits = model.Forward(tokens, hooks: [Hook.Wipe(Site.H, layers: 1, positions: 37), Hook.Scale(Site.Delta, 0.5, channels: 4..8)]);
/// </code>
/// What is not chosen keeps its bits. A hook on <see cref="Site.H"/> cuts the scan at its positions; all pieces between them stay with the fused kernel.
/// </summary>
public sealed class Hook
{
    readonly Func<Tensor, HookPoint, Tensor> change;
    readonly string what;

    Hook(string what, Site site, Indices? layers, Indices? positions, Indices? channels, Indices? states, Func<Tensor, HookPoint, Tensor> change)
    {
        bool hasChannels = site is not (Site.B or Site.C), hasStates = site is Site.B or Site.C or Site.H;
        if (channels is not null && !hasChannels || states is not null && !hasStates)
            throw new MambaException($"Hook: {(hasChannels ? "states" : "channels")} of {site} were chosen; {site} is {ShapeOf(site)}.");
        (Site, Layers, Positions, Channels, States, this.change, this.what) = (site, layers, positions, channels, states, change, what);
    }

    /// <summary>Which value it changes.</summary>
    public Site Site { get; }

    /// <summary>In which layers; null: in all.</summary>
    public Indices? Layers { get; }

    /// <summary>At which tokens, counted from the beginning of the sequence; null: at all.</summary>
    public Indices? Positions { get; }

    /// <summary>Of which channels; null: of all.</summary>
    public Indices? Channels { get; }

    /// <summary>Of which states; null: of all.</summary>
    public Indices? States { get; }

    /// <summary>A change of your own.</summary>
    /// <param name="site">Which value.</param>
    /// <param name="change">From the values, whose shape <see cref="Mamba.Site"/> tells, to others of that shape; of ops, so that gradients flow.</param>
    /// <param name="layers">Null: all.</param>
    /// <param name="positions">Null: all.</param>
    /// <param name="channels">Null: all.</param>
    /// <param name="states">Null: all.</param>
    /// <exception cref="MambaException">The site has no channels, or no states.</exception>
    public static Hook Change(Site site, Func<Tensor, HookPoint, Tensor> change, Indices? layers = null, Indices? positions = null, Indices? channels = null,
        Indices? states = null) => new("change", site, layers, positions, channels, states, change);

    /// <summary>Sets values to a number. No gradient flows through them.</summary>
    /// <param name="site">Which value.</param>
    /// <param name="value">The number.</param>
    /// <param name="layers">Null: all.</param>
    /// <param name="positions">Null: all.</param>
    /// <param name="channels">Null: all.</param>
    /// <param name="states">Null: all.</param>
    /// <exception cref="MambaException">The site has no channels, or no states.</exception>
    public static Hook Set(Site site, double value, Indices? layers = null, Indices? positions = null, Indices? channels = null, Indices? states = null) =>
        new($"set to {Text(value)}:", site, layers, positions, channels, states, (values, _) => Ops.Fill(values.Like(), value));

    /// <summary>Sets values to 0: a state that is wiped remembers nothing. No gradient flows through them.</summary>
    /// <param name="site">Which value.</param>
    /// <param name="layers">Null: all.</param>
    /// <param name="positions">Null: all.</param>
    /// <param name="channels">Null: all.</param>
    /// <param name="states">Null: all.</param>
    /// <exception cref="MambaException">The site has no channels, or no states.</exception>
    public static Hook Wipe(Site site, Indices? layers = null, Indices? positions = null, Indices? channels = null, Indices? states = null) =>
        new("wipe", site, layers, positions, channels, states, (values, _) => Ops.Fill(values.Like(), 0));

    /// <summary>Multiplies values by a number.</summary>
    /// <param name="site">Which value.</param>
    /// <param name="factor">The number.</param>
    /// <param name="layers">Null: all.</param>
    /// <param name="positions">Null: all.</param>
    /// <param name="channels">Null: all.</param>
    /// <param name="states">Null: all.</param>
    /// <exception cref="MambaException">The site has no channels, or no states.</exception>
    public static Hook Scale(Site site, double factor, Indices? layers = null, Indices? positions = null, Indices? channels = null, Indices? states = null) =>
        new($"scale by {Text(factor)}:", site, layers, positions, channels, states, (values, _) => values * factor);

    /// <summary>Keeps values between two numbers.</summary>
    /// <param name="site">Which value.</param>
    /// <param name="low">The lower one.</param>
    /// <param name="high">The higher one.</param>
    /// <param name="layers">Null: all.</param>
    /// <param name="positions">Null: all.</param>
    /// <param name="channels">Null: all.</param>
    /// <param name="states">Null: all.</param>
    /// <exception cref="MambaException">The site has no channels, or no states, or the numbers are the wrong way round.</exception>
    public static Hook Clamp(Site site, double low, double high, Indices? layers = null, Indices? positions = null, Indices? channels = null,
        Indices? states = null) => low <= high
        ? new($"clamp to {Text(low)} … {Text(high)}:", site, layers, positions, channels, states, (values, _) => Ops.Clamp(values, low, high))
        : throw new MambaException($"Hook: clamping to {Text(low)} … {Text(high)}; expected the lower number first.");

    /// <summary>
    /// Puts another run's values in place: activation patching. Of a run over one sequence they go into every sequence of the batch. Vig et al. 2020
    /// (arXiv 2004.12265); Meng et al. 2022 (arXiv 2202.05262).
    /// </summary>
    /// <param name="site">Which value.</param>
    /// <param name="from">The other run, with the site's values of these layers and positions; used when the model runs, so not to be disposed before.</param>
    /// <param name="layers">Null: all.</param>
    /// <param name="positions">Null: all.</param>
    /// <param name="channels">Null: all.</param>
    /// <param name="states">Null: all.</param>
    /// <exception cref="MambaException">The site has no channels, or no states; or, when the model runs, the other run has no such values.</exception>
    public static Hook Patch(Site site, ModelTrace from, Indices? layers = null, Indices? positions = null, Indices? channels = null, Indices? states = null) =>
        new("patch", site, layers, positions, channels, states, (values, at) => from.ValuesAt(at, values, positions));

    /// <summary>
    /// The same from a file, of which no more is read than is put in place.
    /// </summary>
    /// <param name="site">Which value.</param>
    /// <param name="from">The other run, with the site's values of these layers and positions; used when the model runs, so not to be disposed before.</param>
    /// <param name="layers">Null: all.</param>
    /// <param name="positions">Null: all.</param>
    /// <param name="channels">Null: all.</param>
    /// <param name="states">Null: all.</param>
    /// <exception cref="MambaException">The site has no channels, or no states; or, when the model runs, the other run has no such values.</exception>
    public static Hook Patch(Site site, TraceFile from, Indices? layers = null, Indices? positions = null, Indices? channels = null, Indices? states = null) =>
        new("patch", site, layers, positions, channels, states, (values, at) => from.ValuesAt(at, values, positions));

    /// <summary>Whether it works on a value of a layer.</summary>
    internal bool IsOf(Site site, int layer) => Site == site && (Layers?.Contains(layer) ?? true);

    /// <summary>The values with the chosen ones changed.</summary>
    /// <param name="values">(b, count, …), as the site's shape is.</param>
    /// <param name="at">Where.</param>
    internal Tensor Apply(Tensor values, HookPoint at)
    {
        Tensor changed = change(values, at);
        if (changed.Shape != values.Shape || changed.DType != values.DType || changed.Device != values.Device)
            throw new MambaException($"Hook: {at.Site} of layer {at.Layer} became {changed.Describe()}; expected {values.Describe()}, as it was.");
        // innermost first: of what is chosen on one axis, what is chosen on the next
        changed = Choose(Channels, values.Shape.Rank - 1, 0);
        changed = Choose(States, 2, 0);
        return Choose(Positions, 1, at.Position);

        Tensor Choose(Indices? chosen, int axis, long first)
        {
            if (chosen is null)
                return changed;
            int[] mask = new int[values.Shape[axis]];
            foreach (long i in chosen.Within(first, first + mask.Length))
                mask[i - first] = 1;
            long[] shape = [.. Enumerable.Repeat(1L, values.Shape.Rank)];
            shape[axis] = mask.Length;
            return Ops.Where(Tensor.From(mask, new Shape(shape), values.Device), changed, values);
        }
    }

    /// <summary>Throws one clear line unless it can do something in a model of so many layers and, if known, to a sequence of so many tokens.</summary>
    internal void Expect(int layers, long? length)
    {
        Expect(Layers, layers, "layer", "the model has");
        if (length is { } l)
            Expect(Positions, l, "position", "the sequence has");
    }

    /// <summary>Throws one clear line unless the layer has the channels and states that were chosen.</summary>
    internal void Expect(Shape values)
    {
        Expect(Channels, values[^1], "channel", "the layer has");
        Expect(States, values[2], "state", "the layer has");
    }

    void Expect(Indices? chosen, long count, string what, string whose)
    {
        if (chosen is { IsEmpty: true })
            throw new MambaException($"Hook '{this}': no {what} is chosen.");
        long wrong = chosen?.Largest ?? chosen?.First() ?? -1;
        if (wrong >= count)
            throw new MambaException($"Hook '{this}': {what} {wrong} is chosen; {whose} {(count > 0 ? $"0 to {count - 1}" : "none")}.");
    }

    static string ShapeOf(Site site) => site switch
    {
        Site.B or Site.C => "(b, l, n)",
        _ => "(b, l, d)",
    };

    static string Text(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    /// <summary>wipe h, layer 1, position 37</summary>
    public override string ToString()
    {
        return $"{what} {TraceFile.NameOf(Site)}{Part("layer", Layers)}{Part("position", Positions)}{Part("channel", Channels)}{Part("state", States)}";

        static string Part(string what, Indices? chosen) => chosen is null ? "" : $", {what} {chosen}";
    }
}
