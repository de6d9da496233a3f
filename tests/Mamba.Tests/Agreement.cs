using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Compares what an op gives on one device with what it gives on the host in float64, values and gradients.</summary>
public static class Agreement
{
    /// <summary>An argument: shape and values.</summary>
    public readonly record struct Input(Shape Shape, double[] Values)
    {
        public static Input Random(Shape shape, int seed, double low = -1, double high = 1) => new(shape, TestData.Uniform(shape.Count, seed, low, high));

        public Tensor On(Device device, DType dtype = DType.Float64) => Tensor.From(Values, Shape, dtype, device);
    }

    /// <summary>Float64 to 1e-12 of the largest value; float32 to <paramref name="float32"/>.</summary>
    public static void Check(string device, DType dtype, Func<Tensor[], Tensor[]> function, Input[] inputs, double float32 = 5e-6)
    {
        double[][] expected = Evaluate("cpu-256", DType.Float64, function, inputs), actual = Evaluate(device, dtype, function, inputs);
        for (int i = 0; i < expected.Length; i++)
            Assert.That(TestData.RelativeError(actual[i], expected[i]), Is.LessThan(dtype == DType.Float64 ? 1e-12 : float32),
                i < expected.Length - inputs.Length ? $"output {i}" : $"gradient of input {i - (expected.Length - inputs.Length)}");
    }

    /// <summary>The outputs, then the gradients of the inputs for fixed pseudo-random ∂L/∂output.</summary>
    public static double[][] Evaluate(string device, DType dtype, Func<Tensor[], Tensor[]> function, Input[] inputs)
    {
        Device on = TestDevices.Open(device);
        using var tape = new Tape();
        Tensor[] arguments = [.. inputs.Select(x => Tape.Watch(x.On(on, dtype)))];
        Tensor[] outputs = function(arguments);
        Gradients gradients = tape.Backward([.. outputs.Select((y, i) => (y, TestData.Random(y.Shape, dtype, on, seed: 100 + i)))]);
        return [.. outputs.Select(y => y.ToDoubles()), .. arguments.Select(x => gradients.Contains(x) ? gradients[x].ToDoubles() : [])];
    }

    /// <summary>The largest error of the gradients against differences, on the host.</summary>
    public static double GradientError(Func<Tensor[], Tensor[]> function, Input[] inputs)
    {
        using var scope = new TensorScope();
        return GradCheck.LargestError(function, [.. inputs.Select(x => x.On(TestDevices.Open("cpu-256")))]);
    }
}
