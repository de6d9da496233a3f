using Mamba.Checks;

namespace Mamba.Tests;

/// <summary>Found by <c>mamba parity --assembly</c>: an op with known results, a zero with a sign and a NaN with one among them.</summary>
public static class PlantedBits
{
    public static IEnumerable<OpCase> Cases =>
    [
        new("PlantedBits", "", [new("x", 1)], x =>
        [
            Tensor.From([1, -0.0, 0.5, -double.NaN], 4, x[0].DType, x[0].Device), Tensor.From([3], 1, x[0].Device),
        ]) { Differentiable = false },
    ];
}
