using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Mamba;

/// <summary>
/// Gathers tensors and writes them as one safetensors file, all or nothing: the file appears under its name when every
/// byte is on the disk. Wider dtypes come first, so that each tensor starts on a multiple of its element size.
/// </summary>
public sealed class SafetensorsWriter
{
    readonly List<Part> parts = [];
    readonly HashSet<string> names = new(StringComparer.Ordinal) { "__metadata__" };

    sealed record Part(string Name, string Type, Shape Shape, long Bytes, Action<Stream> Write);

    /// <summary>Free-form strings that go into the header.</summary>
    public IDictionary<string, string> Metadata { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Adds a tensor. The array is read when the file is written.</summary>
    /// <typeparam name="T">float, double, int or long.</typeparam>
    /// <param name="name">Its name in the file.</param>
    /// <param name="shape">Its extents, outermost first.</param>
    /// <param name="values">Row-major.</param>
    /// <exception cref="MambaException">The name is taken, the values are not as many as the shape counts, or T is another type.</exception>
    public void Add<T>(string name, Shape shape, T[] values) where T : unmanaged
    {
        string type = typeof(T) == typeof(float) ? "F32"
            : typeof(T) == typeof(double) ? "F64"
            : typeof(T) == typeof(int) ? "I32"
            : typeof(T) == typeof(long) ? "I64"
            : throw new MambaException($"safetensors: {name} is of {typeof(T).Name}; float, double, int and long can be written.");
        if (values.Length != shape.Count)
            throw new MambaException($"safetensors: {name} has {values.Length} values; its shape {shape} needs {shape.Count}.");
        if (!names.Add(name))
            throw new MambaException($"safetensors: the name {Safetensors.Quote(name)} is taken.");
        parts.Add(new Part(name, type, shape, values.LongLength * SafetensorsEntry.SizeOf(type), stream => Write(stream, values)));
    }

    /// <summary>Adds a copy of a tensor's values.</summary>
    /// <param name="name">Its name in the file.</param>
    /// <param name="tensor">float32, float64 or int32.</param>
    /// <exception cref="MambaException">The name is taken.</exception>
    public void Add(string name, Tensor tensor)
    {
        switch (tensor.DType)
        {
            case DType.Float32: Add(name, tensor.Shape, tensor.ToArray<float>()); break;
            case DType.Float64: Add(name, tensor.Shape, tensor.ToArray<double>()); break;
            default: Add(name, tensor.Shape, tensor.ToArray<int>()); break;
        }
    }

    /// <summary>Adds a tensor whose bytes come when the file is written, piece by piece.</summary>
    internal void Add(string name, string type, Shape shape, Action<Stream> write)
    {
        if (!names.Add(name))
            throw new MambaException($"safetensors: the name {Safetensors.Quote(name)} is taken.");
        parts.Add(new Part(name, type, shape, shape.Count * SafetensorsEntry.SizeOf(type), write));
    }

    /// <summary>Writes the file.</summary>
    /// <param name="path">Where; a file that is there is replaced.</param>
    /// <exception cref="MambaException">It cannot be written; a file that was there is as before.</exception>
    public void Save(string path)
    {
        Part[] ordered = [.. parts.OrderByDescending(part => SafetensorsEntry.SizeOf(part.Type))];       // OrderBy is stable
        byte[] header = Header(ordered);
        AtomicFile.Write(path, stream =>
        {
            stream.Write(BitConverter.GetBytes((ulong)header.Length));
            stream.Write(header);
            foreach (Part part in ordered)
                part.Write(stream);
        });
    }

    byte[] Header(Part[] ordered)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (Metadata.Count > 0)
            {
                json.WriteStartObject("__metadata__");
                foreach ((string key, string value) in Metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                    json.WriteString(key, value);
                json.WriteEndObject();
            }
            long start = 0;
            foreach (Part part in ordered)
            {
                WriteEntry(json, part.Name, part.Type, part.Shape, start);
                start += part.Bytes;
            }
            json.WriteEndObject();
        }
        while (buffer.WrittenCount % 8 != 0)
            buffer.Write(" "u8);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>What a header says of one tensor, which starts at a byte of the data.</summary>
    internal static void WriteEntry(Utf8JsonWriter json, string name, string type, Shape shape, long start)
    {
        json.WriteStartObject(name);
        json.WriteString("dtype", type);
        json.WriteStartArray("shape");
        foreach (long extent in shape.ToArray())
            json.WriteNumberValue(extent);
        json.WriteEndArray();
        json.WriteStartArray("data_offsets");
        json.WriteNumberValue(start);
        json.WriteNumberValue(start + shape.Count * SafetensorsEntry.SizeOf(type));
        json.WriteEndArray();
        json.WriteEndObject();
    }

    static void Write<T>(Stream stream, T[] values) where T : unmanaged
    {
        const int Piece = 1 << 20;
        for (int done = 0; done < values.Length; done += Piece)
            stream.Write(MemoryMarshal.AsBytes(values.AsSpan(done, Math.Min(Piece, values.Length - done))));
    }
}
