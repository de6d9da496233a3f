namespace Mamba.Bench;

/// <summary>Time and memory against length, as the left of the paper's Figure 8, and throughput against batch, as its right.</summary>
internal static class ScalingBench
{
    static readonly string[] OnSlow = ["fused scan", "softmax attention"];

    public static void Run(Bench bench)
    {
        Plan plan = bench.Plan;
        Size size = plan.Of(new Size(1, 0, 64)) with { B = 1, L = plan.Length ?? (!plan.Quick ? 1 << 20 : plan.Slow ? 1 << 9 : 1 << 11) };
        string setup = $"b 1, d {size.D}, n {size.N}";
        _ = bench.Ceilings;
        var passes = new[] { (Name: "forward", Back: false), (Name: "with gradients", Back: true) };
        var all = new List<(bool Back, Series Time, Series Memory)>();
        Table table = bench.NewTable("scaling", $"Scaling with length, {setup}", "peak memory")
            .Sized(size.D == 64 && size.N == Size.UsualStates ? null : setup);
        var forms = plan.Choose("scaling", [.. Forms(bench, size)], form => form.Name, form => !plan.Slow || OnSlow.Contains(form.Name));
        foreach ((string pass, bool back) in passes)
            foreach ((string name, Func<long, Problem> make) in forms)
                all.Add(Measure(bench, table, name, pass, back, size, make));

        foreach ((string pass, bool back) in passes)
        {
            Series[] times = [.. all.Where(a => a.Back == back).Select(a => a.Time)], memories = [.. all.Where(a => a.Back == back).Select(a => a.Memory)];
            foreach (Series other in times.Skip(1))
                table.Notes.Add($"{pass}: {Passes(times[0], other)}; growth {Growth(times[0])} and {Growth(other)}.");
            string tag = back ? "gradients" : "forward";
            Figures.LogLog(bench.FileFor(table, $"scaling-time-{tag}", "png"), $"Time {pass}, {setup}, {bench.Device.Name}", "length", "ms", times);
            Figures.LogLog(bench.FileFor(table, $"scaling-memory-{tag}", "png"), $"Peak memory {pass}, {setup}, {bench.Device.Name}",
                "length", "MB", memories);
        }
        table.Notes.Add($"A series ends where its next length would take more than {Most(plan) / 1e3:0.#} s or {bench.MemoryLimit / 1e9:F1} GB. "
            + "Memory is the pool's peak, inputs included. A scan in any form is held against what the scan needs at least.");
        if (size.L < 1 << 20)
            table.Notes.Add($"None is longer than {size.L:N0} in this run.");
        bench.Add(table);
        Batches(bench);
    }

    // the longest that a run may take
    static double Most(Plan plan) => plan.Quick ? 100 : 2500;

    static string Growth(Series s) => s.Exponent is { } e ? $"l^{e:F2}" : "unknown";

    static string Passes(Series fused, Series other) => Series.Crossing(fused, other) is not { } at
        ? $"the {fused.Name} did not pass {other.Name} where both were measured"
        : at <= fused.Points[0].X ? $"the {fused.Name} is faster than {other.Name} from the shortest length on"
        : $"the {fused.Name} passes {other.Name} at length {at:N0}";

    /// <summary>What is run at one length.</summary>
    sealed record Problem(Tensor[] Inputs, Func<Tensor> Apply, Work Forward, Work Both);

