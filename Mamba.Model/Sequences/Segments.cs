namespace Mamba;

/// <summary>
/// Where the sequences of a batch stand in its rows (b, l): sequences of different lengths, each in a row of its own and padded at its end, or several packed
/// one behind another in a row. Either way a model gives each what it gives it alone, to rounding.
/// <code>
/// Segments segments = Segments.Packed([5, 3, 4], longest: 8);         // rows of 8: 5 + 3, and 4
/// Tensor scores = model.Forward(segments.Tokens(sequences, device), segments);    // (3, classes), in the order that they were given
/// </code>
/// </summary>
public sealed class Segments
{
    readonly Segment[] all;

    Segments(Segment[] all, int rows, int length) => (this.all, Rows, Length) = (all, rows, length);

    /// <summary>Rows, b.</summary>
    public int Rows { get; }

    /// <summary>Positions of each row, l.</summary>
    public int Length { get; }

    /// <summary>Number of sequences.</summary>
    public int Count => all.Length;

    /// <summary>Positions that belong to a sequence, of the b · l.</summary>
    public long Positions => all.Sum(segment => (long)segment.Length);

    /// <summary>One sequence, in the order they were given in.</summary>
    /// <param name="index">From 0.</param>
    public Segment this[int index] => all[index];

    /// <summary>Each sequence in a row of its own, padded at its end to the longest.</summary>
    /// <param name="lengths">Of the sequences, in steps, 1 or more each.</param>
    /// <exception cref="MambaException">There is none, or one is empty.</exception>
    public static Segments Padded(IReadOnlyList<int> lengths)
    {
        Expect(lengths);
        return new([.. lengths.Select((length, i) => new Segment(i, 0, length))], lengths.Count, lengths.Max());
    }

    /// <summary>
    /// Several in a row where there is room: the longest first, each into the first row that has room for it. The rows are as long as the longest sequence,
    /// unless more is asked for.
    /// </summary>
    /// <param name="lengths">Of the sequences, in steps, 1 or more each.</param>
    /// <param name="longest">A row may be as long, where the longest sequence is shorter.</param>
    /// <param name="patch">Sequences begin at multiples of it: <see cref="InputConfig.Patch"/> of the model that reads them.</param>
    /// <exception cref="MambaException">There is none, or one is empty.</exception>
    public static Segments Packed(IReadOnlyList<int> lengths, int longest = 0, int patch = 1)
    {
        Expect(lengths);
        ExpectPatch(patch);
        longest = Math.Max(longest, lengths.Max());
        var placed = new Segment[lengths.Count];
        var filled = new List<int>();
        foreach (int i in Enumerable.Range(0, lengths.Count).OrderByDescending(i => lengths[i]))
        {
            int row = filled.FindIndex(count => lengths[i] <= longest - (long)Next(count));
            if (row < 0)
            {
                row = filled.Count;
                filled.Add(0);
            }
            placed[i] = new Segment(row, (int)Next(filled[row]), lengths[i]);
            filled[row] = placed[i].Start + lengths[i];
        }
        return new(placed, filled.Count, filled.Max());

        long Next(int step) => ((long)step + patch - 1) / patch * patch;
    }

    static void Expect(IReadOnlyList<int> lengths)
    {
        if (lengths.Count == 0)
            throw new MambaException("Segments: there are no sequences; expected one or more.");
        for (int i = 0; i < lengths.Count; i++)
            if (lengths[i] < 1)
                throw new MambaException($"Segments: sequence {i} has {lengths[i]} positions; expected 1 or more.");
    }

    static void ExpectPatch(int patch)
    {
        if (patch < 1)
            throw new MambaException($"Segments: a patch of {patch} steps; expected 1 or more.");
    }

    /// <summary>The same sequences where p steps make one position: a sequence of 10 steps takes 3 positions of 4.</summary>
    /// <param name="patch">p, 1 or more.</param>
    /// <exception cref="MambaException">A sequence does not begin where a position does.</exception>
    public Segments Patched(int patch)
    {
        ExpectPatch(patch);
        if (patch == 1)
            return this;
        foreach (Segment segment in all)
            if (segment.Start % patch != 0)
                throw new MambaException($"Segments: a sequence begins at step {segment.Start} of its row; expected a multiple of the patch, {patch}.");
        return new([.. all.Select(s => new Segment(s.Row, s.Start / patch, Patches(s.Length)))], Rows, Patches(Length));

        int Patches(int steps) => (int)(((long)steps + patch - 1) / patch);
    }

