using System.Buffers.Binary;
using System.Text.Json;

namespace Mamba;

/// <summary>
/// A safetensors file open for reading: eight bytes of header length, a JSON header that names each tensor's dtype, shape
/// and place, then the values. The header is checked in full before anything is read, with the format's own rules: every
/// byte of the data belongs to exactly one tensor. Nothing is allocated that the length of the file does not vouch for.
/// <see href="https://github.com/huggingface/safetensors"/>
/// </summary>
public sealed class Safetensors : ITensorFile
{
    const long LongestHeader = 100_000_000;         // the format's own limit

    const int MostAxes = 64;                        // as many as PyTorch's

    readonly RandomFile file;
    readonly long dataStart;
    readonly Dictionary<string, SafetensorsEntry> byName = new(StringComparer.Ordinal);
    readonly Dictionary<string, string> metadata = new(StringComparer.Ordinal);

    readonly Dictionary<string, StoredTensor> stored = new(StringComparer.Ordinal);

    sealed class Part(RandomFile file, SafetensorsEntry entry, long start) : StoredTensor(file.Path, entry.Name, entry.Type, entry.Shape)
    {
        public override void ReadBytes(long first, Span<byte> target) => file.Read(start + first, target);
    }

    Safetensors(RandomFile file)
    {
        this.file = file;
        Span<byte> prefix = stackalloc byte[(int)Math.Min(file.Length, 8)];
        file.Read(0, prefix);
        byte[] header = new byte[ExpectHeader(file.Path, prefix, file.Length)];
        file.Read(8, header);
        dataStart = 8 + header.Length;
        Parse(header, file.Length - dataStart);
    }

    /// <summary>Where the file is.</summary>
    public string Path => file.Path;

    /// <summary>The tensors, in the order of their places in the file.</summary>
    public IReadOnlyList<SafetensorsEntry> Entries { get; private set; } = [];

    /// <summary>The same tensors with their values.</summary>
    IReadOnlyList<StoredTensor> ITensorFile.Tensors => [.. Entries.Select(entry => stored[entry.Name])];

    /// <summary>Free-form strings that the writer left.</summary>
    public IReadOnlyDictionary<string, string> Metadata => metadata;

    /// <summary>Opens a file and checks its header.</summary>
    /// <param name="path">Where it is.</param>
    /// <exception cref="MambaException">The file is missing, truncated or not what it claims to be.</exception>
    public static Safetensors Open(string path)
    {
        var opened = new RandomFile(path, start => ExpectHeader(path, start, long.MaxValue));
        try
        {
            return new Safetensors(opened);
        }
        catch (Exception e)
        {
            opened.Dispose();
            if (JsonText.IsMalformed(e))
                throw new MambaException($"{path}: the header is not the JSON of a safetensors file: {OneLine(e.Message)}.", e);
            throw;
        }
    }

    /// <summary>Whether there is a tensor of that name.</summary>
    /// <param name="name">As the file has it.</param>
    public bool Contains(string name) => byName.ContainsKey(name);

    /// <summary>The dtype and shape of a tensor.</summary>
    /// <param name="name">As the file has it.</param>
    /// <exception cref="MambaException">There is no such tensor.</exception>
    public SafetensorsEntry this[string name] => byName.TryGetValue(name, out SafetensorsEntry? entry)
        ? entry
        : throw Bad($"there is no tensor {Quote(name)} in it");

    /// <summary>The values of a tensor of any dtype as float32, rounded to nearest where the file has more digits.</summary>
    /// <param name="name">As the file has it.</param>
    /// <returns>Row-major, as many as <see cref="SafetensorsEntry.Shape"/> counts.</returns>
    /// <exception cref="MambaException">There is no such tensor, or it cannot be read.</exception>
    public float[] ReadFloats(string name) => Stored(name).ReadFloats();

    /// <summary>The values of a tensor of any dtype as float64; exact, but for integers beyond 2^53.</summary>
    /// <param name="name">As the file has it.</param>
    /// <returns>Row-major, as many as <see cref="SafetensorsEntry.Shape"/> counts.</returns>
    /// <exception cref="MambaException">There is no such tensor, or it cannot be read.</exception>
    public double[] ReadDoubles(string name) => Stored(name).ReadDoubles();

    /// <summary>The values of an integer tensor.</summary>
    /// <param name="name">As the file has it.</param>
    /// <returns>Row-major, as many as <see cref="SafetensorsEntry.Shape"/> counts.</returns>
    /// <exception cref="MambaException">There is no such tensor, it holds other than integers, or it cannot be read.</exception>
    public long[] ReadLongs(string name) => ReadLongs(name, 0, this[name].Shape.Count);

    /// <summary>Some of the values of an integer tensor: a file larger than the memory is read so.</summary>
    /// <param name="name">As the file has it.</param>
    /// <param name="first">The first of them, counted row-major from 0.</param>
    /// <param name="count">How many.</param>
    /// <exception cref="MambaException">There is no such tensor, it holds other than integers or fewer of them, or it cannot be read.</exception>
    public long[] ReadLongs(string name, long first, long count) => this[name] is { IsFloat: true, Type: string type }
        ? throw Bad($"{Quote(name)} is {type}; integers, I64 or I32, were expected")
        : Stored(name).ReadLongs(first, count);

    /// <summary>A tensor to be read piece by piece.</summary>
    internal StoredTensor Stored(string name) => stored[this[name].Name];

