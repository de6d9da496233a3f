using System.Runtime.CompilerServices;

namespace Mamba;

public static partial class Ops
{
    /// <summary>
    /// A part of x, any dtype: an index drops its axis, a range keeps it, axes not named are kept whole. <c>x[0, .., 2..]</c> says the same.
    /// x (b, l, d): <c>Ops.Index(x, .., ^1)</c> is the last token of each row, (b, d). No copy where the elements are contiguous.
    /// </summary>
    /// <param name="x">Any shape.</param>
    /// <param name="indices">One for each axis from the outermost on, at most as many as there are axes.</param>
    /// <exception cref="MambaException">There are too many, or one is outside its axis.</exception>
    public static Tensor Index(Tensor x, params ReadOnlySpan<TensorIndex> indices)
    {
        if (indices.Length > x.Shape.Rank)
            throw new MambaException($"Index: {indices.Length} indices; expected at most {x.Shape.Rank}, the axes of {x.Shape}.");
        Tensor y = x;
        var kept = new List<long>(x.Shape.Rank);
        for (int axis = 0; axis < x.Shape.Rank; axis++)
        {
            if (axis >= indices.Length)
            {
                kept.Add(x.Shape[axis]);
                continue;
            }
            (long start, long count) = indices[axis].On(x.Shape, axis);
            if (count != x.Shape[axis])
                y = Slice(y, axis, start, count);
            if (indices[axis].IsRange)
                kept.Add(count);
        }
        return kept.Count == x.Shape.Rank ? y : Reshape(y, new Shape([.. kept]));
    }

#pragma warning disable CA2255      // a module initializer in a library: Tensor's indexer cannot reach this op otherwise
    [ModuleInitializer]
    internal static void InstallIndexer() => Tensor.Indexer = static (x, indices) => Index(x, indices);
#pragma warning restore CA2255
}
