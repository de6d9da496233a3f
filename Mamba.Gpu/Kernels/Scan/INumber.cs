using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>
/// What a state is made of: a real number, which is a lane type itself, or a complex one, a pair of them. Discretizations and
/// the scan are written once over this.
/// </summary>
/// <typeparam name="N">The number type itself.</typeparam>
/// <typeparam name="V">Lane.</typeparam>
/// <typeparam name="M">Memory.</typeparam>
/// <typeparam name="T">Element.</typeparam>
public interface INumber<N, V, M, T>
    where N : struct, INumber<N, V, M, T>
    where V : unmanaged, ILane<V, M, T>
    where M : struct, IMemory<T>
    where T : unmanaged
{
    /// <summary>Elements in memory: 1, or 2 (the real part, then the imaginary one).</summary>
    static abstract int Parts { get; }

    /// <summary>The number whose parts are at elements at, at + stride, in the first <paramref name="lanes"/> lanes; zeros in the others.</summary>
    static abstract N Load(M p, long at, long stride, int lanes);

    /// <summary>The same in every lane.</summary>
    static abstract N Load(M p, long at, long stride);

    /// <summary>The parts of a to elements at, at + stride, from the first <paramref name="lanes"/> lanes.</summary>
    static abstract void Store(N a, M p, long at, long stride, int lanes);

    /// <summary>The same from every lane.</summary>
    static abstract void Store(N a, M p, long at, long stride);

    /// <summary>The number of B or C whose parts are at elements at, at + stride, as <typeparamref name="P"/> reads them.</summary>
    static abstract N Get<P>(M p, long at, long stride) where P : struct, IProjection<V, M>;

    /// <summary>A literal, exact in float32.</summary>
    static abstract N Of(float x);

    /// <summary>A literal, rounded to the element type.</summary>
    static abstract N Constant(double x);

    /// <summary>a + b</summary>
    static abstract N operator +(N a, N b);

    /// <summary>a − b</summary>
    static abstract N operator -(N a, N b);

    /// <summary>a · b</summary>
    static abstract N operator *(N a, N b);

    /// <summary>a / b</summary>
    static abstract N operator /(N a, N b);

    /// <summary>a·b + c, rounded once where the machine can.</summary>
    static abstract N Fma(N a, N b, N c);

    /// <summary>a·s</summary>
    static abstract N Times(N a, V s);

    /// <summary>a·s + c</summary>
    static abstract N FmaTimes(N a, V s, N c);

    /// <summary>e^a, with the argument reduced in two parts so that large |a| keeps its digits.</summary>
    static abstract N Exp(N a);

    /// <summary>2^a. For real a exactly 1 at 0, 0 far below, infinite far above.</summary>
    static abstract N Exp2(N a);

    /// <summary>√a for a whose real part is positive.</summary>
    static abstract N Sqrt(N a);

    /// <summary>|z| &lt; 1 ? yes : no, lane by lane.</summary>
    static abstract N IfSmall(N z, N yes, N no);

    /// <summary>z = 0 ? yes : no, lane by lane.</summary>
    static abstract N IfZero(N z, N yes, N no);

    /// <summary>The complex conjugate: what a factor becomes in the adjoint.</summary>
    static abstract N Conjugate(N a);

    /// <summary>sum + what the product c·h adds to y: c h, or 2 Re(c h), the other half of a conjugate pair included.</summary>
    static abstract V Output(N c, N h, V sum);

    /// <summary>∂Output/∂h for c, and ∂Output/∂c for h: the number itself, or 2 conj.</summary>
    static abstract N OutputSlope(N c);

    /// <summary>sum + Σ parts of a·b: how the gradient of a real factor gathers.</summary>
    static abstract V Inner(N a, N b, V sum);
}
