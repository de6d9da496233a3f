using NUnit.Framework;

namespace Mamba.Tests;

public class ElementwiseTests
{
    [Test]
    public void Silu_agrees_with_the_formula([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device)
    {
        using var scope = new TensorScope();
        Tensor x = TestData.Random(37, DType.Float64, TestDevices.Open(device), seed: 1, -30, 30);
        double[] expected = [.. x.ToDoubles().Select(v => v / (1 + Math.Exp(-v)))];
        Assert.That(TestData.RelativeError(Ops.Silu(x).ToDoubles(), expected), Is.LessThan(1e-15));
    }
}
