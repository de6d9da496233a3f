using ILGPU;
using ILGPU.Runtime;

namespace Mamba.Gpu;

/// <summary>Arguments of the device's matrix product; see <see cref="MatMulProblem"/>.</summary>
internal struct DeviceMatMulArguments<T> where T : unmanaged
{
    public ArrayView<T> A, B, C, Bias;
    public long M, N, K, RowA, StrideA, StrideB, StrideC;
    public int TransposeA, TransposeB, Accumulate, HasBias, Side, TilesM, TilesN;
}

/// <summary>Four neighbouring accumulators. A local array would lie in local memory.</summary>
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

    public static Four<V, T> Load(ArrayView<V> p, int i) => new() { A = p[i], B = p[i + 1], C = p[i + 2], D = p[i + 3] };
}

/// <summary>
/// Matrix product on a device: a group of Side² threads makes a tile of 4 Side × 4 Side, each thread 4 × 4 in registers. Slabs
/// of A and B, 16 deep, pass through shared memory, so that each element read from global memory is used 4 Side times.
/// </summary>
internal static class DeviceMatMul
{
    const int Depth = 16, MaxSide = 16, MaxTile = 4 * MaxSide;

    public static void Run<V, T>(DeviceMatMulArguments<T> a)
        where V : unmanaged, ILane<V, DeviceMemory<T>, T>
        where T : unmanaged
    {
        ArrayView<V> left = SharedMemory.Allocate<V>(Depth * MaxTile), right = SharedMemory.Allocate<V>(Depth * MaxTile);
        int rank = Group.IdxX, threads = Group.DimX, side = a.Side, tile = 4 * side;
        int index = Grid.IdxX, tilesN = a.TilesN, tilesM = a.TilesM;
        long batch = index / (tilesN * tilesM), i0 = (long)(index / tilesN % tilesM) * tile, j0 = (long)(index % tilesN) * tile;
        var A = new DeviceMemory<T>(a.A);
        var B = new DeviceMemory<T>(a.B);
        var C = new DeviceMemory<T>(a.C);
        int ti = rank / side * 4, tj = rank % side * 4;
        Four<V, T> c0 = Four<V, T>.Zero(), c1 = Four<V, T>.Zero(), c2 = Four<V, T>.Zero(), c3 = Four<V, T>.Zero();
        for (long p0 = 0; p0 < a.K; p0 += Depth)
        {
            // neighbouring threads read neighbouring elements, whichever way the matrix lies
            for (int e = rank; e < Depth * tile; e += threads)
            {
                int p = a.TransposeA != 0 ? e / tile : e % Depth, i = a.TransposeA != 0 ? e % tile : e / Depth;
                long row = i0 + i, k = p0 + p;
                V x = V.Of(0);
                if (row < a.M && k < a.K)
                    x = V.Load(A, batch * a.StrideA + (a.TransposeA != 0 ? k * a.M + row : row * a.RowA + k));
                left[p * tile + i] = x;
            }
            for (int e = rank; e < Depth * tile; e += threads)
            {
                int p = a.TransposeB != 0 ? e % Depth : e / tile, j = a.TransposeB != 0 ? e / Depth : e % tile;
                long column = j0 + j, k = p0 + p;
                V x = V.Of(0);
                if (column < a.N && k < a.K)
                    x = V.Load(B, batch * a.StrideB + (a.TransposeB != 0 ? column * a.K + k : k * a.N + column));
                right[p * tile + j] = x;
            }
            Group.Barrier();
            for (int p = 0; p < Depth; p++)
            {
                Four<V, T> y = Four<V, T>.Load(right, p * tile + tj), x = Four<V, T>.Load(left, p * tile + ti);
                c0 = Four<V, T>.Fma(x.A, y, c0);
                c1 = Four<V, T>.Fma(x.B, y, c1);
                c2 = Four<V, T>.Fma(x.C, y, c2);
                c3 = Four<V, T>.Fma(x.D, y, c3);
            }
            Group.Barrier();
        }
        long to = batch * a.StrideC;
        StoreRow(a, C, to, i0 + ti, j0 + tj, c0);
        StoreRow(a, C, to, i0 + ti + 1, j0 + tj, c1);
        StoreRow(a, C, to, i0 + ti + 2, j0 + tj, c2);
        StoreRow(a, C, to, i0 + ti + 3, j0 + tj, c3);
    }

    static void StoreRow<V, T>(DeviceMatMulArguments<T> a, DeviceMemory<T> C, long to, long i, long j, Four<V, T> sums)
        where V : unmanaged, ILane<V, DeviceMemory<T>, T>
        where T : unmanaged
    {
        Store(a, C, to, i, j, sums.A);
        Store(a, C, to, i, j + 1, sums.B);
        Store(a, C, to, i, j + 2, sums.C);
        Store(a, C, to, i, j + 3, sums.D);
    }

    static void Store<V, T>(DeviceMatMulArguments<T> a, DeviceMemory<T> C, long to, long i, long j, V sum)
        where V : unmanaged, ILane<V, DeviceMemory<T>, T>
        where T : unmanaged
    {
        if (i >= a.M || j >= a.N)
            return;
        long at = to + i * a.N + j;
        if (a.Accumulate != 0)
            sum += V.Load(C, at);
        if (a.HasBias != 0)
            sum += V.Load(new DeviceMemory<T>(a.Bias), j);
        V.Store(C, at, sum);
    }

    /// <summary>Threads along a side of a group, where a group may have <paramref name="most"/> threads.</summary>
    public static int Side(int most) => most >= MaxSide * MaxSide ? MaxSide : most >= 64 ? 8 : most >= 16 ? 4 : 1;
}
