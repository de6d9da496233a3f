using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Mamba.Gpu;

/// <summary>
/// Four columns of as many rows as a vector has lanes, a lane being a row: a piece of a matrix turned in registers, at a vector load and
/// half a dozen shuffles for 16 elements where gathering them takes 64 loads.
/// </summary>
/// <remarks>
/// A vector is a row of 128-bit blocks, and zips interleave inside each block: the one shuffle that every width of every processor
/// has. Row 4i + q goes to block i of vector q, and two rounds of zips turn it; of doubles, row 2i + q and one round.
/// </remarks>
internal static unsafe class LaneColumns
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [MethodImpl(Inline)]
    public static void Load<T>(T* p, long stride, out Vector128<T> a, out Vector128<T> b, out Vector128<T> c, out Vector128<T> d) where T : unmanaged
    {
        if (sizeof(T) == 4)
        {
            Vector128<T> r0 = Vector128.Load(p), r1 = Vector128.Load(p + stride), r2 = Vector128.Load(p + 2 * stride), r3 = Vector128.Load(p + 3 * stride);
            Vector128<T> even = ZipLow(r0, r2), odd = ZipLow(r1, r3);
            (a, b) = (ZipLow(even, odd), ZipHigh(even, odd));
            (even, odd) = (ZipHigh(r0, r2), ZipHigh(r1, r3));
            (c, d) = (ZipLow(even, odd), ZipHigh(even, odd));
        }
        else
        {
            Vector128<T> r0 = Vector128.Load(p), r1 = Vector128.Load(p + stride);
            (a, b) = (ZipLow(r0, r1), ZipHigh(r0, r1));
            (r0, r1) = (Vector128.Load(p + 2), Vector128.Load(p + 2 + stride));
            (c, d) = (ZipLow(r0, r1), ZipHigh(r0, r1));
        }
    }

    [MethodImpl(Inline)]
    public static void Load<T>(T* p, long stride, out Vector256<T> a, out Vector256<T> b, out Vector256<T> c, out Vector256<T> d) where T : unmanaged
    {
        if (sizeof(T) == 4)
        {
            long step = 4 * stride;
            Vector256<T> r0 = Blocks(p, step), r1 = Blocks(p + stride, step), r2 = Blocks(p + 2 * stride, step), r3 = Blocks(p + 3 * stride, step);
            Vector256<T> even = ZipLow(r0, r2), odd = ZipLow(r1, r3);
            (a, b) = (ZipLow(even, odd), ZipHigh(even, odd));
            (even, odd) = (ZipHigh(r0, r2), ZipHigh(r1, r3));
            (c, d) = (ZipLow(even, odd), ZipHigh(even, odd));
        }
        else
        {
            long step = 2 * stride;
            Vector256<T> r0 = Blocks(p, step), r1 = Blocks(p + stride, step);
            (a, b) = (ZipLow(r0, r1), ZipHigh(r0, r1));
            (r0, r1) = (Blocks(p + 2, step), Blocks(p + 2 + stride, step));
            (c, d) = (ZipLow(r0, r1), ZipHigh(r0, r1));
        }
    }

    [MethodImpl(Inline)]
    public static void Load<T>(T* p, long stride, out Vector512<T> a, out Vector512<T> b, out Vector512<T> c, out Vector512<T> d) where T : unmanaged
    {
        if (sizeof(T) == 4)
        {
            long step = 4 * stride;
            Vector512<T> r0 = FourBlocks(p, step), r1 = FourBlocks(p + stride, step), r2 = FourBlocks(p + 2 * stride, step),
                r3 = FourBlocks(p + 3 * stride, step);
            Vector512<T> even = ZipLow(r0, r2), odd = ZipLow(r1, r3);
            (a, b) = (ZipLow(even, odd), ZipHigh(even, odd));
            (even, odd) = (ZipHigh(r0, r2), ZipHigh(r1, r3));
            (c, d) = (ZipLow(even, odd), ZipHigh(even, odd));
        }
        else
        {
            long step = 2 * stride;
            Vector512<T> r0 = FourBlocks(p, step), r1 = FourBlocks(p + stride, step);
            (a, b) = (ZipLow(r0, r1), ZipHigh(r0, r1));
            (r0, r1) = (FourBlocks(p + 2, step), FourBlocks(p + 2 + stride, step));
            (c, d) = (ZipLow(r0, r1), ZipHigh(r0, r1));
        }
    }

    // Block i from p + i·stride.
    [MethodImpl(Inline)]
    static Vector256<T> Blocks<T>(T* p, long stride) where T : unmanaged => Vector256.Create(Vector128.Load(p), Vector128.Load(p + stride));

    [MethodImpl(Inline)]
    static Vector512<T> FourBlocks<T>(T* p, long stride) where T : unmanaged =>
        Avx512F.IsSupported     // Vector512.Create of two halves would go by way of memory
            ? Avx512F.InsertVector256(Blocks(p, stride).ToVector512Unsafe().AsSingle(), Blocks(p + 2 * stride, stride).AsSingle(), 1).As<float, T>()
            : Vector512.Create(Blocks(p, stride), Blocks(p + 2 * stride, stride));

    // a0 b0 a1 b1 … from the lower half of each block; of doubles a0 b0.
    [MethodImpl(Inline)]
    public static Vector128<T> ZipLow<T>(Vector128<T> a, Vector128<T> b) where T : unmanaged
    {
        if (sizeof(T) == 4)
        {
            Vector128<float> p = a.AsSingle(), q = b.AsSingle();
            return (Sse.IsSupported ? Sse.UnpackLow(p, q)
                : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipLow(p, q)
                : Vector128.Create(p[0], q[0], p[1], q[1])).As<float, T>();
        }
        return Vector128.Create(a.GetLower(), b.GetLower());
    }

    // The same from the upper half of each block.
    [MethodImpl(Inline)]
    public static Vector128<T> ZipHigh<T>(Vector128<T> a, Vector128<T> b) where T : unmanaged
    {
        if (sizeof(T) == 4)
        {
            Vector128<float> p = a.AsSingle(), q = b.AsSingle();
            return (Sse.IsSupported ? Sse.UnpackHigh(p, q)
                : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipHigh(p, q)
                : Vector128.Create(p[2], q[2], p[3], q[3])).As<float, T>();
        }
        return Vector128.Create(a.GetUpper(), b.GetUpper());
    }

    [MethodImpl(Inline)]
    public static Vector256<T> ZipLow<T>(Vector256<T> a, Vector256<T> b) where T : unmanaged =>
        !Avx.IsSupported ? Vector256.Create(ZipLow(a.GetLower(), b.GetLower()), ZipLow(a.GetUpper(), b.GetUpper()))
        : sizeof(T) == 4 ? Avx.UnpackLow(a.AsSingle(), b.AsSingle()).As<float, T>()
        : Avx.UnpackLow(a.AsDouble(), b.AsDouble()).As<double, T>();

    [MethodImpl(Inline)]
    public static Vector256<T> ZipHigh<T>(Vector256<T> a, Vector256<T> b) where T : unmanaged =>
        !Avx.IsSupported ? Vector256.Create(ZipHigh(a.GetLower(), b.GetLower()), ZipHigh(a.GetUpper(), b.GetUpper()))
        : sizeof(T) == 4 ? Avx.UnpackHigh(a.AsSingle(), b.AsSingle()).As<float, T>()
        : Avx.UnpackHigh(a.AsDouble(), b.AsDouble()).As<double, T>();

    [MethodImpl(Inline)]
    public static Vector512<T> ZipLow<T>(Vector512<T> a, Vector512<T> b) where T : unmanaged =>
        !Avx512F.IsSupported ? Vector512.Create(ZipLow(a.GetLower(), b.GetLower()), ZipLow(a.GetUpper(), b.GetUpper()))
        : sizeof(T) == 4 ? Avx512F.UnpackLow(a.AsSingle(), b.AsSingle()).As<float, T>()
        : Avx512F.UnpackLow(a.AsDouble(), b.AsDouble()).As<double, T>();

    [MethodImpl(Inline)]
    public static Vector512<T> ZipHigh<T>(Vector512<T> a, Vector512<T> b) where T : unmanaged =>
        !Avx512F.IsSupported ? Vector512.Create(ZipHigh(a.GetLower(), b.GetLower()), ZipHigh(a.GetUpper(), b.GetUpper()))
        : sizeof(T) == 4 ? Avx512F.UnpackHigh(a.AsSingle(), b.AsSingle()).As<float, T>()
        : Avx512F.UnpackHigh(a.AsDouble(), b.AsDouble()).As<double, T>();
}
