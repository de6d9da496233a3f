namespace Mamba.Bench;

/// <summary>Time and memory against length, as the left of the paper's Figure 8, and throughput against batch, as its right.</summary>
internal static class ScalingBench
{
    const long D = 64, N = 16;
    const double MostMilliseconds = 2500;

    public static void Run(Bench bench)
    {
        _ = bench.Ceilings;
        var passes = new[] { (Name: "forward", Back: false), (Name: "with gradients", Back: true) };
        var all = new List<(bool Back, Series Time, Series Memory)>();
        Table table = bench.NewTable("scaling", $"Scaling with length, b 1, d {D}, n {N}", "peak memory");
        foreach ((string pass, bool back) in passes)
            foreach ((string name, Func<long, Problem> make) in Forms(bench))
                all.Add(Measure(bench, table, name, pass, back, make));

        foreach ((string pass, bool back) in passes)
        {
            Series[] times = [.. all.Where(a => a.Back == back).Select(a => a.Time)], memories = [.. all.Where(a => a.Back == back).Select(a => a.Memory)];
            foreach (Series other in times.Skip(1))
                table.Notes.Add($"{pass}: {Passes(times[0], other)}; growth {Growth(times[0])} and {Growth(other)}.");
            string tag = back ? "gradients" : "forward";
            Figures.LogLog(bench.FileFor(table, $"scaling-time-{tag}", "png"), $"time {pass}, b 1, d {D}, n {N}, {bench.Device.Name}", "length", "ms", times);
            Figures.LogLog(bench.FileFor(table, $"scaling-memory-{tag}", "png"), $"peak memory {pass}, b 1, d {D}, n {N}, {bench.Device.Name}",
                "length", "MB", memories);
        }
        table.Notes.Add($"A series ends where its next length would take more than {MostMilliseconds / 1e3:0.#} s or {bench.MemoryLimit / 1e9:F1} GB. "
            + "Memory is the pool's peak, inputs included. A scan in any form is held against what the scan needs at least.");
        bench.Add(table);
        Batches(bench);
    }

    static string Growth(Series s) => s.Exponent is { } e ? $"l^{e:F2}" : "unknown";

    static string Passes(Series fused, Series other) => Series.Crossing(fused, other) is not { } at
        ? $"the {fused.Name} did not pass {other.Name} where both were measured"
        : at <= fused.Points[0].X ? $"the {fused.Name} is faster than {other.Name} from the shortest length on"
        : $"the {fused.Name} passes {other.Name} at length {at:N0}";

    /// <summary>What is run at one length.</summary>
    sealed record Problem(Tensor[] Inputs, Func<Tensor> Apply, Work Forward, Work Both);

