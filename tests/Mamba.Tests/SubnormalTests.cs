using System.Runtime.InteropServices;
using Mamba.Gpu;
using NUnit.Framework;

namespace Mamba.Tests;

/// <summary>
/// The contract of docs/subnormals.md: a subnormal input or result of a kernel may be replaced by a signed zero, nothing depends on which, and the
/// host always replaces it.
/// </summary>
public unsafe partial class SubnormalTests
{
    const int Patience = 60_000;

    /// <summary>A computation whose exact result is subnormal, or would be zero were its subnormal input.</summary>
    /// <param name="Way">How the number arises.</param>
    /// <param name="Compute">The result; the smallest normal number and an exponent e are given, 2^−e far above it but its square far below.</param>
    /// <param name="Exact">What it is with subnormal numbers.</param>
    public sealed record Case(string Way, Func<Numbers, Tensor> Compute, Func<Numbers, double> Exact)
    {
        public override string ToString() => Way;
    }

    /// <summary>Numbers of a dtype, and tensors of one of them.</summary>
    public sealed record Numbers(Device On, DType DType, int Count)
    {
        /// <summary>The smallest normal number is 2^−Bottom.</summary>
        public int Bottom => DType == DType.Float32 ? 126 : 1022;
        public double Smallest => Math.ScaleB(1, -Bottom);
        public Tensor All(double x) => Filled(Count, x);
        public Tensor Filled(Shape shape, double x) => Tensor.From([.. Enumerable.Repeat(x, (int)shape.Count)], shape, DType, On);
    }

    public static readonly Case[] Cases =
    [
        new("product", n => n.All(n.Smallest) * n.All(0.75), n => 0.75 * n.Smallest),
        new("matrix product", n => Ops.MatMul(n.Filled((5, 1), n.Smallest), n.Filled((1, 7), 0.75)), n => 0.75 * n.Smallest),
        new("fused product and sum", n => Ops.MatMul(n.Filled((5, 3), n.Smallest), n.Filled((3, 7), 0.125)), n => 0.375 * n.Smallest),
        new("sum", n => n.All(1.5 * n.Smallest) - n.All(n.Smallest), n => 0.5 * n.Smallest),
        new("load", n => n.All(0.75 * n.Smallest) * n.All(8), n => 6 * n.Smallest),
        new("load of a root", n => Ops.Sqrt(n.All(0.25 * n.Smallest)), n => 0.5 * Math.Sqrt(n.Smallest)),
        new("division", n => n.All(n.Smallest) / n.All(4), n => 0.25 * n.Smallest),
        new("a state after many decays", n => Decayed(n, null), n => Math.ScaleB(1, -n.Bottom - 4)),
        new("a state in a recurrence of stored coefficients", n => Decayed(n, ScanAlgorithm.Sequential), n => Math.ScaleB(1, -n.Bottom - 4)),
        new("AdamW's second moment", SecondMoment, n => 0.5 * n.Smallest),
    ];

    // u = 1 once, then nothing: h halves each step.
    static Tensor Decayed(Numbers n, ScanAlgorithm? algorithm)
    {
        int l = n.Bottom + 5;
        double[] u = new double[l * 3];
        u.AsSpan(0, 3).Fill(1);
        Tensor one = n.Filled((1, l, 1), 1);       // B and C
        return Ops.SelectiveScan(Tensor.From(u, (1, l, 3), n.DType, n.On), n.Filled((1, l, 3), 1), n.Filled((3, 1), -Math.Log(2)), one, one,
            deltaSoftplus: false, algorithm: algorithm).LastState;
    }

    static Tensor SecondMoment(Numbers n)
    {
        using var parameters = new ParameterSet([new Parameter("weight", n.Count)], n.DType, n.On);
        using var optimizer = new AdamW(parameters, 1e-3, beta2: 0.5, weightDecay: 0);
        var gradients = new Gradients(parameters);
        gradients.FlatOf(parameters).Part(0, n.Count).WriteRounded([.. Enumerable.Repeat(Math.Sqrt(n.Smallest), n.Count)]);
        optimizer.Step(gradients);
        Assert.That(parameters[0].Value.ToDoubles(), Has.All.LessThanOrEqualTo(0).And.All.GreaterThan(-1e-3));
        return optimizer.Moments.Last().Part(0, n.Count).Clone();
    }

    // A state that decays by e^−ln 2 has lost some ulps after a thousand steps.
    const double Rounding = 1e-4;

