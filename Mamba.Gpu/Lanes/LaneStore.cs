using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Mamba.Gpu;

/// <summary>
/// Stores of a vector's first lanes. By masked stores where there are any: a call, even one never made, would cost a loop its registers,
/// because no vector register outlives a call.
/// </summary>
internal static unsafe class LaneStore
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [MethodImpl(Inline)]
    public static void Store(float* p, Vector128<float> v, int lanes)
    {
        if (Avx.IsSupported)
            Avx.MaskStore(p, Vector128.LessThan(Vector128<int>.Indices, Vector128.Create(lanes)).AsSingle(), v);
        else
            OneByOne(p, v, lanes);
    }

    [MethodImpl(Inline)]
    public static void Store(float* p, Vector256<float> v, int lanes)
    {
        if (Avx.IsSupported)
            Avx.MaskStore(p, Vector256.LessThan(Vector256<int>.Indices, Vector256.Create(lanes)).AsSingle(), v);
        else
            OneByOne(p, v, lanes);
    }

    [MethodImpl(Inline)]
    public static void Store(float* p, Vector512<float> v, int lanes)
    {
        if (Avx512F.IsSupported)
            Avx512F.MaskStore(p, Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(lanes)).AsSingle(), v);
        else
            OneByOne(p, v, lanes);
    }

    [MethodImpl(Inline)]
    public static void Store(double* p, Vector128<double> v, int lanes)
    {
        if (Avx.IsSupported)
            Avx.MaskStore(p, Vector128.LessThan(Vector128<long>.Indices, Vector128.Create((long)lanes)).AsDouble(), v);
        else
            OneByOne(p, v, lanes);
    }

    [MethodImpl(Inline)]
    public static void Store(double* p, Vector256<double> v, int lanes)
    {
        if (Avx.IsSupported)
            Avx.MaskStore(p, Vector256.LessThan(Vector256<long>.Indices, Vector256.Create((long)lanes)).AsDouble(), v);
        else
            OneByOne(p, v, lanes);
    }

    [MethodImpl(Inline)]
    public static void Store(double* p, Vector512<double> v, int lanes)
    {
        if (Avx512F.IsSupported)
            Avx512F.MaskStore(p, Vector512.LessThan(Vector512<long>.Indices, Vector512.Create((long)lanes)).AsDouble(), v);
        else
            OneByOne(p, v, lanes);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void OneByOne<V, T>(T* p, V v, int lanes) where V : unmanaged where T : unmanaged
    {
        for (int k = 0; k < lanes; k++)
            p[k] = ((T*)&v)[k];
    }
}
