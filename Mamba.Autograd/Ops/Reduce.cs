using Mamba.Gpu;

namespace Mamba;

public static partial class Ops
{
    /// <summary>Σ x, over everything: a scalar, shape ().</summary>
    public static Tensor Sum(Tensor x) => SumTo(x, new Shape());

    /// <summary>Σ x along one axis, which is left out or kept with extent 1.</summary>
    public static Tensor Sum(Tensor x, int axis, bool keepDim = false)
    {
        (Tensor y, Shape kept) = Reduce<Reduction.Sum>("Sum", x, axis, keepDim);
        return Tape.Record("Sum", y, [x], dy => [Expand(dy.View(kept), x.Shape)]);
    }

    /// <summary>The mean over everything: a scalar, shape ().</summary>
    public static Tensor Mean(Tensor x) => Div(Sum(x), x.Count);

    /// <summary>The mean along one axis, which is left out or kept with extent 1.</summary>
    public static Tensor Mean(Tensor x, int axis, bool keepDim = false) => Div(Sum(x, axis, keepDim), x.Shape[Axis("Mean", x, axis)]);

    /// <summary>
    /// The largest element along one axis, which is left out or kept with extent 1; NaN if there is one. Where several are largest, or NaN, they
    /// share the gradient.
    /// </summary>
    public static Tensor Max(Tensor x, int axis, bool keepDim = false)
    {
        (Tensor y, Shape kept) = Reduce<Reduction.Max>("Max", x, axis, keepDim);
        return Tape.Record("Max", y, [x], dy =>
        {
            Tensor isLargest = Apply<Binary.IsEqual>("Max", x, y.View(kept));
            return [Apply<Binary.Masked>("Max", Div(dy.View(kept), SumTo(isLargest, kept)), isLargest)];
        });
    }

    /// <summary>
    /// Index of the first largest element along the innermost axis, of the first NaN if there is one: x (…, n) → (…) int32. It has no gradient.
    /// </summary>
    public static Tensor ArgMax(Tensor x)
    {
        Arguments.Floats("ArgMax", x);
        if (x.Shape.Rank == 0 || x.Shape[^1] is 0 or > ReduceKernels.MaxArgMax)
            throw new MambaException($"ArgMax: x has shape {x.Shape}; expected an innermost axis of 1 to {ReduceKernels.MaxArgMax} elements.");
        var y = Tensor.Empty(x.Shape[..^1], DType.Int32, x.Device);
        ReduceKernels.ArgMax(x, y);
        return y;
    }

    /// <summary>Σ x over the axes along which <paramref name="shape"/> has to be repeated to become x.Shape: the gradient of <see cref="Expand"/>.</summary>
    public static Tensor SumTo(Tensor x, Shape shape)
    {
        if (shape == x.Shape)
            return x;
        Arguments.Floats("SumTo", x);
        ExpectBroadcasts("SumTo", from: shape, to: x.Shape);
        int rank = x.Shape.Rank;
        long[] now = x.Shape.ToArray(), wanted = [.. Enumerable.Repeat(1L, rank - shape.Rank), .. shape.ToArray()];
        bool[] summed = [.. now.Zip(wanted, (n, w) => n != w)];
        Tensor y = x;
        // a run of neighbouring axes at a time, the outermost first
        for (int start = Array.IndexOf(summed, true); start >= 0;)
        {
            int end = start;
            while (end < rank && (summed[end] || now[end] == 1))
                end++;
            int next = end < rank ? Array.IndexOf(summed, true, end) : -1;
            long outer = Product(now[..start]), n = Product(now[start..end]), inner = Product(now[end..]);
            Tensor sum = x.Like(next < 0 ? shape : (outer, inner));
            ReduceKernels.Reduce<Reduction.Sum>(y, sum, outer, n, inner);
            now.AsSpan(start, end - start).Fill(1);
            (y, start) = (sum, next);
        }
        if (y == x)
            return Reshape(x, shape);       // only extents of 1 to drop
        return Tape.Record("SumTo", y, [x], dy => [Expand(dy, x.Shape)]);
    }

    /// <summary>x repeated along absent axes and those of extent 1, until it has <paramref name="shape"/>.</summary>
    public static Tensor Expand(Tensor x, Shape shape)
    {
        if (shape == x.Shape)
            return x;
        ExpectBroadcasts("Expand", from: x.Shape, to: shape);
        Tensor y = x.Like(shape);
        Span<long> strides = stackalloc long[shape.Rank];
        RowOffsets.Strides(x.Shape, strides);
        CopyKernels.Walk("Expand", x, y, shape.ToArray(), strides);
        return Tape.Record("Expand", y, [x], dy => [SumTo(dy, x.Shape)]);
    }

    static (Tensor Y, Shape Kept) Reduce<F>(string op, Tensor x, int axis, bool keepDim) where F : struct, IReduction
    {
        Arguments.Floats(op, x);
        axis = Axis(op, x, axis);
        Shape kept = WithExtent(x.Shape, axis, 1);
        if (typeof(F) == typeof(Reduction.Max) && x.Shape[axis] == 0 && kept.Count > 0)
            throw new MambaException($"{op}: axis {axis} of {x.Shape} is empty; nothing is its largest element.");
        (long outer, long inner) = Around(x.Shape, axis);
        Tensor y = x.Like(keepDim ? kept : WithoutAxis(x.Shape, axis));
        ReduceKernels.Reduce<F>(x, y, outer, x.Shape[axis], inner);
        return (y, kept);
    }

    static void ExpectBroadcasts(string op, Shape from, Shape to)
    {
        bool fits = from.Rank <= to.Rank;
        for (int i = 1; fits && i <= from.Rank; i++)
            fits = from[^i] == to[^i] || from[^i] == 1;
        if (!fits)
            throw new MambaException($"{op}: {from} does not broadcast to {to}.");
    }

    static long Product(long[] extents) => extents.Aggregate(1L, (a, b) => a * b);
}
