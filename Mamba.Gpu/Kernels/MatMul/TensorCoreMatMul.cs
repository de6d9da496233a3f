using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace Mamba.Gpu;

/// <summary>A thread's part of 16 × 8 of A, in units of 32 bits: rows g and g + 8, units t and t + 4, g being a quarter of the lane and t the rest.</summary>
internal struct LeftFragment
{
    public uint A, B, C, D;
}

/// <summary>A thread's part of 8 × 8 of B: column g, units t and t + 4.</summary>
internal struct RightFragment
{
    public uint A, B;
}

/// <summary>A thread's part of 16 × 8 sums: row g, columns 2t and 2t + 1; row g + 8, the same columns.</summary>
internal struct SumFragment
{
    public float A, B, C, D;
}

/// <summary>
/// A form of operands tensor cores multiply: how they are rounded and packed, and the instruction of a warp (PTX ISA, Matrix fragments for mma).
/// </summary>
internal interface ITensorForm<F> where F : struct, ITensorForm<F>
{
    /// <summary>Elements of depth in a unit of 32 bits.</summary>
    static abstract int Pack { get; }

    static abstract F Open();

    /// <summary>A unit: of Pack elements, the first in the low bits.</summary>
    static abstract uint Round(float first, float second);

    /// <summary>sums (16, 8) + left (16, 8 Pack) · right (8 Pack, 8), by all threads of a warp together.</summary>
    static abstract SumFragment Fma(F form, LeftFragment left, RightFragment right, SumFragment sums);
}

/// <summary>
/// Registers of our own for the sums of an instruction. ILGPU lets inline PTX return values through local memory only. What is
/// returned here is therefore a value ILGPU has computed, any that is nowhere else used, and whose register is then overwritten: to
/// ptxas the computation is dead, and gone.
/// </summary>
internal static class TensorSums
{
    public static void Declare() => CudaAsm.Emit(".reg .f32 sum0, sum1, sum2, sum3;");

    public static void Set(SumFragment sums) =>
        CudaAsm.Emit("mov.f32 sum0, %0; mov.f32 sum1, %1; mov.f32 sum2, %2; mov.f32 sum3, %3;", sums.A, sums.B, sums.C, sums.D);

    public static SumFragment Get(SumFragment sums)
    {
        SumFragment any = new() { A = sums.A + sums.B, B = sums.B + sums.C, C = sums.C + sums.D, D = sums.D + sums.A };
        CudaAsm.Emit("mov.f32 %0, sum0; mov.f32 %1, sum1; mov.f32 %2, sum2; mov.f32 %3, sum3;", any.A, any.B, any.C, any.D);
        return any;
    }
}

/// <summary><see cref="MatMulPrecision.TF32"/>.</summary>
internal struct TF32 : ITensorForm<TF32>
{
    public static int Pack => 1;

    public static TF32 Open()
    {
        TensorSums.Declare();
        return default;
    }

    public static uint Round(float first, float second)
    {
        uint unit = Interop.FloatAsInt(first);      // overwritten: see TensorSums
        CudaAsm.Emit("cvt.rna.tf32.f32 %0, %1;", unit, first);
        return unit;
    }

    public static SumFragment Fma(TF32 form, LeftFragment left, RightFragment right, SumFragment sums)
    {
        TensorSums.Set(sums);
        CudaAsm.Emit("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {sum0, sum1, sum2, sum3}, {%0, %1, %2, %3}, {%4, %5}, {sum0, sum1, sum2, sum3};",
            left.A, left.B, left.C, left.D, right.A, right.B);
        return TensorSums.Get(sums);
    }
}

/// <summary><see cref="MatMulPrecision.BF16"/>.</summary>
internal struct BF16 : ITensorForm<BF16>
{
    public static int Pack => 2;

    public static BF16 Open()
    {
        TensorSums.Declare();
        return default;
    }

    public static uint Round(float first, float second)
    {
        uint unit = Interop.FloatAsInt(first);      // overwritten: see TensorSums
        CudaAsm.Emit("cvt.rn.bf16x2.f32 %0, %1, %2;", unit, second, first);
        return unit;
    }

