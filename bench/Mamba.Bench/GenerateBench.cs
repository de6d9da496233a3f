using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>
/// Generation with a model of the shape of mamba-130m, or in a quick run a shallower one: tokens a second one at a time and of a prompt. A step reads
/// every weight once, so memory bounds it, whatever the batch; a prompt is bound by arithmetic.
/// </summary>
internal static class GenerateBench
{
    public static void Run(Bench bench)
    {
        Plan plan = bench.Plan;
        MambaConfig config = ConfigOf(plan);
        using (var model = new MambaLM(config, bench.Device, seed: 1, bench.DType))
        {
            string setup = Setup(config), shape = setup == Setup(Usual) ? "mamba-130m's shape" : setup;
            Table table = bench.NewTable("generate", $"Generation, {shape}, {model.Parameters.ElementCount / 1e6:F1} M random weights",
                "tokens/s", "GB/s of weights", "managed a run").Sized(setup == Setup(Usual) ? null : setup);
            foreach (int batch in plan.Batch is { } given ? (int[])[given] : plan.Choose("generate, batches", [1, 4], b => $"{b}", b => b == 1))
                Decode(bench, table, model, batch);
            Prefill(bench, table, model, plan.Length ?? (plan.Slow && plan.Quick ? 64 : 512));
            table.Notes.Add("A decoded token reads every weight once; reading alone is measured before and after each row, and the better taken. "
                + "The limit of a prompt is the arithmetic of its matrix products and scans.");
            bench.Add(table);
        }
        Table products = bench.NewTable("few-rows", "A few rows times the weight of the head", "GB/s of weights");
        int[] rowCounts = [1, 2, 4, 8];
        foreach (int rows in plan.Batch is { } only ? (int[])[only] : plan.Choose("few rows", rowCounts, m => $"{m}", m => m == 1 || (m == 4 && !plan.Slow)))
            Product(bench, products, rows, config.PaddedVocabSize, config.DModel);
        bench.Add(products);
    }

    static readonly MambaConfig Usual = new() { DModel = 768, NLayer = 24, VocabSize = 50280 };

    /// <summary>The model whose tokens are measured: in a quick run four layers and fewer words, on a slow device narrow ones.</summary>
    public static MambaConfig ConfigOf(Plan plan)
    {
        MambaConfig config = !plan.Quick ? Usual
            : plan.Slow ? Usual with { DModel = 256, NLayer = 4, VocabSize = 256 }
            : Usual with { NLayer = 4, VocabSize = 8192 };
        return config with { DModel = plan.Width ?? config.DModel, SsmCfg = config.SsmCfg with { DState = plan.States ?? config.SsmCfg.DState } };
    }

    /// <summary>What tells it from others.</summary>
    public static string Setup(MambaConfig c) => $"d_model {c.DModel} × {c.NLayer}, vocabulary {c.VocabSize}{Size.States(c.SsmCfg.DState)}";

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
        Tensor tokens = Tensor.From([.. Enumerable.Range(1, batch).Select(i => (int)(i * 1234L % model.Config.VocabSize))], batch, bench.Device);
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

    static void Prefill(Bench bench, Table table, MambaLM model, int prompt)
    {
        using var scope = new TensorScope();
        using MambaState state = model.NewState(1);
        Tensor tokens = Tensor.From([.. Enumerable.Range(0, prompt).Select(i => (int)(i * 97L % model.Config.VocabSize))], (1, prompt), bench.Device);
        bench.Measure(table, $"prefill of {prompt}", Forward, TrainBench.ForwardWork(model.Config, head: false) * prompt,
            t => [$"{prompt * 1e3 / t.Median:F1}", "", Managed(Forward, 3)], repeats: 9, leastMilliseconds: 3000);

        void Forward()
        {
            using var inner = new TensorScope();
            _ = model.Forward(tokens, state, lastOnly: true);
        }
    }

    // A row bound by reading: what memory gives changes from minute to minute on a shared machine, so it is measured beside the row.
    static void Reading(Bench bench, Table table, string name, Action run, double bytes, Func<Sample, string[]> cells)
    {
        long array = (long)Math.Clamp(bytes, 1 << 20, 256 << 20);       // weights that a cache holds are held against the cache
        double read = Ceilings.MemoryRead(bench, array).Best;
        Sample t = bench.Time(run, repeats: 30, leastMilliseconds: 1000, mostMilliseconds: 4000);
        read = Math.Max(read, Ceilings.MemoryRead(bench, array).Best);
        var work = new Work(0, 0, bytes, ReadOnly: true);
        table.Rows.Add(new Row(name, cells(t), t, bytes / read / 1e6 / t.Median, $"reading at {Sample.Number(read)} GB/s", work));
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
