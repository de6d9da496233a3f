using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>
/// Generation with a model of the shape of mamba-130m: tokens a second one at a time and of a prompt. A step reads every weight
/// once, so memory bounds it, whatever the batch; a prompt is bound by arithmetic.
/// </summary>
internal static class GenerateBench
{
    const int Prompt = 512;

    public static void Run(Bench bench)
    {
        var config = new MambaConfig { DModel = 768, NLayer = 24, VocabSize = 50280 };
        using (var model = new MambaLM(config, bench.Device, seed: 1, bench.DType))
        {
            Table table = bench.NewTable("generate", $"Generation, mamba-130m's shape, {model.Parameters.ElementCount / 1e6:F1} M random weights",
                "tokens/s", "GB/s of weights", "managed a run");
            foreach (int batch in (int[])[1, 4])
                Decode(bench, table, model, batch);
            Prefill(bench, table, model);
            table.Notes.Add("A decoded token reads every weight once; reading alone is measured before and after each row, and the better taken. "
                + "The limit of a prompt is the arithmetic of its matrix products and scans.");
            bench.Add(table);
        }
        Table products = bench.NewTable("few-rows", "A few rows times the weight of the head", "GB/s of weights");
        foreach (long rows in (long[])[1, 2, 4, 8])
            Product(bench, products, rows, config.PaddedVocabSize, config.DModel);
        bench.Add(products);
    }

    static void Product(Bench bench, Table table, long m, long n, long k)
    {
        using var scope = new TensorScope();
        Tensor a = bench.Draw((m, k), 1), b = bench.Draw((n, k), 2), c = a.Like((m, n));
        double bytes = (double)n * k * bench.DType.Size();
        var problem = new MatMulProblem(a, b, c, m, n, k) { TransposeB = true };
        Reading(bench, table, $"({m}, {k}) ({n}, {k})ᵀ", () => MatMulKernels.Multiply(problem), bytes, t => [GigaBytes(bytes, t)]);
    }

    static void Decode(Bench bench, Table table, MambaLM model, int batch)
    {
        using var scope = new TensorScope();
        using MambaState state = model.NewState(batch);
        Tensor tokens = Tensor.From([.. Enumerable.Range(1, batch).Select(i => i * 1234)], batch, bench.Device);
        // all weights but an embedding that is not also the head: of that, a row
        double unread = model.Config.TieEmbeddings ? 0 : (model.Config.PaddedVocabSize - 1.0) * model.Config.DModel;
        double bytes = (model.Parameters.ElementCount - unread) * bench.DType.Size();
        Reading(bench, table, $"decode, batch {batch}", Step, bytes, t => [$"{batch * 1e3 / t.Median:F1}", GigaBytes(bytes, t), Managed(Step, 10)]);

        void Step()
        {
            using var inner = new TensorScope();
            _ = model.Step(tokens, state);
        }
    }

    static void Prefill(Bench bench, Table table, MambaLM model)
    {
        using var scope = new TensorScope();
        using MambaState state = model.NewState(1);
        Tensor tokens = Tensor.From([.. Enumerable.Range(0, Prompt).Select(i => i * 97 % model.Config.VocabSize)], (1, Prompt), bench.Device);
        bench.Measure(table, $"prefill of {Prompt}", Forward, TrainBench.ForwardWork(model.Config, head: false) * Prompt,
            t => [$"{Prompt * 1e3 / t.Median:F1}", "", Managed(Forward, 3)], repeats: 9, leastMilliseconds: 3000);

        void Forward()
        {
            using var inner = new TensorScope();
            _ = model.Forward(tokens, state, lastOnly: true);
        }
    }

    // A row bound by reading: what memory gives changes from minute to minute on a shared machine, so it is measured beside the row.
    static void Reading(Bench bench, Table table, string name, Action run, double bytes, Func<Sample, string[]> cells)
    {
        double read = Ceilings.MemoryRead(bench.Device, bench.DType).Best;
        Sample t = Timing.Measure(bench.Device, run, repeats: 30, leastMilliseconds: 1000, mostMilliseconds: 4000);
        read = Math.Max(read, Ceilings.MemoryRead(bench.Device, bench.DType).Best);
        table.Rows.Add(new Row(name, cells(t), t, bytes / read / 1e6 / t.Median, "memory read", new Work(0, 0, bytes, ReadOnly: true)));
    }

    static string GigaBytes(double bytes, Sample t) => $"{bytes / t.Median / 1e6:F1}";

    static string Managed(Action run, int times)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < times; i++)
            run();
        return $"{(GC.GetAllocatedBytesForCurrentThread() - before) / 1024.0 / times:F0} KB";
    }
}
