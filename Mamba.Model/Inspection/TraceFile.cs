using System.Globalization;
using System.Text.Json;

namespace Mamba;

/// <summary>
/// A trace on disk, open for reading: <c>trace.safetensors</c>, as <c>mamba inspect</c> write it. Values are read when they are
/// asked for, so a trace may be larger than the memory. Names are <c>layer.I.NAME</c>, gradients <c>layer.I.dNAME</c>; arrays have the order of the
/// official code: (b, l, d), (b, l, n), (b, l, d, n). docs/inspect.md lists them.
/// </summary>
public sealed class TraceFile : IDisposable
{
    internal const string Format = "mamba-trace", FormatKey = "format", TokensKey = "tokens", LayersKey = "layers", DiscretizationKey = "discretization",
        QuantityKey = "quantity", HooksKey = "hooks", ModelKey = "model",
        TextsKey = "top_texts", Ids = "ids", ResetTensor = "reset", QuantityTensor = "quantity";

    readonly Safetensors file;
    readonly Dictionary<string, string> texts;      // by the id, in digits

    TraceFile(Safetensors file)
    {
        this.file = file;
        if (file.Metadata.GetValueOrDefault(FormatKey) != Format)
            throw new MambaException($"{Path}: this is not a trace; expected a trace.safetensors of mamba inspect.");
        Layers = [.. Text(LayersKey).Split(',', StringSplitOptions.RemoveEmptyEntries).Select(layer => Numbers.Index(layer) ?? throw Broken(LayersKey))];
        Discretization = Discretization.Named(Text(DiscretizationKey));
        Hooks = Strings(HooksKey);
        Tokens = Strings(TokensKey);
        texts = Json<Dictionary<string, string>>(TextsKey) ?? [];
        Quantity = file.Metadata.GetValueOrDefault(QuantityKey);
        StoredTensor ids = Stored(Ids);
        if (ids.Shape.Rank != 2 || ids.IsFloat)
            throw new MambaException($"{Path}: '{Ids}' is {ids.Type} {ids.Shape}; expected integers (b, l).");
        (Batch, Length) = (ids.Shape[0], ids.Shape[1]);
        if (Tokens.Count > 0 && Tokens.Count != ids.Count)
            throw new MambaException($"{Path}: there are {Tokens.Count} texts of tokens for {ids.Count} tokens.");
    }

