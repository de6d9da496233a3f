namespace Mamba.Peer;

/// <summary>One comparison: milliseconds of both, by median and by best, and how far apart their numbers are.</summary>
internal sealed record PeerRow(string Name, Pair Times, string LargestIn, double Difference)
{
    public static void Header(string title) =>
        Console.WriteLine($"\n{title,-64} {"PyTorch",12} {"threads",7} {"ours",12} {"ratio",9} {"of bests",9}   largest difference / largest value");

    public static PeerRow Print(string name, Pair pair, string where, double difference)
    {
        Console.WriteLine($"  {name,-62} {pair.Torch,9:F2} ms {pair.TorchThreads,7} {pair.Ours,9:F2} ms "
            + $"{pair.Ratio,7:F1} × {pair.BestRatio,7:F1} ×   {difference,9:0.0e+00} in {where}");
        return new PeerRow(name, pair, where, difference);
    }

    /// <summary>max |a − b| / max |b|</summary>
    public static double Apart(float[] a, float[] b)
    {
        if (a.Length != b.Length)
            throw new MambaException($"PyTorch gave {a.Length} numbers, we {b.Length}.");
        double largest = 0, scale = 0;
        for (int i = 0; i < a.Length; i++)
            (largest, scale) = (Math.Max(largest, Math.Abs((double)a[i] - b[i])), Math.Max(scale, Math.Abs(b[i])));
        return largest / scale;
    }
}
