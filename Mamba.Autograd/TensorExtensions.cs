namespace Mamba;

/// <summary>
/// Operators and methods of <see cref="Tensor"/>: <c>(a + b) * 2.0</c>, <c>x.Silu().Sum()</c>. Each is the op of that name in <see cref="Ops"/>.
/// </summary>
public static class TensorExtensions
{
    extension(Tensor)
    {
        /// <inheritdoc cref="Ops.Add(Tensor, Tensor)"/>
        public static Tensor operator +(Tensor a, Tensor b) => Ops.Add(a, b);

        /// <inheritdoc cref="Ops.Add(Tensor, double)"/>
        public static Tensor operator +(Tensor x, double s) => Ops.Add(x, s);

        /// <summary>s + x, any shape.</summary>
        public static Tensor operator +(double s, Tensor x) => Ops.Add(x, s);

        /// <inheritdoc cref="Ops.Sub(Tensor, Tensor)"/>
        public static Tensor operator -(Tensor a, Tensor b) => Ops.Sub(a, b);

        /// <inheritdoc cref="Ops.Sub(Tensor, double)"/>
        public static Tensor operator -(Tensor x, double s) => Ops.Sub(x, s);

        /// <inheritdoc cref="Ops.Sub(double, Tensor)"/>
        public static Tensor operator -(double s, Tensor x) => Ops.Sub(s, x);

        /// <inheritdoc cref="Ops.Mul(Tensor, Tensor)"/>
        public static Tensor operator *(Tensor a, Tensor b) => Ops.Mul(a, b);

        /// <inheritdoc cref="Ops.Mul(Tensor, double)"/>
        public static Tensor operator *(Tensor x, double s) => Ops.Mul(x, s);

        /// <summary>s · x, any shape.</summary>
        public static Tensor operator *(double s, Tensor x) => Ops.Mul(x, s);

        /// <inheritdoc cref="Ops.Div(Tensor, Tensor)"/>
        public static Tensor operator /(Tensor a, Tensor b) => Ops.Div(a, b);

        /// <inheritdoc cref="Ops.Div(Tensor, double)"/>
        public static Tensor operator /(Tensor x, double s) => Ops.Div(x, s);

        /// <inheritdoc cref="Ops.Div(double, Tensor)"/>
        public static Tensor operator /(double s, Tensor x) => Ops.Div(s, x);

        /// <inheritdoc cref="Ops.Neg"/>
        public static Tensor operator -(Tensor x) => Ops.Neg(x);

        /// <inheritdoc cref="Ops.Greater(Tensor, Tensor)"/>
        public static Tensor operator >(Tensor a, Tensor b) => Ops.Greater(a, b);

        /// <inheritdoc cref="Ops.Less(Tensor, Tensor)"/>
        public static Tensor operator <(Tensor a, Tensor b) => Ops.Less(a, b);

        /// <inheritdoc cref="Ops.Greater(Tensor, double)"/>
        public static Tensor operator >(Tensor x, double s) => Ops.Greater(x, s);

        /// <inheritdoc cref="Ops.Less(Tensor, double)"/>
        public static Tensor operator <(Tensor x, double s) => Ops.Less(x, s);

        /// <summary>s &gt; x, element by element: int32, 1 where it holds, else 0, as where x is NaN.</summary>
        public static Tensor operator >(double s, Tensor x) => Ops.Less(x, s);

        /// <summary>s &lt; x, element by element: int32, 1 where it holds, else 0, as where x is NaN.</summary>
        public static Tensor operator <(double s, Tensor x) => Ops.Greater(x, s);
    }

    extension(Tensor x)
    {
        /// <inheritdoc cref="Ops.Exp"/>
        public Tensor Exp() => Ops.Exp(x);

        /// <inheritdoc cref="Ops.Log"/>
        public Tensor Log() => Ops.Log(x);

        /// <inheritdoc cref="Ops.Sqrt"/>
        public Tensor Sqrt() => Ops.Sqrt(x);

        /// <inheritdoc cref="Ops.Square"/>
        public Tensor Square() => Ops.Square(x);

        /// <inheritdoc cref="Ops.Reciprocal"/>
        public Tensor Reciprocal() => Ops.Reciprocal(x);

