using System.Runtime.CompilerServices;

namespace Mamba.Gpu;

/// <summary>A row of the tile of C that <see cref="HostMatMul{T, V}"/> holds in registers: one or two vectors.</summary>
internal unsafe interface IMatMulRow<R, T> where R : unmanaged, IMatMulRow<R, T> where T : unmanaged
{
    static abstract int Width { get; }
    static abstract R Load(T* p);
    static abstract void Store(T* p, R row);
    static abstract R Add(R a, R b);
    /// <summary>c ← c + a·b for one scalar a. Field by field and in place: the JIT then accumulates without copies.</summary>
    static abstract void MulAdd(T* a, R b, ref R c);
}

/// <summary>A row of one vector: the narrow last columns.</summary>
internal unsafe struct NarrowRow<V, T> : IMatMulRow<NarrowRow<V, T>, T> where V : unmanaged, IMatMulVector<V, T> where T : unmanaged
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    V x;
    public static int Width { [MethodImpl(Inline)] get => V.Width; }
    [MethodImpl(Inline)] public static NarrowRow<V, T> Load(T* p) => new() { x = V.Load(p) };
    [MethodImpl(Inline)] public static void Store(T* p, NarrowRow<V, T> row) => V.Store(p, row.x);
    [MethodImpl(Inline)] public static NarrowRow<V, T> Add(NarrowRow<V, T> a, NarrowRow<V, T> b) => new() { x = V.Add(a.x, b.x) };
    [MethodImpl(Inline)] public static void MulAdd(T* a, NarrowRow<V, T> b, ref NarrowRow<V, T> c) => c.x = V.Fma(V.Broadcast(a), b.x, c.x);
}

/// <summary>A row of two vectors: every other column.</summary>
internal unsafe struct WideRow<V, T> : IMatMulRow<WideRow<V, T>, T> where V : unmanaged, IMatMulVector<V, T> where T : unmanaged
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    V x, y;
    public static int Width { [MethodImpl(Inline)] get => 2 * V.Width; }
    [MethodImpl(Inline)] public static WideRow<V, T> Load(T* p) => new() { x = V.Load(p), y = V.Load(p + V.Width) };
    [MethodImpl(Inline)] public static void Store(T* p, WideRow<V, T> row) { V.Store(p, row.x); V.Store(p + V.Width, row.y); }
    [MethodImpl(Inline)] public static WideRow<V, T> Add(WideRow<V, T> a, WideRow<V, T> b) => new() { x = V.Add(a.x, b.x), y = V.Add(a.y, b.y) };

    [MethodImpl(Inline)]
    public static void MulAdd(T* a, WideRow<V, T> b, ref WideRow<V, T> c)
    {
        V scalar = V.Broadcast(a);
        c.x = V.Fma(scalar, b.x, c.x);
        c.y = V.Fma(scalar, b.y, c.y);
    }
}