    public static SumFragment Fma(BF16 form, LeftFragment left, RightFragment right, SumFragment sums)
    {
        TensorSums.Set(sums);
        CudaAsm.Emit("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {sum0, sum1, sum2, sum3}, {%0, %1, %2, %3}, {%4, %5}, {sum0, sum1, sum2, sum3};",
            left.A, left.B, left.C, left.D, right.A, right.B);
        return TensorSums.Get(sums);
    }
}

/// <summary>
/// Matrix product of float32 by tensor cores, the operands rounded: a group of 8 warps makes a tile of 128 × 128, each warp 64 × 32
/// of it, as 4 × 4 fragments of sums. Slabs of 8 units of depth pass through shared memory as in <see cref="DeviceMatMul"/>, rounded on
/// their way in.
/// </summary>
internal static class TensorCoreMatMul
{
    /// <summary>Rows and columns of a tile, threads of a group, and units of depth in a slab.</summary>
    public const int Tile = 128, Threads = 256, Units = 8;

    // units from one row of a slab to the next: 8 more than whole turns of the 32 banks, so that the threads of a warp, at (t, g), are in one each
    const int Pitch = Tile + 8, Slab = Units * Pitch;

    /// <summary>Four units neighbouring in a slab.</summary>
    struct FourUnits
    {
        public uint A, B, C, D;
    }

    /// <summary>Four sums of a row of fragments.</summary>
    struct SumRow
    {
        public SumFragment A, B, C, D;
    }

    /// <summary>
    /// What a thread brings of an operand's slab: eight elements at most. Not two <see cref="Four{V, T}"/>: ILGPU takes structs of the same leaves for
    /// the same type, so that after a convolution of eight taps the first half would be one element.
    /// </summary>
    struct Eight
    {
        public Scalar32 A, B, C, D, E, F, G, H;
    }

    public static void Run<F>(DeviceMatMulArguments<float> a) where F : struct, ITensorForm<F>
    {
        ArrayView<FourUnits> slabs = SharedMemory.Allocate<FourUnits>(4 * Slab / 4).AsAligned(16);
        ArrayView<uint> units = slabs.Cast<uint>();
        F form = F.Open();
        int rank = Group.IdxX, index = Grid.IdxX;
        long batch = index / (a.TilesN * a.TilesM), i0 = (long)(index / a.TilesN % a.TilesM) * Tile, j0 = (long)(index % a.TilesN) * Tile;
        int alongA = 1 - a.TransposeA, alongB = a.TransposeB;
        var A = Panel<Scalar32, float>.Of(a.A, batch * a.StrideA, a.M, a.K, a.RowA, i0, Tile, Units, alongA, a.FoursA, F.Pack);
        var B = Panel<Scalar32, float>.Of(a.B, batch * a.StrideB, a.N, a.K, a.K, j0, Tile, Units, alongB, a.FoursB, F.Pack);
        int warp = rank / 32, g = rank % 32 / 4, t = rank % 4, ti = warp / 4 * 64 + g, tj = warp % 4 * 32, at = 0;
        SumRow c0 = default, c1 = default, c2 = default, c3 = default;
        Eight x = Load<F>(A, alongA, 0), y = Load<F>(B, alongB, 0);
        for (long k = 0; k < a.K; k += Units * F.Pack)
        {
            Store<F>(A, alongA, slabs, at, x);
            Store<F>(B, alongB, slabs, at + Slab, y);
            Group.Barrier();
            x = Load<F>(A, alongA, k + Units * F.Pack);
            y = Load<F>(B, alongB, k + Units * F.Pack);
            long i = at + t * Pitch + ti, j = at + Slab + t * Pitch + tj + g;
            RightFragment d0 = Right(units, j), d1 = Right(units, j + 8), d2 = Right(units, j + 16), d3 = Right(units, j + 24);
            c0 = Fma(form, Left(units, i), d0, d1, d2, d3, c0);
            c1 = Fma(form, Left(units, i + 16), d0, d1, d2, d3, c1);
            c2 = Fma(form, Left(units, i + 32), d0, d1, d2, d3, c2);
            c3 = Fma(form, Left(units, i + 48), d0, d1, d2, d3, c3);
            at = 2 * Slab - at;
        }
        long to = batch * a.StrideC, row = i0 + ti, column = j0 + tj + 2 * t;
        StoreRow(a, to, row, column, c0);
        StoreRow(a, to, row + 16, column, c1);
        StoreRow(a, to, row + 32, column, c2);
        StoreRow(a, to, row + 48, column, c3);
    }

