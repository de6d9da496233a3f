namespace Mamba;

/// <summary>
/// Compares gradients from the tape with differences of the function's values, in float64; or two implementations with each other.
/// <code>
/// GradCheck.Run(x => [Ops.RmsNorm(x[0], x[1])], [x, weight], ["x", "weight"]).ThrowIfFailed();
/// </code>
/// L = Σ w·output with fixed pseudo-random weights w of size ½ to 1½ is differentiated by each element of each input, or, where
/// there are many elements, by random directions v: d/dt L(x + t v) = ∂L/∂x · v. docs/gradcheck.md says how good that is.
/// </summary>
public static class GradCheck
{
    /// <summary>Checks the gradients of every input.</summary>
    /// <param name="function">From inputs to one or more outputs; the same values for the same inputs. It is called some six times for each derivative.</param>
    /// <param name="inputs">float64 tensors, on any device that has float64.</param>
    /// <param name="names">Names of the inputs, for the report.</param>
    /// <param name="options">How thoroughly.</param>
    public static GradReport Run(Func<Tensor[], Tensor[]> function, Tensor[] inputs, IReadOnlyList<string>? names = null, GradCheckOptions? options = null)
    {
        using var scope = new TensorScope();
        Tensor[] copies = [.. inputs.Select(x => Tape.Watch(x.Clone()))];       // changed in place, an element at a time
        return Run(() => function(copies), [.. copies.Select((x, i) => (NameOf(names, i), x))], options);
    }

    /// <summary>Checks the gradients of parameters, which are changed in place and have their values again afterwards.</summary>
    /// <param name="function">A function of the parameters: a model's loss.</param>
    /// <param name="parameters">float64 parameters: <c>model.Parameters</c>.</param>
    /// <param name="options">How thoroughly.</param>
    public static GradReport Run(Func<Tensor> function, IReadOnlyList<Parameter> parameters, GradCheckOptions? options = null) =>
        Run(() => [function()], [.. parameters.Select(p => (p.Name, p.Value))], options);

    internal static GradReport Run(Func<Tensor[]> function, (string Name, Tensor Value)[] inputs, GradCheckOptions? options = null)
    {
        foreach ((string name, Tensor value) in inputs)
            if (value.DType != DType.Float64)
                throw new MambaException($"GradCheck: {name} is {value.DType.Name()} {value.Shape}; expected float64. "
                    + $"Differences of float32 values say nothing.");
        return new Differentiation(function, inputs, options ?? new GradCheckOptions()).Report();
    }

    /// <summary>Compares two implementations of one function: their outputs, and the gradients of all inputs for the same ∂L/∂output.</summary>
    /// <param name="actual">The one in question.</param>
    /// <param name="expected">The one that is right.</param>
    /// <param name="inputs">Tensors of any dtype; those of float32 and float64 get gradients.</param>
    /// <param name="tolerance">Largest difference, over the largest element of the same output or gradient.</param>
    /// <param name="names">Names of the inputs, for the report.</param>
    public static ComparisonReport Compare(Func<Tensor[], Tensor[]> actual, Func<Tensor[], Tensor[]> expected, Tensor[] inputs,
        double tolerance = 1e-10, IReadOnlyList<string>? names = null)
    {
        using var scope = new TensorScope();
        Evaluation a = Evaluation.Of(actual, inputs), e = Evaluation.Of(expected, inputs);
        if (a.Outputs.Length != e.Outputs.Length || !a.Shapes.SequenceEqual(e.Shapes))
            throw new MambaException($"Compare: the outputs have shapes {string.Join(", ", a.Shapes)}; expected {string.Join(", ", e.Shapes)}, "
                + $"as the other implementation.");
        DType dtype = inputs.Length > 0 ? inputs[0].DType : DType.Float64;
        return new ComparisonReport(
        [
            .. a.Outputs.Select((y, i) => Difference.Between($"output {i}", a.Shapes[i], y, e.Outputs[i], tolerance, dtype)),
            .. a.Gradients.Select((g, i) =>
                Difference.Between($"gradient of {NameOf(names, i)}", inputs[i].Shape, g, e.Gradients[i], tolerance, inputs[i].DType)),
        ]);
    }

    /// <summary>
    /// The largest relative difference over all elements of all inputs, relative to the largest gradient of that input (at
    /// least 1e-3): for asserts in tests. Use <see cref="Run(Func{Tensor[], Tensor[]}, Tensor[], IReadOnlyList{string}?, GradCheckOptions?)"/> to
    /// learn where it is, and how exact the differences are.
    /// </summary>
    /// <param name="function">From inputs to one or more outputs.</param>
    /// <param name="inputs">float64 tensors, on any device that has float64.</param>
    public static double LargestError(Func<Tensor[], Tensor[]> function, Tensor[] inputs)
    {
        GradReport report = Run(function, inputs, options: new GradCheckOptions { Elements = int.MaxValue });
        return report.Inputs.Select(i => i.LargestAbsolute is { } s ? s.AbsoluteError / Math.Max(1e-3, s.Scale) : 0).DefaultIfEmpty().Max();
    }

    static string NameOf(IReadOnlyList<string>? names, int i) => names is not null && i < names.Count ? names[i] : $"input {i}";

    /// <summary>∂L/∂output: fixed, between ½ and 1½ in size, of both signs.</summary>
    internal static double Weight(int output, int element) => Math.Cos(1.7 * element + 0.9 * output + 0.3) + (element % 2 == 0 ? 0.5 : -0.5);

    internal static (Tensor Output, Tensor Gradient)[] Seeds(Tensor[] outputs) =>
        [.. outputs.Select((y, k) => (y, Tensor.From([.. Enumerable.Range(0, (int)y.Count).Select(j => Weight(k, j))], y.Shape, y.DType, y.Device)))];

    /// <summary>A function's outputs and the gradients of its inputs, zero where an output does not depend on one.</summary>
    readonly record struct Evaluation(double[][] Outputs, Shape[] Shapes, double[][] Gradients)
    {
        public static Evaluation Of(Func<Tensor[], Tensor[]> function, Tensor[] inputs)
        {
            using var tape = new Tape();
            Tensor[] watched = [.. inputs.Select(x => x.DType == DType.Int32 ? x : Tape.Watch(x.Clone()))], outputs = function(watched);
            Gradients gradients = tape.Backward(Seeds(outputs));
            return new Evaluation([.. outputs.Select(y => y.ToDoubles())], [.. outputs.Select(y => y.Shape)],
                [.. watched.Select(x => gradients.Contains(x) ? gradients[x].ToDoubles() : new double[x.Count])]);
        }
    }
}
