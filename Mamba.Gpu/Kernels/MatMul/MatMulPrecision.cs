namespace Mamba.Gpu;

/// <summary>How a device multiplies float32 matrices. float64 is always multiplied in full; sums are float32 at least.</summary>
public enum MatMulPrecision
{
    /// <summary>Products of float32 values, the default. Every device has it.</summary>
    Full,

    /// <summary>Operands rounded to 10 bits of fraction, each off by 2⁻¹¹ of itself at most. Tensor cores of CUDA GPUs from sm_80 on.</summary>
    TF32,

    /// <summary>Operands rounded to 7 bits of fraction, each off by 2⁻⁸ of itself at most. Tensor cores of CUDA GPUs from sm_80 on.</summary>
    BF16,
}