    static Eight Load<F>(Panel<Scalar32, float> panel, int alongK, long k) where F : struct, ITensorForm<F>
    {
        Four<Scalar32, float> x = Panel<Scalar32, float>.Load(panel, k),
            y = F.Pack == 1 ? Four<Scalar32, float>.Zero() : Panel<Scalar32, float>.Load(panel, alongK != 0 ? k + 4 : k + 1);
        return new() { A = x.A, B = x.B, C = x.C, D = x.D, E = y.A, F = y.B, G = y.C, H = y.D };
    }

    static void Store<F>(Panel<Scalar32, float> panel, int alongK, ArrayView<FourUnits> slabs, int to, Eight x) where F : struct, ITensorForm<F>
    {
        if (alongK == 0)
            slabs[(to + panel.P * Pitch + panel.I) / 4] = new() { A = Unit<F>(x.A, x.E), B = Unit<F>(x.B, x.F), C = Unit<F>(x.C, x.G), D = Unit<F>(x.D, x.H) };
        else
        {
            ArrayView<uint> units = slabs.Cast<uint>();
            int at = to + panel.P * Pitch + panel.I;
            units[at] = F.Pack == 1 ? Unit<F>(x.A, x.A) : Unit<F>(x.A, x.B);
            units[at + Pitch] = F.Pack == 1 ? Unit<F>(x.B, x.B) : Unit<F>(x.C, x.D);
            units[at + 2 * Pitch] = F.Pack == 1 ? Unit<F>(x.C, x.C) : Unit<F>(x.E, x.F);
            units[at + 3 * Pitch] = F.Pack == 1 ? Unit<F>(x.D, x.D) : Unit<F>(x.G, x.H);
        }
    }

    static uint Unit<F>(Scalar32 first, Scalar32 second) where F : struct, ITensorForm<F> => F.Round(Scalar32.First(first), Scalar32.First(second));

    static LeftFragment Left(ArrayView<uint> units, long at) =>
        new() { A = units[at], B = units[at + 8], C = units[at + 4 * Pitch], D = units[at + 4 * Pitch + 8] };

    static RightFragment Right(ArrayView<uint> units, long at) => new() { A = units[at], B = units[at + 4 * Pitch] };

    static SumRow Fma<F>(F form, LeftFragment left, RightFragment a, RightFragment b, RightFragment c, RightFragment d, SumRow sums)
        where F : struct, ITensorForm<F> =>
        new()
        {
            A = F.Fma(form, left, a, sums.A),
            B = F.Fma(form, left, b, sums.B),
            C = F.Fma(form, left, c, sums.C),
            D = F.Fma(form, left, d, sums.D),
        };

    static void StoreRow(DeviceMatMulArguments<float> a, long to, long i, long j, SumRow sums)
    {
        Store(a, to, i, j, sums.A);
        Store(a, to, i, j + 8, sums.B);
        Store(a, to, i, j + 16, sums.C);
        Store(a, to, i, j + 24, sums.D);
    }

    static void Store(DeviceMatMulArguments<float> a, long to, long i, long j, SumFragment sums)
    {
        Store(a, to, i, j, sums.A);
        Store(a, to, i, j + 1, sums.B);
        Store(a, to, i + 8, j, sums.C);
        Store(a, to, i + 8, j + 1, sums.D);
    }

    static void Store(DeviceMatMulArguments<float> a, long to, long i, long j, float sum)
    {
        if (i >= a.M || j >= a.N)
            return;
        long at = to + i * a.N + j;
        if (a.Accumulate != 0)
            sum += a.C[at];
        if (a.HasBias != 0)
            sum += a.Bias[j];
        a.C[at] = sum;
    }
}
