using ILGPU;
using ILGPU.Algorithms;

namespace Mamba.Gpu;

/// <summary>
/// One double on a device that has them. Its exponentials and logarithms are our own: those of ILGPU.Algorithms are 43 KB
/// of PTX each, and not the same on every device.
/// </summary>
internal struct Scalar64 : ILane<Scalar64, DeviceMemory<double>, double>
{
    const double Log2E = 1.44269504088896340736, Ln2 = 0.693147180559945309417, Ln2High = 6.93147180369123816490e-1, Ln2Low = 1.90821492927058770002e-10;
    const double LargestFinite = 1.7976931348623157e308;
    const double Magic = 6755399441055744;      // 1.5·2^52: adding it rounds to an integer, left in the low bits

    double x;
    Scalar64(double x) => this.x = x;

    public static int Width => 1;
    public static Scalar64 Load(DeviceMemory<double> p, long i) => new(p.View[i]);
    public static void Store(DeviceMemory<double> p, long i, Scalar64 v) => p.View[i] = v.x;
    public static void Store(DeviceMemory<double> p, long i, Scalar64 v, int lanes) => p.View[i] = v.x;
    public static void Prefetch(DeviceMemory<double> p, long i) { }
    public static Scalar64 Gather(DeviceMemory<double> p, long i, long stride, int lanes) => new(p.View[i]);

    public static void LoadColumns(DeviceMemory<double> p, long i, long stride, out Scalar64 a, out Scalar64 b, out Scalar64 c, out Scalar64 d)
    {
        a = new(p.View[i]);
        b = new(p.View[i + 1]);
        c = new(p.View[i + 2]);
        d = new(p.View[i + 3]);
    }

    public static Scalar64 Broadcast(DeviceMemory<double> p, long i) => new(p.View[i]);
    public static Scalar64 Splat(double x) => new(x);
    public static Scalar64 Of(float x) => new(x);
    public static Scalar64 Constant(double x) => new(x);
    public static Scalar64 Round(Scalar64 a) => new(a.x + Magic - Magic);       // 1.5·2^52: beyond it there are no fractions
    public static double First(Scalar64 v) => v.x;
    public static int ToInt(Scalar64 v) => (int)v.x;
    public static Scalar64 Keep(Scalar64 v, int lanes) => v;
    public static Scalar64 Sum(Scalar64 v) => v;

    public static void StoreSums(Scalar64 a, Scalar64 b, Scalar64 c, Scalar64 d, DeviceMemory<double> p, long i)
    {
        p.View[i] = a.x;
        p.View[i + 1] = b.x;
        p.View[i + 2] = c.x;
        p.View[i + 3] = d.x;
    }

    public static Scalar64 Largest(Scalar64 v) => v;
    public static Scalar64 operator +(Scalar64 a, Scalar64 b) => new(a.x + b.x);
    public static Scalar64 operator -(Scalar64 a, Scalar64 b) => new(a.x - b.x);
    public static Scalar64 operator *(Scalar64 a, Scalar64 b) => new(a.x * b.x);
    public static Scalar64 operator /(Scalar64 a, Scalar64 b) => new(a.x / b.x);
    public static Scalar64 operator -(Scalar64 a) => new(-a.x);
    public static Scalar64 Fma(Scalar64 a, Scalar64 b, Scalar64 c) => new(a.x * b.x + c.x);
    public static Scalar64 Max(Scalar64 a, Scalar64 b) => IfNaN(a, a, IfLess(b, a, a, b));     // a device's own maximum drops a NaN
    public static Scalar64 Min(Scalar64 a, Scalar64 b) => IfNaN(a, a, IfLess(a, b, a, b));
    public static Scalar64 Abs(Scalar64 a) => new(a.x < 0 ? -a.x : a.x);
    public static Scalar64 Sqrt(Scalar64 a) => new(XMath.Sqrt(a.x));
    public static Scalar64 IfLess(Scalar64 a, Scalar64 b, Scalar64 yes, Scalar64 no) => new(a.x < b.x ? yes.x : no.x);
    public static Scalar64 IfNaN(Scalar64 a, Scalar64 yes, Scalar64 no) => new(double.IsNaN(a.x) ? yes.x : no.x);

    // 2^a = 2^t · e^(f ln 2), a = t + f; the clamp makes infinity exact, and what would be subnormal is 0, as on the host
    public static Scalar64 Exp2(Scalar64 a)
    {
        double y = a.x > 1024 ? 1024 : a.x;
        double s = y + Magic, f = y - (s - Magic);
        double e = Scale(ExpReduced(f * Ln2), s);
        e = a.x < -1022 ? 0 : e;
        return new(a.x <= LargestFinite ? e : a.x);       // infinity and NaN stay: a NaN's bits would come to lie in the exponent
    }

