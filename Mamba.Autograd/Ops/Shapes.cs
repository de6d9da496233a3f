using Mamba.Gpu;

namespace Mamba;

// Every dtype, int32 too. What is contiguous already is looked at through a view; the rest is copied.
public static partial class Ops
{
    /// <summary>The same elements in the same order under another shape; no copy.</summary>
    public static Tensor Reshape(Tensor x, Shape shape)
    {
        if (shape.Count != x.Count)
            throw new MambaException($"Reshape: x has shape {x.Shape}, {x.Count} elements; {shape} has {shape.Count}.");
        return Tape.Record("Reshape", x.View(shape), [x], dy => [dy.View(x.Shape)]);
    }

    /// <summary>x with two axes exchanged; by default the two innermost.</summary>
    public static Tensor Transpose(Tensor x, int axis0 = -2, int axis1 = -1)
    {
        int[] axes = [.. Enumerable.Range(0, x.Shape.Rank)];
        (axis0, axis1) = (Axis("Transpose", x, axis0), Axis("Transpose", x, axis1));
        (axes[axis0], axes[axis1]) = (axis1, axis0);
        return Permute(x, axes);
    }

    /// <summary>x with its axes in another order: axis i of the result is axis <paramref name="axes"/>[i] of x.</summary>
    public static Tensor Permute(Tensor x, params int[] axes)
    {
        int rank = x.Shape.Rank;
        int[] order = [.. axes.Select(axis => Axis("Permute", x, axis))];
        if (order.Length != rank || order.Distinct().Count() != rank)
            throw new MambaException($"Permute: axes are ({string.Join(", ", axes)}); expected each of the {rank} axes of {x.Shape} once.");
        long[] strides = new long[rank];
        RowOffsets.Strides(x.Shape, strides);
        Tensor y = x.Like(new Shape([.. order.Select(axis => x.Shape[axis])]));
        if (rank >= 2 && x.DType != DType.Int32 && order[^1] == rank - 2 && order[^2] == rank - 1
            && order.AsSpan(0, rank - 2).SequenceEqual(Enumerable.Range(0, rank - 2).ToArray()))
            TransposeKernels.Transpose(x, y, x.Shape[..^2].Count, x.Shape[^2], x.Shape[^1]);
        else
            CopyKernels.Walk("Permute", x, y, y.Shape.ToArray(), [.. order.Select(axis => strides[axis])]);
        int[] back = new int[rank];
        for (int i = 0; i < rank; i++)
            back[order[i]] = i;
        return Tape.Record("Permute", y, [x], dy => [Permute(dy, back)]);
    }

    /// <summary>
    /// Elements <paramref name="start"/> to <paramref name="start"/> + <paramref name="count"/> along one axis. No copy where they are contiguous.
    /// </summary>
    public static Tensor Slice(Tensor x, int axis, long start, long count)
    {
        axis = Axis("Slice", x, axis);
        long n = x.Shape[axis];
        if (start < 0 || count < 0 || start > n - count)
            throw new MambaException($"Slice: {start} to {start + count} is outside axis {axis} of {x.Shape}.");
        (long outer, long inner) = Around(x.Shape, axis);
        return Tape.Record("Slice", Piece(x, axis, start, count), [x], dy =>
        {
            Tensor dx = x.Like();
            if (count < n)
                dx.Clear();
            CopyKernels.Columns(dy, count * inner, 0, dx, n * inner, start * inner, outer, count * inner);
            return [dx];
        });
    }

    /// <summary>x cut along one axis into pieces of the given sizes, which add up to its extent. No copy where they are contiguous.</summary>
    public static Tensor[] Split(Tensor x, int axis, params long[] sizes)
    {
        axis = Axis("Split", x, axis);
        long n = x.Shape[axis];
        if (sizes.Any(size => size < 0) || sizes.Sum() != n)
            throw new MambaException($"Split: sizes ({string.Join(", ", sizes)}) do not add up to extent {n} of axis {axis} of {x.Shape}.");
        var pieces = new Tensor[sizes.Length];
        long at = 0;
        for (int i = 0; i < pieces.Length; at += sizes[i++])
            pieces[i] = Piece(x, axis, at, sizes[i]);
        Tape.Record("Split", pieces, [x], dys => [Joined(x, axis, sizes, dys)]);
        return pieces;
    }

    /// <summary>Tensors one behind another along one axis; the other extents are the same.</summary>
    public static Tensor Concat(int axis, params Tensor[] parts)
    {
        if (parts.Length == 0)
            throw new MambaException("Concat: no tensors were given; expected at least one.");
        axis = Axis("Concat", parts[0], axis);
        foreach (Tensor part in parts)
        {
            Arguments.Operands("Concat", parts[0], part);
            if (part.Shape.Rank != parts[0].Shape.Rank || WithExtent(part.Shape, axis, 1) != WithExtent(parts[0].Shape, axis, 1))
                throw new MambaException($"Concat: {part.Shape} does not continue {parts[0].Shape} along axis {axis}: the other extents differ.");
        }
        long[] sizes = [.. parts.Select(part => part.Shape[axis])];
        Tensor whole = parts[0].Like(WithExtent(parts[0].Shape, axis, sizes.Sum()));
        return Tape.Record("Concat", Joined(whole, axis, sizes, parts), parts, dy =>
        {
            var dxs = new Tensor?[parts.Length];
            long at = 0;
            for (int i = 0; i < dxs.Length; at += sizes[i++])
                dxs[i] = parts[i].RequiresGrad ? Piece(dy, axis, at, sizes[i]) : null;
            return dxs;
        });
    }

    static Tensor Piece(Tensor x, int axis, long start, long count)
    {
        (long outer, long inner) = Around(x.Shape, axis);
        Shape shape = WithExtent(x.Shape, axis, count);
        if (outer == 1)
            return x.Part(start * inner, shape);
        Tensor y = x.Like(shape);
        CopyKernels.Columns(x, x.Shape[axis] * inner, start * inner, y, count * inner, 0, outer, count * inner);
        return y;
    }

    // a tensor like `like` made of parts along an axis; zeros for an absent one
    static Tensor Joined(Tensor like, int axis, long[] sizes, Tensor?[] parts)
    {
        (long outer, long inner) = Around(like.Shape, axis);
        Tensor whole = like.Like();
        if (Array.Exists(parts, part => part is null))
            whole.Clear();
        long at = 0;
        for (int i = 0; i < parts.Length; at += sizes[i++])
            if (parts[i] is { } part)
                CopyKernels.Columns(part, sizes[i] * inner, 0, whole, like.Shape[axis] * inner, at * inner, outer, sizes[i] * inner);
        return whole;
    }
}
