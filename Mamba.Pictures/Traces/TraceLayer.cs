using System.Globalization;

namespace Mamba.Pictures;

/// <summary>One layer of a trace, for one of its sequences, read a part at a time.</summary>
/// <param name="trace">The trace.</param>
/// <param name="layer">Which layer of the model.</param>
/// <param name="row">Which sequence.</param>
internal sealed class TraceLayer(TraceFile trace, int layer, int row)
{
    const int Piece = 1 << 20;          // values read at a time
    const int MostValues = 1 << 23;     // values of an array held at a time: of longer sequences fewer channels are looked at

    double[]? a;
    LayerReach? reach;
    DeltaPictures.Summary? steps;

    /// <summary>Which layer of the model.</summary>
    public int Layer => layer;

    /// <summary>l</summary>
    public int Length => (int)trace.Length;

    /// <summary>d</summary>
    public int Channels => (int)Rates[0];

    /// <summary>n</summary>
    public int States => (int)Rates[1];

    // (d, n), which says what the other shapes must be
    Shape Rates => !Has("A") ? throw Missing("A") : trace.ShapeOf(layer, "A") is { Rank: 2, Count: > 0 } shape ? shape : throw Unfit("A", "(d, n)");

    /// <summary>A (d, n)</summary>
    public double[] A => a ??= trace.Read(layer, "A");

    /// <summary>How Ā was made.</summary>
    public Discretization Discretization => trace.Discretization;

    /// <summary>Its hidden attention and how far it looks back.</summary>
    public LayerReach Reach(double budget) => reach ??= LayerReach.Of(this, budget);

    /// <summary>Where sequences begin among some tokens: not 0 there; null where the trace is of whole ones.</summary>
    public int[]? Starts(int first, int count) => trace.ReadResets()?.AsSpan(row * Length + first, count).ToArray();

    /// <summary>Its step sizes.</summary>
    public DeltaPictures.Summary Steps => steps ??= DeltaPictures.Summary.Of(this);

    /// <summary>The tokens from one on.</summary>
    public TokenAxis Tokens(int first = 0) => TokenAxis.Of(trace, row, first);

    /// <summary>Whether there is an array.</summary>
    public bool Has(string name) => trace.Has(layer, name);

    /// <summary>Throws one line unless the arrays are there and have the shapes of a trace.</summary>
    /// <exception cref="MambaException">One is missing or has another shape.</exception>
    public void Need(params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (!Has(name))
                throw Missing(name);
            Shape expected = name switch
            {
                "A" => Rates,
                "D" => Channels,
                "h" => (trace.Batch, trace.Length, Channels, States),
                _ => (trace.Batch, trace.Length, Width(name)),
            };
            if (trace.ShapeOf(layer, name) != expected)
                throw Unfit(name, expected.ToString());
        }
    }

    MambaException Missing(string name) => new($"the trace has no layer.{layer}.{name}");

    MambaException Unfit(string name, string expected) => new($"layer.{layer}.{name} has shape {trace.ShapeOf(layer, name)}; expected {expected}");

    // What there is of an array at each token.
    int Width(string name) => name is "B" or "C" ? States : Channels;

    /// <summary>As many channels, evenly spaced, as are looked at of a sequence this long; all of them of one that is not long.</summary>
    public int[] SomeChannels(double most = double.PositiveInfinity) => Even(Channels, Math.Min(most, MostValues / Length));

    /// <summary>At most so many numbers from 0 to <paramref name="count"/>, evenly spaced; one at least.</summary>
    public static int[] Even(int count, double most)
    {
        int some = (int)Math.Clamp(most, 1, count);
        return [.. Enumerable.Range(0, some).Select(i => (int)((long)i * count / some))];
    }

    /// <summary>An array that has values at each token, at some tokens and places: (count, places).</summary>
    /// <param name="name"><c>delta</c>, <c>B</c>, <c>y</c>, …</param>
    /// <param name="first">The first token.</param>
    /// <param name="count">How many tokens.</param>
    /// <param name="places">Which channels or states; all when null.</param>
    public double[] Read(string name, int first, int count, int[]? places = null)
    {
        int width = Width(name), some = places?.Length ?? width, rows = Math.Max(1, Piece / width);
        double[] values = new double[(long)count * some];
        for (int done = 0; done < count; done += rows)
        {
            int now = Math.Min(rows, count - done);
            double[] piece = trace.Read(layer, name, ((long)row * Length + first + done) * width, now * width);
            for (int t = 0; t < now; t++)
                for (int i = 0; i < some; i++)
                    values[(done + t) * some + i] = piece[t * width + (places?[i] ?? i)];
        }
        return values;
    }

    /// <summary>D (d), zeros where there is none.</summary>
    public double[] Skip() => Has("D") ? trace.Read(layer, "D") : new double[Channels];

    /// <summary>The weights of the convolution (d, k), row-major; null where the trace has none.</summary>
    public double[]? Taps()
    {
        if (!Has("conv"))
            return null;
        return trace.ShapeOf(layer, "conv") is { Rank: 2, Count: > 0 } shape && shape[0] == Channels
            ? trace.Read(layer, "conv")
            : throw Unfit("conv", "(d, k)");
    }

    /// <summary>
    /// The channels whose states move the output most: by Σ_t |y_t − D u_t|, by Σ_t |y_t| where there is no u, or else evenly spaced ones. In ascending
    /// order.
    /// </summary>
    public int[] Moving(int count, int first = 0)
    {
        int d = Channels;
        if (!Has("y"))
            return Even(d, count);
        bool skips = Has("u") && Has("D");
        Need("y");
        if (skips)
            Need("u", "D");
        double[] skip = Skip(), moved = new double[d];
        const int MostTokens = 2048;
        foreach (int t in Even(Length - first, MostTokens))
        {
            double[] y = Read("y", first + t, 1), u = skips ? Read("u", first + t, 1) : y;
            for (int c = 0; c < d; c++)
                if (Math.Abs(y[c] - (skips ? skip[c] * u[c] : 0)) is var by && double.IsFinite(by))
                    moved[c] += by;
        }
        return [.. Enumerable.Range(0, d).OrderByDescending(c => moved[c]).Take(count).Order()];
    }

    /// <summary>The states of one channel (l, n).</summary>
    public double[] ReadStates(int channel)
    {
        int n = States, width = Channels * n;
        double[] values = new double[Length * n];
        if (width <= Piece && Length * (long)width <= MostValues)
        {
            double[] all = trace.Read(layer, "h", (long)row * Length * width, Length * width);
            for (int t = 0; t < Length; t++)
                Array.Copy(all, t * width + channel * n, values, t * n, n);
            return values;
        }
        for (int t = 0; t < Length; t++)
            trace.Read(layer, "h", ((long)row * Length + t) * width + channel * n, n).CopyTo(values, t * n);
        return values;
    }

    /// <summary>1,536 channels, or 256 of 1,536 channels.</summary>
    public string ChannelsOf(int some) => some == Channels ? Words(some, "channel") : $"{Words(some)} of {Words(Channels, "channel")}";

    /// <summary>1 token, 1,536 tokens.</summary>
    public static string Words(long number, string what) => $"{Words(number)} {what}{(number == 1 ? "" : "s")}";

    /// <summary>1,536</summary>
    public static string Words(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
