using ILGPU;
using ILGPU.Runtime;

namespace Mamba.Gpu;

/// <summary>Arguments of the device's matrix product; see <see cref="MatMulProblem"/>.</summary>
internal struct DeviceMatMulArguments<T> where T : unmanaged
{
    public ArrayView<T> A, B, C, Bias;
    public long M, N, K, RowA, StrideA, StrideB, StrideC;
    public int TransposeA, TransposeB, Accumulate, HasBias, TilesM, TilesN;

    /// <summary>Whether four neighbouring elements lie at a multiple of four everywhere, so that one load takes them.</summary>
    public int FoursA, FoursB, FoursC;
}

/// <summary>Four neighbouring elements or sums: 128 bits of floats, one load or store. A local array would lie in local memory.</summary>
internal struct Four<V, T>
    where V : unmanaged, ILane<V, DeviceMemory<T>, T>
    where T : unmanaged
{
    public V A, B, C, D;

    public static Four<V, T> Zero() => new() { A = V.Of(0), B = V.Of(0), C = V.Of(0), D = V.Of(0) };

    public static Four<V, T> Fma(V x, Four<V, T> y, Four<V, T> sum) => new()
    {
        A = V.Fma(x, y.A, sum.A),
        B = V.Fma(x, y.B, sum.B),
        C = V.Fma(x, y.C, sum.C),
        D = V.Fma(x, y.D, sum.D),
    };

    public static Four<V, T> Add(Four<V, T> x, Four<V, T> y) => new() { A = x.A + y.A, B = x.B + y.B, C = x.C + y.C, D = x.D + y.D };

    /// <summary>The view as fours. It starts at 16 bytes, or must not be used: ILGPU takes the promise for a 128-bit load.</summary>
    public static ArrayView<Four<V, T>> Of(ArrayView<T> view) => view.Cast<Four<V, T>>().AsAligned(16);

    /// <summary>Elements at, at + 1, … of <paramref name="view"/>, as many as are <paramref name="left"/>, zeros after them.</summary>
    public static Four<V, T> Load(ArrayView<T> view, long at, long left, bool fours)
    {
        if (left <= 0)
            return Zero();
        if (fours)
            return Of(view)[at >> 2];
        var memory = new DeviceMemory<T>(view);
        Four<V, T> x = Zero();
        x.A = V.Load(memory, at);
        if (left > 1)
            x.B = V.Load(memory, at + 1);
        if (left > 2)
            x.C = V.Load(memory, at + 2);
        if (left > 3)
            x.D = V.Load(memory, at + 3);
        return x;
    }

    /// <summary>The counterpart of <see cref="Load"/>.</summary>
    public static void Store(ArrayView<T> view, long at, long left, bool fours, Four<V, T> x)
    {
        if (left <= 0)
            return;
        if (fours)
        {
            Of(view)[at >> 2] = x;
            return;
        }
        var memory = new DeviceMemory<T>(view);
        V.Store(memory, at, x.A);
        if (left > 1)
            V.Store(memory, at + 1, x.B);
        if (left > 2)
            V.Store(memory, at + 2, x.C);
        if (left > 3)
            V.Store(memory, at + 3, x.D);
    }
}

/// <summary>Threads along a side of a group.</summary>
internal interface ISide
{
    static abstract int Threads { get; }
}

internal struct Side16 : ISide { public static int Threads => 16; }
internal struct Side8 : ISide { public static int Threads => 8; }
internal struct Side4 : ISide { public static int Threads => 4; }

/// <summary>A thread's sums: so many blocks of 4 × 4 along a side, one a quarter or half a tile from the next.</summary>
internal interface ISums<S, V, T>
    where S : struct, ISums<S, V, T>
    where V : unmanaged, ILane<V, DeviceMemory<T>, T>
    where T : unmanaged
{
    /// <summary>Blocks along a side.</summary>
    static abstract int Blocks { get; }

    static abstract S Zero();

    /// <summary>sums + x · yᵀ, x and y being one column of A's slab and one row of B's, from fours <paramref name="i"/> and <paramref name="j"/> on.</summary>
    static abstract S Fma(ArrayView<Four<V, T>> slabs, long i, long j, int side, S sums);

    /// <summary>Stores the sums from row i, column j on; blocks are <paramref name="apart"/> elements apart.</summary>
    static abstract void Store(DeviceMatMulArguments<T> a, long to, long i, long j, int apart, S sums);
}

