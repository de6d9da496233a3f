using System.Text.RegularExpressions;
using ILGPU;
using ILGPU.Runtime;
using Mamba.Checks;
using Mamba.Gpu;
using NUnit.Framework;
using Group = ILGPU.Group;

namespace Mamba.Tests;

/// <summary>
/// The device's matrix product in every tile, and its tensor-core form. Without a GPU the latter runs on OpenCL with its one
/// instruction played by the threads of a group: all but the instruction itself is what a GPU runs.
/// </summary>
public partial class MatMulTilesTests
{
    // where A, B, C and the bias start in their buffers: fours must be loaded as such only where all they belong to are
    static readonly (int Batch, int M, int N, int K, (int A, int B, int C, int Bias) Offsets)[] Problems =
    [
        (1, 1, 1, 1, default), (1, 128, 128, 16, default), (1, 130, 132, 20, default), (1, 132, 136, 36, (1, 1, 1, 1)), (1, 64, 36, 8, (2, 2, 2, 2)),
        (1, 5, 7, 3, (3, 3, 3, 3)), (1, 1, 200, 33, default), (1, 200, 1, 65, default), (1, 3, 4, 0, default), (2, 20, 24, 28, default),
        (3, 13, 21, 35, (1, 1, 1, 1)), (2, 129, 4, 4, (4, 8, 12, 16)), (1, 20, 24, 12, (1, 0, 0, 0)), (1, 20, 24, 12, (0, 1, 0, 0)),
        (1, 20, 24, 12, (0, 0, 1, 0)), (1, 20, 24, 12, (0, 0, 0, 1)),
    ];

    /// <summary>A problem on a device, and op(A) · op(B), C as it was and the bias, as numbers.</summary>
    sealed record Case(MatMulProblem Problem, Tensor AroundC, double[] A, double[] B, double[] Start, double[] Bias)
    {
        public static Case Of((int Batch, int M, int N, int K, (int A, int B, int C, int Bias) Offsets) size,
            bool transposeA, bool transposeB, bool accumulate, bool bias, DType dtype, Device device)
        {
            (int batch, int m, int n, int k, (int A, int B, int C, int Bias) offsets) = size;
            double[] a = Values(batch * m * k, 1), b = Values(batch * k * n, 2), c = Values(batch * m * n, 3), d = Values(n, 4);
            // behind what is not its own: the product must neither read nor write it
            Tensor Around(double[] values, int offset) => Tensor.From(
                [.. Enumerable.Repeat(double.NaN, offset), .. values, double.NaN], values.Length + offset + 1, dtype, device);
            Tensor On(double[] values, int offset) => Around(values, offset).Rows(offset, values.Length);
            Tensor aroundC = Around(c, offsets.C);
            var problem = new MatMulProblem(On(a, offsets.A), On(b, offsets.B), aroundC.Rows(offsets.C, c.Length), m, n, k)
            {
                TransposeA = transposeA,
                TransposeB = transposeB,
                Accumulate = accumulate,
                Bias = bias ? On(d, offsets.Bias) : null,
                Batch = batch,
                StrideA = m * k,
                StrideB = k * n,
                StrideC = m * n,
            };
            return new(problem, aroundC, a, b, accumulate ? c : new double[c.Length], bias ? d : new double[n]);
        }

        static double[] Values(int count, int seed) => [.. TestData.Uniform(count, seed).Select(x => (double)(float)x)];

        public void Expect(Func<double, double> rounded, string what)
        {
            MatMulProblem p = Problem;
            (int m, int n, int k) = ((int)p.M, (int)p.N, (int)p.K);
            double[] a = [.. A.Select(rounded)], b = [.. B.Select(rounded)];
            var items = Enumerable.Range(0, (int)p.Batch)
                .Select(i => PlainMatMul.Multiply(a, b, m, n, k, p.TransposeA, p.TransposeB, i * p.StrideA, i * p.StrideB)).ToArray();
            PlainMatMul.Expect(p.C, [.. items.SelectMany(i => i.Values).Select((x, at) => x + Start[at] + Bias[at % n])],
                [.. items.SelectMany(i => i.Magnitudes).Select((x, at) => x + Math.Abs(Start[at]) + Math.Abs(Bias[at % n]))], k, what);
            double[] around = AroundC.ToDoubles();
            Assert.That(around[..(int)p.C.Offset].Append(around[^1]), Has.All.NaN, what);
        }
    }

    static IlgpuDevice OpenCL() => (IlgpuDevice)TestDevices.Open("opencl:0");