    static IEnumerable<(string Name, Func<long, Problem> Make)> Forms(Bench bench)
    {
        yield return ("fused scan", l => Scan(l, ScanAlgorithm.Chunked));
        yield return ("scan with its states stored", l => Scan(l, ScanAlgorithm.Sequential));
        yield return ("scan as a quadratic form", l => Scan(l, ScanAlgorithm.Attention));
        yield return ("softmax attention", Attention);

        Problem Attention(long l)
        {
            Tensor[] x = [bench.Draw((1, l, D), 1), bench.Draw((1, l, D), 2), bench.Draw((1, l, D), 3)];
            Tensor mask = CausalAttention.Mask(l, bench.DType, bench.Device);
            // two products of which half is needed, and five more back; q, k, v, y and their gradients
            var forward = new Work(2.0 * l * l * D, l * l / 2.0, 4.0 * l * D * bench.DType.Size());
            Work both = forward + new Work(5.0 * l * l * D, 0, 8.0 * l * D * bench.DType.Size());
            return new Problem(x, () => CausalAttention.Apply(x[0], x[1], x[2], mask), forward, both);
        }

        Problem Scan(long l, ScanAlgorithm algorithm)
        {
            Tensor[] x = [bench.Draw((1, l, D), 1), bench.Draw((1, l, D), 2, -4), bench.Draw((D, N), 3, -16, -1), bench.Draw((1, l, N), 4),
                bench.Draw((1, l, N), 5), bench.Draw(D, 6), bench.Draw((1, l, D), 7)];
            return new Problem(x, () => Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], x[5], x[6], algorithm: algorithm).Y,
                ScanBench.ForwardWork(1, l, D, N, bench.DType), ScanBench.BothWork(1, l, D, N, bench.DType));
        }
    }

    static (bool, Series, Series) Measure(Bench bench, Table table, string name, string pass, bool back, Func<long, Problem> make)
    {
        List<(double, double)> times = [], memories = [];
        (double Time, double Memory)? last = null;
        (double time, double memory) growth = (4, 4);
        for (long l = 1 << 6; l <= 1 << 20; l *= 2)       // the paper starts at 2⁹; a quadratic form ends there
        {
            if (last is { } sure && (sure.Time * growth.time > MostMilliseconds || sure.Memory * growth.memory > bench.MemoryLimit))
                break;
            long before = bench.Device.Memory.LiveBytes;
            bench.Device.Memory.ResetPeak();
            Sample t;
            Work work;
            using (var scope = new TensorScope())
            {
                Problem problem = make(l);
                work = back ? problem.Both : problem.Forward;
                if (back)
                    foreach (Tensor x in problem.Inputs)
                        Tape.Watch(x);
                Tensor dy = bench.Draw((1, l, D), 9);
                t = Timing.Measure(bench.Device, () =>
                {
                    if (!back)
                    {
                        using var inner = new TensorScope();
                        problem.Apply();
                        return;
                    }
                    using var tape = new Tape();
                    tape.Backward([(problem.Apply(), dy)]);
                }, repeats: 7, leastMilliseconds: 20, mostMilliseconds: 700);
            }
            long peak = bench.Device.Memory.PeakBytes - before;
            bench.Device.Memory.Trim();
            table.Rows.Add(bench.RowOf($"{name}, {pass}, l {l}", t, work, [$"{Sample.Number(peak / 1e6)} MB"]));
            times.Add((l, t.Median));
            memories.Add((l, peak / 1e6));
            if (last is { } previous)
                growth = (Math.Max(1.5, t.Best / previous.Time), Math.Max(1.5, peak / previous.Memory));
            last = (t.Best, peak);
        }
        return (back, new Series(name, times), new Series(name, memories));
    }

    static void Batches(Bench bench)
    {
        var config = new MambaConfig { DModel = 256, NLayer = 4, VocabSize = 256 };
        Table table = bench.NewTable("batches", $"Throughput against batch, d_model {config.DModel} × {config.NLayer}", "ms");
        List<(double, double)> decoding = [], training = [];
        const int Length = 128;
        using (var model = new MambaLM(config, bench.Device, seed: 1, bench.DType))
            for (int batch = 1; batch <= 128; batch *= 2)
            {
                using var scope = new TensorScope();
                using MambaState state = model.NewState(batch);
                Tensor tokens = Tensor.From([.. Enumerable.Range(0, batch).Select(i => i * 31 % config.VocabSize)], batch, bench.Device);
                Sample t = Timing.Measure(bench.Device, () =>
                {
                    using var inner = new TensorScope();
                    model.Step(tokens, state);
                }, repeats: 30, leastMilliseconds: 200, mostMilliseconds: 1000);
                var reading = new Work(Bytes: (double)model.Parameters.ElementCount * bench.DType.Size(), Launches: 0, ReadOnly: true);
                Add($"one token each, batch {batch}", t, batch, decoding, batch, TrainBench.ForwardWork(config) * batch + reading);
            }
        for (int batch = 1; batch <= 32; batch *= 2)
        {
            using var step = new TrainingStep(bench, config, batch, Length);
            Sample t = Timing.Measure(bench.Device, step.Run, repeats: 7, leastMilliseconds: 200, mostMilliseconds: 1500);
            Add($"a training step of length {Length}, batch {batch}", t, batch * Length, training, batch, TrainBench.StepWork(config) * (batch * Length));
            if (t.Median > MostMilliseconds)
                break;
        }
        Figures.LogLog(bench.FileFor(table, "batches", "png"), $"throughput, d_model {config.DModel} × {config.NLayer}, {bench.Device.Name}",
            "batch", "tokens/s", [new("one token at a time", decoding), new($"training, length {Length}", training)]);
        bench.Add(table);

        void Add(string name, Sample t, double tokens, List<(double, double)> points, int batch, Work work)
        {
            Sample rate = t.ToRate(tokens * 1e3, "tokens/s");
            table.Rows.Add(bench.RowOf(name, t, work, [Sample.Number(t.Median)]) with { Sample = rate });
            points.Add((batch, rate.Median));
        }
    }
}
