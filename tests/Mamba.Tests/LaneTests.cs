using System.Numerics;
using System.Runtime.Intrinsics;
using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>The functions lanes compute, on every device and width: how exact they are, and what they do at the ends.</summary>
public class LaneTests
{
    // ---- functions the ops do not expose --------------------------------------------------------------

    public struct Exp2 : IUnary
    {
        static V IUnary.Forward<V, M, T>(V x, V s) => V.Exp2(x);
        static V IUnary.Derivative<V, M, T>(V x, V y, V s) => y;
    }

    public struct Log1p : IUnary
    {
        static V IUnary.Forward<V, M, T>(V x, V s) => V.Log1p(x);
        static V IUnary.Derivative<V, M, T>(V x, V y, V s) => y;
    }

    /// <summary>A function, its value in float64, where it is tried in each dtype, and how many ulps it may be off.</summary>
    public sealed record Function(string Name, Action<Tensor, Tensor> Compute, Func<double, double> Exact,
        (double Low, double High) Range32, (double Low, double High) Range64, double Ulps32, double Ulps64)
    {
        public override string ToString() => Name;
    }

    static Function Of<F>(string name, Func<double, double> exact, (double, double) range32, (double, double) range64,
        double ulps32, double ulps64)
        where F : struct, IUnary =>
        new(name, (x, y) => ElementwiseKernels.Forward<F>(x, y, 0), exact, range32, range64, ulps32, ulps64);

    // 2 atanh(s), s = e / (2 + e), in 28 digits; below 2^-6 the series in e itself
    static double ExactLog1p(double e)
    {
        if (e < 1.0 / 64)
        {
            double series = 0;
            for (int i = 12; i >= 1; i--)
                series = 1.0 / i - e * series;
            return e * series;
        }
        decimal exact = (decimal)(long)(e * (1L << 58)) / (1L << 58), s = exact / (2 + exact), q = s * s, sum = 0;      // a conversion would keep 15 digits
        for (int i = 61; i >= 1; i -= 2)
            sum = sum * q + 1m / i;
        return (double)(2 * s * sum);
    }

    // Measured: the largest errors of any device, rounded up. In float64 the reference's own last bit is in them.
    public static readonly Function[] Functions =
    [
        Of<Exp2>("Exp2", x => Math.Pow(2, x), (-126, 127.99), (-1022, 1023.99), 1, 1),
        Of<Unary.Exp>("Exp", Math.Exp, (-87.3, 88.7), (-708.3, 709.7), 1, 1),
        Of<Unary.Log>("Log", Math.Log, (1e-3, 1e3), (1e-3, 1e3), 1.25, 2),
        Of<Log1p>("Log1p", ExactLog1p, (0, 1), (0, 1), 2.5, 3),
        Of<Unary.Sigmoid>("Sigmoid", x => 1 / (1 + Math.Exp(-x)), (-87, 40), (-700, 40), 1.5, 2),
        Of<Unary.Softplus>("Softplus", x => Math.Max(x, 0) + ExactLog1p(Math.Exp(-Math.Abs(x))), (-87, 20), (-700, 20), 3.5, 3),
    ];

    static double Ulp(double x, DType dtype)
    {
        double size = Math.Abs(x);
        return dtype == DType.Float64
            ? Math.BitIncrement(size) - size
            : MathF.BitIncrement((float)size) - (float)size;
    }

    // Everywhere in the range, near 0, and around where the argument's integer part changes.
    static double[] Arguments((double Low, double High) range)
    {
        double[] spread = TestData.Uniform(3000, 1, range.Low, range.High);
        double[] small = [.. Enumerable.Range(1, 60).SelectMany(i => (double[])[Math.Pow(2, -i), -Math.Pow(2, -i) / 3])];
        double[] near1 = [.. Enumerable.Range(1, 40).SelectMany(i => (double[])[1 - Math.Pow(2, -i), 1 + Math.Pow(2, -i)])];
        double[] seams = [.. Enumerable.Range(-40, 81).SelectMany(i => (double[])
            [i * 0.5, MathF.BitIncrement(i * 0.5f), MathF.BitDecrement(i * 0.5f), i * 0.34657359027997264])];
        return [.. spread.Concat(small).Concat(near1).Concat(seams).Where(x => x >= range.Low && x <= range.High && x != 0)];
    }

