using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Mamba.Gpu;

/// <summary>One vector register of the host, as <see cref="HostMatMul{T, V}"/> sees it: 128, 256 or 512 bits of T.</summary>
internal unsafe interface IMatMulVector<V, T> where V : unmanaged, IMatMulVector<V, T> where T : unmanaged
{
    static abstract int Width { get; }
    static abstract V Load(T* p);
    static abstract void Store(T* p, V v);
    static abstract V Broadcast(T* p);
    static abstract V Add(V a, V b);
    /// <summary>a·b + c, fused where the processor can.</summary>
    static abstract V Fma(V a, V b, V c);
    /// <summary>Four columns, a lane being a row: lane i of a comes from p + i·stride, of b from the element after it, and so on.</summary>
    static abstract void LoadColumns(T* p, long stride, out V a, out V b, out V c, out V d);
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

    [MethodImpl(Inline)]
    public static void LoadColumns(T* p, long stride, out MatMulVector128<T> a, out MatMulVector128<T> b, out MatMulVector128<T> c, out MatMulVector128<T> d)
    {
        LaneColumns.Load(p, stride, out Vector128<T> va, out Vector128<T> vb, out Vector128<T> vc, out Vector128<T> vd);
        (a, b, c, d) = (new(va), new(vb), new(vc), new(vd));
    }

    // MultiplyAddEstimate is the fused instruction where there is one; FusedMultiplyAdd would call the
    // C library per element where there is none.
    [MethodImpl(Inline)]
    public static MatMulVector128<T> Fma(MatMulVector128<T> a, MatMulVector128<T> b, MatMulVector128<T> c) => new(typeof(T) == typeof(float)
        ? Vector128.MultiplyAddEstimate(a.x.AsSingle(), b.x.AsSingle(), c.x.AsSingle()).As<float, T>()
        : Vector128.MultiplyAddEstimate(a.x.AsDouble(), b.x.AsDouble(), c.x.AsDouble()).As<double, T>());
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

    [MethodImpl(Inline)]
    public static void LoadColumns(T* p, long stride, out MatMulVector256<T> a, out MatMulVector256<T> b, out MatMulVector256<T> c, out MatMulVector256<T> d)
    {
        LaneColumns.Load(p, stride, out Vector256<T> va, out Vector256<T> vb, out Vector256<T> vc, out Vector256<T> vd);
        (a, b, c, d) = (new(va), new(vb), new(vc), new(vd));
    }

    [MethodImpl(Inline)]
    public static MatMulVector256<T> Fma(MatMulVector256<T> a, MatMulVector256<T> b, MatMulVector256<T> c) => new(typeof(T) == typeof(float)
        ? Vector256.MultiplyAddEstimate(a.x.AsSingle(), b.x.AsSingle(), c.x.AsSingle()).As<float, T>()
        : Vector256.MultiplyAddEstimate(a.x.AsDouble(), b.x.AsDouble(), c.x.AsDouble()).As<double, T>());
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
    public static void LoadColumns(T* p, long stride, out MatMulVector512<T> a, out MatMulVector512<T> b, out MatMulVector512<T> c, out MatMulVector512<T> d)
    {
        LaneColumns.Load(p, stride, out Vector512<T> va, out Vector512<T> vb, out Vector512<T> vc, out Vector512<T> vd);
        (a, b, c, d) = (new(va), new(vb), new(vc), new(vd));
    }

    [MethodImpl(Inline)]
    public static MatMulVector512<T> Fma(MatMulVector512<T> a, MatMulVector512<T> b, MatMulVector512<T> c) => new(typeof(T) == typeof(float)
        ? Vector512.MultiplyAddEstimate(a.x.AsSingle(), b.x.AsSingle(), c.x.AsSingle()).As<float, T>()
        : Vector512.MultiplyAddEstimate(a.x.AsDouble(), b.x.AsDouble(), c.x.AsDouble()).As<double, T>());
}
