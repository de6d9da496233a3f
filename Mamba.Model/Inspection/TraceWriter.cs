using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Mamba;

/// <summary>
/// Writes a trace as safetensors, each piece at its place as it comes. What the file will hold is known before: the arrays lie behind a header of reserved
/// length, which is written last.
/// </summary>
internal sealed class TraceWriter : ITraceSink
{
    const int RoomForText = 24, MostRoom = 4 << 20;         // bytes a text of a token may take in the header, and all of them
    const int MostTokens = 1 << 18;                         // of more tokens the texts are left out: a header has a limit, 100 MB

    readonly Stream stream;
    readonly Tokenizer? tokenizer;
    readonly SortedSet<int> seen = [];
    readonly Dictionary<string, (long Start, Shape Shape, string Type)> places = new(StringComparer.Ordinal);
    readonly List<string> order = [];
    readonly long batch, header;

    TraceWriter(Stream stream, IEnumerable<(string Name, Shape Shape, DType Type)> arrays, long batch, long room, Tokenizer? tokenizer)
    {
        if (!stream.CanSeek)
            throw new MambaException("a trace is written in pieces; expected the name of a file");
        (this.stream, this.batch, this.tokenizer) = (stream, batch, tokenizer);
        long at = 0;
        foreach ((string name, Shape shape, DType type) in arrays.OrderBy(array => array.Type == DType.Float32))      // 8 bytes before 4: all are aligned
        {
            string named = type switch { DType.Float32 => "F32", DType.Float64 => "F64", _ => "I64" };
            places.Add(name, (at, shape, named));
            order.Add(name);
            at += shape.Count * SafetensorsEntry.SizeOf(named);
        }
        header = 8 + (room + Header([]).Length + 7) / 8 * 8;
        stream.SetLength(header + at);
    }

    /// <summary>Traces into a file.</summary>
    public static void Write(MambaLM model, Tensor tokens, TraceSettings options, string path)
    {
        var tracer = new Tracer(model, tokens, options);
        List<TraceArray> plan = [.. tracer.Plan()];
        Write(model, tokens, options, path, tracer.Layers, plan, writer =>
        {
            tracer.Run(writer, options.Piece ?? Tracer.UsualPiece(plan));
            return options.Quantity is null ? null : tracer.Value;
        });
    }

    /// <summary>Writes what was traced.</summary>
    public static void Write(MambaLM model, Tensor tokens, TraceSettings options, string path, double? value, IReadOnlyList<TraceArray> arrays)
    {
        var values = arrays.Where(array => !IsGradient(array)).ToList();
        int[] layers = [.. new Tracer(model, tokens, options).Layers];
        Write(model, tokens, options, path, layers, values, writer =>
        {
            // some tokens at a time: there may be more values than an array on the host has room for
            int piece = Tracer.UsualPiece(values);
            foreach (TraceArray array in arrays)
                for (long first = 0; first == 0 || first < array.Length; first += piece)
                {
                    using var scope = new TensorScope();
                    writer.Write(array.Length is { } length
                        ? array with { Values = Ops.Slice(array.Values, 1, first, Math.Min(piece, length - first)) } : array, first);
                }
            return value;
        });
    }

    static bool IsGradient(TraceArray array) => array.Length is not null && array.Name.Split('.')[2] is ['d', _, ..] name && name != "delta";

