using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Mamba.Pictures;

/// <summary>
/// One run as a page has it: its window of the trace as JSON. Arrays are little-endian floats in base64, channels first as page.js reads them:
/// delta (c, t), h (c, t, n), C (t, n).
/// </summary>
internal sealed class PageRun
{
    /// <summary>A text, a name or a sentence of a trace can be of any length; these many characters of it are shown.</summary>
    const int MostOfToken = 40, MostOfName = 200, MostHooks = 20;

    /// <summary>Of the likeliest next tokens, no more.</summary>
    public const int MostNext = 8;

    const int AveragedAtOnce = 64;          // channels: (64, l, l) float64 is 8 MB for 128 tokens

    readonly TraceFile trace;
    readonly int row;
    readonly PageWindow window;
    readonly Dictionary<int, int[]> channels;
    readonly List<string> notes;
    readonly Device host;

    /// <param name="trace">Of which trace.</param>
    /// <param name="row">Which of its sequences.</param>
    /// <param name="window">What is kept of it.</param>
    /// <param name="channels">Of each layer, the channels shown.</param>
    /// <param name="notes">What cannot be shown is said here.</param>
    /// <param name="host">Where coefficients are computed that the trace lacks.</param>
    public PageRun(TraceFile trace, int row, PageWindow window, Dictionary<int, int[]> channels, List<string> notes, Device host) =>
        (this.trace, this.row, this.window, this.channels, this.notes, this.host) = (trace, row, window, channels, notes, host);

    public void Write(Utf8JsonWriter json)
    {
        int[] ids = trace.ReadIds();
        int start = (int)(row * trace.Length) + window.First, more = Math.Min(window.Count + 1, (int)trace.Length - window.First);      // one that comes next
        json.WriteStartObject();
        json.WriteString("name", Words.Short(Name(trace.Path), MostOfName));
        json.WriteString("model", Words.Short(trace.Model, MostOfName));
        json.WriteString("discretization", trace.Discretization.Name);
        json.WriteNumber("length", trace.Length);
        json.WriteNumber("first", window.First);
        json.WriteNumber("count", window.Count);
        if (trace.Quantity is { } quantity)
            json.WriteString("quantity", Words.Short(quantity, MostOfName));
        if (trace.QuantityValue is { } value)
            json.WriteString("value", value.ToString("G5", CultureInfo.InvariantCulture));
        WriteStrings(json, "hooks", trace.Hooks.Take(MostHooks).Select(hook => Words.Short(hook, MostOfName))
            .Concat(trace.Hooks.Count > MostHooks ? [$"and {trace.Hooks.Count - MostHooks} more"] : []));
        json.WriteStartArray("ids");
        foreach (int id in ids.AsSpan(start, more))
            json.WriteNumberValue(id);
        json.WriteEndArray();
        if (trace.Tokens.Count > 0)
            WriteStrings(json, "tokens", trace.Tokens.Skip(start).Take(more).Select(text => Words.Short(text, MostOfToken)));
        var likeliest = new SortedSet<int>();
        json.WriteStartArray("layers");
        foreach (int layer in window.Layers)
            Write(json, LayerSizes.Of(trace, layer), likeliest);
        json.WriteEndArray();
        json.WriteStartObject("texts");
        foreach (int id in likeliest)
            if (trace.TextOf(id) is { } text)
                json.WriteString(id.ToString(CultureInfo.InvariantCulture), Words.Short(text, MostOfToken));
        json.WriteEndObject();
        json.WriteEndObject();
    }

