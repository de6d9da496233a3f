using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>A complex number, one of a conjugate pair whose other half is never computed: S4D-Lin, arXiv 2206.11893 §4.</summary>
internal struct Complex<V, M, T> : INumber<Complex<V, M, T>, V, M, T>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    V re, im;
    [MethodImpl(Inline)] Complex(V re, V im) => (this.re, this.im) = (re, im);

    public static int Parts { [MethodImpl(Inline)] get => 2; }

    [MethodImpl(Inline)]
    public static Complex<V, M, T> Load(M p, long at, long stride, int lanes) =>
        new(V.Keep(V.Load(p, at), lanes), V.Keep(V.Load(p, at + stride), lanes));

    [MethodImpl(Inline)]
    public static void Store(Complex<V, M, T> a, M p, long at, long stride, int lanes)
    {
        V.Store(p, at, a.re, lanes);
        V.Store(p, at + stride, a.im, lanes);
    }

    [MethodImpl(Inline)] public static Complex<V, M, T> Load(M p, long at, long stride) => new(V.Load(p, at), V.Load(p, at + stride));

    [MethodImpl(Inline)]
    public static void Store(Complex<V, M, T> a, M p, long at, long stride)
    {
        V.Store(p, at, a.re);
        V.Store(p, at + stride, a.im);
    }

    [MethodImpl(Inline)]
    public static Complex<V, M, T> Get<P>(M p, long at, long stride) where P : struct, IProjection<V, M> => new(P.Get(p, at), P.Get(p, at + stride));

    [MethodImpl(Inline)] public static Complex<V, M, T> Of(float x) => new(V.Of(x), V.Of(0));
    [MethodImpl(Inline)] public static Complex<V, M, T> Constant(double x) => new(V.Constant(x), V.Of(0));
    [MethodImpl(Inline)] public static Complex<V, M, T> operator +(Complex<V, M, T> a, Complex<V, M, T> b) => new(a.re + b.re, a.im + b.im);
    [MethodImpl(Inline)] public static Complex<V, M, T> operator -(Complex<V, M, T> a, Complex<V, M, T> b) => new(a.re - b.re, a.im - b.im);
    [MethodImpl(Inline)]
    public static Complex<V, M, T> operator *(Complex<V, M, T> a, Complex<V, M, T> b) => new(a.re * b.re - a.im * b.im, V.Fma(a.re, b.im, a.im * b.re));
    [MethodImpl(Inline)] public static Complex<V, M, T> Times(Complex<V, M, T> a, V s) => new(a.re * s, a.im * s);

    [MethodImpl(Inline)]
    public static Complex<V, M, T> operator /(Complex<V, M, T> a, Complex<V, M, T> b)
    {
        V r = V.Of(1) / V.Fma(b.re, b.re, b.im * b.im);
        return new(V.Fma(a.re, b.re, a.im * b.im) * r, (a.im * b.re - a.re * b.im) * r);
    }

    [MethodImpl(Inline)] public static Complex<V, M, T> Fma(Complex<V, M, T> a, Complex<V, M, T> b, Complex<V, M, T> c) => a * b + c;
    [MethodImpl(Inline)]
    public static Complex<V, M, T> FmaTimes(Complex<V, M, T> a, V s, Complex<V, M, T> c) => new(V.Fma(a.re, s, c.re), V.Fma(a.im, s, c.im));
    [MethodImpl(Inline)] public static Complex<V, M, T> Exp(Complex<V, M, T> a) => Turned(V.Exp(a.re), a.im);
    [MethodImpl(Inline)] public static Complex<V, M, T> Exp2(Complex<V, M, T> a) => Turned(V.Exp2(a.re), a.im * V.Constant(0.693147180559945309417));

    // r e^{iθ}
    [MethodImpl(Inline)]
    static Complex<V, M, T> Turned(V r, V theta)
    {
        Lanes.SinCos<V, M, T>(theta, out V sin, out V cos);
        return new(r * cos, r * sin);
    }

    // No cancellation where the real part is positive.
    [MethodImpl(Inline)]
    public static Complex<V, M, T> Sqrt(Complex<V, M, T> a)
    {
        V root = V.Sqrt(V.Of(0.5f) * (V.Sqrt(V.Fma(a.re, a.re, a.im * a.im)) + a.re));
        return new(root, V.Of(0.5f) * a.im / root);
    }

    [MethodImpl(Inline)]
    public static Complex<V, M, T> IfSmall(Complex<V, M, T> z, Complex<V, M, T> yes, Complex<V, M, T> no)
    {
        V size = V.Fma(z.re, z.re, z.im * z.im);
        return new(V.IfLess(size, V.Of(1), yes.re, no.re), V.IfLess(size, V.Of(1), yes.im, no.im));
    }

    [MethodImpl(Inline)]
    public static Complex<V, M, T> IfZero(Complex<V, M, T> z, Complex<V, M, T> yes, Complex<V, M, T> no)
    {
        V size = V.Abs(z.re) + V.Abs(z.im);
        return new(V.IfZero(size, yes.re, no.re), V.IfZero(size, yes.im, no.im));
    }

    [MethodImpl(Inline)] public static Complex<V, M, T> Conjugate(Complex<V, M, T> a) => new(a.re, -a.im);
    [MethodImpl(Inline)] public static V Output(Complex<V, M, T> c, Complex<V, M, T> h, V sum) => V.Fma(V.Of(2), c.re * h.re - c.im * h.im, sum);
    [MethodImpl(Inline)] public static Complex<V, M, T> OutputSlope(Complex<V, M, T> c) => new(c.re + c.re, V.Of(-2) * c.im);
    [MethodImpl(Inline)] public static V Inner(Complex<V, M, T> a, Complex<V, M, T> b, V sum) => V.Fma(a.re, b.re, V.Fma(a.im, b.im, sum));
}
