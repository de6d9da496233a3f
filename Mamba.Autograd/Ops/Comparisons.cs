using Mamba.Gpu;

namespace Mamba;

// Masks for Where: 1 where it holds, else 0, int32. They have no gradient.
public static partial class Ops
{
    /// <summary>
    /// a &gt; b, element by element: int32, 1 where it holds, else 0, as where either is NaN. Shapes broadcast. <c>a &gt; b</c> says the same.
    /// </summary>
    public static Tensor Greater(Tensor a, Tensor b) => Compare<Comparisons.Greater>("Greater", a, b);

    /// <summary>x &gt; s, element by element: int32, 1 where it holds, else 0, as where x is NaN.</summary>
    public static Tensor Greater(Tensor x, double s) => Greater(x, Constant("Greater", x, s));

    /// <summary>
    /// a &lt; b, element by element: int32, 1 where it holds, else 0, as where either is NaN. Shapes broadcast. <c>a &lt; b</c> says the same.
    /// </summary>
    public static Tensor Less(Tensor a, Tensor b) => Compare<Comparisons.Less>("Less", a, b);

    /// <summary>x &lt; s, element by element: int32, 1 where it holds, else 0, as where x is NaN.</summary>
    public static Tensor Less(Tensor x, double s) => Less(x, Constant("Less", x, s));

    /// <summary>a = b, element by element: int32, 1 where it holds, else 0, as where either is NaN. Shapes broadcast.</summary>
    public static Tensor Equal(Tensor a, Tensor b) => Compare<Comparisons.Equal>("Equal", a, b);

    /// <summary>x = s, element by element: int32, 1 where it holds, else 0, as where x is NaN.</summary>
    public static Tensor Equal(Tensor x, double s) => Equal(x, Constant("Equal", x, s));

    /// <summary>a ≠ b, element by element: int32, 1 where it holds, as where either is NaN, else 0. Shapes broadcast.</summary>
    public static Tensor NotEqual(Tensor a, Tensor b) => Compare<Comparisons.NotEqual>("NotEqual", a, b);

    /// <summary>x ≠ s, element by element: int32, 1 where it holds, as where x is NaN, else 0.</summary>
    public static Tensor NotEqual(Tensor x, double s) => NotEqual(x, Constant("NotEqual", x, s));

    static Tensor Compare<F>(string op, Tensor a, Tensor b) where F : struct, IComparison
    {
        Arguments.Floats(op, a);
        Arguments.Operands(op, a, b);
        var y = Tensor.Empty(Broadcast(op, a.Shape, b.Shape), DType.Int32, a.Device);
        ComparisonKernels.Compare<F>(op, a, b, y);
        return y;
    }

    // a scalar tensor, rounded to the dtype of x
    static Tensor Constant(string op, Tensor x, double s)
    {
        Arguments.Floats(op, x);
        return Fill(x.Like(new Shape()), s);
    }
}
