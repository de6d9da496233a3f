namespace Mamba.Bench;

/// <summary>What a run must do at least: each part takes time at the machine's ceilings.</summary>
/// <param name="Flops">A multiply-add is two.</param>
/// <param name="Exps">Exponentials.</param>
/// <param name="Bytes">Through memory, each value read or written once.</param>
/// <param name="Launches">Kernels.</param>
/// <param name="ReadOnly">The bytes are nearly all read.</param>
/// <param name="AtOnce">Of the bytes, those of one pass over memory, where there are several: what decides which memory holds them.</param>
internal sealed record Work(double Flops = 0, double Exps = 0, double Bytes = 0, double Launches = 1, bool ReadOnly = false, double? AtOnce = null)
{
    /// <summary>Flops for each byte, an exponential being a flop here; what a roofline has on its axis.</summary>
    public double Intensity => (Flops + Exps) / Bytes;

    public static Work operator *(Work work, double times) => work with
    {
        Flops = work.Flops * times,
        Exps = work.Exps * times,
        Bytes = work.Bytes * times,
        Launches = work.Launches * times,
    };

    public static Work operator +(Work a, Work b) =>
        new(a.Flops + b.Flops, a.Exps + b.Exps, a.Bytes + b.Bytes, a.Launches + b.Launches, a.ReadOnly || b.ReadOnly);
}
