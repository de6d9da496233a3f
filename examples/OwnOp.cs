using Mamba.Gpu;

namespace Mamba.Examples;

/// <summary>An elementwise op of your own: a struct with a function and its derivative, compiled for SIMD, CUDA and OpenCL alike.</summary>
public static class OwnOp
{
    /// <summary>max(0, x)²: So et al. 2021, Primer.</summary>
    public struct SquaredRelu : IUnary
    {
        static V IUnary.Forward<V, M, T>(V x, V s)
        {
            V positive = V.Max(V.Of(0), x);
            return positive * positive;
        }

        static V IUnary.Derivative<V, M, T>(V x, V y, V s) => V.Of(2) * V.Max(V.Of(0), x);
    }

    public static Tensor Apply(Tensor x) => Ops.Apply<SquaredRelu>("SquaredRelu", x);

    public static void Run(Device device)
    {
        using var scope = new TensorScope();
        Console.WriteLine(Apply(Tensor.From(new double[] { -1, 0, 0.5, 2 }, device)));
        Console.WriteLine(GradCheck.Run(x => [Apply(x[0])], [Ops.Normal((3, 5), DType.Float64, device, 1)], ["x"]));
    }
}
