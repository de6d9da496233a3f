using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// From the number of a row to the offset of its first element, for up to four axes around the row. Axes are numbered from
/// the outermost; unused ones come first, with extent 1. A row number that fits in the axes at the end needs no division.
/// </summary>
internal struct RowOffsets
{
    public long Extent2, Extent3, Extent4;
    public long Stride1, Stride2, Stride3, Stride4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly long Of(long row)
    {
        long offset = 0;
        if (row < Extent4)
        {
            offset = row * Stride4;
        }
        else
        {
            long rest4 = row / Extent4, rest3 = rest4 / Extent3, rest2 = rest3 / Extent2;
            offset = (row - rest4 * Extent4) * Stride4 + (rest4 - rest3 * Extent3) * Stride3
                + (rest3 - rest2 * Extent2) * Stride2 + rest2 * Stride1;
        }
        return offset;
    }

    /// <summary>Most axes, the innermost among them, that a walk may have after its axes are merged.</summary>
    public const int MaxAxes = 5;

    /// <summary>The offsets for merged axes: all but the last of <paramref name="extents"/>.</summary>
    internal static RowOffsets From(ReadOnlySpan<long> extents, ReadOnlySpan<long> strides)
    {
        long Extent(int slot, ReadOnlySpan<long> of) => slot + of.Length - MaxAxes is >= 0 and int axis ? of[axis] : 1;
        long Stride(int slot, ReadOnlySpan<long> of) => slot + of.Length - MaxAxes is >= 0 and int axis ? of[axis] : 0;
        return new RowOffsets
        {
            Extent2 = Extent(1, extents),
            Extent3 = Extent(2, extents),
            Extent4 = Extent(3, extents),
            Stride1 = Stride(0, strides),
            Stride2 = Stride(1, strides),
            Stride3 = Stride(2, strides),
            Stride4 = Stride(3, strides),
        };
    }

    /// <summary>
    /// Drops axes of extent 1 and merges neighbours that all operands walk as one, in place; at least one axis is left.
    /// </summary>
    /// <returns>How many axes are left.</returns>
    internal static int Merge(Span<long> extents, Span<long> a, Span<long> b) => Merge(extents, a, b, stackalloc long[extents.Length]);

    /// <inheritdoc cref="Merge(Span{long}, Span{long}, Span{long})"/>
    internal static int Merge(Span<long> extents, Span<long> a, Span<long> b, Span<long> c)
    {
        int left = 0;
        for (int i = 0; i < extents.Length; i++)
        {
            if (extents[i] == 1)
                continue;
            bool one = left > 0 && a[left - 1] == a[i] * extents[i] && b[left - 1] == b[i] * extents[i] && c[left - 1] == c[i] * extents[i];
            if (!one)
                left++;
            extents[left - 1] = one ? extents[left - 1] * extents[i] : extents[i];
            a[left - 1] = a[i];
            b[left - 1] = b[i];
            c[left - 1] = c[i];
        }
        if (left > 0)
            return left;
        (extents[0], a[0], b[0], c[0]) = (1, 1, 1, 1);
        return 1;
    }

    /// <summary>Strides of a contiguous tensor seen as one of <paramref name="strides"/>.Length axes: 0 along those it is repeated along.</summary>
    internal static void Strides(Shape shape, Span<long> strides)
    {
        strides.Clear();
        long stride = 1;
        for (int i = 1; i <= shape.Rank; i++)
        {
            strides[^i] = shape[^i] == 1 ? 0 : stride;
            stride *= shape[^i];
        }
    }
}

/// <summary>
/// Copies rows: y[YStart + row·YStride + j] = x[XStart + XRows(row) + j·XStep], j &lt; Inner. Slices, concatenations, permutations
/// and repetitions are all this.
/// </summary>
internal struct CopyRows<V, M, T> : IKernel
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    public M X, Y;
    public RowOffsets XRows;
    public long XStart, XStep, YStart, YStride, Rows, Inner;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(Worker worker)
    {
        M x = X, y = Y;
        RowOffsets xRows = XRows;
        long xStart = XStart, step = XStep, yStart = YStart, yStride = YStride, inner = Inner;
        long run = Lanes.Run(V.Width), perRow = (inner + run - 1) / run;
        Share share = worker.Share(Rows * perRow);
        for (long item = share.Start; item < share.End; item += share.Step)
        {
            long row = perRow == 1 ? item : item / perRow, j = (item - row * perRow) * run, end = Math.Min(inner, j + run);
            long from = xStart + xRows.Of(row), to = yStart + row * yStride;
            if (step == 1)
                for (; j + V.Width <= end; j += V.Width)
                    V.Store(y, to + j, V.Load(x, from + j));
            for (; j < end; j++)
                y[to + j] = x[from + j * step];
        }
    }
}

/// <summary>Launchers of copies. int32 is copied as float32: four bytes are four bytes.</summary>
internal static class CopyKernels
{
    /// <summary>x (rows, xRow) → y (rows, yRow): elements xStart to xStart + count of each row of x to yStart … of that of y.</summary>
    public static void Columns(Tensor x, long xRow, long xStart, Tensor y, long yRow, long yStart, long rows, long count) =>
        Copy(x, y, new RowOffsets { Extent2 = 1, Extent3 = 1, Extent4 = rows, Stride4 = xRow }, xStart, xStep: 1, yStart, yRow, rows, count);

    /// <summary>y (contiguous, <paramref name="extents"/>) from x walked by <paramref name="strides"/>.</summary>
    /// <exception cref="MambaException">More axes are left after merging than a kernel walks.</exception>
    public static void Walk(string op, Tensor x, Tensor y, ReadOnlySpan<long> extents, ReadOnlySpan<long> strides)
    {
        if (y.Count == 0)
            return;
        Span<long> extent = stackalloc long[extents.Length + 1], stride = stackalloc long[extents.Length + 1], unused = stackalloc long[extents.Length + 1];
        extent[0] = 1;
        extents.CopyTo(extent[1..]);
        strides.CopyTo(stride[1..]);
        int axes = RowOffsets.Merge(extent, stride, unused);
        if (axes > RowOffsets.MaxAxes)
            throw new MambaException($"{op}: from {x.Shape} to {y.Shape} is a walk over {axes} axes after merging; at most {RowOffsets.MaxAxes} are "
                + $"supported.");
        long inner = extent[axes - 1];
        Copy(x, y, RowOffsets.From(extent[..axes], stride[..axes]), xStart: 0, stride[axes - 1], yStart: 0, inner, y.Count / inner, inner);
    }

    static void Copy(Tensor x, Tensor y, RowOffsets xRows, long xStart, long xStep, long yStart, long yStride, long rows, long inner) =>
        ((ComputeDevice)x.Device).Launch(x.DType == DType.Int32 ? DType.Float32 : x.DType,
            new CopyLaunch(x, y, xRows, xStart, xStep, yStart, yStride, rows, inner));

    readonly record struct CopyLaunch(Tensor X, Tensor Y, RowOffsets XRows, long XStart, long XStep, long YStart, long YStride, long Rows, long Inner) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) => on.Run(new CopyRows<V, M, T>
        {
            X = on.Memory(X),
            Y = on.Memory(Y),
            XRows = XRows,
            XStart = XStart,
            XStep = XStep,
            YStart = YStart,
            YStride = YStride,
            Rows = Rows,
            Inner = Inner,
        }, Rows * Inner);
    }
}
