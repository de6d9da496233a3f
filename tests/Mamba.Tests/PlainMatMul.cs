using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>The matrix product by three loops in float64, and how far from it a sum of k products may be.</summary>
public static class PlainMatMul
{
    /// <summary>op(A) (m, k) · op(B) (k, n), and Σ |a|·|b|, both (m, n); the matrices start at the given offsets.</summary>
    public static (double[] Values, double[] Magnitudes) Multiply(double[] a, double[] b, int m, int n, int k,
        bool transposeA, bool transposeB, long offsetA = 0, long offsetB = 0)
    {
        double[] values = new double[m * n], magnitudes = new double[m * n];
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++)
            {
                double sum = 0, magnitude = 0;
                for (int p = 0; p < k; p++)
                {
                    double product = a[offsetA + (transposeA ? p * m + i : i * k + p)] * b[offsetB + (transposeB ? j * k + p : p * n + j)];
                    sum += product;
                    magnitude += Math.Abs(product);
                }
                (values[i * n + j], magnitudes[i * n + j]) = (sum, magnitude);
            }
        return (values, magnitudes);
    }

    /// <summary>
    /// Each element may be off by 2(k + 4)u · Σ|a||b|, u being half an ulp of 1: what a sum of k products in any order is
    /// good for (Higham, Accuracy and Stability of Numerical Algorithms, §3.1), rounding of the operands and the reference's own error.
    /// </summary>
    public static void Expect(Tensor actual, double[] values, double[] magnitudes, int k, string what = "")
    {
        double bound = 2 * (k + 4) * (actual.DType == DType.Float32 ? Math.Pow(2, -24) : Math.Pow(2, -53));
        double[] computed = actual.ToDoubles();
        Assert.That(computed, Has.Length.EqualTo(values.Length), what);
        for (int i = 0; i < computed.Length; i++)
            if (!(Math.Abs(computed[i] - values[i]) <= bound * magnitudes[i]))
                Assert.Fail($"{what}: element {i} is {computed[i]}; expected {values[i]} within {bound * magnitudes[i]}.");
    }
}
