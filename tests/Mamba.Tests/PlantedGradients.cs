using Mamba.Checks;

namespace Mamba.Tests;

/// <summary>Found by <c>mamba gradcheck --assembly</c>: an op whose gradient is right, and one whose is not.</summary>
public static class PlantedGradients
{
    public static IEnumerable<OpCase> Cases
    {
        get
        {
            CaseInput[] inputs = [new("a", (2, 3)), new("b", (2, 3), 0.5, 1)];
            yield return new("PlantedRight", "", inputs, x => [Ops.Mul(x[0], x[1])]);
            yield return new("PlantedWrong", "sign at (1, 2)", inputs, x =>
            {
                Tensor y = Ops.Mul(x[0], x[1]).Clone();
                return
                [
                    Tape.Record("PlantedWrong", y, [x[0], x[1]], dy =>
                    {
                        double[] da = Ops.Mul(dy, x[1]).ToDoubles();
                        da[5] = -da[5];
                        return [Tensor.From(da, dy.Shape, dy.DType, dy.Device), Ops.Mul(dy, x[0])];
                    }),
                ];
            });
            yield return new("PlantedKink", "", [new("x", 3, 0, 0)], x => [Ops.Relu(x[0])]);
        }
    }
}
