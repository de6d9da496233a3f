namespace Mamba.Bench;

/// <summary>The memory of a training step, allocation by allocation, beside the formula.</summary>
internal static class MemoryBench
{
    // no two extents alike, so that shapes can be read as letters
    const int B = 6, L = 224;
    static readonly MambaConfig Config = new() { DModel = 320, NLayer = 4, VocabSize = 256 };

    public static void Run(Bench bench)
    {
        MambaConfig config = bench.Plan.Quick ? Config with { NLayer = 1 } : Config;
        using var training = new TrainingStep(bench, config, B, L);
        training.Run();
        bench.Device.Synchronize();
        long resident = bench.Device.Memory.LiveBytes;
        var ledger = new Ledger(Callers.Name);
        bench.Device.Memory.Ledger = ledger;
        training.Run();
        bench.Device.Memory.Ledger = null;

        Table table = bench.NewTable("memory", $"Memory of a training step, d_model {config.DModel} × {config.NLayer}, b {B}, l {L}",
            "shape", "tensors", "MB each", "MB made", "at the peak", "of all, at").Sized(config == Config ? null : $"{config.NLayer} layer");
        long end = Math.Max(1, ledger.Allocations.Count * 2L);
        var largest = ledger.Allocations.GroupBy(a => (a.By, Shape: Letters(a.Shape)))
            .OrderByDescending(g => g.Where(a => a.LivesAt(ledger.PeakTime)).Sum(a => a.Bytes)).ThenByDescending(g => g.Sum(a => a.Bytes)).Take(30);
        foreach (var group in largest)
        {
            long atPeak = group.Where(a => a.LivesAt(ledger.PeakTime)).Sum(a => a.Bytes);
            string lives = $"{100 * group.Min(a => a.Made) / end}–{100 * group.Max(a => a.Ended ?? end) / end} %";
            table.Rows.Add(new Row($"{group.Key.By} {group.Key.Shape}", [group.First().Shape?.ToString() ?? "scratch", $"{group.Count()}",
                $"{group.Max(a => a.Bytes) / 1e6:F3}", $"{group.Sum(a => a.Bytes) / 1e6:F2}", atPeak == 0 ? "" : $"{atPeak / 1e6:F2} MB", lives]));
        }
        long size = bench.DType.Size(), weights = size * training.Model.Parameters.ElementCount;
        long formula = size * Kept(config, B, L), kept = size * Kept(ledger), states = (long)B * L * Config.DInner * Config.SsmCfg.DState;
        table.Rows.Add(new Row("peak of the step", [], Sample.Exactly(ledger.PeakBytes / 1e6, "MB")));
        table.Rows.Add(new Row("kept from forward for backward", [], Sample.Exactly(kept / 1e6, "MB")));
        table.Rows.Add(new Row("the same by the formula", [], Sample.Exactly(formula / 1e6, "MB")));
        table.Rows.Add(new Row("before the step: weights, moments", [], Sample.Exactly(resident / 1e6, "MB")));
        table.Notes.Add($"Times count allocations and returns from 0 to 100 % of the step. "
            + $"{ledger.Allocations.Count:N0} allocations, the 30 largest groups here.");
        table.Notes.Add("Formula: b l (3 d_model + 5 d + r + 2 n + 1) for a layer, b n d (⌈l/32⌉ + 1) for its states at chunk boundaries and the last, "
            + $"2 n d for A; b l (2 d_model + v + 3) around them: {formula / 1e6:F2} MB, where the ledger has {kept / 1e6:F2}. "
            + $"The peak is {ledger.PeakBytes / 1e6:F1} MB: the gradients ({weights / 1e6:F1} MB) and a layer's backward pass come on top, "
            + "and the pool's rounding of sizes.");
        table.Notes.Add(Claim(ledger, states));
        bench.Add(table);
        bench.Device.Memory.Trim();
    }

    /// <summary>The paper's claim, §3.3.2, as the ledger shows it.</summary>
    public static string Claim(Ledger ledger, long states) => ledger.LargestTensor < states
        ? $"No tensor of (b, l, d, n) = {states:N0} elements was allocated: the largest of {ledger.Allocations.Count:N0} has {ledger.LargestTensor:N0}, "
            + $"{(double)ledger.LargestTensor / states:P1} of that."
        : $"A tensor of {ledger.LargestTensor:N0} elements was allocated, as large as (b, l, d, n) = {states:N0} or larger.";

    /// <summary>Elements that live at the peak and were not made by the backward pass.</summary>
    static long Kept(Ledger ledger) =>
        ledger.AtPeak.Where(a => a.Shape is not null && !a.By.EndsWith("backward", StringComparison.Ordinal)).Sum(a => a.Elements);

    /// <summary>Elements that a step keeps from forward to backward.</summary>
    public static long Kept(MambaConfig c, long b, long l)
    {
        long d = c.DInner, n = c.SsmCfg.DState, model = c.DModel;
        long layer = b * l * (3 * model + 5 * d + c.DtRank + 2 * n + 1) + b * n * d * ((l + 31) / 32 + 1) + 2 * n * d;
        return c.NLayer * layer + b * l * (2 * model + c.PaddedVocabSize + 3);
    }

    static string Letters(Shape? shape) => shape is { } s ? $"({string.Join(", ", s.ToArray().Select(Letter))})" : "scratch";

    static string Letter(long extent) => extent switch
    {
        B => "b",
        L => "l",
        B * L => "b l",
        1 => "1",
        7 => "⌈l/32⌉",
        16 => "n",
        20 => "r",
        _ when extent == Config.DModel => "d_model",
        _ when extent == Config.DInner => "d",
        _ when extent == 2 * Config.DInner => "2 d",
        _ when extent == Config.VocabSize => "v",
        _ when extent == Config.DtRank + 2 * Config.SsmCfg.DState => "r + 2 n",
        _ => $"{extent}",
    };
}