    public static Scalar64 Exp(Scalar64 a)
    {
        double y = a.x > 709.7827128933840 ? 709.7827128933840 : a.x;
        double s = y * Log2E + Magic, t = s - Magic;
        double e = Scale(ExpReduced(y - t * Ln2High - t * Ln2Low), s);
        e = a.x < -708.3964185322641 ? 0 : e;
        e = a.x > 709.7827128933840 ? double.PositiveInfinity : e;
        return new(a.x <= LargestFinite ? e : a.x);
    }

    static double Scale(double p, double s) => Interop.IntAsFloat(Interop.FloatAsInt(p) + (Interop.FloatAsInt(s) << 52));

    // e^r, |r| ≤ ½ ln 2: Taylor to r^13, remainder below 1e-17
    static double ExpReduced(double r)
    {
        double p = 1.0 / 6227020800;
        p = p * r + 1.0 / 479001600;
        p = p * r + 1.0 / 39916800;
        p = p * r + 1.0 / 3628800;
        p = p * r + 1.0 / 362880;
        p = p * r + 1.0 / 40320;
        p = p * r + 1.0 / 5040;
        p = p * r + 1.0 / 720;
        p = p * r + 1.0 / 120;
        p = p * r + 1.0 / 24;
        p = p * r + 1.0 / 6;
        p = p * r + 0.5;
        p = p * r + 1.0;
        return p * r + 1.0;
    }

    // log a = k ln 2 + log m, a = 2^k m with m in [√½, √2), log m = 2 atanh((m − 1)/(m + 1)); subnormal a counts as 0
    public static Scalar64 Log(Scalar64 a)
    {
        ulong bits = Interop.FloatAsInt(a.x), shifted = bits - 0x3fe6a09e667f3bcdUL;
        long k = (long)shifted >> 52;
        double m = Interop.IntAsFloat(bits - ((ulong)k << 52));
        double s = (m - 1) / (m + 1);
        double log = k * Ln2High + (2 * s * AtanhSeries(s * s) + k * Ln2Low);
        log = a.x < 2.2250738585072014e-308 ? double.NegativeInfinity : log;
        log = a.x < 0 ? double.NaN : log;
        return new(a.x <= LargestFinite ? log : a.x);
    }

    public static Scalar64 Log1p(Scalar64 e)
    {
        double s = e.x / (2 + e.x);
        return new(2 * s * AtanhSeries(s * s));
    }

    // atanh(s)/s = 1 + q/3 + q²/5 + … for q = s² ≤ 1/9
    static double AtanhSeries(double q)
    {
        double p = 1.0 / 33;
        p = p * q + 1.0 / 31;
        p = p * q + 1.0 / 29;
        p = p * q + 1.0 / 27;
        p = p * q + 1.0 / 25;
        p = p * q + 1.0 / 23;
        p = p * q + 1.0 / 21;
        p = p * q + 1.0 / 19;
        p = p * q + 1.0 / 17;
        p = p * q + 1.0 / 15;
        p = p * q + 1.0 / 13;
        p = p * q + 1.0 / 11;
        p = p * q + 1.0 / 9;
        p = p * q + 1.0 / 7;
        p = p * q + 1.0 / 5;
        p = p * q + 1.0 / 3;
        return p * q + 1.0;
    }

    // ---- a real number, see INumber ----------------------------------------------------------------------------

    public static int Parts => 1;
    public static Scalar64 Load(DeviceMemory<double> p, long at, long stride, int lanes) => new(p.View[at]);
    public static Scalar64 Load(DeviceMemory<double> p, long at, long stride) => new(p.View[at]);
    public static void Store(Scalar64 a, DeviceMemory<double> p, long at, long stride, int lanes) => p.View[at] = a.x;
    public static void Store(Scalar64 a, DeviceMemory<double> p, long at, long stride) => p.View[at] = a.x;
    public static Scalar64 Get<P>(DeviceMemory<double> p, long at, long stride) where P : struct, IProjection<Scalar64, DeviceMemory<double>> => P.Get(p, at);
    public static Scalar64 Times(Scalar64 a, Scalar64 s) => new(a.x * s.x);
    public static Scalar64 FmaTimes(Scalar64 a, Scalar64 s, Scalar64 c) => new(a.x * s.x + c.x);
    public static Scalar64 IfSmall(Scalar64 z, Scalar64 yes, Scalar64 no) => new((z.x < 0 ? -z.x : z.x) < 1 ? yes.x : no.x);
    public static Scalar64 IfZero(Scalar64 z, Scalar64 yes, Scalar64 no) => new(z.x == 0 ? yes.x : no.x);
    public static Scalar64 Conjugate(Scalar64 a) => a;
    public static Scalar64 Output(Scalar64 c, Scalar64 h, Scalar64 sum) => new(c.x * h.x + sum.x);
    public static Scalar64 OutputSlope(Scalar64 c) => c;
    public static Scalar64 Inner(Scalar64 a, Scalar64 b, Scalar64 sum) => new(a.x * b.x + sum.x);
}
