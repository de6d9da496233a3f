using System.Diagnostics;

namespace Mamba.Peer;

/// <summary>Milliseconds of both, median and best of runs taken in turn, so that what else the machine does falls on both.</summary>
internal readonly record struct Pair(double Torch, double Ours, double TorchBest, double OurBest, int Runs)
{
    public double Ratio => Torch / Ours;
    public double BestRatio => TorchBest / OurBest;

    public static Pair Measure(Action torch, Action ours, double leastSeconds)
    {
        const int Few = 5, Turns = 3;       // ours is the shorter: several of it a turn
        torch();
        for (int i = 0; i < Turns; i++)
            ours();
        var theirs = new List<double>();
        var our = new List<double>();
        var all = Stopwatch.StartNew();
        while (theirs.Count < Few || all.Elapsed.TotalSeconds < leastSeconds)
        {
            theirs.Add(Time(torch));
            for (int i = 0; i < Turns; i++)
                our.Add(Time(ours));
        }
        return new Pair(Median(theirs), Median(our), theirs.Min(), our.Min(), theirs.Count);
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