/// <summary>4 × 4 sums.</summary>
internal struct Sums4<V, T> : ISums<Sums4<V, T>, V, T>
    where V : unmanaged, ILane<V, DeviceMemory<T>, T>
    where T : unmanaged
{
    Four<V, T> a, b, c, d;

    public static int Blocks => 1;

    public static Sums4<V, T> Zero() => new() { a = Four<V, T>.Zero(), b = Four<V, T>.Zero(), c = Four<V, T>.Zero(), d = Four<V, T>.Zero() };

    public static Sums4<V, T> Fma(ArrayView<Four<V, T>> slabs, long i, long j, int side, Sums4<V, T> sums) => Fma(slabs[i], slabs[j], sums);

    public static Sums4<V, T> Fma(Four<V, T> x, Four<V, T> y, Sums4<V, T> sums) => new()
    {
        a = Four<V, T>.Fma(x.A, y, sums.a),
        b = Four<V, T>.Fma(x.B, y, sums.b),
        c = Four<V, T>.Fma(x.C, y, sums.c),
        d = Four<V, T>.Fma(x.D, y, sums.d),
    };

    public static void Store(DeviceMatMulArguments<T> a, long to, long i, long j, int apart, Sums4<V, T> sums)
    {
        StoreRow(a, to, i, j, sums.a);
        StoreRow(a, to, i + 1, j, sums.b);
        StoreRow(a, to, i + 2, j, sums.c);
        StoreRow(a, to, i + 3, j, sums.d);
    }

    static void StoreRow(DeviceMatMulArguments<T> a, long to, long i, long j, Four<V, T> sums)
    {
        if (i >= a.M)
            return;
        long at = to + i * a.N + j, left = a.N - j;
        bool fours = a.FoursC != 0;
        if (a.Accumulate != 0)
            sums = Four<V, T>.Add(sums, Four<V, T>.Load(a.C, at, left, fours));
        if (a.HasBias != 0)
            sums = Four<V, T>.Add(sums, Four<V, T>.Load(a.Bias, j, left, fours));
        Four<V, T>.Store(a.C, at, left, fours, sums);
    }
}

/// <summary>8 × 8 sums, as four blocks: so neighbouring threads read neighbouring fours of shared memory.</summary>
internal struct Sums8<V, T> : ISums<Sums8<V, T>, V, T>
    where V : unmanaged, ILane<V, DeviceMemory<T>, T>
    where T : unmanaged
{
    Sums4<V, T> a, b, c, d;

    public static int Blocks => 2;

    public static Sums8<V, T> Zero() => new() { a = Sums4<V, T>.Zero(), b = Sums4<V, T>.Zero(), c = Sums4<V, T>.Zero(), d = Sums4<V, T>.Zero() };

    public static Sums8<V, T> Fma(ArrayView<Four<V, T>> slabs, long i, long j, int side, Sums8<V, T> sums)
    {
        Four<V, T> x = slabs[i], z = slabs[i + side], y = slabs[j], w = slabs[j + side];
        return new()
        {
            a = Sums4<V, T>.Fma(x, y, sums.a),
            b = Sums4<V, T>.Fma(x, w, sums.b),
            c = Sums4<V, T>.Fma(z, y, sums.c),
            d = Sums4<V, T>.Fma(z, w, sums.d),
        };
    }

    public static void Store(DeviceMatMulArguments<T> a, long to, long i, long j, int apart, Sums8<V, T> sums)
    {
        Sums4<V, T>.Store(a, to, i, j, apart, sums.a);
        Sums4<V, T>.Store(a, to, i, j + apart, apart, sums.b);
        Sums4<V, T>.Store(a, to, i + apart, j, apart, sums.c);
        Sums4<V, T>.Store(a, to, i + apart, j + apart, apart, sums.d);
    }
}

