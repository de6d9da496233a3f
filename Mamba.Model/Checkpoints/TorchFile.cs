using System.Text;

namespace Mamba;

/// <summary>
/// What <c>torch.save</c> wrote of a state_dict: a zip archive of a pickle, which says what the tensors are, and of their storages. The pickle is read by a
/// machine that knows tensors only, <see cref="TensorPickle"/>; the values are read from their places in the file, along the strides that they have there.
/// </summary>
internal sealed class TorchFile : ITensorFile
{
    const int LongestPickle = 1 << 26;

    readonly RandomFile file;

    sealed class Part(RandomFile file, string name, string type, Shape shape, long start, long[] stride) : StoredTensor(file.Path, name, type, shape)
    {
        readonly int size = ElementType.BlockBytes(type);
        readonly bool isContiguous = IsContiguous(shape, stride);

        public override void ReadBytes(long first, Span<byte> target)
        {
            if (isContiguous)
            {
                file.Read(start + first, target);
                return;
            }
            // The longest runs that lie together: along the last axis where its elements are neighbours, else one element.
            long row = stride[^1] == 1 ? Shape[^1] : 1;
            for (long element = first / size; target.Length > 0;)
            {
                long run = Math.Min(row - element % row, target.Length / size), rest = element, place = 0;
                for (int axis = stride.Length - 1; axis >= 0; axis--)
                {
                    place += rest % Shape[axis] * stride[axis];
                    rest /= Shape[axis];
                }
                file.Read(start + place * size, target[..(int)(run * size)]);
                target = target[(int)(run * size)..];
                element += run;
            }
        }

        static bool IsContiguous(Shape shape, long[] stride)
        {
            long next = 1;
            for (int axis = stride.Length - 1; axis >= 0; axis--)
            {
                if (shape[axis] != 1 && stride[axis] != next)
                    return false;
                next *= shape[axis];
            }
            return true;
        }
    }

    TorchFile(RandomFile file)
    {
        this.file = file;
        Dictionary<string, (long Start, long Length)> entries = StoredZip.Read(file);
        string[] pickles = [.. entries.Keys.Where(name => name.EndsWith("/data.pkl", StringComparison.Ordinal) && name.Count(c => c == '/') == 1)];
        if (pickles.Length != 1)
            throw Bad($"there are {pickles.Length} files named data.pkl in it; torch.save writes one");
        string root = pickles[0][..^"data.pkl".Length];
        if (entries.TryGetValue(root + "byteorder", out (long Start, long Length) order) && Encoding.ASCII.GetString(Small(order, 16, "byteorder")) != "little")
            throw Bad("its numbers are not little-endian");
        IReadOnlyList<(string Name, TensorPickle.View Tensor)> views = TensorPickle.Read(file.Path, Small(entries[pickles[0]], LongestPickle, pickles[0]));

        var tensors = new List<StoredTensor>();
        var used = new Dictionary<string, TensorPickle.Storage>(StringComparer.Ordinal);
        UInt128 bytes = 0, stored = 0;
        foreach ((string name, TensorPickle.View view) in views)
        {
            TensorPickle.Storage of = view.Of;
            if (!entries.TryGetValue($"{root}data/{of.Key}", out (long Start, long Length) place))
                throw Bad($"the values of {Safetensors.Quote(name)}, data/{Safetensors.OneLine(of.Key)}, are not in it");
            int size = ElementType.BlockBytes(of.Type);
            if ((UInt128)place.Length != (UInt128)of.Count * (UInt128)size)
                throw Bad($"data/{Safetensors.OneLine(of.Key)} has {place.Length} bytes; {of.Count} elements of {of.Type} were expected");
            if (used.TryAdd(of.Key, of))
                stored += (UInt128)place.Length;
            Shape shape = Check(name, view);
            bytes += (UInt128)shape.Count * (UInt128)size;
            tensors.Add(new Part(file, name, of.Type, shape, place.Start + (shape.Count == 0 ? 0 : view.Offset * size), view.Stride));
        }
        // A head may be the embedding once more; beyond that, a small file could ask for any amount of memory.
        if (bytes > 2 * stored)
            throw Bad($"its tensors have {bytes} bytes, of {stored} in their storages; expected at most twice as many");
        Tensors = tensors;
    }

    public string Path => file.Path;

    public IReadOnlyList<StoredTensor> Tensors { get; }

    /// <exception cref="MambaException">The file is missing, truncated, or holds other than tensors.</exception>
    public static TorchFile Open(string path)
    {
        var opened = new RandomFile(path, _ => { });
        try
        {
            return new TorchFile(opened);
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    Shape Check(string name, TensorPickle.View view)
    {
        if (view.Size.Length != view.Stride.Length || view.Size.Any(x => x < 0) || view.Stride.Any(x => x < 0) || view.Offset < 0)
            throw Bad($"{Safetensors.Quote(name)} has sizes [{string.Join(", ", view.Size)}], strides [{string.Join(", ", view.Stride)}] "
                + $"and offset {view.Offset}; expected as many of both, from 0");
        UInt128 count = 1, last = (UInt128)view.Offset;
        for (int i = 0; i < view.Size.Length; i++)
        {
            count *= (UInt128)view.Size[i];
            if (count > long.MaxValue)
                throw Bad($"{Safetensors.Quote(name)} has more elements than can be counted");
            last += (UInt128)Math.Max(view.Size[i] - 1, 0) * (UInt128)view.Stride[i];
        }
        if (count > (UInt128)view.Of.Count || (count > 0 && last >= (UInt128)view.Of.Count))
            throw Bad($"{Safetensors.Quote(name)} has {count} elements, the last at {last}; its storage has {view.Of.Count}");
        return new Shape(view.Size);
    }

    byte[] Small((long Start, long Length) place, int most, string name)
    {
        if (place.Length > most)
            throw Bad($"{Safetensors.Quote(name)} is {place.Length} bytes long; expected at most {most}");
        byte[] bytes = new byte[place.Length];
        file.Read(place.Start, bytes);
        return bytes;
    }

    MambaException Bad(string what) => new($"{file.Path}: {what}.");

    public void Dispose() => file.Dispose();
}
