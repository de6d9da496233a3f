namespace Mamba.Cli;

/// <summary>A curve of any number of values in one line of blocks: neighbours are averaged when it becomes too long.</summary>
internal sealed class Sparkline(int width)
{
    const string Blocks = "▁▂▃▄▅▆▇█";

    readonly List<double> means = [];
    double sum;
    int count, each = 1;

    /// <summary>The mean of the newest values.</summary>
    public double Latest => count > 0 ? sum / count : means.Count > 0 ? means[^1] : 0;

    public void Add(double value)
    {
        sum += value;
        if (++count < each)
            return;
        means.Add(sum / count);
        (sum, count) = (0, 0);
        if (means.Count < 2 * width)
            return;
        for (int i = 0; i < width; i++)
            means[i] = (means[2 * i] + means[2 * i + 1]) / 2;
        means.RemoveRange(width, width);
        each *= 2;
    }

    public string Render()
    {
        if (means.Count == 0)
            return new string(' ', width);
        double top = Math.Max(1e-12, means.Max());
        return string.Concat(Enumerable.Range(0, width).Select(i => Block(means[i * means.Count / width] / top)));

        static char Block(double height) => Blocks[(int)Math.Clamp(height * (Blocks.Length - 1), 0, Blocks.Length - 1)];
    }
}
