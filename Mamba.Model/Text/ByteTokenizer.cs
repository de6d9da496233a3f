using System.Text;

namespace Mamba;

/// <summary>Every byte of the text's UTF-8 is a token: 256 of them, and none that ends a text.</summary>
public sealed class ByteTokenizer : Tokenizer
{
    internal const string Name = "bytes";
    internal const int Count = 256;

    static readonly byte[] All = [.. Enumerable.Range(0, Count).Select(i => (byte)i)];

    /// <inheritdoc/>
    public override int VocabSize => Count;

    /// <inheritdoc/>
    public override int[] Encode(string text) => Array.ConvertAll(Encoding.UTF8.GetBytes(text), b => (int)b);

    /// <inheritdoc/>
    public override ReadOnlyMemory<byte> Bytes(int id) => (uint)id < Count ? All.AsMemory(id, 1) : default;
}
