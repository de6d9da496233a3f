using System.Globalization;
using Mamba.Gpu;

namespace Mamba.Checks;

/// <summary>
/// Runs cases, forward and backward, on a device and compares with the host in float64, which works with the same numbers. Memory is guarded
/// meanwhile: a write outside a tensor, an element left unwritten, and a value made from memory nobody wrote (it is NaN) are errors.
/// </summary>
public static class Parity
{
    const int Runs = 3;
    const double Floor = 1e-2;

    /// <summary>What a case gives.</summary>
    sealed record Values(string[] Names, Shape[] Shapes, DType[] DTypes, double[][] Numbers, long[] Unwritten);

    /// <summary>Runs cases in float32, and in float64 where there is one, in order; on the host several at a time, each on one core.</summary>
    /// <param name="cases">What to run.</param>
    /// <param name="device">Name of the device.</param>
    /// <param name="trace">A file that always holds the name of the kernel launched last.</param>
    public static IEnumerable<ParityResult> Run(IReadOnlyList<OpCase> cases, string device, string? trace = null)
    {
        if (!device.StartsWith("cpu", StringComparison.Ordinal))
        {
            using var one = new Bench(device, 0, trace);
            foreach (OpCase c in For(cases, device))
                foreach (ParityResult result in one.Run(c))
                    yield return result;
            yield break;
        }
        using var benches = new ThreadLocal<Bench>(() => new Bench(device, 1, null), trackAllValues: true);
        try
        {
            foreach (ParityResult[] results in cases.AsParallel().AsOrdered().WithMergeOptions(ParallelMergeOptions.NotBuffered).Select(c =>
                benches.Value!.Run(c).ToArray()))
                foreach (ParityResult result in results)
                    yield return result;
        }
        finally
        {
            foreach (Bench bench in benches.Values)
                bench.Dispose();
        }
    }

    /// <summary>The cases that fit a device: the simulator gets small ones.</summary>
    public static IReadOnlyList<OpCase> For(IReadOnlyList<OpCase> cases, string device) => device == "ilgpu-cpu" ? [.. cases.Where(c => c.Small)] : cases;

    /// <summary>How many results a case has on a device: one for each dtype.</summary>
    public static int DTypes(Device device) => device.SupportsFloat64 ? 2 : 1;

    /// <summary>A device under test, and the host to compare with.</summary>
    sealed class Bench : IDisposable
    {
        readonly string name;
        readonly ComputeDevice device;
        readonly HostDevice host = new(threads: 1, bits: 128);
        readonly KernelWatch hostWatch;
        readonly string? trace;

        public Bench(string name, int threads, string? trace)
        {
            (this.name, this.trace) = (name, trace);
            hostWatch = new KernelWatch(host) { EachLaunch = false };
            device = (ComputeDevice)CheckDevices.Open(name, threads);
        }

        public IEnumerable<ParityResult> Run(OpCase c)
        {
            Values? expected = null;
            foreach (DType dtype in device.SupportsFloat64 ? [DType.Float32, DType.Float64] : new[] { DType.Float32 })
            {
                using var watch = new KernelWatch(device, trace) { EachLaunch = false };
                ParityResult Result(ParityOutput[] outputs, bool repeatable, string? failure = null) =>
                    new(c.Op, c.Variant, name, dtype.Name(), outputs, repeatable, [.. watch.Kernels.Order(StringComparer.Ordinal)], failure);
                ParityResult result;
                try
                {
                    expected = c.OwnValues ? Evaluate(c, host, dtype) : expected ?? Evaluate(c, host, DType.Float64);
                    hostWatch.Check();
                    Values[] runs = [.. Enumerable.Range(0, Runs).Select(_ => Evaluate(c, device, dtype))];
                    watch.Check();
                    double tolerance = dtype == DType.Float64 ? c.Float64Tolerance : c.Float32Tolerance;
                    double floor = Floor * expected.Numbers.SelectMany(x => x).Select(Math.Abs).Where(double.IsFinite).DefaultIfEmpty().Max();
                    result = Result([.. runs[0].Names.Select((n, i) => Compare(runs[0], expected, i, floor, tolerance, dtype))],
                        runs.All(run => run.Numbers.Zip(runs[0].Numbers).All(p => SameBits(p.First, p.Second))));
                }
                catch (Exception e) when (e is not OutOfMemoryException)
                {
                    result = Result([], true, Failure(c, dtype, watch) ?? e.Message.ReplaceLineEndings(" "));
                }
                yield return result;
            }
        }

