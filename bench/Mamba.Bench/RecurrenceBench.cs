using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>The three algorithms of the linear recurrence, forward and its adjoint with all gradients, beside the time memory needs for what they read and write once.</summary>
internal static class RecurrenceBench
{
    public static void Run(Bench bench)
    {
        Table table = bench.NewTable("recurrence", "Linear recurrence", "b, l, m");
        foreach ((long b, long l, long m) in new[] { (1L, 4096L, 1024L), (8, 256, 1024), (1, 65536, 16) })
            foreach (LinearScan algorithm in Enum.GetValues<LinearScan>())
            {
                using var scope = new TensorScope();
                Tensor a = bench.Draw((b, l, m), 1, 0), x = bench.Draw((b, l, m), 2), dh = bench.Draw((b, l, m), 3), h = x.Like(), da = a.Like(), dx = x.Like();
                double bytes = (double)a.Count * bench.DType.Size();
                string[] Cells(Sample _) => [$"{b}, {l}, {m}"];
                bench.Measure(table, $"{algorithm}, l {l}", () => LinearRecurrenceKernels.Forward(algorithm, a, x, null, h), new Work(2.0 * a.Count, Bytes: 3 * bytes), Cells);
                bench.Measure(table, $"{algorithm}, l {l}, backward", () => LinearRecurrenceKernels.Backward(algorithm, a, null, h, dh, dx, da, null), new Work(3.0 * a.Count, Bytes: 5 * bytes), Cells);
            }
        bench.Add(table);
    }
}