        /// <inheritdoc cref="Ops.Abs"/>
        public Tensor Abs() => Ops.Abs(x);

        /// <inheritdoc cref="Ops.Relu"/>
        public Tensor Relu() => Ops.Relu(x);

        /// <inheritdoc cref="Ops.Sigmoid"/>
        public Tensor Sigmoid() => Ops.Sigmoid(x);

        /// <inheritdoc cref="Ops.Silu"/>
        public Tensor Silu() => Ops.Silu(x);

        /// <inheritdoc cref="Ops.Softplus"/>
        public Tensor Softplus() => Ops.Softplus(x);

        /// <inheritdoc cref="Ops.Tanh"/>
        public Tensor Tanh() => Ops.Tanh(x);

        /// <inheritdoc cref="Ops.Erf"/>
        public Tensor Erf() => Ops.Erf(x);

        /// <inheritdoc cref="Ops.Gelu"/>
        public Tensor Gelu(bool tanh = false) => Ops.Gelu(x, tanh);

        /// <inheritdoc cref="Ops.Dropout"/>
        public Tensor Dropout(double p, ulong seed, ulong stream = 0) => Ops.Dropout(x, p, seed, stream);

        /// <inheritdoc cref="Ops.Equal(Tensor, Tensor)"/>
        public Tensor Equal(Tensor b) => Ops.Equal(x, b);

        /// <inheritdoc cref="Ops.Equal(Tensor, double)"/>
        public Tensor Equal(double s) => Ops.Equal(x, s);

        /// <inheritdoc cref="Ops.NotEqual(Tensor, Tensor)"/>
        public Tensor NotEqual(Tensor b) => Ops.NotEqual(x, b);

        /// <inheritdoc cref="Ops.NotEqual(Tensor, double)"/>
        public Tensor NotEqual(double s) => Ops.NotEqual(x, s);

        /// <inheritdoc cref="Ops.Pow"/>
        public Tensor Pow(double exponent) => Ops.Pow(x, exponent);

        /// <inheritdoc cref="Ops.Clamp"/>
        public Tensor Clamp(double low, double high) => Ops.Clamp(x, low, high);

        /// <inheritdoc cref="Ops.Sum(Tensor)"/>
        public Tensor Sum() => Ops.Sum(x);

        /// <inheritdoc cref="Ops.Sum(Tensor, int, bool)"/>
        public Tensor Sum(int axis, bool keepDim = false) => Ops.Sum(x, axis, keepDim);

        /// <inheritdoc cref="Ops.Mean(Tensor)"/>
        public Tensor Mean() => Ops.Mean(x);

        /// <inheritdoc cref="Ops.Mean(Tensor, int, bool)"/>
        public Tensor Mean(int axis, bool keepDim = false) => Ops.Mean(x, axis, keepDim);

        /// <inheritdoc cref="Ops.Max"/>
        public Tensor Max(int axis, bool keepDim = false) => Ops.Max(x, axis, keepDim);

        /// <inheritdoc cref="Ops.ArgMax"/>
        public Tensor ArgMax() => Ops.ArgMax(x);

        /// <inheritdoc cref="Ops.SumTo"/>
        public Tensor SumTo(Shape shape) => Ops.SumTo(x, shape);

        /// <inheritdoc cref="Ops.Expand"/>
        public Tensor Expand(Shape shape) => Ops.Expand(x, shape);

        /// <inheritdoc cref="Ops.Reshape"/>
        public Tensor Reshape(Shape shape) => Ops.Reshape(x, shape);

        /// <inheritdoc cref="Ops.Transpose"/>
        public Tensor Transpose(int axis0 = -2, int axis1 = -1) => Ops.Transpose(x, axis0, axis1);

        /// <inheritdoc cref="Ops.Permute"/>
        public Tensor Permute(params int[] axes) => Ops.Permute(x, axes);

        /// <inheritdoc cref="Ops.Slice"/>
        public Tensor Slice(int axis, long start, long count) => Ops.Slice(x, axis, start, count);

        /// <inheritdoc cref="Ops.Split"/>
        public Tensor[] Split(int axis, params long[] sizes) => Ops.Split(x, axis, sizes);
    }
}
