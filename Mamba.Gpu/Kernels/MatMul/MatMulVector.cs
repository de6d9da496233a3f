using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Mamba.Gpu;

/// <summary>One vector register of the host, as <see cref="HostMatMul{T, V}"/> sees it: 128, 256 or 512 bits of T.</summary>
/// <remarks>
/// A register is a row of 128-bit blocks, and <see cref="ZipLow"/> and <see cref="ZipHigh"/> interleave inside
/// each block: the one shuffle that every width of every processor has. Transposing is built on it alone.
/// </remarks>
internal unsafe interface IMatMulVector<V, T> where V : unmanaged, IMatMulVector<V, T> where T : unmanaged
{
    static abstract int Width { get; }
    static abstract V Load(T* p);
    static abstract void Store(T* p, V v);
    static abstract V Broadcast(T* p);
    static abstract V Add(V a, V b);
    /// <summary>a·b + c, fused where the processor can.</summary>
    static abstract V Fma(V a, V b, V c);
    /// <summary>Block i of 128 bits comes from p + i·stride.</summary>
    static abstract V LoadBlocks(T* p, long stride);
    /// <summary>a0 b0 a1 b1 … from the lower half of each block.</summary>
    static abstract V ZipLow(V a, V b);
    /// <summary>The same from the upper half of each block.</summary>
    static abstract V ZipHigh(V a, V b);
    /// <summary>The sums over the lanes of a, b, c and d to p … p + 3.</summary>
    static abstract void StoreSums(V a, V b, V c, V d, T* p);
}

/// <summary>128 bits: SSE, NEON.</summary>
internal unsafe struct MatMulVector128<T> : IMatMulVector<MatMulVector128<T>, T> where T : unmanaged
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    Vector128<T> x;
    MatMulVector128(Vector128<T> x) => this.x = x;
    public static int Width { [MethodImpl(Inline)] get => Vector128<T>.Count; }
    [MethodImpl(Inline)] public static MatMulVector128<T> Load(T* p) => new(Vector128.Load(p));
    [MethodImpl(Inline)] public static void Store(T* p, MatMulVector128<T> v) => v.x.Store(p);
    [MethodImpl(Inline)] public static MatMulVector128<T> Broadcast(T* p) => new(Vector128.Create(*p));
    [MethodImpl(Inline)] public static MatMulVector128<T> Add(MatMulVector128<T> a, MatMulVector128<T> b) => new(a.x + b.x);

    [MethodImpl(Inline)]
    public static void StoreSums(MatMulVector128<T> a, MatMulVector128<T> b, MatMulVector128<T> c, MatMulVector128<T> d, T* p)
    {
        if (typeof(T) == typeof(float))
            LaneSums.Store(a.x.AsSingle(), b.x.AsSingle(), c.x.AsSingle(), d.x.AsSingle(), (float*)p);
        else
            LaneSums.Store(a.x.AsDouble(), b.x.AsDouble(), c.x.AsDouble(), d.x.AsDouble(), (double*)p);
    }

    [MethodImpl(Inline)] public static MatMulVector128<T> LoadBlocks(T* p, long stride) => Load(p);
    [MethodImpl(Inline)] public static MatMulVector128<T> ZipLow(MatMulVector128<T> a, MatMulVector128<T> b) => new(ZipLow(a.x, b.x));
    [MethodImpl(Inline)] public static MatMulVector128<T> ZipHigh(MatMulVector128<T> a, MatMulVector128<T> b) => new(ZipHigh(a.x, b.x));

    // MultiplyAddEstimate is the fused instruction where there is one; FusedMultiplyAdd would call the
    // C library per element where there is none.
    [MethodImpl(Inline)]
    public static MatMulVector128<T> Fma(MatMulVector128<T> a, MatMulVector128<T> b, MatMulVector128<T> c) => new(typeof(T) == typeof(float)
        ? Vector128.MultiplyAddEstimate(a.x.AsSingle(), b.x.AsSingle(), c.x.AsSingle()).As<float, T>()
        : Vector128.MultiplyAddEstimate(a.x.AsDouble(), b.x.AsDouble(), c.x.AsDouble()).As<double, T>());

    [MethodImpl(Inline)]
    public static Vector128<T> ZipLow(Vector128<T> a, Vector128<T> b)
    {
        if (typeof(T) == typeof(float))
        {
            Vector128<float> p = a.AsSingle(), q = b.AsSingle();
            return (Sse.IsSupported ? Sse.UnpackLow(p, q)
                : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipLow(p, q)
                : Vector128.Create(p[0], q[0], p[1], q[1])).As<float, T>();
        }
        return Vector128.Create(a.GetLower(), b.GetLower());
    }

    [MethodImpl(Inline)]
    public static Vector128<T> ZipHigh(Vector128<T> a, Vector128<T> b)
    {
        if (typeof(T) == typeof(float))
        {
            Vector128<float> p = a.AsSingle(), q = b.AsSingle();
            return (Sse.IsSupported ? Sse.UnpackHigh(p, q)
                : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipHigh(p, q)
                : Vector128.Create(p[2], q[2], p[3], q[3])).As<float, T>();
        }
        return Vector128.Create(a.GetUpper(), b.GetUpper());
    }
}

