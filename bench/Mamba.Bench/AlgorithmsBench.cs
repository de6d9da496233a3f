namespace Mamba.Bench;

/// <summary>Every scan algorithm side by side: what it states it costs, its time forward and with all gradients, and its error.</summary>
internal static class AlgorithmsBench
{
    const long B = 2, L = 256, D = 64, N = 16;

    public static void Run(Bench bench)
    {
        Table table = bench.NewTable("algorithms", $"Scan algorithms, b {B}, l {L}, d {D}, n {N}", "work", "depth", "memory", "error of y", "of the gradients");
        DType widest = bench.Device.SupportsFloat64 ? DType.Float64 : bench.DType;
        double[][] exact = Evaluate(bench.Device, ScanAlgorithm.Reference, widest);
        foreach (ScanAlgorithm algorithm in ScanAlgorithm.All)
        {
            ScanCost cost = algorithm.Cost(B, L, D, N);
            double[][] got = Evaluate(bench.Device, algorithm, bench.DType);
            string[] cells = [$"{cost.Work / 1e6:F1} M", $"{cost.Depth:N0}", $"{cost.Elements * bench.DType.Size() / 1e6:F1} MB",
                $"{Error(got, exact, 0, 1):E1}", $"{Error(got, exact, 1, exact.Length):E1}"];
            using var scope = new TensorScope();
            Tensor[] x = Inputs(bench.Device, bench.DType);
            bench.Measure(table, algorithm.Name, () =>
            {
                using var inner = new TensorScope();
                Apply(x, algorithm);
            }, ScanBench.ForwardWork(B, L, D, N, bench.DType), _ => cells, repeats: 5);
            bench.Measure(table, algorithm.Name + ", with gradients", () => WithGradients(x, algorithm),
                ScanBench.BothWork(B, L, D, N, bench.DType), repeats: 5);
        }
        table.Notes.Add("Work in updates of a state, memory stored beside inputs and outputs, the largest error relative to the largest value in float64. "
            + "All are held against what the problem needs at least.");
        bench.Add(table);
    }

    static Tensor[] Inputs(Device device, DType dtype)
    {
        Tensor Draw(Shape shape, ulong seed, double low = -1, double high = 1)
        {
            Tensor x = Ops.Uniform(shape, DType.Float32, device, seed, low: low, high: high);       // the same numbers in both dtypes
            return Tape.Watch(dtype == DType.Float32 ? x : Tensor.From(x.ToDoubles(), shape, dtype, device));
        }
        return [Draw((B, L, D), 1), Draw((B, L, D), 2, -4), Draw((D, N), 3, -16, -1), Draw((B, L, N), 4),
            Draw((B, L, N), 5), Draw(D, 6), Draw((B, L, D), 7), Draw(D, 8)];
    }

    static Tensor Apply(Tensor[] x, ScanAlgorithm algorithm) => Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], algorithm: algorithm).Y;

    static double[][] WithGradients(Tensor[] x, ScanAlgorithm algorithm, bool read = false)
    {
        using var tape = new Tape();
        Tensor y = Apply(x, algorithm);
        Gradients gradients = tape.Backward(Ops.Sum(y * y));
        return read ? [y.ToDoubles(), .. x.Select(t => gradients[t].ToDoubles())] : [];
    }

    static double[][] Evaluate(Device device, ScanAlgorithm algorithm, DType dtype)
    {
        using var scope = new TensorScope();
        return WithGradients(Inputs(device, dtype), algorithm, read: true);
    }

    static double Error(double[][] actual, double[][] exact, int from, int to) =>
        Enumerable.Range(from, to - from).Max(i => actual[i].Zip(exact[i], (a, e) => Math.Abs(a - e)).Max() / exact[i].Max(Math.Abs));
}