    void Write(Utf8JsonWriter json, LayerSizes layer, SortedSet<int> likeliest)
    {
        int[] shown = [.. channels[layer.Layer].Where(c => c < layer.D)];
        double[] sizes = ChannelChoice.Sizes(layer, row, window);
        json.WriteStartObject();
        json.WriteNumber("layer", layer.Layer);
        json.WriteNumber("d", layer.D);
        json.WriteNumber("n", layer.N);
        json.WriteNumber("k", Math.Min(layer.K, MostNext));
        json.WriteString("by", ChannelChoice.Measure(layer) is { } by ? "rms of " + by : "");
        json.WriteStartArray("channels");
        foreach (int c in shown)
            json.WriteNumberValue(c);
        json.WriteEndArray();
        json.WriteStartArray("sizes");
        foreach (int c in shown)
            json.WriteNumberValue(double.IsFinite(sizes[c]) ? Math.Round(sizes[c], 12) : 0);
        json.WriteEndArray();
        json.WriteStartObject("arrays");
        foreach (string name in new[] { "delta", "ddelta", "u", "y", "z" })
            if (Has(layer, name))
                WriteArray(json, name, PerChannel(layer, name, 1, window.First, window.Count, shown));
        foreach (string name in new[] { "h", "dh" })
            if (Has(layer, name))
                WriteArray(json, name, PerChannel(layer, name, (int)layer.N, window.First, window.Count, shown));
        if (window.First > 0)
        {
            if (layer.Has("h"))
                WriteArray(json, "hBefore", PerChannel(layer, "h", (int)layer.N, window.First - 1, 1, shown));
            if (layer.Has("u"))
                WriteArray(json, "uBefore", PerChannel(layer, "u", 1, window.First - 1, 1, shown));
        }
        if (Has(layer, "C"))
            WriteArray(json, "C", PerToken(layer, "C", (int)layer.N));
        if (Has(layer, "D"))
        {
            double[] all = trace.Read(layer.Layer, "D");
            WriteArray(json, "D", Array.ConvertAll(shown, c => all[c]));
        }
        WriteCoefficients(json, layer, shown);
        if (window.Averages && layer is { D: > 0, N: > 0 } && layer.Has("delta") && layer.Has("A") && layer.Has("B") && layer.Has("C"))
            WriteArray(json, "attention", AverageAttention(layer));
        if (Has(layer, "top_ids") && Has(layer, "top_p"))
        {
            int[] ids = Array.ConvertAll(Likeliest(layer, "top_ids"), id => (int)id);
            likeliest.UnionWith(ids);
            json.WriteBase64String("topIds", MemoryMarshal.AsBytes(ids.AsSpan()));
            WriteArray(json, "topP", Likeliest(layer, "top_p"));
        }
        if (trace.Length > 1 && Has(layer, "next_p"))
        {
            double[] next = new double[window.Count];
            next.AsSpan().Fill(double.NaN);         // after the last token comes none
            int known = Math.Min(window.Count, (int)trace.Length - 1 - window.First);
            trace.Read(layer.Layer, "next_p", row * (trace.Length - 1) + window.First, known).CopyTo(next, 0);
            WriteArray(json, "nextP", next);
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    // Whether an array can be shown; one of another shape is left out, and that is said.
    bool Has(LayerSizes layer, string name)
    {
        if (layer.Has(name))
            return true;
        if (trace.Has(layer.Layer, name))
            notes.Add($"{TraceFile.NameOf(layer.Layer, name)}: it is {trace.ShapeOf(layer.Layer, name)}; expected {layer.Expected(name)}.");
        return false;
    }

    /// <summary>Ā and B̄ of the channels shown, of the trace or from delta, A and B; and what a discretization that looks back adds, Δ_t β_t B_{t−1}.</summary>
    void WriteCoefficients(Utf8JsonWriter json, LayerSizes layer, int[] shown)
    {
        bool hasAlpha = Has(layer, "Abar"), hasInput = Has(layer, "Bbar");
        if (hasAlpha)
            WriteArray(json, "Abar", PerChannel(layer, "Abar", (int)layer.N, window.First, window.Count, shown));
        if (hasInput)
            WriteArray(json, "Bbar", PerChannel(layer, "Bbar", (int)layer.N, window.First, window.Count, shown));
        if (hasAlpha && hasInput && !trace.Discretization.LooksBack)
            return;
        if (shown.Length == 0 || layer.N == 0 || !layer.Has("delta") || !layer.Has("A") || !layer.Has("B"))
            return;
        int lead = window.First > 0 ? 1 : 0, count = window.Count, n = (int)layer.N;       // the token before, whose B the first one looks back at
        using var scope = new TensorScope();
        Tensor delta = Channels(layer, shown, window.First - lead, count + lead), B = States(layer, "B", window.First - lead, count + lead);
        Tensor A = Rates(layer, shown);
        var c = new ScanCoefficients(new ScanInputs { U = delta, Delta = delta, A = A, B = B, C = B, Softplus = false, Discretization = trace.Discretization });
        if (!hasAlpha)
            WriteArray(json, "Abar", Ordered(c.Alpha));
        Shape whole = c.Alpha.Shape;
        if (!hasInput)
        {
            Tensor input = Ops.Expand(c.Delta, whole) * Ops.Expand(c.B, whole);
            WriteArray(json, "Bbar", Ordered(c.Gamma is null ? input : c.Gamma * input));
        }
        if (c.Beta is { } beta)
        {
            Tensor zero = Tensor.Zeros((1, 1, n, 1), DType.Float64, delta.Device);
            Tensor before = Ops.Slice(Ops.Concat(1, zero, c.B), 1, 0, count + lead);
            WriteArray(json, "Bback", Ordered(Ops.Expand(c.Delta, whole) * beta * Ops.Expand(before, whole)));
        }

        // (1, lead + t, n, c) → (c, t, n)
        double[] Ordered(Tensor values) => Ops.Permute(Ops.Slice(values, 1, lead, count), 0, 3, 1, 2).ToDoubles();
    }

    /// <summary>|M| averaged over all channels: (t, t) without what is above the diagonal.</summary>
    double[] AverageAttention(LayerSizes layer)
    {
        int l = window.Count;
        double[] average = new double[l * (l + 1) / 2];
        foreach (int[] some in Enumerable.Range(0, (int)layer.D).Chunk(AveragedAtOnce))
        {
            using var scope = new TensorScope();
            double[] m = Ops.HiddenAttention(Channels(layer, some, window.First, l), Rates(layer, some), States(layer, "B", window.First, l),
                States(layer, "C", window.First, l), deltaSoftplus: false, discretization: trace.Discretization).ToDoubles();        // (1, c, l, l)
            for (int c = 0; c < some.Length; c++)
                for (int i = 0, p = 0; i < l; i++)
                    for (int j = 0; j <= i; j++)
                        average[p++] += Math.Abs(m[(c * l + i) * l + j]) / layer.D;
        }
        return average;
    }

    // delta (1, t, c)
    Tensor Channels(LayerSizes layer, int[] some, int first, int count)
    {
        double[] values = PerChannel(layer, "delta", 1, first, count, some);       // (c, t)
        return Ops.Transpose(Tensor.From(values, (1, some.Length, count), DType.Float64, host));
    }

    // B or C (1, t, n)
    Tensor States(LayerSizes layer, string name, int first, int count)
    {
        double[] values = trace.Read(layer.Layer, name, (row * trace.Length + first) * layer.N, (int)(count * layer.N));
        return Tensor.From(values, (1, count, layer.N), DType.Float64, host);
    }

    // A (c, n)
    Tensor Rates(LayerSizes layer, int[] some)
    {
        double[] values = [.. some.SelectMany(c => trace.Read(layer.Layer, "A", c * layer.N, (int)layer.N))];
        return Tensor.From(values, (some.Length, layer.N), DType.Float64, host);
    }

    // (b, l, d, width) → (c, t, width). A token is read at a time: a whole array may be larger than the memory.
    double[] PerChannel(LayerSizes layer, string name, int width, int first, int count, int[] some)
    {
        double[] values = new double[some.Length * (long)count * width];
        for (int t = 0; t < count; t++)
        {
            double[] token = trace.Read(layer.Layer, name, (row * trace.Length + first + t) * layer.D * width, (int)(layer.D * width));
            for (int c = 0; c < some.Length; c++)
                Array.Copy(token, some[c] * width, values, (c * count + t) * width, width);
        }
        return values;
    }

    // (b, l, width) → (t, width)
    double[] PerToken(LayerSizes layer, string name, int width) =>
        trace.Read(layer.Layer, name, (row * trace.Length + window.First) * width, window.Count * width);

    // (b, l, k) → (t, k), of a large k its beginning
    double[] Likeliest(LayerSizes layer, string name)
    {
        int k = (int)Math.Min(layer.K, MostNext);
        return [.. Enumerable.Range(window.First, window.Count).SelectMany(t => trace.Read(layer.Layer, name, (row * trace.Length + t) * layer.K, k))];
    }

    static void WriteArray(Utf8JsonWriter json, string name, double[] values) =>
        json.WriteBase64String(name, MemoryMarshal.AsBytes(Array.ConvertAll(values, value => (float)value).AsSpan()));

    static void WriteStrings(Utf8JsonWriter json, string name, IEnumerable<string> texts)
    {
        json.WriteStartArray(name);
        foreach (string text in texts)
            json.WriteStringValue(text);
        json.WriteEndArray();
    }

    // The file and its folder: traces are all called trace.safetensors.
    static string Name(string path) => Path.Combine(Path.GetFileName(Path.GetDirectoryName(Path.GetFullPath(path))) ?? "", Path.GetFileName(path));
}
