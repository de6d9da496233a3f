using System.Diagnostics;
using TorchSharp;

namespace Mamba.Peer;

/// <summary>
/// Milliseconds of both, median and best of runs taken in turn, so that what else the machine does falls on both. PyTorch gets one
/// thread where that is faster: its operations on a slice are short, and threads wait for each other after each.
/// </summary>
internal readonly record struct Pair(double Torch, double Ours, double TorchBest, double OurBest, int TorchThreads, int Runs)
{
    public double Ratio => Torch / Ours;
    public double BestRatio => TorchBest / OurBest;

    public static Pair Measure(Action theirs, Action ours, int most, double leastSeconds)
    {
        const int Few = 5, Turns = 3;       // ours is the shorter: several of it a turn
        int threads = new[] { 1, most }.MinBy(count =>
        {
            torch.set_num_threads(count);
            theirs();
            return Time(theirs);
        });
        torch.set_num_threads(threads);
        for (int i = 0; i < Turns; i++)
            ours();
        var their = new List<double>();
        var our = new List<double>();
        var all = Stopwatch.StartNew();
        while (their.Count < Few || all.Elapsed.TotalSeconds < leastSeconds)
        {
            their.Add(Time(theirs));
            for (int i = 0; i < Turns; i++)
                our.Add(Time(ours));
        }
        return new Pair(Median(their), Median(our), their.Min(), our.Min(), threads, their.Count);
    }

    static double Time(Action run)
    {
        long start = Stopwatch.GetTimestamp();
        run();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    static double Median(List<double> times)
    {
        times.Sort();
        return times[times.Count / 2];
    }
}