    [Test]
    public void Functions_are_exact_to_a_few_ulps([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Functions))] Function function)
    {
        using var scope = new TensorScope();
        double[] arguments = Arguments(dtype == DType.Float32 ? function.Range32 : function.Range64);
        Tensor x = Tensor.From(arguments, arguments.Length, dtype, TestDevices.Open(device)), y = x.Like();
        function.Compute(x, y);
        // CUDA has an instruction for 2^x and one for log2 x in float32; by the PTX manual they are off by 2^-22, and rounding the
        // product by log2 e adds |x| / 2 ulps. Near 1 the logarithm's error is an absolute one.
        bool instructions = device.StartsWith("cuda", StringComparison.Ordinal) && dtype == DType.Float32;
        double bound = dtype == DType.Float32 ? function.Ulps32 : function.Ulps64, worst = 0, at = 0;
        foreach ((double argument, double value) in x.ToDoubles().Zip(y.ToDoubles()))
        {
            double exact = function.Exact(argument), size = instructions && function.Name == "Log" ? Math.Max(0.25, Math.Abs(exact)) : exact;
            double error = Math.Abs(value - exact) / Ulp(size, dtype) - (instructions ? 6 + Math.Abs(argument) : 0);
            if (!(error <= worst))
                (worst, at) = (error, argument);
        }
        Assert.That(worst, Is.LessThanOrEqualTo(bound), $"at {at:R}");
    }

    [Test]
    public void The_ends_are_exact([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var scope = new TensorScope();
        const double Infinity = double.PositiveInfinity, NaN = double.NaN;
        Device on = TestDevices.Open(device);
        double[] Compute(string name, params double[] arguments)
        {
            // more than a vector of each, and an odd number: the last lanes are a part of one
            double[] repeated = [.. arguments.SelectMany(a => Enumerable.Repeat(a, 19))];
            Tensor x = Tensor.From(repeated, repeated.Length, dtype, on), y = x.Like();
            Functions.Single(f => f.Name == name).Compute(x, y);
            double[] values = y.ToDoubles();
            Assert.That(values.Chunk(19).Select(c => c.Distinct().Count()), Has.All.EqualTo(1), "every lane computes the same");
            return [.. values.Chunk(19).Select(c => c[0])];
        }
        Assert.Multiple(() =>
        {
            Assert.That(Compute("Exp2", 0, -0.0, 1, -1, 10, -3, -2000, 2000, -Infinity, Infinity, NaN),
                Is.EqualTo(new[] { 1, 1, 2, 0.5, 1024, 0.125, 0, Infinity, 0, Infinity, NaN }));
            Assert.That(Compute("Exp", 0, -0.0, -1000, 1000, -Infinity, Infinity, NaN), Is.EqualTo(new[] { 1, 1, 0, Infinity, 0, Infinity, NaN }));
            Assert.That(Compute("Log", 1, Infinity, NaN), Is.EqualTo(new[] { 0, Infinity, NaN }));
            Assert.That(Compute("Log1p", 0, 1e-30, NaN), Is.EqualTo(new[] { 0, dtype == DType.Float32 ? 1e-30f : 1e-30, NaN }));
            Assert.That(Compute("Sigmoid", 0, -1000, 1000, -Infinity, Infinity, NaN), Is.EqualTo(new[] { 0.5, 0, 1, 0, 1, NaN }));
            Assert.That(Compute("Softplus", -1000, 20.5, 1000, -Infinity, Infinity, NaN), Is.EqualTo(new[] { 0, 20.5, 1000, 0, Infinity, NaN }));
        });
    }

    // A NaN is any of 2^24 in float32: what memory that nobody wrote is filled with under a guard, what other frameworks make, with every bit set.
    [Test]
    public void A_NaN_stays_one_whatever_its_bits([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Functions))] Function function)
    {
        using var scope = new TensorScope();
        ulong[] bits =
        [
            0xFFFADEADFFFADEAD, 0x7FF8000000000001, 0x7FF8000020000000, 0x7FFFFFFFFFFFFFFF,
            0xFFFFFFFFFFFFFFFF, 0xFFF8000000000000, 0x7FF8000000000800, 0x7FFC0000E0000FFF,
        ];
        double[] arguments = [.. bits.SelectMany(b => Enumerable.Repeat(BitConverter.UInt64BitsToDouble(b), 19))];
        Tensor x = Tensor.From(arguments, arguments.Length, dtype, TestDevices.Open(device)), y = x.Like();
        function.Compute(x, y);
        Assert.That(y.ToDoubles(), Has.All.NaN);
    }

    [Test]
    public void What_is_too_small_for_a_normal_number_is_right_or_zero([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [Values("Exp2", "Exp")] string name)
    {
        using var scope = new TensorScope();
        (double smallest, double exponent) = dtype == DType.Float32 ? (float.Epsilon, 126) : (double.Epsilon, 1022);
        double unit = name == "Exp2" ? 1 : Math.Log(2);
        double[] arguments = [.. Enumerable.Range(0, 601).Select(i => -(exponent + i / 100.0) * unit),
            .. Enumerable.Range(1, 40).Select(i => -(exponent + Math.Pow(2, -i / 2.0)) * unit)];
        Tensor x = Tensor.From(arguments, arguments.Length, dtype, TestDevices.Open(device)), y = x.Like();
        Function function = Functions.Single(f => f.Name == name);
        function.Compute(x, y);
        Assert.Multiple(() =>
        {
            foreach ((double argument, double value) in x.ToDoubles().Zip(y.ToDoubles()))
                Assert.That(value == 0 || Math.Abs(value - function.Exact(argument)) <= 2 * smallest, Is.True, $"{name}({argument:R}) is {value:R}");
        });
    }

    // ---- what processors without AVX-512 compute ------------------------------------------------------------

    delegate Vector128<T> Of128<T>(Vector128<T> x);
    delegate Vector256<T> Of256<T>(Vector256<T> x);
    delegate Vector512<T> Of512<T>(Vector512<T> x);

    static void Agree<T>(T[] arguments, T smallest,
        (Of128<T> Usual, Of128<T> Shift) narrow, (Of256<T> Usual, Of256<T> Shift) middle, (Of512<T> Usual, Of512<T> Shift) wide)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        for (int i = 0; i < arguments.Length; i++)
        {
            T x = arguments[i];
            T[] usual = [narrow.Usual(Vector128.Create(x))[0], middle.Usual(Vector256.Create(x))[1], wide.Usual(Vector512.Create(x))[2]];
            T[] shift = [narrow.Shift(Vector128.Create(x))[0], middle.Shift(Vector256.Create(x))[1], wide.Shift(Vector512.Create(x))[2]];
            Assert.That(usual.Select(y => T.Abs(y) < smallest ? T.Zero : y), Is.EqualTo(shift), $"at {x}");
        }
    }

    [Test]
    public void Exponentials_have_the_same_bits_without_AVX_512()
    {
        double quiet = BitConverter.UInt64BitsToDouble(0xFFFADEADFFFADEAD);
        double[] ends = [double.NaN, double.PositiveInfinity, double.NegativeInfinity, 0, -0.0, quiet, double.MaxValue, double.MinValue];
        static float Near(float at, int ulps) => BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(at) + ulps);
        static double Near64(double at, int ulps) => BitConverter.Int64BitsToDouble(BitConverter.DoubleToInt64Bits(at) + ulps);
        float[] singles = [.. ends.Concat(TestData.Uniform(20_000, 1, -150, 150)).Select(x => (float)x),
            .. Enumerable.Range(-200, 400).SelectMany(i => new[] { -126f, 128f, -87.33654f, 88.72283f }.Select(at => Near(at, i)))];
        double[] doubles = [.. ends, .. TestData.Uniform(20_000, 1, -1100, 1100),
            .. Enumerable.Range(-200, 400).SelectMany(i => new[] { -1022.0, 1024 }.Select(at => Near64(at, i)))];
        const float Smallest = 1.17549435e-38f;
        const double Smallest64 = 2.2250738585072014e-308;
        Assert.Multiple(() =>
        {
            Agree(singles, Smallest, (Elementary128.Exp2, Elementary128.Exp2ByShift), (Elementary256.Exp2, Elementary256.Exp2ByShift),
                (Elementary512.Exp2, Elementary512.Exp2ByShift));
            Agree(singles, Smallest, (Elementary128.Exp, Elementary128.ExpByShift), (Elementary256.Exp, Elementary256.ExpByShift),
                (Elementary512.Exp, Elementary512.ExpByShift));
            Agree(doubles, Smallest64, (Elementary128.Exp2, Elementary128.Exp2ByShift), (Elementary256.Exp2, Elementary256.Exp2ByShift),
                (Elementary512.Exp2, Elementary512.Exp2ByShift));
        });
    }

    // ---- parts of a lane -----------------------------------------------------------------------------

    const int Apart = 32;       // elements from one place to the next

    public struct Partial<V, M, T> : IKernel where V : unmanaged, ILane<V, M, T> where M : struct, IMemory<T> where T : unmanaged
    {
        public M X, Stored, Kept;

        public void Run(Worker worker)
        {
            M x = X, stored = Stored, kept = Kept;
            for (int lanes = 1; lanes <= V.Width; lanes++)
            {
                V.Store(stored, lanes * Apart + 3, V.Load(x, 5), lanes);
                V.Store(kept, lanes * Apart + 3, V.Keep(V.Load(x, 5), lanes));
            }
        }
    }

    readonly record struct PartialLaunch(Tensor X, Tensor Stored, Tensor Kept) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on) =>
            on.Run(new Partial<V, M, T> { X = on.Memory(X), Stored = on.Memory(Stored), Kept = on.Memory(Kept) }, items: 1);
    }

    static int Width(string device, DType dtype) => device.StartsWith("cpu-", StringComparison.Ordinal) ? int.Parse(device[4..]) / 8 / dtype.Size() : 1;

    [Test]
    public void A_part_of_a_lane_is_stored_and_kept_without_the_rest([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var scope = new TensorScope();
        int width = Width(device, dtype), count = (width + 2) * Apart;
        double[] values = [.. Enumerable.Range(0, 40).Select(i => i % 4 == 3 ? double.PositiveInfinity : i % 5 == 4 ? double.NaN : i + 0.5)];
        Tensor x = Tensor.From(values, values.Length, dtype, TestDevices.Open(device));
        Tensor stored = Ops.Fill(x.Like(count), -1), kept = Ops.Fill(x.Like(count), -1);
        x.Launch(new PartialLaunch(x, stored, kept));
        double[] expectedStored = [.. Enumerable.Repeat(-1.0, count)], expectedKept = [.. expectedStored];
        for (int lanes = 1; lanes <= width; lanes++)
            for (int lane = 0; lane < width; lane++)
            {
                int at = lanes * Apart + 3 + lane;
                expectedStored[at] = lane < lanes ? values[5 + lane] : -1;
                expectedKept[at] = lane < lanes ? values[5 + lane] : 0;
            }
        Assert.That(stored.ToDoubles(), Is.EqualTo(expectedStored));
        Assert.That(kept.ToDoubles(), Is.EqualTo(expectedKept), "zero, whatever was there, infinity and NaN too");
    }

    // ---- sums ----------------------------------------------------------------------------------------

    public struct TeamSums<V, M, T, G> : ITeamKernel<V, G>
        where V : unmanaged, ILane<V, M, T>
        where M : struct, IMemory<T>
        where T : unmanaged
        where G : struct, ITeam<V>
    {
        public M X, Sums, Most;

        public void Run(G team)
        {
            M x = X, sums = Sums, most = Most;
            long i = (long)team.Rank * V.Width;
            V.Store(sums, i, team.Sum(V.Load(x, i)));
            V.Store(most, i, team.Largest(V.Load(x, i)));
        }
    }

    readonly record struct TeamSumsLaunch(Tensor X, Tensor Sums, Tensor Most, int[] TeamSize) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            TeamSize[0] = on.TeamSize(256) * V.Width;
            on.RunTeams(new TeamSums<V, M, T, G> { X = on.Memory(X), Sums = on.Memory(Sums), Most = on.Memory(Most) }, rows: 1, width: 256);
        }
    }

    // Rounded in this order and no other: the numbers are chosen so that another order gives other bits.
    static double ByHalves(double[] values, DType dtype)
    {
        double[] sums = values;
        while (sums.Length > 1)
        {
            double[] level = sums;
            int half = level.Length / 2;
            sums = [.. Enumerable.Range(0, half).Select(i => level[i] + level[i + half]).Select(s => dtype == DType.Float32 ? (float)s : s)];
        }
        return sums[0];
    }

    [Test]
    public void Lanes_and_teams_sum_in_a_fixed_order([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var scope = new TensorScope();
        double[] values = [.. TestData.Uniform(256, 1).Zip(TestData.Uniform(256, 2, -9, 9), (x, e) => x * Math.Pow(2, e))];
        int[] size = new int[1];
        Tensor x = Tensor.From(values, 256, dtype, TestDevices.Open(device)), sums = Ops.Fill(x.Like(), -1), most = Ops.Fill(x.Like(), -1);
        x.Launch(new TeamSumsLaunch(x, sums, most, size));
        double[] rounded = x.ToDoubles()[..size[0]];
        Assert.That(size[0], device.StartsWith("cpu-", StringComparison.Ordinal) ? Is.EqualTo(Width(device, dtype)) : Is.GreaterThanOrEqualTo(16));
        double expected = ByHalves(rounded, dtype);
        Assert.That(sums.ToDoubles(),
            Is.EqualTo(Enumerable.Repeat(expected, size[0]).Concat(Enumerable.Repeat(-1.0, 256 - size[0]))), "in every lane of the team, and nowhere else");
        Assert.That(most.ToDoubles()[..size[0]], Has.All.EqualTo(rounded.Max()));
    }

    public struct FourSums<V, M, T> : IKernel where V : unmanaged, ILane<V, M, T> where M : struct, IMemory<T> where T : unmanaged
    {
        public M X, Sums;

        public void Run(Worker worker)
        {
            if (worker.Index == 0)
                V.StoreSums(V.Load(X, 0), V.Load(X, V.Width), V.Load(X, 2 * V.Width), V.Load(X, 3 * V.Width), Sums, 1);
        }
    }

    readonly record struct FourSumsLaunch(Tensor X, Tensor Sums, int[] Width) : ILaunch
    {
        void ILaunch.On<V, M, T, I, G>(ILauncher<V, M, T, I, G> on)
        {
            Width[0] = V.Width;
            on.Run(new FourSums<V, M, T> { X = on.Memory(X), Sums = on.Memory(Sums) }, 1);
        }
    }

    // Of 16 floats each block of 128 bits is summed first: the shuffles of the widest vectors stay within blocks.
    static double[] ByBlocks(double[] values, DType dtype) => [.. values.Chunk(4).Select(block => ByHalves(block, dtype))];

    [Test]
    public void Four_vectors_are_summed_at_once([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        using var scope = new TensorScope();
        double[] values = TestData.Uniform(64, 1);
        int[] width = new int[1];
        Tensor x = Tensor.From(values, 64, dtype, TestDevices.Open(device)), sums = Ops.Fill(x.Like(6), -7);
        x.Launch(new FourSumsLaunch(x, sums, width));
        double[] got = sums.ToDoubles();
        for (int i = 0; i < 4; i++)
            Assert.That(got[i + 1], Is.EqualTo(values.Skip(i * width[0]).Take(width[0]).Sum()).Within(dtype == DType.Float32 ? 1e-6 : 1e-14));
        if (device.StartsWith("cpu-", StringComparison.Ordinal))
            Assert.That(got[1..5], Is.EqualTo(x.ToDoubles().Chunk(width[0]).Take(4).Select(v => ByHalves(width[0] == 16 ? ByBlocks(v, dtype) : v, dtype))),
                "in one order on every processor");
        Assert.That((got[0], got[5]), Is.EqualTo((-7, -7)), "nothing beside");
    }
}
