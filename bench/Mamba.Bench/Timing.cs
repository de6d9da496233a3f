using System.Diagnostics;

namespace Mamba.Bench;

/// <summary>Milliseconds of one run: the best and the median of several, after a warm-up. The device is waited for each time.</summary>
internal readonly record struct Timing(double Best, double Median)
{
    /// <summary>Nine in ten runs took no longer than this.</summary>
    public double Slow { get; init; }

    /// <summary>Runs.</summary>
    public int Count { get; init; }

    public static Timing Measure(Device device, Action run, int repeats = 15, double leastMilliseconds = 20)
    {
        for (int i = 0; i < 3; i++)
            run();
        device.Synchronize();
        var times = new List<double>();
        var all = Stopwatch.StartNew();
        while (times.Count < repeats || all.Elapsed.TotalMilliseconds < leastMilliseconds)
        {
            long start = Stopwatch.GetTimestamp();
            run();
            device.Synchronize();
            times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        times.Sort();
        return new Timing(times[0], times[times.Count / 2]) { Slow = times[times.Count * 9 / 10], Count = times.Count };
    }
}