        // Once more, with a look at memory after each launch: which kernel was it?
        string? Failure(OpCase c, DType dtype, KernelWatch watch)
        {
            try
            {
                watch.EachLaunch = true;
                Evaluate(c, device, dtype);
                return null;
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                return e.Message.ReplaceLineEndings(" ");
            }
        }

        static ParityOutput Compare(Values actual, Values expected, int i, double floor, double tolerance, DType dtype)
        {
            var d = Difference.Between(actual.Names[i], actual.Shapes[i], actual.Numbers[i], expected.Numbers[i], tolerance, dtype);
            double largest = expected.Numbers[i].Select(Math.Abs).Where(double.IsFinite).DefaultIfEmpty().Max();
            double relative = d.Relative == 0 ? 0 : Math.Abs(d.Actual - d.Expected) / Math.Max(largest, floor);
            return new ParityOutput(d.Name, actual.Shapes[i].ToArray(), double.IsNaN(relative) ? double.PositiveInfinity : relative, d.Ulps, tolerance,
                d.Index, d.Actual, d.Expected, actual.Unwritten[i])
            { Bits = Digest(actual.Numbers[i], actual.DTypes[i]) };
        }

        static bool SameBits(double[] a, double[] b) =>
            a.Length == b.Length && a.Zip(b).All(p => BitConverter.DoubleToInt64Bits(p.First) == BitConverter.DoubleToInt64Bits(p.Second));

        // FNV-1a. Processors differ in the sign and the rest of the NaN they make, which nothing here depends on: one stands for all.
        static string Digest(double[] numbers, DType dtype)
        {
            ulong hash = 0xcbf29ce484222325;
            foreach (double x in numbers)
            {
                ulong bits = dtype switch
                {
                    DType.Float64 => double.IsNaN(x) ? 0x7ff8000000000000 : BitConverter.DoubleToUInt64Bits(x),
                    DType.Float32 => double.IsNaN(x) ? 0x7fc00000 : BitConverter.SingleToUInt32Bits((float)x),
                    _ => (uint)(int)x,
                };
                for (int i = 0; i < dtype.Size(); i++, bits >>= 8)
                    hash = (hash ^ (byte)bits) * 0x100000001b3;
            }
            return hash.ToString("x16", CultureInfo.InvariantCulture);
        }

        static Values Evaluate(OpCase c, Device on, DType dtype)
        {
            using var tape = new Tape();
            using OpenCase open = c.Open(on, dtype, rounded: true);
            Tensor[] outputs = open.Function();
            (string Name, Tensor Value)[] all = [.. outputs.Select((y, i) => ($"output {i}", y))];
            if (c.Differentiable)
            {
                Gradients gradients = tape.Backward(GradCheck.Seeds(outputs));
                all = [.. all, .. open.Inputs.Where(x => gradients.Contains(x.Value)).Select(x => ($"gradient of {x.Name}", gradients[x.Value]))];
            }
            return new Values([.. all.Select(x => x.Name)], [.. all.Select(x => x.Value.Shape)], [.. all.Select(x => x.Value.DType)],
                [.. all.Select(x => x.Value.ToDoubles())], [.. all.Select(x => MemoryGuard.Unwritten(x.Value))]);
        }

        public void Dispose()
        {
            device.Dispose();
            hostWatch.Dispose();
            host.Dispose();
        }
    }
}