    [Test]
    public void Every_tile_gives_the_product([Values(16, 32, 64, 128)] int tile, [Values(DType.Float32, DType.Float64)] DType dtype,
        [Values] bool transposeA, [Values] bool transposeB, [Values] bool accumulate, [Values] bool bias)
    {
        IlgpuDevice device = OpenCL();
        foreach (var size in Problems)
        {
            using var scope = new TensorScope();
            var it = Case.Of(size, transposeA, transposeB, accumulate, bias, dtype, device);
            device.Multiply(it.Problem, tile);
            it.Expect(x => x, $"{size}");
        }
    }

    // A processor loads 128 bits from anywhere; a GPU stops. So what the kernel is told is looked at.
    [TestCase(0, 0, 0, 0, true, ExpectedResult = "111")]
    [TestCase(4, 8, 12, 16, true, ExpectedResult = "111")]
    [TestCase(1, 0, 0, 0, true, ExpectedResult = "011")]
    [TestCase(0, 2, 0, 0, true, ExpectedResult = "101")]
    [TestCase(0, 0, 3, 0, true, ExpectedResult = "110")]
    [TestCase(0, 0, 0, 1, true, ExpectedResult = "110")]
    [TestCase(0, 0, 0, 1, false, ExpectedResult = "111")]
    public string Fours_are_promised_only_where_they_start_at_sixteen_bytes(int a, int b, int c, int bias, bool hasBias)
    {
        using var scope = new TensorScope();
        var it = Case.Of((2, 20, 24, 12, (a, b, c, bias)), false, false, false, hasBias, DType.Float32, OpenCL());
        DeviceMatMulArguments<float> told = OpenCL().Arguments<float>(it.Problem, 64);
        return $"{told.FoursA}{told.FoursB}{told.FoursC}";
    }

    [TestCase(5, 8, 8, ExpectedResult = "111-011")]
    [TestCase(8, 5, 8, ExpectedResult = "100-110")]
    [TestCase(8, 8, 5, ExpectedResult = "011-101")]
    public string Rows_that_are_no_fours_are_not_promised(int m, int n, int k)
    {
        using var scope = new TensorScope();
        string Told(bool transposeA, bool transposeB)
        {
            MatMulProblem problem = Case.Of((1, m, n, k, default), transposeA, transposeB, false, false, DType.Float32, OpenCL()).Problem;
            DeviceMatMulArguments<float> told = OpenCL().Arguments<float>(problem, 64);
            return $"{told.FoursA}{told.FoursB}{told.FoursC}";
        }
        return $"{Told(false, false)}-{Told(true, true)}";
    }

    /// <summary>What a warp's mma computes, in shared memory: each thread lays down its fragments and sums what is its own.</summary>
    struct Played
    {
        const int PerThread = 6;

        ArrayView<uint> fragments;

        public static Played Open() => new() { fragments = SharedMemory.Allocate<uint>(TensorCoreMatMul.Threads * PerThread) };

        public static uint Left(Played played, int row, int unit) =>
            played.fragments[(Group.IdxX / 32 * 32 + row % 8 * 4 + unit % 4) * PerThread + unit / 4 * 2 + row / 8];

        public static uint Right(Played played, int unit, int column) =>
            played.fragments[(Group.IdxX / 32 * 32 + column * 4 + unit % 4) * PerThread + 4 + unit / 4];

        public static void Lay(Played played, LeftFragment left, RightFragment right)
        {
            Group.Barrier();
            int at = Group.IdxX * PerThread;
            played.fragments[at] = left.A;
            played.fragments[at + 1] = left.B;
            played.fragments[at + 2] = left.C;
            played.fragments[at + 3] = left.D;
            played.fragments[at + 4] = right.A;
            played.fragments[at + 5] = right.B;
            Group.Barrier();
        }
    }

    struct PlayedTF32 : ITensorForm<PlayedTF32>
    {
        Played played;

        public static int Pack => 1;
        public static PlayedTF32 Open() => new() { played = Played.Open() };

        // to the nearest, halves away from 0, as cvt.rna
        public static uint Round(float first, float second) => (Interop.FloatAsInt(first) + 0x1000) & 0xFFFFE000;

        public static SumFragment Fma(PlayedTF32 form, LeftFragment left, RightFragment right, SumFragment sums)
        {
            Played.Lay(form.played, left, right);
            int g = Group.IdxX % 32 / 4, column = Group.IdxX % 4 * 2;
            return new()
            {
                A = Sum(form, g, column, sums.A),
                B = Sum(form, g, column + 1, sums.B),
                C = Sum(form, g + 8, column, sums.C),
                D = Sum(form, g + 8, column + 1, sums.D),
            };
        }

