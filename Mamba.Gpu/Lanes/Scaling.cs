using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Mamba.Gpu;

/// <summary>
/// The instructions AVX-512 has for exponentials, at every width: what is left of x after rounding to an integer, the
/// rounding, and p · 2^⌊t⌋ with every overflow and underflow handled. They make an exponential a third cheaper.
/// </summary>
internal static class Scaling
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    const byte Nearest = 8;         // round to nearest, raise no exception

    public static bool Supports128 { [MethodImpl(Inline)] get => Avx512DQ.VL.IsSupported; }
    public static bool Supports256 { [MethodImpl(Inline)] get => Avx512DQ.VL.IsSupported; }
    public static bool Supports512 { [MethodImpl(Inline)] get => Avx512DQ.IsSupported; }

    /// <summary>x − round(x), within ±½; 0 for an infinity.</summary>
    [MethodImpl(Inline)] public static Vector128<float> Fraction(Vector128<float> x) => Avx512DQ.VL.Reduce(x, Nearest);
    [MethodImpl(Inline)] public static Vector128<double> Fraction(Vector128<double> x) => Avx512DQ.VL.Reduce(x, Nearest);
    [MethodImpl(Inline)] public static Vector256<float> Fraction(Vector256<float> x) => Avx512DQ.VL.Reduce(x, Nearest);
    [MethodImpl(Inline)] public static Vector256<double> Fraction(Vector256<double> x) => Avx512DQ.VL.Reduce(x, Nearest);
    [MethodImpl(Inline)] public static Vector512<float> Fraction(Vector512<float> x) => Avx512DQ.Reduce(x, Nearest);
    [MethodImpl(Inline)] public static Vector512<double> Fraction(Vector512<double> x) => Avx512DQ.Reduce(x, Nearest);

    /// <summary>p · 2^t, t an integer or infinite.</summary>
    [MethodImpl(Inline)] public static Vector128<float> Scale(Vector128<float> p, Vector128<float> t) => Avx512F.VL.Scale(p, t);
    [MethodImpl(Inline)] public static Vector128<double> Scale(Vector128<double> p, Vector128<double> t) => Avx512F.VL.Scale(p, t);
    [MethodImpl(Inline)] public static Vector256<float> Scale(Vector256<float> p, Vector256<float> t) => Avx512F.VL.Scale(p, t);
    [MethodImpl(Inline)] public static Vector256<double> Scale(Vector256<double> p, Vector256<double> t) => Avx512F.VL.Scale(p, t);
    [MethodImpl(Inline)] public static Vector512<float> Scale(Vector512<float> p, Vector512<float> t) => Avx512F.Scale(p, t);
    [MethodImpl(Inline)] public static Vector512<double> Scale(Vector512<double> p, Vector512<double> t) => Avx512F.Scale(p, t);
}