    static void Write(MambaLM model, Tensor tokens, TraceSettings options, string path, IReadOnlyList<int> layers, List<TraceArray> values,
        Func<TraceWriter, double?> run)
    {
        long b = tokens.Shape[0], l = tokens.Shape[1];
        var arrays = new List<(string, Shape, DType)> { (TraceFile.Ids, (b, l), DType.Int32) };
        if (options.Reset is not null)
            arrays.Add((TraceFile.ResetTensor, (b, l), DType.Int32));
        foreach (TraceArray array in values)
        {
            arrays.Add((array.Name, array.FileShape, array.Values.DType));
            if (options.Quantity is not null && HasGradient(array))
                arrays.Add((Gradient(array.Name), array.FileShape, array.Values.DType));
        }
        if (options.Quantity is not null)
            arrays.Add((TraceFile.QuantityTensor, new Shape(), DType.Float64));
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            [TraceFile.FormatKey] = TraceFile.Format,
            [TraceFile.ModelKey] = model.Backbone.Fingerprint(),
            [TraceFile.LayersKey] = string.Join(',', layers),
            [TraceFile.DiscretizationKey] = model.Config.Discretization.Name,
        };
        if (options.Quantity is not null)
            metadata[TraceFile.QuantityKey] = options.Quantity.ToString();
        if (options.Hooks.Count > 0)
            metadata[TraceFile.HooksKey] = JsonSerializer.Serialize(options.Hooks.Select(hook => hook.ToString()));
        int[] ids = tokens.ToArray<int>();
        if (options.Tokenizer is { } tokenizer && ids.Length <= MostTokens)
            metadata[TraceFile.TokensKey] = JsonSerializer.Serialize(ids.Select(id => Tracer.TextOf(tokenizer, id)));
        long texts = options.Tokenizer is null ? 0 : Math.Min(model.Config.VocabSize, b * l * layers.Count * (long)options.Likeliest);
        long room = Math.Min(MostRoom, texts * RoomForText) + metadata.Sum(pair => 64L + 6 * pair.Value.Length);
        AtomicFile.Write(path, stream =>
        {
            var writer = new TraceWriter(stream, arrays, b, room, options.Tokenizer);
            writer.Write(new TraceArray(TraceFile.Ids, tokens, l), 0);
            if (options.Reset is { } reset)
                writer.Write(new TraceArray(TraceFile.ResetTensor, reset, l), 0);
            if (run(writer) is { } value)
                writer.Put(TraceFile.QuantityTensor, 0, BitConverter.GetBytes(value));
            writer.Finish(metadata);
        });
    }

    static bool HasGradient(TraceArray array) => array.Length is not null && array.Name.Split('.')[2] is not ("top_ids" or "top_p" or "next_p");

    // layer.0.h → layer.0.dh
    static string Gradient(string name) => name.Insert(name.LastIndexOf('.') + 1, "d");

    /// <inheritdoc/>
    public void Write(in TraceArray array, long first)
    {
        if (array.Name.EndsWith(".top_ids", StringComparison.Ordinal) && tokenizer is not null)
            seen.UnionWith(array.Values.ToArray<int>());
        Tensor values = array.IsOfStates ? Ops.Transpose(array.Values) : array.Values;
        switch (values.DType)
        {
            case DType.Float32: Put(array, first, values.ToArray<float>()); break;
            case DType.Float64: Put(array, first, values.ToArray<double>()); break;
            default: Put(array, first, Array.ConvertAll(values.ToArray<int>(), i => (long)i)); break;
        }
        if (array.IsOfStates)
            values.Dispose();
    }

    void Put<T>(in TraceArray array, long first, T[] values) where T : unmanaged
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(values.AsSpan());
        if (array.Length is not { } length)
        {
            Put(array.Name, 0, bytes);
            return;
        }
        int row = (int)(bytes.Length / batch);                      // bytes of these tokens of a sequence
        long token = row / array.Values.Shape[1];
        for (int r = 0; r < batch; r++)
            Put(array.Name, (r * length + first) * token, bytes.Slice(r * row, row));
    }

    void Put(string name, long offset, ReadOnlySpan<byte> bytes)
    {
        stream.Position = header + places[name].Start + offset;
        stream.Write(bytes);
    }

    void Finish(Dictionary<string, string> metadata)
    {
        byte[] json = Header(metadata);
        if (seen.Count > 0)
        {
            metadata[TraceFile.TextsKey] = JsonSerializer.Serialize(seen.ToDictionary(id => id, id => Tracer.TextOf(tokenizer!, id)));
            if (Header(metadata) is { } larger && larger.Length <= header - 8)
                json = larger;          // else there is no room for the texts, and ids must do
        }
        if (json.Length > header - 8)
            throw new InvalidOperationException($"the header is {json.Length} bytes long; there is room for {header - 8}.");
        stream.Position = 0;
        stream.Write(BitConverter.GetBytes((ulong)(header - 8)));
        stream.Write(json);
        stream.Write(Encoding.ASCII.GetBytes(new string(' ', (int)(header - 8 - json.Length))));
    }

    byte[] Header(Dictionary<string, string> metadata)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("__metadata__");
            foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                json.WriteString(key, value);
            json.WriteEndObject();
            foreach (string name in order)
            {
                (long start, Shape shape, string type) = places[name];
                SafetensorsWriter.WriteEntry(json, name, type, shape, start);
            }
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }
}
