using Mamba.Gpu;

namespace Mamba;

/// <summary>Differentiable functions of tensors.</summary>
public static partial class Ops
{
    /// <summary>−x, any shape.</summary>
    public static Tensor Neg(Tensor x) => Apply<Unary.Neg>("Neg", x);

    /// <summary>e^x, any shape.</summary>
    public static Tensor Exp(Tensor x) => Apply<Unary.Exp>("Exp", x);

    /// <summary>ln x, any shape.</summary>
    public static Tensor Log(Tensor x) => Apply<Unary.Log>("Log", x);

    /// <summary>√x, any shape.</summary>
    public static Tensor Sqrt(Tensor x) => Apply<Unary.Sqrt>("Sqrt", x);

    /// <summary>x², any shape.</summary>
    public static Tensor Square(Tensor x) => Apply<Unary.Square>("Square", x);

    /// <summary>1 / x, any shape.</summary>
    public static Tensor Reciprocal(Tensor x) => Apply<Unary.Reciprocal>("Reciprocal", x);

    /// <summary>|x|, any shape.</summary>
    public static Tensor Abs(Tensor x) => Apply<Unary.Abs>("Abs", x);

    /// <summary>max(x, 0), any shape.</summary>
    public static Tensor Relu(Tensor x) => Apply<Unary.Relu>("Relu", x);

    /// <summary>σ(x) = 1 / (1 + e^−x), any shape.</summary>
    public static Tensor Sigmoid(Tensor x) => Apply<Unary.Sigmoid>("Sigmoid", x);

    /// <summary>x · σ(x), any shape.</summary>
    public static Tensor Silu(Tensor x) => Apply<Unary.Silu>("Silu", x);

    /// <summary>log(1 + e^x), any shape; x itself above 20.</summary>
    public static Tensor Softplus(Tensor x) => Apply<Unary.Softplus>("Softplus", x);

    /// <summary>tanh x, any shape.</summary>
    public static Tensor Tanh(Tensor x) => Apply<Unary.Tanh>("Tanh", x);

    /// <summary>erf x = 2/√π ∫₀ˣ e^−t² dt, any shape. W. J. Cody, Math. Comp. 23 (1969): float64 to 1e-15, float32 to some 2e-7.</summary>
    public static Tensor Erf(Tensor x) => Apply<Unary.Erf>("Erf", x);

    /// <summary>x Φ(x) with Φ the normal distribution, ½ x (1 + erf(x/√2)), any shape. Hendrycks and Gimpel, arXiv 1606.08415.</summary>
    /// <param name="x">float32 or float64.</param>
    /// <param name="tanh">
    /// Whether Φ is approximated as ½ (1 + tanh(√(2/π) (x + 0.044715 x³))), as GPT-2 does; PyTorch's approximate="tanh". At most 5e-4 off.
    /// </param>
    public static Tensor Gelu(Tensor x, bool tanh = false) => tanh ? Apply<Unary.GeluTanh>("Gelu", x) : Apply<Unary.Gelu>("Gelu", x);

    /// <summary>x^exponent for x &gt; 0, any shape.</summary>
    public static Tensor Pow(Tensor x, double exponent) => Apply<Unary.Pow>("Pow", x, exponent);

    /// <summary>x + s, any shape.</summary>
    public static Tensor Add(Tensor x, double s) => Apply<Unary.AddScalar>("Add", x, s);

    /// <summary>x − s, any shape.</summary>
    public static Tensor Sub(Tensor x, double s) => Apply<Unary.AddScalar>("Sub", x, -s);

    /// <summary>s − x, any shape.</summary>
    public static Tensor Sub(double s, Tensor x) => Apply<Unary.ScalarSub>("Sub", x, s);

    /// <summary>x · s, any shape.</summary>
    public static Tensor Mul(Tensor x, double s) => Apply<Unary.MulScalar>("Mul", x, s);

    /// <summary>x / s, any shape; computed as x · (1/s).</summary>
    public static Tensor Div(Tensor x, double s) => Apply<Unary.MulScalar>("Div", x, 1 / s);

    /// <summary>s / x, any shape.</summary>
    public static Tensor Div(double s, Tensor x) => Apply<Unary.ScalarDiv>("Div", x, s);

