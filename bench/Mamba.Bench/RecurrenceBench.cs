using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>
/// The three algorithms of the linear recurrence, forward and its adjoint with all gradients, each beside the time memory needs
/// for what it must itself move.
/// </summary>
internal static class RecurrenceBench
{
    public static void Run(Bench bench)
    {
        Table table = bench.NewTable("recurrence", "Linear recurrence", "b, l, m", "MB moved", "GB/s");
        Size[] all = [new(8, 256, 1024), new(1, 4096, 1024), new(1, 65536, 16)];
        IReadOnlyList<Size> sizes = bench.Plan.Sizes("recurrence", all, size => size == all[0]);
        if (bench.Plan.Sized)
            table = table.Sized($"b {sizes[0].B}, m {sizes[0].D}");
        IReadOnlyList<LinearScan> algorithms = bench.Plan.Choose("forms of it", Enum.GetValues<LinearScan>(), a => $"{a}",
            a => a != LinearScan.KoggeStone || !bench.Plan.Slow);
        foreach ((long b, long l, long m, _) in sizes)
            foreach (LinearScan algorithm in algorithms)
            {
                using var scope = new TensorScope();
                Tensor a = bench.Draw((b, l, m), 1, 0), x = bench.Draw((b, l, m), 2), dh = bench.Draw((b, l, m), 3), h = x.Like(), da = a.Like(), dx = x.Like();
                double walk = Moved(algorithm, l) * b * m * bench.DType.Size(), gradients = 3.0 * a.Count * bench.DType.Size();        // dh and h to da
                Row($"{algorithm}, l {l}", walk, 2, () => LinearRecurrenceKernels.Forward(algorithm, a, x, initial: null, reset: null, h));
                Row($"{algorithm}, l {l}, backward", walk + gradients, 3,
                    () => LinearRecurrenceKernels.Backward(algorithm, a, initial: null, reset: null, h, dh, dx, da, null));

                void Row(string name, double bytes, double flops, Action run)
                {
                    var work = new Work(flops * a.Count, Bytes: bytes, AtOnce: Math.Min(bytes, 4.0 * a.Count * bench.DType.Size()));
                    bench.Measure(table, name, run, work, t => [$"{b}, {l}, {m}", Sample.Number(bytes / 1e6), Sample.Number(bytes / t.Median / 1e6)]);
                }
            }
        table.Notes.Add("Bytes are those that an algorithm reads and writes, level by level: Sequential 3 elements for each of a, "
            + "Blelloch some 12, Kogge-Stone up to 4 in each of log2 l passes.");
        bench.Add(table);
    }

    /// <summary>Elements of a channel that are read and written.</summary>
    static double Moved(LinearScan algorithm, long l)
    {
        double moved = 0;
        switch (algorithm)
        {
            case LinearScan.KoggeStone:
                for (long distance = 1; distance < l; distance *= 2)
                    // x in and out, a in where there is one to join, and out where there is another to come
                    moved += 2 * l + (l - distance) + Math.Max(0, l - 2 * distance);
                return moved;
            case LinearScan.Blelloch:
                for (long distance = 1; 2 * distance < l; distance *= 2)
                    moved += 6.0 * (l / (2 * distance));                                   // up: two steps in and one out
                for (long distance = 2; distance < l; distance *= 2)
                    moved += 5.0 * ((l + distance - 1) / (2 * distance));                  // down: a state and a step in, two states out
                return moved + 3.5 * l;             // the leaves: a state for two steps, the steps, and the states after them
            default:
                return 3.0 * l;
        }
    }
}
