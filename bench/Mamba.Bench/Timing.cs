using System.Diagnostics;
using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>Milliseconds of one run, after a warm-up, by the device's own events where it has them. The device is waited for each time.</summary>
internal static class Timing
{
    const double ClockTicks = 0.02;      // milliseconds that a clock or an event can be trusted for: shorter runs are timed several together

    /// <param name="device">Where it runs.</param>
    /// <param name="run">What to time.</param>
    /// <param name="repeats">Runs at least.</param>
    /// <param name="leastMilliseconds">Time to spend at least.</param>
    /// <param name="mostMilliseconds">Once that long, three runs are enough.</param>
    public static Sample Measure(Device device, Action run, int repeats = 15, double leastMilliseconds = 50, double mostMilliseconds = 2000)
    {
        var on = (ComputeDevice)device;
        var clock = Stopwatch.StartNew();
        double once = 0;
        for (int i = 0; i < 3 && (i == 0 || clock.Elapsed.TotalMilliseconds < mostMilliseconds); i++)
            once = Once(1);
        int together = (int)Math.Clamp(ClockTicks / once, 1, 1000);
        var times = new List<double>();
        clock.Restart();
        while ((times.Count < repeats || clock.Elapsed.TotalMilliseconds < leastMilliseconds)
            && (times.Count < 3 || clock.Elapsed.TotalMilliseconds < mostMilliseconds))
            times.Add(Once(together));
        return Sample.Of(times, "ms");

        double Once(int count)
        {
            Mark start = on.Mark();
            for (int i = 0; i < count; i++)
                run();
            Mark end = on.Mark();
            device.Synchronize();
            return end.MillisecondsSince(start) / count;
        }
    }
}
