namespace Mamba;

/// <summary>Compares gradients from the tape with central differences, in float64.</summary>
public static class GradCheck
{
    /// <summary>
    /// The largest relative difference over all elements of all inputs between ∂L/∂x from the tape and from a five-point
    /// central difference, L = Σ w·output with fixed pseudo-random weights w. Relative to the largest gradient of that input (at least 1e-3).
    /// </summary>
    /// <param name="function">From inputs to one or more outputs. It is called 4 times per element.</param>
    /// <param name="inputs">float64 tensors, on any device that has float64.</param>
    /// <param name="step">Step of the difference. Its error is about step⁴·f⁗⁗′/30 + 1e-16·|L|/step.</param>
    public static double LargestError(Func<Tensor[], Tensor[]> function, Tensor[] inputs, double step = 1e-3)
    {
        Device device = inputs[0].Device;
        double[][] values = [.. inputs.Select(x => x.ToDoubles())];

        double Loss()
        {
            using var scope = new TensorScope();
            Tensor[] ys = function([.. values.Select((v, i) => Tensor.From(v, inputs[i].Shape, DType.Float64, device))]);
            return ys.Select((y, k) => y.ToDoubles().Select((v, j) => v * Weight(k, j)).Sum()).Sum();
        }

        double worst = 0;
        using var tape = new Tape();
        Tensor[] watched = [.. values.Select((v, i) => Tape.Watch(Tensor.From(v, inputs[i].Shape, DType.Float64, device)))];
        Tensor[] outputs = function(watched);
        Gradients gradients = tape.Backward([.. outputs.Select((y, k) =>
            (y, Tensor.From([.. Enumerable.Range(0, (int)y.Count).Select(j => Weight(k, j))], y.Shape, DType.Float64, device)))]);
        for (int i = 0; i < inputs.Length; i++)
        {
            double[] analytic = gradients.Contains(watched[i]) ? gradients[watched[i]].ToDoubles() : new double[values[i].Length];
            double[] numeric = new double[analytic.Length];
            for (int j = 0; j < numeric.Length; j++)
            {
                double x = values[i][j], h = step * Math.Max(1, Math.Abs(x));
                double At(double at)
                {
                    values[i][j] = at;
                    return Loss();
                }
                numeric[j] = (8 * (At(x + h) - At(x - h)) - (At(x + 2 * h) - At(x - 2 * h))) / (12 * h);
                values[i][j] = x;
            }
            double scale = Math.Max(1e-3, numeric.Select(Math.Abs).DefaultIfEmpty().Max());
            for (int j = 0; j < numeric.Length; j++)
            {
                double error = Math.Abs(analytic[j] - numeric[j]) / scale;
                worst = double.IsNaN(error) ? double.PositiveInfinity : Math.Max(worst, error);
            }
        }
        return worst;
    }

    // fixed, between ½ and 1½ in size, of both signs
    static double Weight(int output, int element) => Math.Cos(1.7 * element + 0.9 * output + 0.3) + (element % 2 == 0 ? 0.5 : -0.5);
}
