using System.Numerics;
using Mamba.Checks;

namespace Mamba.Tests;

/// <summary>
/// The selective scan by plain loops over float64 complex numbers, with every discretization's formula written out: what the
/// kernels are compared with.
/// </summary>
public sealed record PlainScan(int B, int L, int D, int N) : ScanForm(B, L, D, N)
{
    public override string ToString() =>
        $"{Discretization} b {B} l {L} d {D} n {N}" + (Groups > 0 ? $" g {Groups}" : "") + (Complex ? " complex" : "") + (Skip ? "" : " no D")
            + (Gate ? "" : " no z") + (Bias ? "" : " no bias")
        + (Softplus ? "" : " no softplus") + (Initial ? "" : " from zero") + (ConstantB ? " constant B" : "") + (ConstantC ? " constant C" : "")
        + (Resets.Count > 0 ? $" resets {string.Join(' ', Resets)}" : "");

    bool LooksBack => Discretization.LooksBack;

    /// <summary>u, delta, A, B, C, D, z, deltaBias, initial state, previous input: all ten, used or not.</summary>
    public Tensor[] Inputs(DType dtype, Device device) =>
        [.. Arguments.Select((a, i) => TestData.Random(a.Input.Shape, dtype, device, seed: i + 1, a.Input.Low, a.Input.High))];

    /// <summary>The same by loops.</summary>
    public double[][] Expected(Tensor[] inputs)
    {
        double[][] x = [.. inputs.Select(t => t.ToDoubles())];
        Complex At(int input, long i) => Complex ? new Complex(x[input][2 * i], x[input][2 * i + 1]) : x[input][i];
        double[] y = new double[B * L * D];
        List<double> last = [], lastInput = [];
        int groups = Math.Max(1, Groups);
        for (int b = 0; b < B; b++)
        {
            for (int d = 0; d < D; d++)
            {
                Complex[] h = [.. Enumerable.Range(0, N).Select(n => Initial ? At(8, (b * D + d) * N + n) : 0)];
                Complex[] before = [.. Enumerable.Range(0, N).Select(n => LooksBack && Initial ? At(9, (b * D + d) * N + n) : 0)];
                for (int t = 0; t < L; t++)
                {
                    if (StartsAt(b, t))
                        (h, before) = (new Complex[N], new Complex[N]);
                    int at = (b * L + t) * D + d;
                    double delta = x[1][at] + (Bias ? x[7][d] : 0), sum = Skip ? x[5][d] * x[0][at] : 0;
                    if (Softplus)
                        delta = Math.Log(1 + Math.Exp(delta));
                    for (int n = 0; n < N; n++)
                    {
                        int token = ((b * L + t) * groups + d / (D / groups)) * N + n, channel = d * N + n;
                        (Complex alpha, Complex gamma, Complex beta) = Coefficients(delta * At(2, channel));
                        Complex input = At(3, ConstantB ? channel : token) * x[0][at];
                        h[n] = alpha * h[n] + delta * (gamma * input + beta * before[n]);
                        before[n] = input;
                        Complex output = At(4, ConstantC ? channel : token) * h[n];
                        sum += Complex ? 2 * output.Real : output.Real;
                    }
                    y[at] = sum * (Gate ? x[6][at] / (1 + Math.Exp(-x[6][at])) : 1);
                }
                last.AddRange(h.SelectMany(v => Complex ? (double[])[v.Real, v.Imaginary] : [v.Real]));
                lastInput.AddRange(before.SelectMany(v => Complex ? (double[])[v.Real, v.Imaginary] : [v.Real]));
            }
        }
        return LooksBack ? [y, [.. last], [.. lastInput]] : [y, [.. last]];
    }

    (Complex Alpha, Complex Gamma, Complex Beta) Coefficients(Complex z)
    {
        Complex e = System.Numerics.Complex.Exp(z);
        return Discretization.Name switch
        {
            "exponential-euler" => (e, 1, 0),
            "zoh" => (e, System.Numerics.Complex.Abs(z) < 1e-2 ? 1 + z / 2 * (1 + z / 3 * (1 + z / 4 * (1 + z / 5 * (1 + z / 6 * (1 + z / 7))))) : (e - 1) / z,
                0),
            "euler" => (1 + z, 1, 0),
            "backward-euler" => (1 / (1 - z), 1 / (1 - z), 0),
            "bilinear" => ((1 + z / 2) / (1 - z / 2), 1 / (1 - z / 2), 0),
            "exponential-trapezoidal" => (e, 0.5, 0.5 * e),
            _ => throw new ArgumentOutOfRangeException(nameof(z), Discretization.Name),
        };
    }
}
