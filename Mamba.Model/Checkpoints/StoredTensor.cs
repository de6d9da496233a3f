using System.Runtime.InteropServices;

namespace Mamba;

/// <summary>
/// A tensor that lies in a file, whatever the file's format: a name, a type, a shape, and values that are read piece by piece, row-major.
/// Nothing is allocated for it before its values are asked for.
/// </summary>
/// <param name="file">Where it lies.</param>
/// <param name="name">Its name in the file.</param>
/// <param name="type">F64, F32, F16, BF16, Q8_0, I64 or I32.</param>
/// <param name="shape">Its extents, outermost first.</param>
internal abstract class StoredTensor(string file, string name, string type, Shape shape)
{
    /// <summary>Elements that are read at once; whole blocks of Q8_0.</summary>
    public const int Piece = 1 << 16;

    public string File { get; } = file;
    public string Name { get; } = name;
    public string Type { get; } = type;
    public Shape Shape { get; } = shape;
    public long Count { get; } = shape.Count;

    /// <summary>Whether its values are floating-point numbers; integers otherwise.</summary>
    public bool IsFloat => Type is "F64" or "F32" or "F16" or "BF16" or ElementType.Q8;

    public string QuotedName => Safetensors.Quote(Name);

    /// <summary>Its bytes from <paramref name="start"/> on, as if it lay row-major in one piece.</summary>
    public abstract void ReadBytes(long start, Span<byte> target);

    /// <summary>All values as float32, rounded to nearest where the file has more digits.</summary>
    public float[] ReadFloats()
    {
        float[] values = new float[Fits(Count)];
        Read(0, values);
        return values;
    }

    /// <summary>All values as float64; exact, but for integers beyond 2^53.</summary>
    public double[] ReadDoubles()
    {
        double[] values = new double[Fits(Count)];
        Read(0, values);
        return values;
    }

    /// <summary>Values from <paramref name="first"/> on, rounded to float32; for Q8_0 a multiple of its block.</summary>
    public void Read(long first, Span<float> values)
    {
        double[]? wide = Type is "F64" or "I64" or "I32" ? new double[Math.Min(values.Length, Piece)] : null;
        for (int done = 0; done < values.Length; done += Piece)
        {
            Span<float> part = values.Slice(done, Math.Min(Piece, values.Length - done));
            if (wide is null)
            {
                Decode(first + done, part);
                continue;
            }
            Read(first + done, wide.AsSpan(0, part.Length));
            for (int i = 0; i < part.Length; i++)
                part[i] = (float)wide[i];
        }
    }

    /// <summary>Values from <paramref name="first"/> on; for Q8_0 a multiple of its block.</summary>
    public void Read(long first, Span<double> values)
    {
        switch (Type)
        {
            case "F64": ReadRaw(first, values); return;
            case "I64": Widen<long>(first, values, x => x); return;
            case "I32": Widen<int>(first, values, x => x); return;
        }
        float[] narrow = new float[Math.Min(values.Length, Piece)];
        for (int done = 0; done < values.Length; done += Piece)
        {
            Span<double> part = values.Slice(done, Math.Min(Piece, values.Length - done));
            Decode(first + done, narrow.AsSpan(0, part.Length));
            for (int i = 0; i < part.Length; i++)
                part[i] = narrow[i];
        }
    }

    /// <summary>Values of an integer tensor from <paramref name="first"/> on.</summary>
    public long[] ReadLongs(long first, long count)
    {
        Expect(first, count);
        long[] values = new long[Fits(count)];
        if (Type == "I64")
        {
            ReadRaw<long>(first, values);
            return values;
        }
        int[] narrow = new int[Math.Min(count, Piece)];
        for (int done = 0; done < count; done += Piece)
        {
            Span<int> part = narrow.AsSpan(0, (int)Math.Min(Piece, count - done));
            ReadRaw(first + done, part);
            for (int i = 0; i < part.Length; i++)
                values[done + i] = part[i];
        }
        return values;
    }

    /// <summary>
    /// Whether a tensor holds the same values as another of the same shape: bit for bit where the types are the same, NaN among them, and else by what
    /// they stand for.
    /// </summary>
    public bool HasSameValues(StoredTensor other)
    {
        if (other.Count != Count)
            return false;
        if (Type != other.Type)
        {
            double[] mine = new double[Math.Min(Count, Piece)], theirs = new double[mine.Length];
            for (long done = 0; done < Count; done += Piece)
            {
                int run = (int)Math.Min(Piece, Count - done);
                Read(done, mine.AsSpan(0, run));
                other.Read(done, theirs.AsSpan(0, run));
                if (!mine.AsSpan(0, run).SequenceEqual(theirs.AsSpan(0, run)))
                    return false;
            }
            return true;
        }
        long bytes = ElementType.BytesOf(Type, Count);
        byte[] left = new byte[Math.Min(bytes, Piece)], right = new byte[left.Length];
        for (long done = 0; done < bytes; done += left.Length)
        {
            int run = (int)Math.Min(left.Length, bytes - done);
            ReadBytes(done, left.AsSpan(0, run));
            other.ReadBytes(done, right.AsSpan(0, run));
            if (!left.AsSpan(0, run).SequenceEqual(right.AsSpan(0, run)))
                return false;
        }
        return true;
    }

    void Decode(long first, Span<float> values)
    {
        switch (Type)
        {
            case "F32":
                ReadRaw(first, values);
                break;
            case "F16":
                Half[] halves = new Half[values.Length];
                ReadRaw<Half>(first, halves);
                for (int i = 0; i < halves.Length; i++)
                    values[i] = (float)halves[i];
                break;
            case "BF16":
                ushort[] brains = new ushort[values.Length];
                ReadRaw<ushort>(first, brains);
                for (int i = 0; i < brains.Length; i++)
                    values[i] = BitConverter.UInt32BitsToSingle((uint)brains[i] << 16);
                break;
            case ElementType.Q8:
                byte[] blocks = new byte[ElementType.BytesOf(Type, values.Length)];
                ReadBytes(ElementType.BytesOf(Type, first), blocks);
                ElementType.FromQ8(blocks, values);
                break;
            default:
                throw new MambaException($"{File}: {QuotedName} is {Type}; floating-point numbers were expected.");
        }
    }

    void Widen<T>(long first, Span<double> values, Func<T, double> widen) where T : unmanaged
    {
        T[] piece = new T[Math.Min(values.Length, Piece)];
        for (int done = 0; done < values.Length; done += Piece)
        {
            Span<T> part = piece.AsSpan(0, Math.Min(Piece, values.Length - done));
            ReadRaw(first + done, part);
            for (int i = 0; i < part.Length; i++)
                values[done + i] = widen(part[i]);
        }
    }

    void ReadRaw<T>(long first, Span<T> values) where T : unmanaged
    {
        int size = ElementType.BlockBytes(Type);
        for (int done = 0; done < values.Length; done += Piece)
            ReadBytes((first + done) * size, MemoryMarshal.AsBytes(values.Slice(done, Math.Min(Piece, values.Length - done))));
    }

    void Expect(long first, long count)
    {
        if (first < 0 || count < 0 || first > Count - count)
            throw new MambaException($"{File}: {count} elements from {first} on were asked for; {QuotedName} has {Count}.");
    }

    long Fits(long count) => count <= Array.MaxLength
        ? count
        : throw new MambaException($"{File}: {QuotedName} has {count} elements; an array holds at most {Array.MaxLength}.");
}