    /// <summary>
    /// (b, l) int32: not 0 where a sequence starts, and where padding does; null where each row is one sequence from end to end, in
    /// their order. What <see cref="MambaBackbone.Forward"/> takes.
    /// </summary>
    /// <param name="device">Where it shall be.</param>
    /// <param name="length">l, where the rows are padded further; <see cref="Length"/> when null.</param>
    public Tensor? Resets(Device device, long? length = null)
    {
        int l = Expect(length ?? Length);
        if (Count == Rows && all.Index().All(one => one.Item.Row == one.Index && one.Item.Length == l))
            return null;
        int[] reset = new int[Cells(l, 1)];
        foreach (Segment segment in all)
        {
            reset[segment.Row * l + segment.Start] = 1;
            if (segment.Start + segment.Length < l)
                reset[segment.Row * l + segment.Start + segment.Length] = 1;
        }
        return Tensor.From(reset, (Rows, l), device);
    }

    /// <summary>(b, l, 1) int32: 1 where a sequence is, 0 in the padding; null where there is no padding.</summary>
    internal Tensor? Mask(Device device, long length)
    {
        int l = Expect(length);
        if (Positions == (long)Rows * l)
            return null;
        int[] inside = new int[Cells(l, 1)];
        foreach (Segment segment in all)
            inside.AsSpan(segment.Row * l + segment.Start, segment.Length).Fill(1);
        return Tensor.From(inside, (Rows, l, 1), device);
    }

    int Expect(long length) => length >= Length && length <= int.MaxValue ? (int)length
        : throw new MambaException($"Segments: rows of {length} positions were asked for; the sequences take {Length}.");

    /// <summary>Token sequences → (b, l) int32, 0 in the padding.</summary>
    /// <param name="sequences">As many, and as long, as the segments.</param>
    /// <param name="device">Where it shall be.</param>
    /// <exception cref="MambaException">They do not fit.</exception>
    public Tensor Tokens(IReadOnlyList<int[]> sequences, Device device) => Tensor.From(Fill(sequences, 1), (Rows, Length), device);

    /// <summary>Sequences of numbers, (length, c) each → (b, l, c) float32 or float64, 0 in the padding.</summary>
    /// <param name="sequences">As many, and as long, as the segments.</param>
    /// <param name="channels">c.</param>
    /// <param name="device">Where it shall be.</param>
    /// <param name="dtype">float32 or float64.</param>
    /// <exception cref="MambaException">They do not fit.</exception>
    public Tensor Values(IReadOnlyList<float[]> sequences, int channels, Device device, DType dtype = DType.Float32)
    {
        if (dtype == DType.Int32)
            throw new MambaException($"Segments: values of {dtype.Name()} were asked for; expected float32 or float64.");
        float[] values = Fill(sequences, channels);
        Shape shape = (Rows, Length, channels);
        return dtype == DType.Float32 ? Tensor.From(values, shape, device) : Tensor.From(Array.ConvertAll(values, value => (double)value), shape, device);
    }

    T[] Fill<T>(IReadOnlyList<T[]> sequences, int width)
    {
        if (sequences.Count != Count)
            throw new MambaException($"Segments: {sequences.Count} sequences were given; expected {Count}.");
        for (int i = 0; i < Count; i++)
            if (sequences[i].Length != (long)all[i].Length * width)
                throw new MambaException($"Segments: sequence {i} has {sequences[i].Length} values; expected {(long)all[i].Length * width}.");
        var filled = new T[Cells(Length, width)];
        for (int i = 0; i < Count; i++)
            sequences[i].CopyTo(filled, (all[i].Row * Length + all[i].Start) * width);
        return filled;
    }

    int Cells(int length, int width) => (Int128)Rows * length * width is var count && count <= int.MaxValue ? (int)count
        : throw new MambaException($"Segments: {Rows} rows of {length}{(width > 1 ? $" by {width}" : "")} are more than can be counted; "
            + $"expected {int.MaxValue} values at most.");

    /// <summary>(sequences) int32: the last position of each, counted through all rows: row · l + position.</summary>
    internal Tensor Ends(Device device, long length) =>
        Tensor.From([.. all.Select(segment => checked((int)(segment.Row * length + segment.Start + segment.Length - 1)))], Count, device);
}
