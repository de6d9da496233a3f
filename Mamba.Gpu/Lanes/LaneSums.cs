using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static Mamba.Gpu.LaneColumns;

namespace Mamba.Gpu;

/// <summary>Sums over lanes: halves are added until one number is left, as a team of a device does. And the largest, likewise: NaN if there is one.</summary>
internal static unsafe class LaneSums
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [MethodImpl(Inline)] public static float Sum(Vector512<float> v) => Sum(v.GetLower() + v.GetUpper());
    [MethodImpl(Inline)] public static float Sum(Vector256<float> v) => Sum(v.GetLower() + v.GetUpper());
    [MethodImpl(Inline)] public static double Sum(Vector512<double> v) => Sum(v.GetLower() + v.GetUpper());
    [MethodImpl(Inline)] public static double Sum(Vector256<double> v) => Sum(v.GetLower() + v.GetUpper());
    [MethodImpl(Inline)] public static double Sum(Vector128<double> v) => v.ToScalar() + v.GetElement(1);

    [MethodImpl(Inline)]
    public static float Sum(Vector128<float> v)
    {
        v += Vector128.Shuffle(v, Vector128.Create(2, 3, 0, 1));
        return v.ToScalar() + v.GetElement(1);
    }

    [MethodImpl(Inline)] public static float Largest(Vector512<float> v) => Largest(Elementary256.Max(v.GetLower(), v.GetUpper()));
    [MethodImpl(Inline)] public static float Largest(Vector256<float> v) => Largest(Elementary128.Max(v.GetLower(), v.GetUpper()));
    [MethodImpl(Inline)] public static double Largest(Vector512<double> v) => Largest(Elementary256.Max(v.GetLower(), v.GetUpper()));
    [MethodImpl(Inline)] public static double Largest(Vector256<double> v) => Largest(Elementary128.Max(v.GetLower(), v.GetUpper()));
    [MethodImpl(Inline)] public static double Largest(Vector128<double> v) => Elementary128.Max(v, Vector128.Shuffle(v, Vector128.Create(1, 0))).ToScalar();

    [MethodImpl(Inline)]
    public static float Largest(Vector128<float> v)
    {
        v = Elementary128.Max(v, Vector128.Shuffle(v, Vector128.Create(2, 3, 0, 1)));
        return Elementary128.Max(v, Vector128.Shuffle(v, Vector128.Create(1, 0, 3, 2))).ToScalar();
    }

    // Store: the sums over the lanes of four vectors at once, a transposition half done, at a third of the instructions of four sums.

    [MethodImpl(Inline)]
    public static void Store(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d, float* to)
    {
        Vector512<double> ab = (ZipLow(a, b) + ZipHigh(a, b)).AsDouble(), cd = (ZipLow(c, d) + ZipHigh(c, d)).AsDouble();
        Vector512<float> abcd = ZipLow(ab, cd).AsSingle() + ZipHigh(ab, cd).AsSingle();
        Vector256<float> half = abcd.GetLower() + abcd.GetUpper();
        (half.GetLower() + half.GetUpper()).Store(to);
    }

    [MethodImpl(Inline)]
    public static void Store(Vector256<float> a, Vector256<float> b, Vector256<float> c, Vector256<float> d, float* to) =>
        Store(a.GetLower() + a.GetUpper(), b.GetLower() + b.GetUpper(), c.GetLower() + c.GetUpper(), d.GetLower() + d.GetUpper(), to);

    [MethodImpl(Inline)]
    public static void Store(Vector128<float> a, Vector128<float> b, Vector128<float> c, Vector128<float> d, float* to)
    {
        Vector128<double> ab = (ZipLow(a, b) + ZipHigh(a, b)).AsDouble(), cd = (ZipLow(c, d) + ZipHigh(c, d)).AsDouble();
        (ZipLow(ab, cd).AsSingle() + ZipHigh(ab, cd).AsSingle()).Store(to);
    }

    [MethodImpl(Inline)]
    public static void Store(Vector512<double> a, Vector512<double> b, Vector512<double> c, Vector512<double> d, double* to) =>
        Store(a.GetLower() + a.GetUpper(), b.GetLower() + b.GetUpper(), c.GetLower() + c.GetUpper(), d.GetLower() + d.GetUpper(), to);

    [MethodImpl(Inline)]
    public static void Store(Vector256<double> a, Vector256<double> b, Vector256<double> c, Vector256<double> d, double* to) =>
        Store(a.GetLower() + a.GetUpper(), b.GetLower() + b.GetUpper(), c.GetLower() + c.GetUpper(), d.GetLower() + d.GetUpper(), to);

    [MethodImpl(Inline)]
    public static void Store(Vector128<double> a, Vector128<double> b, Vector128<double> c, Vector128<double> d, double* to)
    {
        (ZipLow(a, b) + ZipHigh(a, b)).Store(to);
        (ZipLow(c, d) + ZipHigh(c, d)).Store(to + 2);
    }
}