    static IEnumerable<(string Name, Func<long, Problem> Make)> Forms(Bench bench, Size size)
    {
        yield return ("fused scan", l => Scan(l, ScanAlgorithm.Chunked));
        yield return ("scan with its states stored", l => Scan(l, ScanAlgorithm.Sequential));
        yield return ("scan as a quadratic form", l => Scan(l, ScanAlgorithm.Attention));
        yield return ("softmax attention", Attention);

        Problem Attention(long l)
        {
            long d = size.D;
            Tensor[] x = [bench.Draw((1, l, d), 1), bench.Draw((1, l, d), 2), bench.Draw((1, l, d), 3)];
            Tensor mask = CausalAttention.Mask(l, bench.DType, bench.Device);
            // two products of which half is needed, and five more back; q, k, v, y and their gradients
            var forward = new Work(2.0 * l * l * d, l * l / 2.0, 4.0 * l * d * bench.DType.Size());
            Work both = forward + new Work(5.0 * l * l * d, 0, 8.0 * l * d * bench.DType.Size());
            return new Problem(x, () => CausalAttention.Apply(x[0], x[1], x[2], mask), forward, both);
        }

        Problem Scan(long l, ScanAlgorithm algorithm)
        {
            (long d, long n) = (size.D, size.N);
            Tensor[] x = [bench.Draw((1, l, d), 1), bench.Draw((1, l, d), 2, -4), bench.Draw((d, n), 3, -16, -1), bench.Draw((1, l, n), 4),
                bench.Draw((1, l, n), 5), bench.Draw(d, 6), bench.Draw((1, l, d), 7)];
            return new Problem(x, () => Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], x[5], x[6], algorithm: algorithm).Y,
                ScanBench.ForwardWork(size with { L = l }, bench.DType), ScanBench.BothWork(size with { L = l }, bench.DType));
        }
    }

    static (bool, Series, Series) Measure(Bench bench, Table table, string name, string pass, bool back, Size size, Func<long, Problem> make)
    {
        List<(double, double)> times = [], memories = [];
        (double Time, double Memory)? last = null;
        (double time, double memory) growth = (4, 4);
        for (long l = 1 << 6; l <= size.L; l *= 2)       // the paper starts at 2⁹; a quadratic form ends there
        {
            if (last is { } sure && (sure.Time * growth.time > Most(bench.Plan) || sure.Memory * growth.memory > bench.MemoryLimit))
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
                Tensor dy = bench.Draw((1, l, size.D), 9);
                t = bench.Time(() =>
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
        Plan plan = bench.Plan;
        MambaConfig config = TrainBench.ConfigOf(new Size(0, 0, plan.Width ?? 256, plan.States ?? Size.UsualStates));
        string setup = $"d_model {config.DModel} × {config.NLayer}{Size.States(config.SsmCfg.DState)}";
        Table table = bench.NewTable("batches", $"Throughput against batch, {setup}", "ms")
            .Sized(plan.Width is null && plan.States is null ? null : setup);
        int[] batches = [.. Enumerable.Range(0, 31).Select(i => 1 << i).TakeWhile(b => b <= (plan.Batch ?? 128))];
        int[] steps = [.. batches.Where(b => b <= (plan.Batch ?? 32))];
        List<(double, double)> decoding = [], training = [];
        const int Length = 128;
        using (var model = new MambaLM(config, bench.Device, seed: 1, bench.DType))
            foreach (int batch in plan.Choose("batches of tokens", batches, b => $"{b}", b => b is 1 or 8 || (b == 64 && !plan.Slow)))
            {
                using var scope = new TensorScope();
                using MambaState state = model.NewState(batch);
                Tensor tokens = Tensor.From([.. Enumerable.Range(0, batch).Select(i => i * 31 % config.VocabSize)], batch, bench.Device);
                Sample t = bench.Time(() =>
                {
                    using var inner = new TensorScope();
                    model.Step(tokens, state);
                }, repeats: 30, leastMilliseconds: 200, mostMilliseconds: 1000);
                var reading = new Work(Bytes: (double)model.Parameters.ElementCount * bench.DType.Size(), Launches: 0, ReadOnly: true);
                Add($"one token each, batch {batch}", t, batch, decoding, batch, TrainBench.ForwardWork(config) * batch + reading);
            }
        foreach (int batch in plan.Choose("batches of training", steps, b => $"{b}", b => b is 1 or 2 || (b == 8 && !plan.Slow)))
        {
            using var step = new TrainingStep(bench, config, batch, Length);
            Sample t = bench.Time(step.Run, repeats: 7, leastMilliseconds: 200, mostMilliseconds: 1500);
            Add($"a training step of length {Length}, batch {batch}", t, batch * Length, training, batch, TrainBench.StepWork(config) * (batch * Length));
            if (t.Median > Most(plan))
                break;
        }
        Figures.LogLog(bench.FileFor(table, "batches", "png"), $"Throughput, {setup}, {bench.Device.Name}",
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
