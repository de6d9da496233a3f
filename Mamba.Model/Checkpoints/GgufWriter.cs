using System.Text;

namespace Mamba;

/// <summary>Gathers the values and tensors of a GGUF file, version 3, and writes it, all or nothing.</summary>
internal sealed class GgufWriter
{
    /// <summary>A key of ours: the epsilon of Falcon-Mamba's norms, for which llama.cpp has that of the others.</summary>
    public const string MixerEpsilon = "ssm.dt_b_c_rms_epsilon";

    /// <summary>Kinds of tokens, by llama.cpp's numbers.</summary>
    public const int Normal = 1, Control = 3, UserDefined = 4, Unused = 5;

    const int Alignment = 32;

    readonly List<(string Key, uint Type, Action<BinaryWriter> Write)> pairs = [];
    readonly List<(string Name, string Type, Shape Shape, Action<Stream> Write)> tensors = [];

    public void Add(string key, uint value) => Pair(key, 4, to => to.Write(value));

    public void Add(string key, float value) => Pair(key, 6, to => to.Write(value));

    public void Add(string key, bool value) => Pair(key, 7, to => to.Write(value));

    public void Add(string key, string value) => Pair(key, 8, to => Text(to, value));

    public void Add(string key, IReadOnlyCollection<string> values) => Pair(key, 9, to =>
    {
        to.Write(8u);
        to.Write((ulong)values.Count);
        foreach (string value in values)
            Text(to, value);
    });

    public void Add(string key, int[] values) => Pair(key, 9, to =>
    {
        to.Write(5u);
        to.Write((ulong)values.Length);
        foreach (int value in values)
            to.Write(value);
    });

    /// <param name="name">Its name in the file.</param>
    /// <param name="type">F32, F16, BF16, F64 or Q8_0.</param>
    /// <param name="shape">Outermost first.</param>
    /// <param name="write">Writes the bytes of its values, row-major.</param>
    public void Add(string name, string type, Shape shape, Action<Stream> write) => tensors.Add((name, type, shape, write));

    /// <exception cref="MambaException">It cannot be written; a file that was there is as before.</exception>
    public void Save(string path)
    {
        using var header = new MemoryStream();
        using (var to = new BinaryWriter(header, Encoding.UTF8, leaveOpen: true))
        {
            to.Write("GGUF"u8);
            to.Write(3u);
            to.Write((ulong)tensors.Count);
            to.Write((ulong)pairs.Count);
            foreach ((string key, uint type, Action<BinaryWriter> write) in pairs)
            {
                Text(to, key);
                to.Write(type);
                write(to);
            }
            long offset = 0;
            foreach ((string name, string type, Shape shape, _) in tensors)
            {
                Text(to, name);
                to.Write((uint)shape.Rank);
                for (int axis = shape.Rank - 1; axis >= 0; axis--)
                    to.Write((ulong)shape[axis]);
                to.Write(GgufFile.Types.First(known => known.Type == type).Number);
                to.Write((ulong)offset);
                offset = Padded(offset + ElementType.BytesOf(type, shape.Count));
            }
        }
        AtomicFile.Write(path, stream =>
        {
            header.Position = 0;
            header.CopyTo(stream);
            Pad(stream, header.Length);
            foreach ((_, string type, Shape shape, Action<Stream> write) in tensors)
            {
                write(stream);
                Pad(stream, ElementType.BytesOf(type, shape.Count));
            }
        });
    }

    static long Padded(long length) => (length + Alignment - 1) / Alignment * Alignment;

    static void Pad(Stream stream, long length) => stream.Write(new byte[Padded(length) - length]);

    void Pair(string key, uint type, Action<BinaryWriter> write) => pairs.Add((key, type, write));

    static void Text(BinaryWriter to, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        to.Write((ulong)bytes.Length);
        to.Write(bytes);
    }
}