        static float Sum(PlayedTF32 form, int row, int column, float sum)
        {
            for (int unit = 0; unit < 8; unit++)
                sum += Interop.IntAsFloat(Played.Left(form.played, row, unit)) * Interop.IntAsFloat(Played.Right(form.played, unit, column));
            return sum;
        }
    }

    struct PlayedBF16 : ITensorForm<PlayedBF16>
    {
        Played played;

        public static int Pack => 2;
        public static PlayedBF16 Open() => new() { played = Played.Open() };

        public static uint Round(float first, float second) => (Half(second) << 16) | Half(first);

        // to the nearest, halves to the even one, as cvt.rn
        static uint Half(float x)
        {
            uint bits = Interop.FloatAsInt(x);
            return (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
        }

        public static SumFragment Fma(PlayedBF16 form, LeftFragment left, RightFragment right, SumFragment sums)
        {
            Played.Lay(form.played, left, right);
            int g = Group.IdxX % 32 / 4, column = Group.IdxX % 4 * 2;
            return new()
            {
                A = Sum(form, g, column, sums.A),
                B = Sum(form, g, column + 1, sums.B),
                C = Sum(form, g + 8, column, sums.C),
                D = Sum(form, g + 8, column + 1, sums.D),
            };
        }

        static float Sum(PlayedBF16 form, int row, int column, float sum)
        {
            for (int unit = 0; unit < 8; unit++)
            {
                uint x = Played.Left(form.played, row, unit), y = Played.Right(form.played, unit, column);
                sum += Interop.IntAsFloat(x << 16) * Interop.IntAsFloat(y << 16);
                sum += Interop.IntAsFloat(x & 0xFFFF0000) * Interop.IntAsFloat(y & 0xFFFF0000);
            }
            return sum;
        }
    }

    // The value of x in a form: with so many bits of fraction less than float32's 23.
    static double Rounded(MatMulPrecision precision, double x) => precision switch
    {
        MatMulPrecision.TF32 => BitConverter.UInt32BitsToSingle((Bits(x) + 0x1000) & 0xFFFFE000),
        MatMulPrecision.BF16 => BitConverter.UInt32BitsToSingle((Bits(x) + 0x7FFF + ((Bits(x) >> 16) & 1)) & 0xFFFF0000),
        _ => x,
    };

    static uint Bits(double x) => BitConverter.SingleToUInt32Bits((float)x);

    static double Unit(MatMulPrecision precision) => precision == MatMulPrecision.TF32 ? Math.Pow(2, -11) : Math.Pow(2, -8);

    [Test]
    public void Tensor_cores_multiply_the_rounded_operands([Values(MatMulPrecision.TF32, MatMulPrecision.BF16)] MatMulPrecision precision,
        [Values] bool transposeA, [Values] bool transposeB, [Values] bool accumulate, [Values] bool bias)
    {
        IlgpuDevice device = OpenCL();
        foreach (var size in Problems)
        {
            using var scope = new TensorScope();
            var it = Case.Of(size, transposeA, transposeB, accumulate, bias, DType.Float32, device);
            if (precision == MatMulPrecision.TF32)
                device.MultiplyRounded<PlayedTF32>(it.Problem);
            else
                device.MultiplyRounded<PlayedBF16>(it.Problem);
            it.Expect(x => Rounded(precision, x), $"{size}");
        }
    }

    [Test]
    public void A_GPU_multiplies_the_rounded_operands([Values(MatMulPrecision.TF32, MatMulPrecision.BF16)] MatMulPrecision precision,
        [Values] bool transposeA, [Values] bool transposeB, [Values] bool accumulate, [Values] bool bias)
    {
        TestDevices.Open("cuda:0");                         // ignored where there is none
        using var device = (ComputeDevice)Device.Open("cuda:0");        // its precision is a device's, and other tests use the shared one
        device.MatMulPrecision = precision;
        Assert.That(device.MatMulPrecision, Is.EqualTo(precision));
        foreach (var size in Problems)
        {
            using var scope = new TensorScope();
            var it = Case.Of(size, transposeA, transposeB, accumulate, bias, DType.Float32, device);
            MatMulKernels.Multiply(it.Problem);
            it.Expect(x => Rounded(precision, x), $"{size}");
        }
    }

