namespace Mamba;

/// <summary>The usual ways to start a parameter. Any other is a method of two arguments: see <see cref="Initializer"/>.</summary>
public static class Initial
{
    /// <summary>0 everywhere; draws nothing.</summary>
    public static Initializer Zeros { get; } = (_, _) => { };

    /// <summary>1 everywhere; draws nothing.</summary>
    public static Initializer Ones { get; } = Constant(1);

    /// <summary><paramref name="value"/> everywhere; draws nothing.</summary>
    /// <param name="value">Any number.</param>
    public static Initializer Constant(double value) => (values, _) => values.Fill(value);

    /// <summary>N(0, <paramref name="deviation"/>²).</summary>
    /// <param name="deviation">Standard deviation.</param>
    public static Initializer Normal(double deviation) => (values, random) =>
    {
        foreach (ref double value in values)
            value = deviation * random.NextNormal();
    };

    /// <summary>U(−<paramref name="bound"/>, <paramref name="bound"/>).</summary>
    /// <param name="bound">The largest size of a value.</param>
    public static Initializer Uniform(double bound) => (values, random) =>
    {
        foreach (ref double value in values)
            value = bound * (2 * random.NextDouble() - 1);
    };

    /// <summary>U(±(fanIn · residuals)^−½): PyTorch's default for a linear layer and a convolution, Kaiming-uniform with a = √5, when residuals is 1.</summary>
    /// <param name="fanIn">Inputs that one output sums over.</param>
    /// <param name="residuals">Layers that add to one residual stream, for the last projection of each.</param>
    public static Initializer Kaiming(long fanIn, int residuals = 1) => Uniform(1 / Math.Sqrt(fanIn) / Math.Sqrt(residuals));
}
