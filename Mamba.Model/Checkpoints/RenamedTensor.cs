namespace Mamba;

/// <summary>The values of another stored tensor under another name and shape.</summary>
internal sealed class RenamedTensor(StoredTensor inner, string name, Shape shape) : StoredTensor(inner.File, name, inner.Type, shape)
{
    public override void ReadBytes(long start, Span<byte> target) => inner.ReadBytes(start, target);
}
