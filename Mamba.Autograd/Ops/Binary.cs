using Mamba.Gpu;

namespace Mamba;

// Shapes broadcast as in numpy: aligned at the innermost axis, an extent of 1 (or an absent axis) is repeated. So a gradient,
// which has the shape of the result, is summed over what was repeated.
public static partial class Ops
{
    /// <summary>a + b; shapes broadcast.</summary>
    public static Tensor Add(Tensor a, Tensor b) => Tape.Record("Add", Apply<Binary.Add>("Add", a, b), [a, b], dy =>
        [
            a.RequiresGrad ? SumTo(dy, a.Shape) : null,
            b.RequiresGrad ? SumTo(dy, b.Shape) : null,
        ]);

    /// <summary>a − b; shapes broadcast.</summary>
    public static Tensor Sub(Tensor a, Tensor b) => Tape.Record("Sub", Apply<Binary.Sub>("Sub", a, b), [a, b], dy =>
        [
            a.RequiresGrad ? SumTo(dy, a.Shape) : null,
            b.RequiresGrad ? Neg(SumTo(dy, b.Shape)) : null,
        ]);

    /// <summary>a · b, element by element; shapes broadcast.</summary>
    public static Tensor Mul(Tensor a, Tensor b) => Tape.Record("Mul", Apply<Binary.Mul>("Mul", a, b), [a, b], dy =>
        [
            a.RequiresGrad ? SumTo(Mul(dy, b), a.Shape) : null,
            b.RequiresGrad ? SumTo(Mul(dy, a), b.Shape) : null,
        ]);

    /// <summary>a / b, element by element; shapes broadcast.</summary>
    public static Tensor Div(Tensor a, Tensor b)
    {
        Tensor y = Apply<Binary.Div>("Div", a, b);
        return Tape.Record("Div", y, [a, b], dy =>
        {
            Tensor da = Div(dy, b);                                     // dy / b, in the shape of y
            return
            [
                a.RequiresGrad ? SumTo(da, a.Shape) : null,
                b.RequiresGrad ? Neg(SumTo(Mul(da, y), b.Shape)) : null,
            ];
        });
    }

    /// <summary>
    /// The larger of a and b, element by element; shapes broadcast. NaN where either is: IEEE 754-2019, maximum. Where they are equal each
    /// takes half the gradient, which otherwise goes to the larger, or to the NaN.
    /// </summary>
    public static Tensor Maximum(Tensor a, Tensor b) => Tape.Record("Maximum", Apply<Binary.Maximum>("Maximum", a, b), [a, b], dy =>
        [
            a.RequiresGrad ? SumTo(Apply<Binary.Masked>("Maximum", dy, Apply<Binary.IsLarger>("Maximum", a, b)), a.Shape) : null,
            b.RequiresGrad ? SumTo(Apply<Binary.Masked>("Maximum", dy, Apply<Binary.IsLarger>("Maximum", b, a)), b.Shape) : null,
        ]);

    /// <summary>
    /// The smaller of a and b, element by element; shapes broadcast. NaN and the gradient are treated as by <see cref="Maximum(Tensor, Tensor)"/>.
    /// </summary>
    public static Tensor Minimum(Tensor a, Tensor b) => Tape.Record("Minimum", Apply<Binary.Minimum>("Minimum", a, b), [a, b], dy =>
        [
            a.RequiresGrad ? SumTo(Apply<Binary.Masked>("Minimum", dy, Apply<Binary.IsSmaller>("Minimum", a, b)), a.Shape) : null,
            b.RequiresGrad ? SumTo(Apply<Binary.Masked>("Minimum", dy, Apply<Binary.IsSmaller>("Minimum", b, a)), b.Shape) : null,
        ]);

    /// <summary>
    /// y = f(a, b) for a function of your own, with the gradients dy · ∂f/∂a and dy · ∂f/∂b; shapes broadcast. Each of the three is a function of a and b,
    /// over lanes, and runs on every device:
    /// <code>
    /// public struct Hypot : IBinary  { static V IBinary.Forward&lt;V, M, T&gt;(V a, V b) => V.Sqrt(a * a + b * b); }
    /// public struct HypotA : IBinary { static V IBinary.Forward&lt;V, M, T&gt;(V a, V b) => a / V.Sqrt(a * a + b * b); }
    /// public struct HypotB : IBinary { static V IBinary.Forward&lt;V, M, T&gt;(V a, V b) => b / V.Sqrt(a * a + b * b); }
    /// Tensor c = Ops.Apply&lt;Hypot, HypotA, HypotB&gt;("Hypot", a, b);
    /// </code>
    /// </summary>
    /// <typeparam name="F">f</typeparam>
    /// <typeparam name="DA">∂f/∂a</typeparam>
    /// <typeparam name="DB">∂f/∂b</typeparam>
    /// <param name="op">The op's name, for messages.</param>
    /// <param name="a">float32 or float64.</param>
    /// <param name="b">As a.</param>
    /// <exception cref="MambaException">The dtypes or devices differ, or the shapes do not broadcast.</exception>
    public static Tensor Apply<F, DA, DB>(string op, Tensor a, Tensor b)
        where F : struct, IBinary
        where DA : struct, IBinary
        where DB : struct, IBinary =>
        Tape.Record(op, Apply<F>(op, a, b), [a, b], dy =>
        [
            a.RequiresGrad ? SumTo(Mul(dy, Apply<DA>(op, a, b)), a.Shape) : null,
            b.RequiresGrad ? SumTo(Mul(dy, Apply<DB>(op, a, b)), b.Shape) : null,
        ]);

    /// <summary>
    /// y = f(a, b) for a function of your own; shapes broadcast. The values alone: the tape does not remember it, so no gradient comes through unless
    /// <see cref="Tape.Record(string, Tensor, Tensor?[], Func{Tensor, Tensor?[]})"/> is told one, or <see cref="Apply{F, DA, DB}"/> both derivatives.
    /// </summary>
    /// <typeparam name="F">The function, public for ILGPU to see it; <see cref="IBinary"/> and <see cref="ILane{V, M, T}"/> are in Mamba.Gpu.</typeparam>
    /// <param name="op">The op's name, for messages.</param>
    /// <param name="a">float32 or float64.</param>
    /// <param name="b">As a.</param>
    /// <exception cref="MambaException">The dtypes or devices differ, or the shapes do not broadcast.</exception>
    public static Tensor Apply<F>(string op, Tensor a, Tensor b) where F : struct, IBinary
    {
        Arguments.Floats(op, a);
        Arguments.Operands(op, a, b);
        Tensor y = a.Like(Broadcast(op, a.Shape, b.Shape));
        BinaryKernels.Forward<F>(op, a, b, y);
        return y;
    }

    static Shape Broadcast(string op, Shape a, Shape b)
    {
        if (a == b)
            return a;
        long[] extents = new long[Math.Max(a.Rank, b.Rank)];
        for (int i = 1; i <= extents.Length; i++)
        {
            long m = i <= a.Rank ? a[^i] : 1, n = i <= b.Rank ? b[^i] : 1;
            if (m != n && m != 1 && n != 1)
                throw new MambaException($"{op}: {a} and {b} do not broadcast: extents {m} and {n} meet, and neither is 1.");
            extents[^i] = m == 1 ? n : m;
        }
        return new Shape(extents);
    }
}
