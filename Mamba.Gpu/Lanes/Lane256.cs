// Lane128.cs and Lane512.cs are made from this file when the project is built, by replacing 256 (see Mamba.Gpu.csproj).
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Mamba.Gpu;

/// <summary>256 bits of floats or doubles on the host.</summary>
public unsafe struct Lane256<T> : ILane<Lane256<T>, HostMemory<T>, T> where T : unmanaged
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    Vector256<T> x;
    [MethodImpl(Inline)] Lane256(Vector256<T> x) => this.x = x;
    [MethodImpl(Inline)] Lane256(Vector256<float> x) => this.x = x.As<float, T>();
    [MethodImpl(Inline)] Lane256(Vector256<double> x) => this.x = x.As<double, T>();
    readonly Vector256<float> F { [MethodImpl(Inline)] get => x.AsSingle(); }
    readonly Vector256<double> D { [MethodImpl(Inline)] get => x.AsDouble(); }

    public static int Width { [MethodImpl(Inline)] get => Vector256<T>.Count; }

    [MethodImpl(Inline)] public static Lane256<T> Load(HostMemory<T> p, long i) => new(Vector256.Load(p.Pointer + i));
    [MethodImpl(Inline)] public static void Store(HostMemory<T> p, long i, Lane256<T> v) => v.x.Store(p.Pointer + i);

    [MethodImpl(Inline)]
    public static void Store(HostMemory<T> p, long i, Lane256<T> v, int lanes)
    {
        if (lanes >= Vector256<T>.Count)
            v.x.Store(p.Pointer + i);
        else
            for (int k = 0; k < lanes; k++)
                p.Pointer[i + k] = v.x.GetElement(k);
    }

    [MethodImpl(Inline)] public static Lane256<T> Broadcast(HostMemory<T> p, long i) => new(Vector256.Create(p.Pointer[i]));
    [MethodImpl(Inline)] public static Lane256<T> Splat(T x) => new(Vector256.Create(x));
    [MethodImpl(Inline)] public static Lane256<T> Of(float x) => typeof(T) == typeof(float) ? new(Vector256.Create(x)) : new(Vector256.Create((double)x));
    [MethodImpl(Inline)] public static T First(Lane256<T> v) => v.x.ToScalar();
    [MethodImpl(Inline)] public static int ToInt(Lane256<T> v) => typeof(T) == typeof(float) ? (int)v.F.ToScalar() : (int)v.D.ToScalar();

    [MethodImpl(Inline)]
    public static Lane256<T> Keep(Lane256<T> v, int lanes)
    {
        if (lanes >= Vector256<T>.Count)
            return v;
        if (typeof(T) == typeof(float))
            return new(Vector256.ConditionalSelect(Vector256.LessThan(Vector256<int>.Indices, Vector256.Create(lanes)).AsSingle(), v.F, Vector256<float>.Zero));
        return new(Vector256.ConditionalSelect(Vector256.LessThan(Vector256<long>.Indices, Vector256.Create((long)lanes)).AsDouble(), v.D, Vector256<double>.Zero));
    }

    [MethodImpl(Inline)] public static Lane256<T> Sum(Lane256<T> v) => new(Vector256.Create(Vector256.Sum(v.x)));

    public static Lane256<T> Largest(Lane256<T> v)
    {
        if (typeof(T) == typeof(float))
        {
            float largest = v.F.ToScalar();
            for (int k = 1; k < Vector256<float>.Count; k++)
                largest = Math.Max(largest, v.F.GetElement(k));
            return new(Vector256.Create(largest));
        }
        double largest64 = v.D.ToScalar();
        for (int k = 1; k < Vector256<double>.Count; k++)
            largest64 = Math.Max(largest64, v.D.GetElement(k));
        return new(Vector256.Create(largest64));
    }

    [MethodImpl(Inline)] public static Lane256<T> operator +(Lane256<T> a, Lane256<T> b) => new(a.x + b.x);
    [MethodImpl(Inline)] public static Lane256<T> operator -(Lane256<T> a, Lane256<T> b) => new(a.x - b.x);
    [MethodImpl(Inline)] public static Lane256<T> operator *(Lane256<T> a, Lane256<T> b) => new(a.x * b.x);
    [MethodImpl(Inline)] public static Lane256<T> operator /(Lane256<T> a, Lane256<T> b) => new(a.x / b.x);
    [MethodImpl(Inline)] public static Lane256<T> operator -(Lane256<T> a) => new(-a.x);

    [MethodImpl(Inline)]
    public static Lane256<T> Fma(Lane256<T> a, Lane256<T> b, Lane256<T> c) => typeof(T) == typeof(float)
        ? new(Vector256.FusedMultiplyAdd(a.F, b.F, c.F))
        : new(Vector256.FusedMultiplyAdd(a.D, b.D, c.D));

    [MethodImpl(Inline)] public static Lane256<T> Max(Lane256<T> a, Lane256<T> b) => new(Vector256.MaxNative(a.x, b.x));
    [MethodImpl(Inline)] public static Lane256<T> Min(Lane256<T> a, Lane256<T> b) => new(Vector256.MinNative(a.x, b.x));
    [MethodImpl(Inline)] public static Lane256<T> Abs(Lane256<T> a) => new(Vector256.Abs(a.x));
    [MethodImpl(Inline)] public static Lane256<T> Sqrt(Lane256<T> a) => new(Vector256.Sqrt(a.x));

    [MethodImpl(Inline)]
    public static Lane256<T> IfLess(Lane256<T> a, Lane256<T> b, Lane256<T> yes, Lane256<T> no) =>
        new(Vector256.ConditionalSelect(Vector256.LessThan(a.x, b.x), yes.x, no.x));

    // 2^a = 2^t · p(f), a = t + f, |f| ≤ ½. Adding 1.5·2^23 leaves t in the low bits of the sum, ready to be shifted into
    // the exponent. The clamps make the ends exact: t = -127 gives 0 and t = 128 infinity, because f is 0 there. MaxNative
    // keeps a NaN that stands second.
    [MethodImpl(Inline)]
    public static Lane256<T> Exp2(Lane256<T> a)
    {
        if (typeof(T) == typeof(float))
        {
            Vector256<float> magic = Vector256.Create(12582912f);
            Vector256<float> y = Vector256.MinNative(Vector256.Create(128f), Vector256.MaxNative(Vector256.Create(-127f), a.F));
            Vector256<float> t = y + magic, f = y - (t - magic);
            return new((Exp2Fraction(f).AsInt32() + (t.AsInt32() << 23)).AsSingle());
        }
        Vector256<double> magic64 = Vector256.Create(6755399441055744d);
        Vector256<double> y64 = Vector256.MinNative(Vector256.Create(1024d), Vector256.MaxNative(Vector256.Create(-1023d), a.D));
        Vector256<double> t64 = y64 + magic64, f64 = y64 - (t64 - magic64);
        return new((ExpReduced(f64 * Vector256.Create(0.693147180559945309)).AsInt64() + (t64.AsInt64() << 52)).AsDouble());
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

    // e^a = 2^t · e^r, t = round(a / ln 2), r = a − t ln 2 with ln 2 in two parts
    [MethodImpl(Inline)]
    public static Lane256<T> Exp(Lane256<T> a)
    {
        if (typeof(T) == typeof(float))
        {
            Vector256<float> magic = Vector256.Create(12582912f);
            Vector256<float> y = Vector256.MinNative(Vector256.Create(88.72284f), Vector256.MaxNative(Vector256.Create(-88.02969f), a.F));
            Vector256<float> s = Vector256.FusedMultiplyAdd(y, Vector256.Create(1.44269504f), magic), t = s - magic;
            Vector256<float> r = Vector256.FusedMultiplyAdd(t, Vector256.Create(-0.693359375f), y);
            r = Vector256.FusedMultiplyAdd(t, Vector256.Create(2.12194440e-4f), r);
            Vector256<float> p = Vector256.Create(1.9875691500e-4f);
            p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.3981999507e-3f));
            p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(8.3334519073e-3f));
            p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(4.1665795894e-2f));
            p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.6666665459e-1f));
            p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(0.5f));
            p = Vector256.FusedMultiplyAdd(p * r, r, r) + Vector256.Create(1f);
            Vector256<float> e = (p.AsInt32() + (s.AsInt32() << 23)).AsSingle();
            e = Vector256.ConditionalSelect(Vector256.LessThan(a.F, Vector256.Create(-87.33654f)), Vector256<float>.Zero, e);
            return new(Vector256.ConditionalSelect(Vector256.GreaterThan(a.F, Vector256.Create(88.72283f)), Vector256.Create(float.PositiveInfinity), e));
        }
        Vector256<double> magic64 = Vector256.Create(6755399441055744d);
        Vector256<double> y64 = Vector256.MinNative(Vector256.Create(709.7827128933840), Vector256.MaxNative(Vector256.Create(-708.3964185322641), a.D));
        Vector256<double> s64 = Vector256.FusedMultiplyAdd(y64, Vector256.Create(1.44269504088896340736), magic64), t64 = s64 - magic64;
        Vector256<double> r64 = Vector256.FusedMultiplyAdd(t64, Vector256.Create(-6.93147180369123816490e-1), y64);
        r64 = Vector256.FusedMultiplyAdd(t64, Vector256.Create(-1.90821492927058770002e-10), r64);
        Vector256<double> e64 = (ExpReduced(r64).AsInt64() + (s64.AsInt64() << 52)).AsDouble();
        e64 = Vector256.ConditionalSelect(Vector256.LessThan(a.D, Vector256.Create(-708.3964185322641)), Vector256<double>.Zero, e64);
        return new(Vector256.ConditionalSelect(Vector256.GreaterThan(a.D, Vector256.Create(709.7827128933840)), Vector256.Create(double.PositiveInfinity), e64));
    }

    [MethodImpl(Inline)]
    public static Lane256<T> Log(Lane256<T> a) => typeof(T) == typeof(float) ? new(Vector256.Log(a.F)) : new(Vector256.Log(a.D));

    // log(1 + e) = 2 atanh(s), s = e / (2 + e) ≤ ⅓, by its series in s²
    [MethodImpl(Inline)]
    public static Lane256<T> Log1p(Lane256<T> e)
    {
        if (typeof(T) == typeof(float))
        {
            Vector256<float> s = e.F / (Vector256.Create(2f) + e.F), q = s * s;
            Vector256<float> p = Vector256.FusedMultiplyAdd(q, Vector256.Create(1f / 15), Vector256.Create(1f / 13));
            p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1f / 11));
            p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1f / 9));
            p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1f / 7));
            p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1f / 5));
            p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1f / 3));
            return new((s + s) * Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1f)));
        }
        return new(Log1p64(e.D));
    }

    static Vector256<double> Log1p64(Vector256<double> e)
    {
        Vector256<double> s = e / (Vector256.Create(2d) + e), q = s * s;
        Vector256<double> p = Vector256.FusedMultiplyAdd(q, Vector256.Create(1d / 33), Vector256.Create(1d / 31));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 29));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 27));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 25));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 23));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 21));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 19));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 17));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 15));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 13));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 11));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 9));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 7));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 5));
        p = Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d / 3));
        return (s + s) * Vector256.FusedMultiplyAdd(p, q, Vector256.Create(1d));
    }
}
