// The build makes Elementary128 and Elementary512 from this file by replacing 256 (see Mamba.Gpu.csproj).
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Mamba.Gpu;

/// <summary>Functions of 256 bits of floats or doubles, accurate to an ulp or two.</summary>
internal static class Elementary256
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [MethodImpl(Inline)]
    public static Vector256<float> Keep(Vector256<float> v, int lanes) =>
        Vector256.ConditionalSelect(Vector256.LessThan(Vector256<int>.Indices, Vector256.Create(lanes)).AsSingle(), v, Vector256<float>.Zero);

    [MethodImpl(Inline)]
    public static Vector256<double> Keep(Vector256<double> v, int lanes) =>
        Vector256.ConditionalSelect(Vector256.LessThan(Vector256<long>.Indices, Vector256.Create((long)lanes)).AsDouble(), v, Vector256<double>.Zero);

    // The instruction gives b where a or b is NaN.
    [MethodImpl(Inline)]
    public static Vector256<float> Max(Vector256<float> a, Vector256<float> b) =>
        Vector256.ConditionalSelect(Vector256.Equals(a, a), Vector256.MaxNative(a, b), a);

    [MethodImpl(Inline)]
    public static Vector256<double> Max(Vector256<double> a, Vector256<double> b) =>
        Vector256.ConditionalSelect(Vector256.Equals(a, a), Vector256.MaxNative(a, b), a);

    [MethodImpl(Inline)]
    public static Vector256<float> Min(Vector256<float> a, Vector256<float> b) =>
        Vector256.ConditionalSelect(Vector256.Equals(a, a), Vector256.MinNative(a, b), a);

    [MethodImpl(Inline)]
    public static Vector256<double> Min(Vector256<double> a, Vector256<double> b) =>
        Vector256.ConditionalSelect(Vector256.Equals(a, a), Vector256.MinNative(a, b), a);

    // 2^a = 2^t · p(f), a = t + f, |f| ≤ ½. AVX-512 has instructions for both ends of it. Elsewhere adding 1.5·2^23 leaves t in
    // the low bits of the sum, ready to be shifted into the exponent. The clamp makes infinity exact: t is 128 and f is 0 there. Below the
    // smallest normal number a shift would run into the sign, and bits of a NaN would come to lie in the exponent: MaxNative makes 0 of what is too
    // small and keeps a NaN that stands second.
    [MethodImpl(Inline)]
    public static Vector256<float> Exp2(Vector256<float> a)
    {
        if (!Scaling.Supports256)
            return Exp2ByShift(a);
        Vector256<float> f = Scaling.Fraction(a);
        return Scaling.Scale(Exp2Fraction(f), a - f);
    }

    [MethodImpl(Inline)]
    public static Vector256<double> Exp2(Vector256<double> a)
    {
        if (!Scaling.Supports256)
            return Exp2ByShift(a);
        Vector256<double> f = Scaling.Fraction(a);
        return Scaling.Scale(ExpReduced(f * Vector256.Create(0.693147180559945309)), a - f);
    }

    /// <summary><see cref="Exp2(Vector256{float})"/> without AVX-512: the same bits, but 0 for what would be subnormal.</summary>
    [MethodImpl(Inline)]
    internal static Vector256<float> Exp2ByShift(Vector256<float> a)
    {
        Vector256<float> magic = Vector256.Create(12582912f);
        Vector256<float> y = Vector256.MinNative(Vector256.Create(128f), a), t = y + magic;
        Vector256<float> e = (Exp2Fraction(y - (t - magic)).AsInt32() + (t.AsInt32() << 23)).AsSingle();
        return Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(a, Vector256.Create(-126f)), e, Vector256.MaxNative(Vector256<float>.Zero, a));
    }

    [MethodImpl(Inline)]
    internal static Vector256<double> Exp2ByShift(Vector256<double> a)
    {
        Vector256<double> magic = Vector256.Create(6755399441055744d);
        Vector256<double> y = Vector256.MinNative(Vector256.Create(1024d), a), t = y + magic;
        Vector256<double> e = (ExpReduced((y - (t - magic)) * Vector256.Create(0.693147180559945309)).AsInt64() + (t.AsInt64() << 52)).AsDouble();
        return Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(a, Vector256.Create(-1022d)), e, Vector256.MaxNative(Vector256<double>.Zero, a));
    }

    // 2^f, |f| ≤ ½: the polynomial of the Cephes library's exp2f, 1.7e-7 relative
    [MethodImpl(Inline)]
    static Vector256<float> Exp2Fraction(Vector256<float> f)
    {
        Vector256<float> p = Vector256.Create(1.535336188319500e-4f);
        p = Vector256.FusedMultiplyAdd(p, f, Vector256.Create(1.339887440266574e-3f));
        p = Vector256.FusedMultiplyAdd(p, f, Vector256.Create(9.618437357674640e-3f));
        p = Vector256.FusedMultiplyAdd(p, f, Vector256.Create(5.550332471162809e-2f));
        p = Vector256.FusedMultiplyAdd(p, f, Vector256.Create(2.402264791363012e-1f));
        p = Vector256.FusedMultiplyAdd(p, f, Vector256.Create(6.931472028550421e-1f));
        return Vector256.FusedMultiplyAdd(p, f, Vector256.Create(1f));
    }

    // e^r, |r| ≤ ½ ln 2: Taylor to r^13, remainder below 1e-17
    static Vector256<double> ExpReduced(Vector256<double> r)
    {
        Vector256<double> p = Vector256.Create(1.0 / 6227020800);
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.0 / 479001600));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.0 / 39916800));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.0 / 3628800));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.0 / 362880));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.0 / 40320));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.0 / 5040));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.0 / 720));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.0 / 120));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.0 / 24));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.0 / 6));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(0.5));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.0));
        return Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.0));
    }

    // e^a = 2^t · e^r, t = round(a / ln 2), r = a − t ln 2 with ln 2 in two parts. The clamps are where the result is 0 or infinite;
    // what is too small, or no number, as for Exp2.
    [MethodImpl(Inline)]
    public static Vector256<float> Exp(Vector256<float> a)
    {
        if (!Scaling.Supports256)
            return ExpByShift(a);
        Vector256<float> y = Vector256.MinNative(Vector256.Create(90f), Vector256.MaxNative(Vector256.Create(-105f), a));
        Vector256<float> s = Vector256.FusedMultiplyAdd(y, Vector256.Create(1.44269504f), Vector256.Create(12582912f)), t = s - Vector256.Create(12582912f);
        return Scaling.Scale(ExpFraction(y, t), t);
    }

    /// <summary><see cref="Exp(Vector256{float})"/> without AVX-512: the same bits, but 0 for what would be subnormal.</summary>
    internal static Vector256<float> ExpByShift(Vector256<float> a)
    {
        Vector256<float> y = Vector256.MinNative(Vector256.Create(88.72284f), a);
        Vector256<float> s = Vector256.FusedMultiplyAdd(y, Vector256.Create(1.44269504f), Vector256.Create(12582912f)), t = s - Vector256.Create(12582912f);
        Vector256<float> e = (ExpFraction(y, t).AsInt32() + (s.AsInt32() << 23)).AsSingle();
        e = Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(a, Vector256.Create(-87.33654f)), e, Vector256.MaxNative(Vector256<float>.Zero, a));
        return Vector256.ConditionalSelect(Vector256.GreaterThan(a, Vector256.Create(88.72283f)), Vector256.Create(float.PositiveInfinity), e);
    }

    // e^(y − t ln 2): the polynomial of the Cephes library's expf, its terms in pairs: as many instructions as Horner's chain, which
    // takes half as long again to come to its end, and that is what the loops of activations wait for.
    [MethodImpl(Inline)]
    static Vector256<float> ExpFraction(Vector256<float> y, Vector256<float> t)
    {
        Vector256<float> r = Vector256.FusedMultiplyAdd(t, Vector256.Create(-0.693359375f), y);
        r = Vector256.FusedMultiplyAdd(t, Vector256.Create(2.12194440e-4f), r);
        Vector256<float> square = r * r;
        Vector256<float> high = Vector256.FusedMultiplyAdd(Vector256.Create(1.9875691500e-4f), r, Vector256.Create(1.3981999507e-3f));
        Vector256<float> middle = Vector256.FusedMultiplyAdd(Vector256.Create(8.3334519073e-3f), r, Vector256.Create(4.1665795894e-2f));
        Vector256<float> low = Vector256.FusedMultiplyAdd(Vector256.Create(1.6666665459e-1f), r, Vector256.Create(0.5f));
        Vector256<float> p = Vector256.FusedMultiplyAdd(Vector256.FusedMultiplyAdd(high, square, middle), square, low);
        return Vector256.FusedMultiplyAdd(p, square, r) + Vector256.Create(1f);
    }

    public static Vector256<double> Exp(Vector256<double> a)
    {
        Vector256<double> magic = Vector256.Create(6755399441055744d);
        Vector256<double> y = Vector256.MinNative(Vector256.Create(709.7827128933840), a);
        Vector256<double> s = Vector256.FusedMultiplyAdd(y, Vector256.Create(1.44269504088896340736), magic), t = s - magic;
        Vector256<double> r = Vector256.FusedMultiplyAdd(t, Vector256.Create(-6.93147180369123816490e-1), y);
        r = Vector256.FusedMultiplyAdd(t, Vector256.Create(-1.90821492927058770002e-10), r);
        Vector256<double> e = (ExpReduced(r).AsInt64() + (s.AsInt64() << 52)).AsDouble();
        e = Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(a, Vector256.Create(-708.3964185322641)), e,
            Vector256.MaxNative(Vector256<double>.Zero, a));
        return Vector256.ConditionalSelect(Vector256.GreaterThan(a, Vector256.Create(709.7827128933840)), Vector256.Create(double.PositiveInfinity), e);
    }

    // log(1 + e) = 2 atanh(r/2), r = e / (1 + e/2) ≤ ⅔, by its series in r². For e near the smallest normal number e/2 is subnormal: r is not.
    [MethodImpl(Inline)]
    public static Vector256<float> Log1p(Vector256<float> e)
    {
        Vector256<float> r = e / Vector256.FusedMultiplyAdd(e, Vector256.Create(0.5f), Vector256.Create(1f)), q = r * r;
        Vector256<float> p = Vector256.FusedMultiplyAdd(q, Vector256.Create(1f / 15 / 16384), Vector256.Create(1f / 13 / 4096));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1f / 11 / 1024));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1f / 9 / (16 * 16)));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1f / 7 / 64));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1f / 5 / 16));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1f / 3 / 4));
        return r * Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1f));
    }

    public static Vector256<double> Log1p(Vector256<double> e)
    {
        Vector256<double> r = e / Vector256.FusedMultiplyAdd(e, Vector256.Create(0.5), Vector256.Create(1d)), q = r * r;
        Vector256<double> p = Vector256.FusedMultiplyAdd(q, Vector256.Create(1d / 33 / 4294967296L), Vector256.Create(1d / 31 / 1073741824));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 29 / 268435456));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 27 / 67108864));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 25 / 16777216));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 23 / 4194304));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 21 / 1048576));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 19 / 262144));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 17 / 65536));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 15 / 16384));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 13 / 4096));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 11 / 1024));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 9 / (16 * 16)));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 7 / 64));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 5 / 16));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 3 / 4));
        return r * Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d));
    }
}
