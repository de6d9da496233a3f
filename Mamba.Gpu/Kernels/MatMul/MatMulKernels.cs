namespace Mamba.Gpu;

/// <summary>
/// C (batch, m, n) = op(A) (batch, m, k) · op(B) (batch, k, n) [+ C] [+ bias (n)], as tensors. Strides are elements from one batch item to the next; 0 shares
/// it.
/// </summary>
internal readonly record struct MatMulProblem(Tensor A, Tensor B, Tensor C, long M, long N, long K)
{
    /// <summary>A is stored (k, m).</summary>
    public bool TransposeA { get; init; }

    /// <summary>B is stored (n, k).</summary>
    public bool TransposeB { get; init; }

    /// <summary>Adds to C instead of replacing it.</summary>
    public bool Accumulate { get; init; }

    /// <summary>(n), added to every row.</summary>
    public Tensor? Bias { get; init; }

    /// <summary>Elements from one row of A to the next where it is part of a wider matrix; A is not transposed then. k otherwise.</summary>
    public long RowA { get; init; } = K;

    public long Batch { get; init; } = 1;
    public long StrideA { get; init; }
    public long StrideB { get; init; }
    public long StrideC { get; init; }
}

/// <summary>Launcher of the matrix product: the one kernel with two implementations, <see cref="HostMatMul{T, V}"/> and <see cref="DeviceMatMul"/>.</summary>
internal static class MatMulKernels
{
    /// <summary>Computes <paramref name="problem"/> on its tensors' device.</summary>
    public static void Multiply(in MatMulProblem problem)
    {
        if (problem.C.Count == 0)
            return;
        var device = (ComputeDevice)problem.C.Device;
        device.Timeline?.Begin();
        device.Multiply(problem);
        device.Timeline?.End(problem);
    }
}