    [Test]
    public void A_rounded_operand_is_off_by_half_a_unit_at_most_and_a_product_by_two(
        [Values(MatMulPrecision.TF32, MatMulPrecision.BF16)] MatMulPrecision precision)
    {
        double unit = Unit(precision), worst = 0, worstProduct = 0;
        double[] x = [.. TestData.Uniform(100_000, 1, 1, 2).Select(v => (double)(float)v)];
        double[] y = [.. TestData.Uniform(100_000, 2, -2, -1).Select(v => (double)(float)v)];
        for (int i = 0; i < x.Length; i++)
        {
            worst = Math.Max(worst, Math.Abs(Rounded(precision, x[i]) / x[i] - 1));
            worstProduct = Math.Max(worstProduct, Math.Abs(Rounded(precision, x[i]) * Rounded(precision, y[i]) / (x[i] * y[i]) - 1));
        }
        Assert.That(worst, Is.InRange(0.9 * unit, unit));
        Assert.That(worstProduct, Is.InRange(1.5 * unit, 2 * unit + unit * unit));
    }

    static readonly string[] WithoutTensorCores = [.. TestDevices.All.Where(name => !name.StartsWith("cuda", StringComparison.Ordinal))];

    [Test]
    public void Other_devices_refuse_another_precision_in_one_line([ValueSource(nameof(WithoutTensorCores))] string name,
        [Values(MatMulPrecision.TF32, MatMulPrecision.BF16)] MatMulPrecision precision)
    {
        Device device = TestDevices.Open(name);
        Assert.That(() => device.MatMulPrecision = precision,
            Throws.TypeOf<MambaException>().With.Message.EqualTo($"MatMul: {device} has no {precision} form, only Full; "
                + "tensor cores of CUDA GPUs from sm_80 on have it."));
        device.MatMulPrecision = MatMulPrecision.Full;
        Assert.That(device.MatMulPrecision, Is.EqualTo(MatMulPrecision.Full));
    }

    static string Ptx(string name, DType dtype = DType.Float32) =>
        KernelCompiler.CompilePtx(KernelCatalog.Kernels.Single(k => k.Name == name && k.DType == dtype), "sm_90");

    [TestCase("TensorCoreMatMul<TF32>", "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", "cvt.rna.tf32.f32")]
    [TestCase("TensorCoreMatMul<BF16>", "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "cvt.rn.bf16x2.f32")]
    public void Tensor_core_kernels_hold_the_instruction_and_nothing_in_local_memory(string name, string multiply, string round)
    {
        string ptx = Ptx(name);
        Assert.That(Regex.Count(ptx, Regex.Escape(multiply)), Is.EqualTo(16));
        Assert.That(ptx, Does.Contain(round).And.Not.Contain(".local"));
        // what an instruction yields ends in registers of its own, and so does what a conversion yields
        string[] sums = [.. ResultRegister().Matches(ptx).Select(m => m.Groups["register"].Value)];
        Assert.That(sums, Has.Length.EqualTo(64).And.Unique);
        string[] units = [.. Regex.Matches(ptx, Regex.Escape(round) + @"\s+(?<register>%r\d+)",
            RegexOptions.ExplicitCapture, TimeSpan.FromSeconds(1)).Select(m => m.Groups["register"].Value)];
        Assert.That(units, Has.Length.EqualTo(16).And.Unique);
    }

    [GeneratedRegex(@"mov\.f32\s+(?<register>%f\d+), sum\d", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ResultRegister();

    [Test]
    public void Fours_are_one_load_and_one_store([Values(16, 32, 64, 128)] int tile)
    {
        string ptx = Ptx($"DeviceMatMul<{tile}>");
        foreach (string access in (string[])["ld.global.v4.f32", "ld.shared.v4.f32", "st.global.v4.f32", "st.shared.v4.f32"])
            Assert.That(ptx, Does.Contain(access));
    }

    [TestCase("sm_75", false)]
    [TestCase("sm_80", true)]
    [TestCase("sm_90", true)]
    public void Tensor_core_kernels_are_for_GPUs_from_sm_80_on(string architecture, bool expected)
    {
        Assert.That(KernelCatalog.Kernels.Where(k => k.Family == nameof(TensorCoreMatMul)).Select(k => k.RunsOn(architecture)),
            Has.Exactly(2).EqualTo(expected));
        Assert.That(KernelCatalog.Kernels.Where(k => k.Family != nameof(TensorCoreMatMul)).Select(k => k.RunsOn(architecture)), Has.All.True);
    }
}
