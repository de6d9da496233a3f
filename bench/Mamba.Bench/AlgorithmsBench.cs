namespace Mamba.Bench;

/// <summary>Every scan algorithm side by side: what it states it costs, its time forward and with all gradients, and its error.</summary>
internal static class AlgorithmsBench
{
    static readonly Size Usual = new(2, 256, 64);

    public static void Run(Bench bench)
    {
        Plan plan = bench.Plan;
        Size size = plan.Of(Usual);
        string setup = $"b {size.B}, l {size.L}, d {size.D}, n {size.N}";
        Table table = bench.NewTable("algorithms", $"Scan algorithms, {setup}", "work", "depth", "memory", "error of y", "of the gradients")
            .Sized(size == Usual ? null : setup);
        using Device host = Device.Open("cpu");
        double[][] exact = Evaluate(host, ScanAlgorithm.Reference, DType.Float64, size);
        bool Quickly(ScanAlgorithm a) => plan.Slow ? a == ScanAlgorithm.Sequential || a == ScanAlgorithm.Chunked : a != ScanAlgorithm.Attention;
        foreach (ScanAlgorithm algorithm in plan.Choose("algorithms", ScanAlgorithm.All, a => a.Name, Quickly))
        {
            ScanCost cost = algorithm.Cost(size.B, size.L, size.D, size.N);
            double[][] got = Evaluate(bench.Device, algorithm, bench.DType, size);
            string[] cells = [$"{cost.Work / 1e6:F1} M", $"{cost.Depth:N0}", $"{cost.Elements * bench.DType.Size() / 1e6:F1} MB",
                $"{Error(got, exact, 0, 1):E1}", $"{Error(got, exact, 1, exact.Length):E1}"];
            using var scope = new TensorScope();
            Tensor[] x = Inputs(bench.Device, bench.DType, size);
            bench.Measure(table, algorithm.Name, () =>
            {
                using var inner = new TensorScope();
                Apply(x, algorithm);
            }, ScanBench.ForwardWork(size, bench.DType), _ => cells, repeats: 5);
            bench.Measure(table, algorithm.Name + ", with gradients", () => WithGradients(x, algorithm),
                ScanBench.BothWork(size, bench.DType), repeats: 5);
        }
        table.Notes.Add("Work in updates of a state, memory stored beside inputs and outputs, the largest error relative to the largest value in float64 "
            + "on the host. All are held against what the problem needs at least.");
        bench.Add(table);
    }

    static Tensor[] Inputs(Device device, DType dtype, Size size)
    {
        (long b, long l, long d, long n) = size;
        Tensor Draw(Shape shape, ulong seed, double low = -1, double high = 1)
        {
            Tensor x = Ops.Uniform(shape, DType.Float32, device, seed, low: low, high: high);       // the same numbers in both dtypes
            return Tape.Watch(dtype == DType.Float32 ? x : Tensor.From(x.ToDoubles(), shape, dtype, device));
        }
        return [Draw((b, l, d), 1), Draw((b, l, d), 2, -4), Draw((d, n), 3, -16, -1), Draw((b, l, n), 4),
            Draw((b, l, n), 5), Draw(d, 6), Draw((b, l, d), 7), Draw(d, 8)];
    }

    static Tensor Apply(Tensor[] x, ScanAlgorithm algorithm) => Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], algorithm: algorithm).Y;

    static double[][] WithGradients(Tensor[] x, ScanAlgorithm algorithm, bool read = false)
    {
        using var tape = new Tape();
        Tensor y = Apply(x, algorithm);
        Gradients gradients = tape.Backward(Ops.Sum(y * y));
        return read ? [y.ToDoubles(), .. x.Select(t => gradients[t].ToDoubles())] : [];
    }

    static double[][] Evaluate(Device device, ScanAlgorithm algorithm, DType dtype, Size size)
    {
        using var scope = new TensorScope();
        return WithGradients(Inputs(device, dtype, size), algorithm, read: true);
    }

    static double Error(double[][] actual, double[][] exact, int from, int to) =>
        Enumerable.Range(from, to - from).Max(i => actual[i].Zip(exact[i], (a, e) => Math.Abs(a - e)).Max() / exact[i].Max(Math.Abs));
}