/// <summary>256 bits: AVX2.</summary>
internal unsafe struct MatMulVector256<T> : IMatMulVector<MatMulVector256<T>, T> where T : unmanaged
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    Vector256<T> x;
    MatMulVector256(Vector256<T> x) => this.x = x;
    public static int Width { [MethodImpl(Inline)] get => Vector256<T>.Count; }
    [MethodImpl(Inline)] public static MatMulVector256<T> Load(T* p) => new(Vector256.Load(p));
    [MethodImpl(Inline)] public static void Store(T* p, MatMulVector256<T> v) => v.x.Store(p);
    [MethodImpl(Inline)] public static MatMulVector256<T> Broadcast(T* p) => new(Vector256.Create(*p));
    [MethodImpl(Inline)] public static MatMulVector256<T> Add(MatMulVector256<T> a, MatMulVector256<T> b) => new(a.x + b.x);

    [MethodImpl(Inline)]
    public static void StoreSums(MatMulVector256<T> a, MatMulVector256<T> b, MatMulVector256<T> c, MatMulVector256<T> d, T* p)
    {
        if (typeof(T) == typeof(float))
            LaneSums.Store(a.x.AsSingle(), b.x.AsSingle(), c.x.AsSingle(), d.x.AsSingle(), (float*)p);
        else
            LaneSums.Store(a.x.AsDouble(), b.x.AsDouble(), c.x.AsDouble(), d.x.AsDouble(), (double*)p);
    }

    [MethodImpl(Inline)] public static MatMulVector256<T> LoadBlocks(T* p, long stride) => new(Blocks(p, stride));
    [MethodImpl(Inline)] public static MatMulVector256<T> ZipLow(MatMulVector256<T> a, MatMulVector256<T> b) => new(ZipLow(a.x, b.x));
    [MethodImpl(Inline)] public static MatMulVector256<T> ZipHigh(MatMulVector256<T> a, MatMulVector256<T> b) => new(ZipHigh(a.x, b.x));
    [MethodImpl(Inline)] public static Vector256<T> Blocks(T* p, long stride) => Vector256.Create(Vector128.Load(p), Vector128.Load(p + stride));

    [MethodImpl(Inline)]
    public static MatMulVector256<T> Fma(MatMulVector256<T> a, MatMulVector256<T> b, MatMulVector256<T> c) => new(typeof(T) == typeof(float)
        ? Vector256.MultiplyAddEstimate(a.x.AsSingle(), b.x.AsSingle(), c.x.AsSingle()).As<float, T>()
        : Vector256.MultiplyAddEstimate(a.x.AsDouble(), b.x.AsDouble(), c.x.AsDouble()).As<double, T>());

    [MethodImpl(Inline)]
    public static Vector256<T> ZipLow(Vector256<T> a, Vector256<T> b) =>
        !Avx.IsSupported ? Vector256.Create(MatMulVector128<T>.ZipLow(a.GetLower(), b.GetLower()), MatMulVector128<T>.ZipLow(a.GetUpper(), b.GetUpper()))
        : typeof(T) == typeof(float) ? Avx.UnpackLow(a.AsSingle(), b.AsSingle()).As<float, T>()
        : Avx.UnpackLow(a.AsDouble(), b.AsDouble()).As<double, T>();

    [MethodImpl(Inline)]
    public static Vector256<T> ZipHigh(Vector256<T> a, Vector256<T> b) =>
        !Avx.IsSupported ? Vector256.Create(MatMulVector128<T>.ZipHigh(a.GetLower(), b.GetLower()), MatMulVector128<T>.ZipHigh(a.GetUpper(), b.GetUpper()))
        : typeof(T) == typeof(float) ? Avx.UnpackHigh(a.AsSingle(), b.AsSingle()).As<float, T>()
        : Avx.UnpackHigh(a.AsDouble(), b.AsDouble()).As<double, T>();
}