/// <summary>What a thread brings of an operand, four neighbouring elements of each slab, and where in shared memory they go.</summary>
/// <remarks>A line is a row of A or a column of B. Neighbouring threads read neighbouring elements, whichever way the matrix lies.</remarks>
internal struct Panel<V, T>
    where V : unmanaged, ILane<V, DeviceMemory<T>, T>
    where T : unmanaged
{
    ArrayView<T> view;
    long start, lines, depth, row, line;
    int pack, alongK, fours;

    /// <summary>Where in the slab they go: P deep, line I.</summary>
    public int P, I;

    /// <param name="view">The operand.</param>
    /// <param name="start">Where the batch item begins.</param>
    /// <param name="lines">Lines of the operand.</param>
    /// <param name="depth">Elements of a line: k.</param>
    /// <param name="row">From a line to the next, where a line's elements are neighbours.</param>
    /// <param name="first">First line of the tile.</param>
    /// <param name="tile">Lines of the tile.</param>
    /// <param name="slab">Depth of the slab.</param>
    /// <param name="alongK">Whether a line's elements are neighbours; else the lines are.</param>
    /// <param name="fours">See <see cref="DeviceMatMulArguments{T}.FoursA"/>.</param>
    /// <param name="pack">Elements of depth that are one in the slab.</param>
    public static Panel<V, T> Of(ArrayView<T> view, long start, long lines, long depth, long row, long first, int tile, int slab, int alongK, int fours,
        int pack = 1)
    {
        int rank = Group.IdxX, perLine = slab / 4, perDepth = tile / 4;
        Panel<V, T> a = new() { view = view, start = start, lines = lines, depth = depth, row = row, alongK = alongK, fours = fours, pack = pack };
        a.P = alongK != 0 ? rank % perLine * 4 : rank / perDepth;
        a.I = alongK != 0 ? rank / perLine : rank % perDepth * 4;
        a.line = first + a.I;
        return a;
    }

    /// <summary>The thread's elements of the slab that begins at depth <paramref name="k"/>; zeros outside of the matrix.</summary>
    public static Four<V, T> Load(Panel<V, T> a, long k)
    {
        long d = k + a.pack * a.P, at, left;
        if (a.alongK != 0)
        {
            at = a.start + a.line * a.row + d;
            left = a.line < a.lines ? a.depth - d : 0;
        }
        else
        {
            at = a.start + d * a.lines + a.line;
            left = d < a.depth ? a.lines - a.line : 0;
        }
        return Four<V, T>.Load(a.view, at, left, a.fours != 0);
    }

    /// <summary>
    /// Puts them into the slab, from four <paramref name="to"/> on, which lies as (depth, lines) with rows of <paramref name="pitch"/> fours.
    /// </summary>
    public static void Store(Panel<V, T> a, ArrayView<Four<V, T>> slabs, int to, int pitch, Four<V, T> x)
    {
        if (a.alongK == 0)
        {
            slabs[to + a.P * pitch + a.I / 4] = x;
            return;
        }
        ArrayView<V> s = slabs.Cast<V>();
        int at = (to + a.P * pitch) * 4 + a.I, next = 4 * pitch;
        s[at] = x.A;
        s[at + next] = x.B;
        s[at + 2 * next] = x.C;
        s[at + 3 * next] = x.D;
    }
}

/// <summary>
/// Matrix product on a device: a group of side² threads makes a square tile, each thread 4 × 4 or 8 × 8 of it in registers. Slabs of
/// A and B pass through shared memory, two of each: while one is multiplied, the next is on its way in registers. The sum over k has
/// one order, whatever the tile.
/// </summary>
internal static class DeviceMatMul
{
    public static void Run<V, T, S, N>(DeviceMatMulArguments<T> a)
        where V : unmanaged, ILane<V, DeviceMemory<T>, T>
        where T : unmanaged
        where S : struct, ISums<S, V, T>
        where N : struct, ISide
    {
        // a slab is as deep as gives each thread four elements; the four more in a row keep its columns from one bank
        int side = N.Threads, tile = 4 * S.Blocks * side, depth = side / S.Blocks, pitch = S.Blocks * side + 1, slab = depth * pitch;
        ArrayView<Four<V, T>> slabs = SharedMemory.Allocate<Four<V, T>>(4 * N.Threads * (N.Threads + 1)).AsAligned(16);
        int rank = Group.IdxX, index = Grid.IdxX;
        long batch = index / (a.TilesN * a.TilesM), i0 = (long)(index / a.TilesN % a.TilesM) * tile, j0 = (long)(index % a.TilesN) * tile;
        var A = Panel<V, T>.Of(a.A, batch * a.StrideA, a.M, a.K, a.RowA, i0, tile, depth, 1 - a.TransposeA, a.FoursA);
        var B = Panel<V, T>.Of(a.B, batch * a.StrideB, a.N, a.K, a.K, j0, tile, depth, a.TransposeB, a.FoursB);
        int ti = rank / side, tj = rank % side, at = 0;
        S sums = S.Zero();
        Four<V, T> x = Panel<V, T>.Load(A, 0), y = Panel<V, T>.Load(B, 0);
        for (long k = 0; k < a.K; k += depth)
        {
            Panel<V, T>.Store(A, slabs, at, pitch, x);
            Panel<V, T>.Store(B, slabs, at + slab, pitch, y);
            Group.Barrier();
            x = Panel<V, T>.Load(A, k + depth);
            y = Panel<V, T>.Load(B, k + depth);
            for (int p = 0; p < depth; p += 2)      // ILGPU unrolls no loop, and ptxas not this one
            {
                long i = at + p * pitch + ti, j = at + slab + p * pitch + tj;       // long, so that what is added to it goes into the load
                sums = S.Fma(slabs, i, j, side, sums);
                sums = S.Fma(slabs, i + pitch, j + pitch, side, sums);
            }
            at = 2 * slab - at;
        }
        S.Store(a, batch * a.StrideC, i0 + 4 * ti, j0 + 4 * tj, 4 * side, sums);
    }
}
