namespace Mamba.Gpu;

/// <summary>C (batch, m, n) = op(A) (batch, m, k) · op(B) (batch, k, n) + bias (n), row-major and contiguous inside a batch item.</summary>
/// <remarks>Every buffer must be readable 64 bytes past its end; what is read there never reaches a result.</remarks>
internal unsafe struct MatMulArgs<T> where T : unmanaged
{
    /// <summary>(m, k), or (k, m) when <see cref="TransA"/>.</summary>
    public T* A;
    /// <summary>(k, n), or (n, k) when <see cref="TransB"/>.</summary>
    public T* B;
    /// <summary>(m, n). Must not overlap A, B or the bias.</summary>
    public T* C;
    /// <summary>(n), added to every row; null for none.</summary>
    public T* Bias;
    /// <summary>Any sizes from 0 on; k = 0 means that the product is zero.</summary>
    public long M, N, K;
    /// <summary>Elements from one row of A to the next, k or more; k when <see cref="TransA"/> is off and nothing lies between. Unused when it is on.</summary>
    public long RowA;
    /// <summary>The matrix is stored transposed.</summary>
    public bool TransA, TransB;
    /// <summary>C ← C + …, not C ← ….</summary>
    public bool Accumulate;
    /// <summary>How many products; item i starts at A + i·StrideA and so on, in elements. A stride of 0 shares A or B.</summary>
    public long Batch, StrideA, StrideB, StrideC;
}
