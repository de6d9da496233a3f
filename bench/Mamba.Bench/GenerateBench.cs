using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>
/// Generation with a model of the shape of mamba-130m: tokens a second one at a time and of a prompt. A step reads every weight
/// once, so memory bounds it, whatever the batch; a prompt is bound by arithmetic.
/// </summary>
internal static class GenerateBench
{
    const int Prompt = 512;

    public static void Run(Device device, Ceilings ceilings)
    {
        var config = new MambaConfig { DModel = 768, NLayer = 24, VocabSize = 50280 };
        using var model = new MambaLM(config, device, seed: 1);
        double bytes = WeightBytes(model);
        Console.WriteLine($"\ngeneration float32, d {config.DModel} × {config.NLayer}, vocabulary {config.VocabSize:N0}, {model.Parameters.ElementCount / 1e6:F1} M weights, {bytes / 1e6:F1} MB of them read for a token");
        Console.WriteLine("                    tokens/s   ms: median (best, 9 in 10)       runs      GB/s   of reading alone   managed KB");
        foreach (int batch in (int[])[1, 4])
            Decode(device, model, batch, bytes);
        Prefill(device, model, ceilings);
        Console.WriteLine("\na few rows times the weight of the head                   ms (best)      GB/s (best)   of reading alone (best)");
        foreach (long rows in (long[])[1, 2, 4, 8])
            Product(device, rows, config.PaddedVocabSize, config.DModel);
    }

    static void Product(Device device, long m, long n, long k)
    {
        using var scope = new TensorScope();
        Tensor a = Tensor.Zeros((m, k), DType.Float32, device), b = Tensor.Zeros((n, k), DType.Float32, device), c = Tensor.Zeros((m, n), DType.Float32, device);
        double read = Ceilings.MemoryRead(device), gigabytes = 4.0 * n * k / 1e6;
        Timing t = Timing.Measure(device, () => MatMulKernels.Multiply(new MatMulProblem(a, b, c, m, n, k) { TransposeB = true }), repeats: 30);
        read = Math.Max(read, Ceilings.MemoryRead(device));
        Console.WriteLine($"  {m} × {n} × {k}                      {t.Median,15:F2} ({t.Best,5:F2}) {gigabytes / t.Median,9:F1} ({gigabytes / t.Best,4:F1})   {gigabytes / t.Median / read,12:P0} ({gigabytes / t.Best / read:P0})");
    }

    static void Decode(Device device, MambaLM model, int batch, double bytes)
    {
        using var scope = new TensorScope();
        using MambaState state = model.NewState(batch);
        Tensor tokens = Tensor.From([.. Enumerable.Range(1, batch).Select(i => i * 1234)], batch, device);
        double read = Ceilings.MemoryRead(device);
        Timing t = Timing.Measure(device, Step, repeats: 30, leastMilliseconds: 3000);
        read = Math.Max(read, Ceilings.MemoryRead(device));
        double rate = bytes / t.Median / 1e6;
        Console.WriteLine($"  decode, batch {batch}  {batch * 1e3 / t.Median,9:F1}  {Times(t)} {rate,9:F1}   {rate / read,7:P0} of {read,4:F1}   {Managed(Step, 10),10:F1}");

        void Step()
        {
            using var inner = new TensorScope();
            _ = model.Step(tokens, state);
        }
    }

    static void Prefill(Device device, MambaLM model, Ceilings ceilings)
    {
        using var scope = new TensorScope();
        using MambaState state = model.NewState(1);
        Tensor tokens = Tensor.From([.. Enumerable.Range(0, Prompt).Select(i => i * 97 % model.Config.VocabSize)], (1, Prompt), device);
        Timing t = Timing.Measure(device, Forward, repeats: 9, leastMilliseconds: 3000);
        double floor = TrainBench.ForwardMilliseconds(model.Config, ceilings, Prompt, lastOnly: true);
        Console.WriteLine($"  prefill of {Prompt}   {Prompt * 1e3 / t.Median,9:F1}  {Times(t)}             {floor / t.Median,7:P0} of the floor   {Managed(Forward, 3),6:F1}");

        void Forward()
        {
            using var inner = new TensorScope();
            _ = model.Forward(tokens, state, lastOnly: true);
        }
    }

    // All weights but an embedding that is not also the head: of that, a row.
    static double WeightBytes(MambaLM model) =>
        (model.Parameters.ElementCount - (model.Config.TieEmbeddings ? 0 : (model.Config.PaddedVocabSize - 1.0) * model.Config.DModel)) * sizeof(float);

    static string Times(Timing t) => $"{t.Median,7:F1} ({t.Best,6:F1}, {t.Slow,6:F1}) {t.Count,14}";

    static double Managed(Action run, int times)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < times; i++)
            run();
        return (GC.GetAllocatedBytesForCurrentThread() - before) / 1024.0 / times;
    }
}
