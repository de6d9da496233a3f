namespace Mamba.Bench;

/// <summary>Every scan algorithm side by side: what it states it costs, its time forward and with all gradients, and its error in float32.</summary>
internal static class AlgorithmsBench
{
    public static void Run(Device device)
    {
        const long B = 2, L = 256, D = 64, N = 16;
        double[][] exact = Evaluate(device, ScanAlgorithm.Reference, DType.Float64);
        Console.WriteLine($"""

            scan algorithms, float32, b {B}, l {L}, d {D}, n {N}: work in updates of a state, memory stored beside inputs and outputs, largest error relative to float64's largest value
              algorithm        work   depth    memory      forward     + gradients   error of y   of the gradients
            """);
        foreach (ScanAlgorithm algorithm in ScanAlgorithm.All)
        {
            ScanCost cost = algorithm.Cost(B, L, D, N);
            double[][] got = Evaluate(device, algorithm, DType.Float32);
            Timing forward, both;
            using (var scope = new TensorScope())
            {
                Tensor[] x = Inputs(device, DType.Float32);
                forward = Timing.Measure(device, () =>
                {
                    using var inner = new TensorScope();
                    Apply(x, algorithm);
                }, repeats: 5);
                both = Timing.Measure(device, () => WithGradients(x, algorithm), repeats: 5);
            }
            Console.WriteLine($"  {algorithm,-12} {cost.Work / 1e6,6:F1} M {cost.Depth,6:N0} {cost.Elements * sizeof(float) / 1e6,7:F1} MB {forward.Median,9:F2} ms {both.Median,11:F2} ms {Error(got, exact, 0, 1),12:E1} {Error(got, exact, 1, exact.Length),14:E1}");
        }

        static Tensor[] Inputs(Device device, DType dtype)
        {
            Tensor Draw(Shape shape, ulong seed, double low = -1, double high = 1)
            {
                Tensor x = Ops.Uniform(shape, DType.Float32, device, seed, low: low, high: high);       // the same numbers in both dtypes
                return Tape.Watch(dtype == DType.Float32 ? x : Tensor.From(x.ToDoubles(), shape, dtype, device));
            }
            return [Draw((B, L, D), 1), Draw((B, L, D), 2, -4), Draw((D, N), 3, -16, -1), Draw((B, L, N), 4), Draw((B, L, N), 5), Draw(D, 6), Draw((B, L, D), 7), Draw(D, 8)];
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
}