    /// <summary>max(x, s), any shape; NaN where x is.</summary>
    public static Tensor Maximum(Tensor x, double s) => Apply<Unary.MaxScalar>("Maximum", x, s);

    /// <summary>min(x, s), any shape; NaN where x is.</summary>
    public static Tensor Minimum(Tensor x, double s) => Apply<Unary.MinScalar>("Minimum", x, s);

    /// <summary>x, but at least <paramref name="low"/> and at most <paramref name="high"/>; any shape. A NaN stays one.</summary>
    public static Tensor Clamp(Tensor x, double low, double high) => Minimum(Maximum(x, low), high);

    /// <summary>
    /// y = f(x), any shape, for a function of your own: one pass forward, one pass backward, on every device. It needs no kernel, only the function and its
    /// derivative, over lanes:
    /// <code>
    /// public struct Swish : IUnary               // x σ(s x)
    /// {
    ///     static V IUnary.Forward&lt;V, M, T&gt;(V x, V s) => x / (V.Of(1) + V.Exp(-s * x));
    ///     static V IUnary.Derivative&lt;V, M, T&gt;(V x, V y, V s)
    ///     {
    ///         V sigma = V.Of(1) / (V.Of(1) + V.Exp(-s * x));
    ///         return sigma * (V.Of(1) + s * x * (V.Of(1) - sigma));
    ///     }
    /// }
    /// Tensor y = Ops.Apply&lt;Swish&gt;("Swish", x, 1.5);
    /// GradCheck.Run(x => [Ops.Apply&lt;Swish&gt;("Swish", x[0], 1.5)], [x]).ThrowIfFailed();
    /// </code>
    /// </summary>
    /// <typeparam name="F">The function, public for ILGPU to see it; <see cref="IUnary"/> and <see cref="ILane{V, M, T}"/> are in Mamba.Gpu.</typeparam>
    /// <param name="op">The op's name, for messages.</param>
    /// <param name="x">float32 or float64.</param>
    /// <param name="parameter">The function's scalar, if it has one. It has no gradient.</param>
    /// <exception cref="MambaException">x is int32.</exception>
    public static Tensor Apply<F>(string op, Tensor x, double parameter = 0) where F : struct, IUnary
    {
        Arguments.Floats(op, x);
        Tensor y = x.Like();
        ElementwiseKernels.Forward<F>(x, y, parameter);
        return Tape.Record(op, y, [x], dy =>
        {
            Tensor dx = x.Like();
            ElementwiseKernels.Backward<F>(x, y, dy, dx, parameter);
            return [dx];
        });
    }

    // ---- what the tape itself needs, not recorded ------------------------------------------------

    /// <summary>Sets every element; returns x.</summary>
    internal static Tensor Fill(Tensor x, double value)
    {
        ElementwiseKernels.Fill(x, value);
        return x;
    }

    /// <summary>a + b, of one shape.</summary>
    internal static Tensor AddUnrecorded(Tensor a, Tensor b)
    {
        Shape.Expect("Add", b, a.Shape);
        Tensor y = a.Like();
        BinaryKernels.Forward<Binary.Add>("Add", a, b, y);
        return y;
    }

    /// <summary>sum ← sum + x, of one shape.</summary>
    internal static void AddInto(Tensor sum, Tensor x)
    {
        Shape.Expect("AddInto", x, sum.Shape);
        BinaryKernels.Forward<Binary.Add>("AddInto", sum, x, sum);
    }

    // ---- checks ----------------------------------------------------------------------------------

    // axis counted from the end when negative
    static int Axis(string op, Tensor x, int axis)
    {
        int rank = x.Shape.Rank;
        return axis >= -rank && axis < rank
            ? (axis + rank) % rank
            : throw new MambaException($"{op}: axis {axis} is not one of {x.Shape}; expected {-rank} to {rank - 1}.");
    }

    // how many elements the axes before and after one have
    static (long Outer, long Inner) Around(Shape shape, int axis) => (shape[..axis].Count, shape[(axis + 1)..].Count);

    static Shape WithExtent(Shape shape, int axis, long extent)
    {
        long[] extents = shape.ToArray();
        extents[axis] = extent;
        return new Shape(extents);
    }

    static Shape WithoutAxis(Shape shape, int axis) => new([.. shape[..axis].ToArray(), .. shape[(axis + 1)..].ToArray()]);
}
