using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>Inputs and comparisons shared by tests.</summary>
public static class TestData
{
    /// <summary>The folder of the solution.</summary>
    public static readonly string Root = Ancestor(AppContext.BaseDirectory);

    static string Ancestor(string folder) => File.Exists(Path.Combine(folder, "Mamba.sln")) ? folder : Ancestor(Path.GetDirectoryName(folder)!);

    /// <summary>The states of a model whose layers are Mamba blocks.</summary>
    public static IEnumerable<MambaBlockState> Blocks(this MambaState state) => state.Layers.Cast<MambaBlockState>();

    /// <summary>Uniform values in [low, high), the same for the same seed.</summary>
    public static double[] Uniform(long count, int seed, double low = -1, double high = 1)
    {
        var random = new Random(seed);
        double[] values = new double[count];
        for (long i = 0; i < count; i++)
            values[i] = low + (high - low) * random.NextDouble();
        return values;
    }

    /// <summary>A model with ordinary numbers everywhere: fresh biases are zero, and fresh embeddings so small that the norm's epsilon counts.</summary>
    public static MambaLM Stirred(MambaConfig config, Device device, DType dtype = DType.Float64)
    {
        var model = new MambaLM(config, device, seed: 1, dtype);
        Stir(model.Parameters);
        return model;
    }

    /// <summary>Gives parameters ordinary numbers, the same each time.</summary>
    public static void Stir(IEnumerable<Parameter> parameters)
    {
        int seed = 1;
        foreach (Parameter p in parameters)
            p.Value.WriteRounded(Uniform(p.Shape.Count, seed++));
    }

    /// <summary>Tokens 0 to 10, the same for the same seed.</summary>
    public static Tensor Tokens(Shape shape, Device device, int seed = 1, int classes = 11) =>
        Tensor.From([.. Uniform(shape.Count, seed, 0, classes).Select(v => (int)v)], shape, device);

    /// <summary>A tensor of <see cref="Uniform"/> values.</summary>
    public static Tensor Random(Shape shape, DType dtype, Device device, int seed, double low = -1, double high = 1) =>
        Tensor.From(Uniform(shape.Count, seed, low, high), shape, dtype, device);

    /// <summary>The largest |actual − expected| divided by the largest |expected| (at least 1e-30). NaN counts as infinite.</summary>
    public static double RelativeError(IReadOnlyList<double> actual, IReadOnlyList<double> expected)
    {
        Assert.That(actual, Has.Count.EqualTo(expected.Count));
        double worst = 0, scale = 1e-30;
        for (int i = 0; i < actual.Count; i++)
        {
            double difference = Math.Abs(actual[i] - expected[i]);
            worst = double.IsNaN(difference) ? double.PositiveInfinity : Math.Max(worst, difference);
            scale = Math.Max(scale, Math.Abs(expected[i]));
        }
        return worst / scale;
    }
}