/// <summary>512 bits: AVX-512. Correct, not fast, where the processor has none.</summary>
internal unsafe struct MatMulVector512<T> : IMatMulVector<MatMulVector512<T>, T> where T : unmanaged
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    Vector512<T> x;
    MatMulVector512(Vector512<T> x) => this.x = x;
    public static int Width { [MethodImpl(Inline)] get => Vector512<T>.Count; }
    [MethodImpl(Inline)] public static MatMulVector512<T> Load(T* p) => new(Vector512.Load(p));
    [MethodImpl(Inline)] public static void Store(T* p, MatMulVector512<T> v) => v.x.Store(p);
    [MethodImpl(Inline)] public static MatMulVector512<T> Broadcast(T* p) => new(Vector512.Create(*p));
    [MethodImpl(Inline)] public static MatMulVector512<T> Add(MatMulVector512<T> a, MatMulVector512<T> b) => new(a.x + b.x);

    [MethodImpl(Inline)]
    public static void StoreSums(MatMulVector512<T> a, MatMulVector512<T> b, MatMulVector512<T> c, MatMulVector512<T> d, T* p)
    {
        if (typeof(T) == typeof(float))
            LaneSums.Store(a.x.AsSingle(), b.x.AsSingle(), c.x.AsSingle(), d.x.AsSingle(), (float*)p);
        else
            LaneSums.Store(a.x.AsDouble(), b.x.AsDouble(), c.x.AsDouble(), d.x.AsDouble(), (double*)p);
    }

    [MethodImpl(Inline)]
    public static MatMulVector512<T> LoadBlocks(T* p, long stride) =>
        Avx512F.IsSupported     // Vector512.Create of two halves would go by way of memory
            ? new(Avx512F.InsertVector256(MatMulVector256<T>.Blocks(p, stride).ToVector512Unsafe().AsSingle(), MatMulVector256<T>.Blocks(p + 2 * stride, stride).AsSingle(), 1).As<float, T>())
            : new(Vector512.Create(MatMulVector256<T>.Blocks(p, stride), MatMulVector256<T>.Blocks(p + 2 * stride, stride)));

    [MethodImpl(Inline)]
    public static MatMulVector512<T> Fma(MatMulVector512<T> a, MatMulVector512<T> b, MatMulVector512<T> c) => new(typeof(T) == typeof(float)
        ? Vector512.MultiplyAddEstimate(a.x.AsSingle(), b.x.AsSingle(), c.x.AsSingle()).As<float, T>()
        : Vector512.MultiplyAddEstimate(a.x.AsDouble(), b.x.AsDouble(), c.x.AsDouble()).As<double, T>());

    [MethodImpl(Inline)]
    public static MatMulVector512<T> ZipLow(MatMulVector512<T> a, MatMulVector512<T> b) => new(
        !Avx512F.IsSupported ? Vector512.Create(MatMulVector256<T>.ZipLow(a.x.GetLower(), b.x.GetLower()), MatMulVector256<T>.ZipLow(a.x.GetUpper(), b.x.GetUpper()))
        : typeof(T) == typeof(float) ? Avx512F.UnpackLow(a.x.AsSingle(), b.x.AsSingle()).As<float, T>()
        : Avx512F.UnpackLow(a.x.AsDouble(), b.x.AsDouble()).As<double, T>());

    [MethodImpl(Inline)]
    public static MatMulVector512<T> ZipHigh(MatMulVector512<T> a, MatMulVector512<T> b) => new(
        !Avx512F.IsSupported ? Vector512.Create(MatMulVector256<T>.ZipHigh(a.x.GetLower(), b.x.GetLower()), MatMulVector256<T>.ZipHigh(a.x.GetUpper(), b.x.GetUpper()))
        : typeof(T) == typeof(float) ? Avx512F.UnpackHigh(a.x.AsSingle(), b.x.AsSingle()).As<float, T>()
        : Avx512F.UnpackHigh(a.x.AsDouble(), b.x.AsDouble()).As<double, T>());
}
