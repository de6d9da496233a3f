using ILGPU;
using ILGPU.Algorithms;

namespace Mamba.Gpu;

/// <summary>One float on a device: one thread is one lane.</summary>
internal struct Scalar32 : ILane<Scalar32, DeviceMemory<float>, float>
{
    float x;
    Scalar32(float x) => this.x = x;

    public static int Width => 1;
    public static Scalar32 Load(DeviceMemory<float> p, long i) => new(p.View[i]);
    public static void Store(DeviceMemory<float> p, long i, Scalar32 v) => p.View[i] = v.x;
    public static void Store(DeviceMemory<float> p, long i, Scalar32 v, int lanes) => p.View[i] = v.x;
    public static void Prefetch(DeviceMemory<float> p, long i) { }
    public static Scalar32 Gather(DeviceMemory<float> p, long i, long stride, int lanes) => new(p.View[i]);

    public static void LoadColumns(DeviceMemory<float> p, long i, long stride, out Scalar32 a, out Scalar32 b, out Scalar32 c, out Scalar32 d)
    {
        a = new(p.View[i]);
        b = new(p.View[i + 1]);
        c = new(p.View[i + 2]);
        d = new(p.View[i + 3]);
    }

    public static Scalar32 Broadcast(DeviceMemory<float> p, long i) => new(p.View[i]);
    public static Scalar32 Splat(float x) => new(x);
    public static Scalar32 Of(float x) => new(x);
    public static Scalar32 Constant(double x) => new((float)x);
    public static Scalar32 Round(Scalar32 a) => new(a.x + 12582912f - 12582912f);       // 1.5·2^23: beyond it there are no fractions
    public static float First(Scalar32 v) => v.x;
    public static int ToInt(Scalar32 v) => (int)v.x;
    public static Scalar32 Keep(Scalar32 v, int lanes) => v;
    public static Scalar32 Sum(Scalar32 v) => v;

    public static void StoreSums(Scalar32 a, Scalar32 b, Scalar32 c, Scalar32 d, DeviceMemory<float> p, long i)
    {
        p.View[i] = a.x;
        p.View[i + 1] = b.x;
        p.View[i + 2] = c.x;
        p.View[i + 3] = d.x;
    }

    public static Scalar32 Largest(Scalar32 v) => v;
    public static Scalar32 operator +(Scalar32 a, Scalar32 b) => new(a.x + b.x);
    public static Scalar32 operator -(Scalar32 a, Scalar32 b) => new(a.x - b.x);
    public static Scalar32 operator *(Scalar32 a, Scalar32 b) => new(a.x * b.x);
    public static Scalar32 operator /(Scalar32 a, Scalar32 b) => new(a.x / b.x);
    public static Scalar32 operator -(Scalar32 a) => new(-a.x);
    public static Scalar32 Fma(Scalar32 a, Scalar32 b, Scalar32 c) => new(a.x * b.x + c.x);     // the driver fuses it
    public static Scalar32 Max(Scalar32 a, Scalar32 b) => IfNaN(a, a, IfLess(b, a, a, b));     // a device's own maximum drops a NaN
    public static Scalar32 Min(Scalar32 a, Scalar32 b) => IfNaN(a, a, IfLess(a, b, a, b));
    public static Scalar32 Abs(Scalar32 a) => new(a.x < 0 ? -a.x : a.x);
    public static Scalar32 Sqrt(Scalar32 a) => new(XMath.Sqrt(a.x));
    public static Scalar32 Exp2(Scalar32 a) => new(XMath.Exp2(a.x));
    public static Scalar32 Exp(Scalar32 a) => new(XMath.Exp(a.x));
    public static Scalar32 Log(Scalar32 a) => new(XMath.Log(a.x));

    // log(1 + e) = 2 atanh(s), s = e / (2 + e) ≤ ⅓, by its series in s²
    public static Scalar32 Log1p(Scalar32 e)
    {
        float s = e.x / (2 + e.x), q = s * s, p = 1f / 15;
        p = p * q + 1f / 13;
        p = p * q + 1f / 11;
        p = p * q + 1f / 9;
        p = p * q + 1f / 7;
        p = p * q + 1f / 5;
        p = p * q + 1f / 3;
        return new((s + s) * (p * q + 1));
    }

    public static Scalar32 IfLess(Scalar32 a, Scalar32 b, Scalar32 yes, Scalar32 no) => new(a.x < b.x ? yes.x : no.x);
    public static Scalar32 IfNaN(Scalar32 a, Scalar32 yes, Scalar32 no) => new(float.IsNaN(a.x) ? yes.x : no.x);

    // ---- a real number, see INumber ----------------------------------------------------------------------------

    public static int Parts => 1;
    public static Scalar32 Load(DeviceMemory<float> p, long at, long stride, int lanes) => new(p.View[at]);
    public static Scalar32 Load(DeviceMemory<float> p, long at, long stride) => new(p.View[at]);
    public static void Store(Scalar32 a, DeviceMemory<float> p, long at, long stride, int lanes) => p.View[at] = a.x;
    public static void Store(Scalar32 a, DeviceMemory<float> p, long at, long stride) => p.View[at] = a.x;
    public static Scalar32 Get<P>(DeviceMemory<float> p, long at, long stride) where P : struct, IProjection<Scalar32, DeviceMemory<float>> => P.Get(p, at);
    public static Scalar32 Times(Scalar32 a, Scalar32 s) => new(a.x * s.x);
    public static Scalar32 FmaTimes(Scalar32 a, Scalar32 s, Scalar32 c) => new(a.x * s.x + c.x);
    public static Scalar32 IfSmall(Scalar32 z, Scalar32 yes, Scalar32 no) => new((z.x < 0 ? -z.x : z.x) < 1 ? yes.x : no.x);
    public static Scalar32 IfZero(Scalar32 z, Scalar32 yes, Scalar32 no) => new(z.x == 0 ? yes.x : no.x);
    public static Scalar32 Conjugate(Scalar32 a) => a;
    public static Scalar32 Output(Scalar32 c, Scalar32 h, Scalar32 sum) => new(c.x * h.x + sum.x);
    public static Scalar32 OutputSlope(Scalar32 c) => c;
    public static Scalar32 Inner(Scalar32 a, Scalar32 b, Scalar32 sum) => new(a.x * b.x + sum.x);
}
