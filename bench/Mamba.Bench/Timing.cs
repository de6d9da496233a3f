using System.Diagnostics;
using Mamba.Gpu;

namespace Mamba.Bench;

/// <summary>Milliseconds of one run, after a warm-up, by the device's own events where it has them. The device is waited for each time.</summary>
internal static class Timing
{
    /// <param name="device">Where it runs.</param>
    /// <param name="run">What to time.</param>
    /// <param name="repeats">Runs at least.</param>
    /// <param name="leastMilliseconds">Time to spend at least.</param>
    /// <param name="mostMilliseconds">Once that long, three runs are enough.</param>
    public static Sample Measure(Device device, Action run, int repeats = 15, double leastMilliseconds = 50, double mostMilliseconds = 2000)
    {
        var on = (ComputeDevice)device;
        var warming = Stopwatch.StartNew();
        for (int i = 0; i < 3 && (i == 0 || warming.Elapsed.TotalMilliseconds < mostMilliseconds); i++)
        {
            run();
            device.Synchronize();
        }
        var times = new List<double>();
        var all = Stopwatch.StartNew();
        while ((times.Count < repeats || all.Elapsed.TotalMilliseconds < leastMilliseconds) && (times.Count < 3 || all.Elapsed.TotalMilliseconds < mostMilliseconds))
        {
            Mark start = on.Mark();
            run();
            Mark end = on.Mark();
            device.Synchronize();
            times.Add(end.MillisecondsSince(start));
        }
        return Sample.Of(times, "ms");
    }
}
