using System.Diagnostics;

namespace Mamba.Gpu;

/// <summary>A moment on the host's clock.</summary>
internal sealed class ClockMark : Mark
{
    readonly long time = Stopwatch.GetTimestamp();

    public override double MillisecondsSince(Mark earlier) => Stopwatch.GetElapsedTime(((ClockMark)earlier).time, time).TotalMilliseconds;
}