    /// <summary>Closes the file.</summary>
    public void Dispose() => file.Dispose();

    // ---- header ----------------------------------------------------------------------------------

    /// <summary>The length of the header, which the first bytes of a file tell.</summary>
    static int ExpectHeader(string path, ReadOnlySpan<byte> start, long length)
    {
        if (start.Length < 8)
            throw new MambaException($"{path}: it is {start.Length} bytes long; a safetensors file starts with 8 bytes of header length.");
        ulong header = BinaryPrimitives.ReadUInt64LittleEndian(start);
        if (header is > 0 and <= LongestHeader && (long)header <= length - 8)
            return (int)header;
        string has = length == long.MaxValue ? "" : $", but the file has {length}";
        throw new MambaException($"{path}: its header would be {header} bytes long{has}: it is truncated or not a safetensors file.");
    }

    void Parse(byte[] header, long dataLength)
    {
        using JsonDocument document = JsonDocument.Parse(header, new JsonDocumentOptions { AllowDuplicateProperties = false });
        if (document.RootElement.ValueKind != JsonValueKind.Object)
            throw Bad("the header is not a JSON object");
        var entries = new List<(SafetensorsEntry Entry, long End)>();
        foreach (JsonProperty property in document.RootElement.EnumerateObject())
        {
            if (property.NameEquals("__metadata__"))
                ParseMetadata(property.Value);
            else
                entries.Add(ParseEntry(property.Name, property.Value, dataLength));
        }
        entries.Sort((a, b) => (a.Entry.Start, a.End).CompareTo((b.Entry.Start, b.End)));
        long position = 0;
        foreach ((SafetensorsEntry entry, long end) in entries)
        {
            if (entry.Start != position)
            {
                string before = entry.Start < position ? "it overlaps the tensor before it, which ends" : "the tensor before it ends";
                throw Bad($"{Quote(entry.Name)} starts at byte {entry.Start}, but {before} at {position}");
            }
            position = end;
            byName.Add(entry.Name, entry);
            stored.Add(entry.Name, new Part(file, entry, dataStart + entry.Start));
        }
        if (position != dataLength)
            throw Bad($"its tensors end at byte {position} of the data, but there are {dataLength}");
        Entries = [.. entries.Select(e => e.Entry)];
    }

    void ParseMetadata(JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.Object)
            throw Bad("__metadata__ is not a JSON object of strings");
        foreach (JsonProperty property in element.EnumerateObject())
            metadata[property.Name] = property.Value.ValueKind == JsonValueKind.String
                ? property.Value.GetString()!
                : throw Bad("__metadata__ is not a JSON object of strings");
    }

    (SafetensorsEntry Entry, long End) ParseEntry(string name, JsonElement element, long dataLength)
    {
        if (element.ValueKind != JsonValueKind.Object
            || !element.TryGetProperty("dtype", out JsonElement dtype) || dtype.ValueKind != JsonValueKind.String
            || !element.TryGetProperty("shape", out JsonElement shape) || shape.ValueKind != JsonValueKind.Array
            || !element.TryGetProperty("data_offsets", out JsonElement offsets) || offsets.ValueKind != JsonValueKind.Array || offsets.GetArrayLength() != 2)
            throw Bad($"the header's entry for {Quote(name)} lacks a dtype, a shape or two data_offsets");
        string type = dtype.GetString()!;
        int size = SafetensorsEntry.SizeOf(type);
        if (size == 0)
            throw Bad($"{Quote(name)} has dtype {Quote(type)}; F64, F32, F16, BF16, I64 and I32 can be read");
        if (shape.GetArrayLength() > MostAxes)
            throw Bad($"{Quote(name)} has {shape.GetArrayLength()} axes; expected at most {MostAxes}");
        long[] extents = new long[shape.GetArrayLength()];
        UInt128 bytes = (UInt128)size;
        for (int i = 0; i < extents.Length; i++)
        {
            extents[i] = Number(shape[i], name, "shape");
            bytes *= (UInt128)extents[i];
            if (bytes > long.MaxValue)
                throw Bad($"the shape of {Quote(name)} has more elements than can be counted");
        }
        long start = Number(offsets[0], name, "data_offsets"), end = Number(offsets[1], name, "data_offsets");
        if (start > end || end > dataLength)
        {
            string why = start <= end ? ": the file is truncated" : "";
            throw Bad($"{Quote(name)} lies at bytes {start} to {end} of the data, but there are {dataLength}{why}");
        }
        if ((UInt128)(end - start) != bytes)
            throw Bad($"{Quote(name)} has {end - start} bytes; its dtype {type} and shape need {bytes}");
        return (new SafetensorsEntry(name, type, new Shape(extents), start), end);
    }

    long Number(JsonElement element, string name, string what) =>
        element.ValueKind == JsonValueKind.Number && element.TryGetInt64(out long value) && value >= 0
            ? value
            : throw Bad($"{what} of {Quote(name)} holds {Quote(element.GetRawText())}; expected integers from 0");

    MambaException Bad(string what) => new($"{Path}: {what}.");

    /// <summary>A name out of a file, fit for a message: in quotes, on one line, not too long.</summary>
    internal static string Quote(string name) => $"'{OneLine(name)}'";

    /// <summary>The same without quotes.</summary>
    internal static string OneLine(string text)
    {
        string line = string.Concat((text.Length > 120 ? text[..120] + "…" : text).Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c));
        return line.TrimEnd('.');
    }
}
