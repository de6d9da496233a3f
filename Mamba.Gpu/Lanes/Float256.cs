// The build makes the other five host lanes from this file: Float128 and Float512 by replacing 256, Double128, Double256 and
// Double512 by replacing float as well (see Mamba.Gpu.csproj). So every method is a few instructions for the JIT to inline, with no
// branch on the type: what it may inline into one kernel is limited by size.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Mamba.Gpu;

/// <summary>256 bits of floats on the host.</summary>
internal unsafe struct Float256 : ILane<Float256, HostMemory<float>, float>
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    Vector256<float> x;

    public static int Width { [MethodImpl(Inline)] get => Vector256<float>.Count; }

    [MethodImpl(Inline)] public static Float256 Load(HostMemory<float> p, long i) => new() { x = Vector256.Load(p.Pointer + i) };
    [MethodImpl(Inline)] public static void Store(HostMemory<float> p, long i, Float256 v) => v.x.Store(p.Pointer + i);

    [MethodImpl(Inline)]
    public static void Store(HostMemory<float> p, long i, Float256 v, int lanes)
    {
        if (lanes >= Vector256<float>.Count)
            v.x.Store(p.Pointer + i);
        else
            LaneStore.Store(p.Pointer + i, v.x, lanes);
    }

    [MethodImpl(Inline)]
    public static void Prefetch(HostMemory<float> p, long i)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0(p.Pointer + i);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Float256 Gather(HostMemory<float> p, long i, long stride, int lanes)
    {
        Vector256<float> v = default;
        float* from = p.Pointer + i, to = (float*)&v, end = to + Math.Min(lanes, Vector256<float>.Count);
        for (; to < end; from += stride)
            *to++ = *from;
        return new() { x = v };
    }

    [MethodImpl(Inline)]
    public static void LoadColumns(HostMemory<float> p, long i, long stride, out Float256 a, out Float256 b, out Float256 c, out Float256 d)
    {
        LaneColumns.Load(p.Pointer + i, stride, out Vector256<float> va, out Vector256<float> vb, out Vector256<float> vc, out Vector256<float> vd);
        (a, b, c, d) = (new() { x = va }, new() { x = vb }, new() { x = vc }, new() { x = vd });
    }

    [MethodImpl(Inline)] public static Float256 Broadcast(HostMemory<float> p, long i) => new() { x = Vector256.Create(p.Pointer[i]) };
    [MethodImpl(Inline)] public static Float256 Splat(float x) => new() { x = Vector256.Create(x) };
    [MethodImpl(Inline)] public static Float256 Of(Single x) => new() { x = Vector256.Create((float)x) };     // Single, so that it stays one among doubles
    [MethodImpl(Inline)] public static Float256 Constant(double x) => new() { x = Vector256.Create((float)x) };
    [MethodImpl(Inline)] public static Float256 Round(Float256 a) => new() { x = Vector256.Round(a.x) };
    [MethodImpl(Inline)] public static float First(Float256 v) => v.x.ToScalar();
    [MethodImpl(Inline)] public static int ToInt(Float256 v) => (int)v.x.ToScalar();
    [MethodImpl(Inline)]
    public static Float256 Keep(Float256 v, int lanes) => lanes >= Vector256<float>.Count ? v : new() { x = Elementary256.Keep(v.x, lanes) };
    [MethodImpl(Inline)] public static Float256 Sum(Float256 v) => new() { x = Vector256.Create(LaneSums.Sum(v.x)) };

    [MethodImpl(Inline)]
    public static void StoreSums(Float256 a, Float256 b, Float256 c, Float256 d, HostMemory<float> p, long i) =>
        LaneSums.Store(a.x, b.x, c.x, d.x, p.Pointer + i);

    [MethodImpl(Inline)] public static Float256 Largest(Float256 v) => new() { x = Vector256.Create(LaneSums.Largest(v.x)) };

    [MethodImpl(Inline)] public static Float256 operator +(Float256 a, Float256 b) => new() { x = a.x + b.x };
    [MethodImpl(Inline)] public static Float256 operator -(Float256 a, Float256 b) => new() { x = a.x - b.x };
    [MethodImpl(Inline)] public static Float256 operator *(Float256 a, Float256 b) => new() { x = a.x * b.x };
    [MethodImpl(Inline)] public static Float256 operator /(Float256 a, Float256 b) => new() { x = a.x / b.x };
    [MethodImpl(Inline)] public static Float256 operator -(Float256 a) => new() { x = -a.x };
    [MethodImpl(Inline)] public static Float256 Fma(Float256 a, Float256 b, Float256 c) => new() { x = Vector256.FusedMultiplyAdd(a.x, b.x, c.x) };
    [MethodImpl(Inline)] public static Float256 Max(Float256 a, Float256 b) => new() { x = Elementary256.Max(a.x, b.x) };
    [MethodImpl(Inline)] public static Float256 Min(Float256 a, Float256 b) => new() { x = Elementary256.Min(a.x, b.x) };
    [MethodImpl(Inline)] public static Float256 Abs(Float256 a) => new() { x = Vector256.Abs(a.x) };
    [MethodImpl(Inline)] public static Float256 Sqrt(Float256 a) => new() { x = Vector256.Sqrt(a.x) };
    [MethodImpl(Inline)] public static Float256 Exp2(Float256 a) => new() { x = Elementary256.Exp2(a.x) };
    [MethodImpl(Inline)] public static Float256 Exp(Float256 a) => new() { x = Elementary256.Exp(a.x) };
    [MethodImpl(Inline)] public static Float256 Log(Float256 a) => new() { x = Vector256.Log(a.x) };
    [MethodImpl(Inline)] public static Float256 Log1p(Float256 e) => new() { x = Elementary256.Log1p(e.x) };

    [MethodImpl(Inline)]
    public static Float256 IfLess(Float256 a, Float256 b, Float256 yes, Float256 no) =>
        new() { x = Vector256.ConditionalSelect(Vector256.LessThan(a.x, b.x), yes.x, no.x) };

    [MethodImpl(Inline)]
    public static Float256 IfNaN(Float256 a, Float256 yes, Float256 no) => new() { x = Vector256.ConditionalSelect(Vector256.Equals(a.x, a.x), no.x, yes.x) };

    // ---- a real number, see INumber ----------------------------------------------------------------------------

    public static int Parts { [MethodImpl(Inline)] get => 1; }
    [MethodImpl(Inline)] public static Float256 Load(HostMemory<float> p, long at, long stride, int lanes) => Keep(Load(p, at), lanes);
    [MethodImpl(Inline)] public static Float256 Load(HostMemory<float> p, long at, long stride) => new() { x = Vector256.Load(p.Pointer + at) };
    [MethodImpl(Inline)] public static void Store(Float256 a, HostMemory<float> p, long at, long stride, int lanes) => Store(p, at, a, lanes);
    [MethodImpl(Inline)] public static void Store(Float256 a, HostMemory<float> p, long at, long stride) => a.x.Store(p.Pointer + at);
    [MethodImpl(Inline)]
    public static Float256 Get<P>(HostMemory<float> p, long at, long stride) where P : struct, IProjection<Float256, HostMemory<float>> => P.Get(p, at);
    [MethodImpl(Inline)] public static Float256 Times(Float256 a, Float256 s) => new() { x = a.x * s.x };
    [MethodImpl(Inline)] public static Float256 FmaTimes(Float256 a, Float256 s, Float256 c) => new() { x = Vector256.FusedMultiplyAdd(a.x, s.x, c.x) };
    [MethodImpl(Inline)] public static Float256 IfSmall(Float256 z, Float256 yes, Float256 no) => IfLess(Abs(z), Of(1), yes, no);
    [MethodImpl(Inline)]
    public static Float256 IfZero(Float256 z, Float256 yes, Float256 no) =>
        new() { x = Vector256.ConditionalSelect(Vector256.Equals(z.x, Vector256<float>.Zero), yes.x, no.x) };
    [MethodImpl(Inline)] public static Float256 Conjugate(Float256 a) => a;
    [MethodImpl(Inline)] public static Float256 Output(Float256 c, Float256 h, Float256 sum) => new() { x = Vector256.FusedMultiplyAdd(c.x, h.x, sum.x) };
    [MethodImpl(Inline)] public static Float256 OutputSlope(Float256 c) => c;
    [MethodImpl(Inline)] public static Float256 Inner(Float256 a, Float256 b, Float256 sum) => new() { x = Vector256.FusedMultiplyAdd(a.x, b.x, sum.x) };
}