    [Test]
    public void The_host_computes_with_zeros_for_them([Values("cpu-128", "cpu-256", "cpu-512")] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Cases))] Case way)
    {
        using var on = (HostDevice)TestDevices.OpenAnother(device);
        foreach (int count in new[] { 1, 7, 100_003 })
        {
            using var scope = new TensorScope();
            var numbers = new Numbers(on, dtype, count);
            on.KeepSubnormals = true;
            Assert.That(way.Compute(numbers).ToDoubles(), Has.All.EqualTo(way.Exact(numbers)).Within(Rounding * way.Exact(numbers)), "kept, it is this number");
            on.KeepSubnormals = false;
            Assert.That(way.Compute(numbers).ToDoubles(), Has.All.Zero, $"{count} elements");
        }
    }

    [Test]
    public void Every_device_computes_with_them_or_with_zeros([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype, [ValueSource(nameof(Cases))] Case way)
    {
        Device on = TestDevices.Open(device);
        using var scope = new TensorScope();
        var numbers = new Numbers(on, dtype, 19);
        double exact = way.Exact(numbers);
        double[] values = way.Compute(numbers).ToDoubles();
        Assert.That(values, Has.All.Zero.Or.All.EqualTo(exact).Within(Rounding * exact));
        if (dtype == DType.Float32)
            Assert.That(values[0] != 0, Is.EqualTo(on.KeepSubnormals), "as the device says of itself");
    }

    // exp has its own way down: where the processor scales, it comes to a subnormal number; elsewhere to zero.
    [Test]
    public void Exponentials_come_to_zero_or_to_what_they_are([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [Values(DType.Float32, DType.Float64)] DType dtype)
    {
        Device on = TestDevices.Open(device);
        using var scope = new TensorScope();
        double bottom = dtype == DType.Float32 ? -87.3366 : -708.3965, end = dtype == DType.Float32 ? -103.2 : -744;
        double[] x = [.. Enumerable.Range(0, 67).Select(i => bottom + (end - bottom) * i / 66)];
        double[] exp = Tensor.From(x, x.Length, dtype, on).Exp().ToDoubles();
        // Ā alone: A = −1, Δ = −x, and a state of ones into which nothing comes
        Tensor Of(IEnumerable<double> values, Shape shape) => Tensor.From([.. values], shape, dtype, on);
        Shape row = (1, 1, x.Length);
        Tensor none = Tensor.Zeros((1, 1, 1), dtype, on), ones = Of(x.Select(_ => 1.0), (1, x.Length, 1));
        double[] alpha = Ops.SelectiveScan(Tensor.Zeros(row, dtype, on), Of(x.Select(v => -v), row), Of(x.Select(_ => -1.0), (x.Length, 1)), none, none,
            deltaSoftplus: false, initialState: ones).LastState.ToDoubles();
        foreach (double[] values in (double[][])[exp, alpha])
            for (int i = 0; i < x.Length; i++)
            {
                double exact = Math.Exp(x[i]), ulp = dtype == DType.Float32 ? 1.4e-45 : double.Epsilon;
                if (on is HostDevice)
                    Assert.That(values[i], Is.Zero, $"e^{x[i]}");
                else
                    Assert.That(values[i], Is.Zero.Or.EqualTo(exact).Within(1e-5 * exact + 2 * ulp), $"e^{x[i]}");
            }
    }

    [Test]
    public void A_function_of_one_is_that_of_it_or_of_zero([ValueSource(typeof(TestDevices), nameof(TestDevices.All))] string device,
        [ValueSource(typeof(ElementwiseTests), nameof(ElementwiseTests.Functions))] ElementwiseTests.Function function)
    {
        foreach (DType dtype in new[] { DType.Float32, DType.Float64 })
        {
            Device on = TestDevices.Open(device);
            using var scope = new TensorScope();
            var numbers = new Numbers(on, dtype, 1);
            double small = 0.75 * numbers.Smallest;
            double[] x = [small, -small, small, -small, small];
            double[] y = function.Op(Tensor.From(x, x.Length, dtype, on)).ToDoubles();
            for (int i = 0; i < x.Length; i++)
            {
                double[] mayBe = [Narrow(function.F(x[i])), function.F(0), function.F(-0.0)];
                // What only selects passes them on: a number that small is a zero to whoever reads it.
                Assert.That(mayBe.Any(v => y[i].Equals(v) || Math.Abs(y[i] - v) <= Math.Max(1e-6 * Math.Abs(v), numbers.Smallest)), Is.True,
                    $"{dtype} {function.Name}({x[i]}) = {y[i]}; expected one of {string.Join(", ", mayBe)}");
            }

            double Narrow(double v) => dtype == DType.Float32 ? (float)v : v;
        }
    }

    // ---- threads -------------------------------------------------------------------------------------------------------

    // What this thread makes of a number halved: 0, or the half.
    static float Half() => Volatile.Read(ref smallest) * 0.5f;

    static float smallest = 1.17549435e-38f;

    static void HalveShare(void* results, int index, int count) => ((float*)results)[index] = Half();

    // Ends only when all of `count` shares have begun: each on a thread of its own.
    static void HalveTogether(void* results, int index, int count)
    {
        int* begun = (int*)results + count;
        Interlocked.Increment(ref *begun);
        for (long until = System.Environment.TickCount64 + Patience / 2; Volatile.Read(ref *begun) < count && System.Environment.TickCount64 < until;)
            Thread.Sleep(0);
        HalveShare(results, index, count);
    }

    static void Fail(void* results, int index, int count) => throw new ArithmeticException(Half().ToString());

    [Test, CancelAfter(Patience)]
    public void Every_thread_flushes_or_keeps_as_the_launch_says([Values(1, 2, 5)] int threads, [Values] bool busy)
    {
        using var pool = new HostPool(threads);
        float[] halves = new float[threads + 1];
        fixed (float* results = halves)
            foreach (bool keep in new[] { false, true, true, false, true, false })
            {
                pool.KeepSubnormals = keep;
                halves.AsSpan().Fill(-1);
                *((int*)results + threads) = 0;
                if (busy)
                    pool.Run(&HalveShare, results, 1);
                else
                    pool.Run(&HalveTogether, results, threads);
                Assert.That(halves.Take(busy ? 1 : threads), Has.All.EqualTo(keep ? Half() : 0f), $"keep {keep}");
            }
    }

    [Test]
    public void The_callers_environment_is_as_it_was([Values(1, 3)] int threads,
        [Values(1, 2, 64)] int shares, [Values] bool callerFlushes, [Values] bool keep, [Values] bool fails)
    {
        using var pool = new HostPool(threads) { KeepSubnormals = keep };
        float* results = stackalloc float[64];
        Subnormals.Environment mine = Subnormals.Set(keep: !callerFlushes);
        try
        {
            if (OperatingSystem.IsLinux())
                FeClearExcept(0x3f);        // so that a flag the kernel raises is seen
            byte[] before = Environment(), after;
            if (fails)
            {
                Assert.That(Assert.Catch(() => pool.Run(&Fail, null, shares))!.GetBaseException(), Is.TypeOf<ArithmeticException>());
                after = Environment();
                Assert.That(Control(after), Is.EqualTo(Control(before)), "an exception's own way raises flags");
            }
            else
            {
                pool.Run(&HalveShare, results, shares);
                after = Environment();
                Assert.That(after, Is.EqualTo(before));
            }
            Assert.That(Half() == 0, Is.EqualTo(callerFlushes));
        }
        finally
        {
            Subnormals.Restore(mine);
        }
        Assert.That(Half(), Is.GreaterThan(0));
    }

    // The whole environment of this thread where libm tells it: on x86-64 the last word is MXCSR.
    static byte[] Environment()
    {
        byte[] bytes = new byte[32];
        if (OperatingSystem.IsLinux())
            fixed (byte* p = bytes)
                FeGetEnv(p);
        return bytes;
    }

    static byte[] Control(byte[] environment) => RuntimeInformation.ProcessArchitecture == Architecture.X64
        ? [(byte)(environment[28] & 0xc0), .. environment[29..]] : environment[..4];

    [LibraryImport("libm.so.6", EntryPoint = "fegetenv")]
    private static partial int FeGetEnv(byte* environment);

    [LibraryImport("libm.so.6", EntryPoint = "feclearexcept")]
    private static partial int FeClearExcept(int flags);

    [Test]
    public void Only_the_host_can_be_told()
    {
        using Device host = Device.Open("cpu");
        Assert.That(host.KeepSubnormals, Is.False, "every platform in CI has the switch");
        host.KeepSubnormals = true;
        Assert.That(host.KeepSubnormals, Is.True);
        Device simulator = TestDevices.Open("ilgpu-cpu");
        simulator.KeepSubnormals = true;
        Assert.That(() => simulator.KeepSubnormals = false, Throws.TypeOf<MambaException>().With.Message.EqualTo(
            "ilgpu-cpu: its float32 kernels compute with subnormal numbers; only cpu can be told what to do with them."));
    }
}