    /// <summary>Opens a trace.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MambaException">It is missing, broken, or no trace.</exception>
    public static TraceFile Open(string path)
    {
        var opened = Safetensors.Open(path);
        try
        {
            return new TraceFile(opened);
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>Where the file is.</summary>
    public string Path => file.Path;

    /// <summary>Which layers of the model were traced, from 0, in ascending order.</summary>
    public IReadOnlyList<int> Layers { get; }

    /// <summary>b: sequences.</summary>
    public long Batch { get; }

    /// <summary>l: tokens of a sequence.</summary>
    public long Length { get; }

    /// <summary>The text of each token, b·l of them, or none where there was no tokenizer.</summary>
    public IReadOnlyList<string> Tokens { get; }

    /// <summary>How Ā and B̄ were made.</summary>
    public Discretization Discretization { get; }

    /// <summary>What the gradients are of; null where there are none.</summary>
    public string? Quantity { get; }

    /// <summary>What was changed on the way, in words.</summary>
    public IReadOnlyList<string> Hooks { get; }

    /// <summary>Which model it is of: its sizes and a sample of its weights.</summary>
    public string Model => file.Metadata.GetValueOrDefault(ModelKey) ?? "";

    /// <summary>Whether there is an array.</summary>
    /// <param name="layer">Of which layer.</param>
    /// <param name="name"><c>delta</c>, <c>h</c>, <c>dh</c>, …</param>
    public bool Has(int layer, string name) => file.Contains(NameOf(layer, name));

    /// <summary>The shape of an array.</summary>
    /// <param name="layer">Of which layer.</param>
    /// <param name="name"><c>delta</c>, <c>h</c>, <c>dh</c>, …</param>
    /// <exception cref="MambaException">There is no such array.</exception>
    public Shape ShapeOf(int layer, string name) => Stored(NameOf(layer, name)).Shape;

    /// <summary>A whole array, row-major.</summary>
    /// <param name="layer">Of which layer.</param>
    /// <param name="name"><c>delta</c>, <c>h</c>, <c>dh</c>, …</param>
    /// <exception cref="MambaException">There is no such array, or it cannot be read.</exception>
    public double[] Read(int layer, string name) => Stored(NameOf(layer, name)).ReadDoubles();

    /// <summary>Some neighbouring values of an array.</summary>
    /// <param name="layer">Of which layer.</param>
    /// <param name="name"><c>delta</c>, <c>h</c>, <c>dh</c>, …</param>
    /// <param name="first">The first of them, counted row-major from 0.</param>
    /// <param name="count">How many.</param>
    /// <exception cref="MambaException">There is no such array, it has fewer values, or it cannot be read.</exception>
    public double[] Read(int layer, string name, long first, int count)
    {
        StoredTensor stored = Stored(NameOf(layer, name));
        if (first < 0 || count < 0 || first > stored.Count - count)
            throw new MambaException($"{Path}: values {first} to {first + count - 1} of '{stored.Name}' were asked for; there are {stored.Count}.");
        double[] values = new double[count];
        stored.Read(first, values);
        return values;
    }

    /// <summary>Token ids (b, l), row-major.</summary>
    public int[] ReadIds() => Array.ConvertAll(Stored(Ids).ReadLongs(0, Batch * Length), id => (int)id);

    /// <summary>The text of a token that is among the likeliest next ones (<c>top_ids</c>); null where it is not known.</summary>
    /// <param name="id">Its id.</param>
    public string? TextOf(int id) => texts.GetValueOrDefault(id.ToString(CultureInfo.InvariantCulture));

    /// <summary>Where sequences begin within a row, (b, l), row-major: not 0 there. Null where each row is one sequence.</summary>
    public int[]? ReadResets() => file.Contains(ResetTensor) ? Array.ConvertAll(Stored(ResetTensor).ReadLongs(0, Batch * Length), mark => (int)mark) : null;

    /// <summary>The value of <see cref="Quantity"/>; null where there are no gradients.</summary>
    public double? QuantityValue => file.Contains(QuantityTensor) ? Stored(QuantityTensor).ReadDoubles()[0] : null;

    /// <summary>The name of an array in the file.</summary>
    internal static string NameOf(int layer, string name) => string.Create(CultureInfo.InvariantCulture, $"layer.{layer}.{name}");

    /// <summary>The name of a site's values.</summary>
    internal static string NameOf(Site site) => site is Site.B or Site.C ? site.ToString() : site.ToString().ToLowerInvariant();

    /// <summary>The values of a site at some tokens, of the shape of those that they replace: what a patch puts there.</summary>
    internal Tensor ValuesAt(HookPoint at, Tensor instead, Indices? positions)
    {
        string name = NameOf(at.Site);
        StoredTensor stored = Stored(NameOf(at.Layer, name));
        bool isOfStates = at.Site == Site.H;
        Shape shape = stored.Shape;
        if (isOfStates && shape.Rank == 4)
            shape = (shape[0], shape[1], shape[3], shape[2]);           // (b, l, d, n) there, (b, l, n, d) here
        return ModelTrace.Instead(at, instead, positions, shape, (first, count) =>
        {
            long token = stored.Shape[2..].Count;
            double[] values = new double[shape[0] * count * token];
            for (int row = 0; row < shape[0]; row++)
                stored.Read((row * shape[1] + first) * token, values.AsSpan((int)(row * count * token), (int)(count * token)));
            Tensor read = Tensor.From(values, new Shape([shape[0], count, .. stored.Shape[2..].ToArray()]), instead.DType, instead.Device);
            return isOfStates ? Ops.Transpose(read) : read;
        });
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => file.Dispose();

    StoredTensor Stored(string name) => file.Stored(name);

    string Text(string key) => file.Metadata.GetValueOrDefault(key) ?? throw Broken(key);

    string[] Strings(string key) => Json<string[]>(key) ?? [];

    T? Json<T>(string key) where T : class
    {
        if (!file.Metadata.TryGetValue(key, out string? json))
            return null;
        try
        {
            return JsonSerializer.Deserialize<T>(json) ?? throw Broken(key);
        }
        catch (JsonException)
        {
            throw Broken(key);
        }
    }

    MambaException Broken(string key) => new($"{Path}: '{key}' of its metadata is missing or not what a trace has.");
}
