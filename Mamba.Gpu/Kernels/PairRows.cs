namespace Mamba.Gpu;

/// <summary>Two tensors walked side by side along the rows of what they broadcast to.</summary>
/// <param name="A">Where each row of a starts.</param>
/// <param name="B">Where each row of b starts.</param>
/// <param name="AStep">From one element of a row of a to the next: 1, or 0 where the row is one element repeated.</param>
/// <param name="BStep">The same of b.</param>
/// <param name="Inner">Elements of a row.</param>
internal readonly record struct PairRows(RowOffsets A, RowOffsets B, long AStep, long BStep, long Inner)
{
    /// <summary>The walk for shapes that broadcast to <paramref name="y"/>.</summary>
    /// <exception cref="MambaException">More axes are left after merging than a kernel walks.</exception>
    public static PairRows Of(string op, Shape a, Shape b, Shape y)
    {
        int rank = Math.Max(1, y.Rank);
        Span<long> extents = stackalloc long[rank], aStrides = stackalloc long[rank], bStrides = stackalloc long[rank];
        extents.Fill(1);
        for (int i = 0; i < y.Rank; i++)
            extents[i] = y[i];
        RowOffsets.Strides(a, aStrides);
        RowOffsets.Strides(b, bStrides);
        int axes = RowOffsets.Merge(extents, aStrides, bStrides);
        if (axes > RowOffsets.MaxAxes)
            throw new MambaException($"{op}: {a} with {b} is a walk over {axes} axes after merging; at most {RowOffsets.MaxAxes} are supported.");
        return new PairRows(RowOffsets.From(extents[..axes], aStrides[..axes]), RowOffsets.From(extents[..axes], bStrides[..axes]),
            aStrides[axes - 1], bStrides[axes - 1], extents[axes - 1]);
    }
}
